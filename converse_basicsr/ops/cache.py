"""A process-wide cache of filters, each checked against the values that it was made from.

Version counters cannot tell whether a filter is stale: the moving average of weights in most training code writes
through ``param.data``, which leaves them unchanged. So an entry keeps a copy of its kernel and lam (a few thousand
numbers), builds the filter from that copy, and is used only for equal values. Nothing has to be invalidated: an
optimizer step, ``load_state_dict`` or any other write changes the values, so that the lookup misses. Modules hold no
reference to the cache; copying, pickling and replicating them is safe.

The comparison takes microseconds on a CPU. On a GPU it would have to wait for the device, so filters are rebuilt there.
A device without float64 has to wait in any case, because its filters are made on the CPU: they are compared there, and
stored on the device.
"""

import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import torch

from converse_basicsr.ops.float64 import for_float64

DEFAULT_LIMIT = 1 << 30


@dataclass(eq=False)
class _Entry:
    kernel: torch.Tensor
    lam: torch.Tensor
    tick: int
    owner: weakref.ref[object] | None = None
    filter: torch.Tensor | None = None

    @property
    def num_bytes(self) -> int:
        return sum(t.nbytes for t in (self.kernel, self.lam, self.filter) if t is not None)

    def matches(self, kernel: torch.Tensor, lam: torch.Tensor) -> bool:
        return torch.equal(self.kernel, kernel) and torch.equal(self.lam, lam)


class FilterCache:
    """Filters up to a number of bytes in all; safe to use from any number of threads.

    A filter is stored when it is requested for the second time with the same values, and then replaces filters that
    were not used in between. So a size that occurs once costs no memory. A network whose filters exceed the limit keeps
    those that fit, where plain least-recently-used replacement would drop each one shortly before it is needed again.

    Args:
        limit: Largest number of bytes, the copies of the kernels included.
    """

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        self._limit = limit
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()  # least recently used first
        self._bytes = 0
        self._tick = 0
        # Re-entrant: an owner may be collected, and its callback run, while the same thread holds the lock.
        self._lock = threading.RLock()

    @property
    def limit(self) -> int:
        """Largest number of bytes; lowering it drops what exceeds it, 0 switches the cache off."""
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
        """The filter of these values, or None if it is not stored and not to be stored now.

        Args:
            kernel: The kernel; its address distinguishes layers.
            lam: Regularisation weight.
            spec: Everything else that determines the filter.
            num_bytes: Size of the filter.
            build: Makes the filter from kernel and lam, copies of them on the CPU if their device has no float64.
            owner: The entry is dropped when this object is collected. It is not the kernel itself: torch refuses to
                exchange the content of tensors that are weakly referenced.
        """
        key = (kernel.data_ptr(), kernel.dtype, lam.dtype, spec)
        kernel, lam = for_float64(kernel), for_float64(lam)
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
            # Meanwhile another thread may have taken the room, dropped the entry or stored the same filter.
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
                entry.owner = None  # its callback refers to the entry: a cycle that would keep the filter alive

    def _make_room(self, num_bytes: int, unused_since: int) -> bool:
        """Drop entries last used before ``unused_since`` until ``num_bytes`` fit; drop none if that is not enough."""
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
