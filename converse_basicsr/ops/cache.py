"""A process-wide store of filters, checked against the very values they were made from.

Version counters cannot tell whether a filter is stale: the moving average of weights in most training code writes
through ``param.data``, which counts nothing. So an entry keeps a copy of its kernel and lam (a few thousand numbers),
serves its filter only to equal ones, and builds it from the copy. There is nothing to invalidate: an optimizer step,
``load_state_dict`` or a write by whatever path changes the values and thereby misses. Modules hold no reference to
the store, hence copying, pickling and replicating them is safe.

The comparison takes microseconds on a CPU. A GPU would have to be waited for, so there filters are rebuilt, not kept.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch

DEFAULT_LIMIT = 1 << 30


@dataclass(eq=False)
class _Entry:
    kernel: torch.Tensor
    lam: torch.Tensor
    tick: int
    owner: weakref.ref | None = None
    filter: torch.Tensor | None = None

    @property
    def num_bytes(self) -> int:
        return sum(t.nbytes for t in (self.kernel, self.lam, self.filter) if t is not None)

    def matches(self, kernel: torch.Tensor, lam: torch.Tensor) -> bool:
        return torch.equal(self.kernel, kernel) and torch.equal(self.lam, lam)


class FilterCache:
    """Filters up to a number of bytes, for any number of threads.

    A filter is stored when it is asked for the second time with the same values, in the place of filters that nobody
    used in between. So a size that occurs once costs no memory, and a network whose filters exceed the limit keeps
    those that fit, where plain least-recently-used replacement would push out each one shortly before its turn.

    Args:
        limit: Number of bytes, the copies of the kernels included.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()  # least recently used first
        self._bytes = 0
        self._tick = 0
        # Re-entrant: an owner may die, and its callback come, while its own thread holds the lock.
        self._lock = threading.RLock()

    @property
    def limit(self) -> int:
        """Number of bytes that may be held; lowering it drops what exceeds it, 0 switches the store off."""
        return self._limit

    @limit.setter
    def limit(self, num_bytes: int) -> None:
        if num_bytes < 0:
            raise ValueError(f'limit must be at least 0, got {num_bytes}')
        with self._lock:
            self._limit = num_bytes
            while self._bytes > num_bytes:
                self._remove(next(iter(self._entries)))

    @property
    def num_bytes(self) -> int:
        """Number of bytes held."""
        return self._bytes

    def __len__(self) -> int:
        with self._lock:
            return sum(entry.filter is not None for entry in self._entries.values())

    def clear(self) -> None:
        """Drop everything."""
        with self._lock:
            for key in list(self._entries):
                self._remove(key)

    def get(
        self,
        kernel: torch.Tensor,
        lam: torch.Tensor,
        spec: Hashable,
        num_bytes: int,
        build: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
        owner: object | None = None,
    ) -> torch.Tensor | None:
        """The filter of these values, or None where it is not worth keeping (yet).

        Args:
            kernel: Kernel; its address tells layers apart.
            lam: Regularisation weight.
            spec: Whatever else determines the filter.
            num_bytes: Size of the filter.
            build: Makes it from kernel and lam.
            owner: The entry goes when this does; not the kernel itself, since torch refuses to exchange the content of
                tensors that are weakly referenced.
        """
        key = (kernel.data_ptr(), kernel.dtype, lam.dtype, spec)
        with self._lock:
            self._tick += 1
            entry = self._entries.get(key)
            if entry is None or not entry.matches(kernel, lam):
                self._remember(key, kernel, lam, owner)
                return None
            last_asked, entry.tick = entry.tick, self._tick
            self._entries.move_to_end(key)
            if entry.filter is not None or not self._make_room(num_bytes, unused_since=last_asked):
                return entry.filter
        built = build(entry.kernel, entry.lam)
        with self._lock:
            # Another thread may have taken the room, dropped the entry or stored the same filter meanwhile.
            if self._entries.get(key) is entry and entry.filter is None and self._bytes + built.nbytes <= self._limit:
                entry.filter = built
                self._bytes += built.nbytes
        return built

    def _remember(self, key: Hashable, kernel: torch.Tensor, lam: torch.Tensor, owner: object | None) -> None:
        self._remove(key)
        entry = _Entry(kernel.detach().clone(), lam.detach().clone(), self._tick)
        if self._make_room(entry.num_bytes, unused_since=self._tick):
            if owner is not None:
                entry.owner = weakref.ref(owner, lambda _: self._remove(key, entry))
            self._entries[key] = entry
            self._bytes += entry.num_bytes

    def _remove(self, key: Hashable, only: _Entry | None = None) -> None:
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None and only in (None, entry):
                del self._entries[key]
                self._bytes -= entry.num_bytes
                entry.owner = None  # its callback refers to the entry: the cycle would keep the filter alive

    def _make_room(self, num_bytes: int, unused_since: int) -> bool:
        """Drop entries last used before ``unused_since`` until ``num_bytes`` fit; none if that is not enough."""
        missing = self._bytes + num_bytes - self._limit
        victims = []
        for key, entry in self._entries.items():
            if missing <= 0 or entry.tick >= unused_since:
                break
            victims.append(key)
            missing -= entry.num_bytes
        if missing > 0:
            return False
        for key in victims:
            self._remove(key)
        return True


filter_cache = FilterCache()
