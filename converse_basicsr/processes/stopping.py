"""End a training on SIGTERM, Ctrl-C or a closed terminal: after an iteration, everything saved, all processes alike."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

HANGUP = getattr(signal, 'SIGHUP', None)  # of a terminal that was closed; Windows has none
SIGNALS = (signal.SIGTERM, signal.SIGINT, *([HANGUP] if HANGUP else []))

LOST_WORKER = signal.SIGTERM + 1000
"""Stands among the signals for the death of a loader process."""

LAUNCHER = 'BASICSR_LAUNCHER_PID'
"""Environment variable with the id of the process that started this one, which stops when that process is gone."""


class Stopped(Exception):
    """The training was asked to stop, and everything is saved.

    Attributes:
        signum: The signal that asked.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum

    @classmethod
    def after(cls, iteration: int, signum: int) -> 'Stopped':
        """Say by which signal, and what was saved."""
        return cls(f'stopped by {signal.Signals(signum).name}: {saved_after(iteration)}', signum)

    @property
    def status(self) -> int:
        """The exit status of the process, as a shell gives it."""
        return 128 + self.signum


def saved_after(iteration: int) -> str:
    """Say what was saved: the state after an iteration, or nothing where none was done."""
    return f'saved after iteration {iteration}; go on with --auto_resume' if iteration > 0 else 'nothing to save'


class ValidationStopped(Exception):
    """Ends a validation after a stop was requested; it is repeated when the run goes on.

    Attributes:
        signum: The signal that asked.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class StopRequest:
    """Whether this process, or any other process of the run, was asked to stop.

    Attributes:
        signum: The signal that asked, 0 as long as none has.
        reason: How this process lost a loader process, after :data:`LOST_WORKER`.
    """

    def __init__(self) -> None:
        self.signum = 0
        self.reason = ''
        self._answer: tuple[Any, Any] | None = None
        self._launcher = int(os.environ.get(LAUNCHER, '0'))

    def __bool__(self) -> bool:
        if self._launcher and os.getppid() != self._launcher:
            self.signum = self.signum or signal.SIGTERM
        return self.signum != 0

    def signum_of_any(self, device: Any) -> int:
        """Return the highest signal of all processes, the same on each; every process calls this once per iteration.

        With several processes, each call starts an exchange that the next call reads, so that none ever waits.

        Args:
            device: Device of the tensors that the communication backend exchanges.
        """
        import torch

        own = self.signum if self else 0
        if not torch.distributed.is_initialized():
            return own
        if self._answer is not None:
            work, highest = self._answer
            self._answer = None
            work.wait()
            if highest.item():
                return int(highest.item())
        highest = torch.tensor(own, device=device)
        work = torch.distributed.all_reduce(highest, torch.distributed.ReduceOp.MAX, async_op=True)
        self._answer = work, highest
        return 0


_request: StopRequest | None = None


def current_request() -> StopRequest | None:
    """Return the request of the training that runs in this process; None if none watches for signals."""
    return _request


def handled(handler: Callable[[int, Any], None]) -> dict[int, Any]:
    """Handle :data:`SIGNALS`, but for SIGHUP where ``nohup`` has turned it off; return the handlers before."""
    watched = [signum for signum in SIGNALS if signum != HANGUP or signal.getsignal(signum) != signal.SIG_IGN]
    return {signum: signal.signal(signum, handler) for signum in watched}


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first signal of :data:`SIGNALS` into a :class:`StopRequest`; the second does what it always does.

    Outside of the main thread, where Python allows no handlers, signals are left alone.
    """
    global _request
    request = StopRequest()

    def note(signum: int, frame: object) -> None:
        repeated, request.signum = bool(request.signum), request.signum or signum
        for watched, handler in before.items():
            if watched != HANGUP:  # a shell that ends may send it twice
                signal.signal(watched, handler)
        if os.environ.get('RANK', '0') == '0' and not repeated:
            # Not print: the signal may have come in the middle of one.
            name = signal.Signals(signum).name
            with contextlib.suppress(OSError):  # the terminal may be gone
                os.write(2, f'basicsr: {name}: saving after this iteration; once more to stop at once\n'.encode())

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = handled(note)
    _request = request
    try:
        yield request
    finally:
        _request = None
        for watched, handler in before.items():
            signal.signal(watched, handler)


class WatchedLoader:
    """A data loader whose iteration ends in :class:`ValidationStopped` as soon as this process is asked to stop.

    Args:
        loader: The loader; everything else is taken from it.
        request: The request to look at before each batch.
    """

    def __init__(self, loader: Any, request: StopRequest) -> None:
        self._loader, self._request = loader, request

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def __len__(self) -> int:
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        for batch in self._loader:
            if self._request:
                raise ValidationStopped(self._request.signum)
            yield batch
