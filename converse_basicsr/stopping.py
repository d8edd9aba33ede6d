"""End a training on SIGTERM or Ctrl-C at the end of an iteration, with everything saved, on all processes alike."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)
LAUNCHER = 'BASICSR_LAUNCHER_PID'
"""Environment variable with the process that started this one and without which it shall not go on."""


class Stopped(Exception):
    """The training was asked to stop, and has saved what there was to save.

    Attributes:
        signum: The signal that asked.
    """

    def __init__(self, message: str, signum: int) -> None:
        super().__init__(message)
        self.signum = signum


class ValidationStopped(Exception):
    """Ends a validation that a stop has made pointless: it is done anew when the run goes on.

    Attributes:
        signum: The signal that asked.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


class StopRequest:
    """Whether this process was asked to stop, and whether any of the run was.

    Attributes:
        signum: The signal that asked, 0 as long as none has.
    """

    def __init__(self) -> None:
        self.signum = 0
        self._answer: tuple[Any, Any] | None = None
        self._launcher = int(os.environ.get(LAUNCHER, '0'))

    def __bool__(self) -> bool:
        if self._launcher and os.getppid() != self._launcher:
            self.signum = self.signum or signal.SIGTERM
        return self.signum != 0

    def signum_of_any(self, device: Any) -> int:
        """The highest signal of all processes, the same on each; to be called once an iteration by all of them.

        With several processes the question is put in one call and answered in the next, so that none ever waits.

        Args:
            device: Where the communication backend takes tensors from.
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
    """The request of the training that is running in this process, if signals are being watched for."""
    return _request


@contextlib.contextmanager
def stop_on_signals() -> Iterator[StopRequest]:
    """Turn the first SIGTERM or Ctrl-C into a :class:`StopRequest`; the second one does what it always does.

    Outside of the main thread, where Python allows no handlers, signals are left alone.
    """
    global _request
    request = StopRequest()

    def note(signum: int, frame: object) -> None:
        request.signum = signum
        for watched, handler in before.items():
            signal.signal(watched, handler)
        if os.environ.get('RANK', '0') == '0':
            # Not print: the signal may have come in the middle of one.
            name = signal.Signals(signum).name
            os.write(2, f'basicsr: {name}: saving after this iteration; once more to stop at once\n'.encode())

    before = {}
    if threading.current_thread() is threading.main_thread():
        before = {watched: signal.signal(watched, note) for watched in SIGNALS}
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
