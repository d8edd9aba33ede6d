"""Loader processes that are killed, as systems do when memory is short: the loop learns of it between two batches."""

import contextlib
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from typing import Any

_DEATH = re.compile(r'DataLoader worker \(pid(?:\(s\))? (?P<pid>[\d, ]+)\) (?P<how>[^\n]*)')
_SHARED_MEMORY = re.compile(
    'bus error|out of shared memory|(unable|failed) to .*(shared memory|shm|</torch_)', re.IGNORECASE
)
_CUT_OFF = re.compile(r'received \d+ items of ancdata')
FEWER = 'lower num_worker_per_gpu'
_TOO_SMALL = (
    'the shared memory (/dev/shm) is too small for the loader processes: '
    f'{FEWER} or batch_size_per_gpu, or enlarge it (docker run --shm-size=8g)'
)


def described(error: BaseException, processes: Sequence[BaseProcess] = ()) -> str | None:
    """Describe the loss of a loader process; None if an error of a loader means something else.

    Args:
        error: What a loader raised.
        processes: The loader processes; they tell what killed them where the error does not.
    """
    text = str(error)
    death = _DEATH.search(text)
    if (isinstance(error, (OSError, EOFError)) or death or _CUT_OFF.search(text)) and _one_had_a_bus_error(processes):
        return _TOO_SMALL
    if isinstance(error, (OSError, EOFError)) or _CUT_OFF.search(text):
        # It died while it sent a batch, and PyTorch has not seen it yet. Data sets raise errors of their own.
        return f'a loader process is gone ({text}), as happens when memory is short: {FEWER}'
    if (death or 'DataLoader worker process' in text) and _SHARED_MEMORY.search(text):
        return _TOO_SMALL
    if death:
        return (
            f'a loader process (pid {death["pid"]}) {death["how"].split(". ")[0].rstrip(". ")}, as happens when memory '
            f'is short: {FEWER}'
        )
    return None


def _one_had_a_bus_error(processes: Sequence[BaseProcess]) -> bool:
    """Tell whether a process was killed for memory that it cannot have; waits a second for the first death."""
    dead = wait([process.sentinel for process in processes], timeout=1)
    for process in processes:
        if process.sentinel in dead:
            process.join()  # the system tells of the end a little before it tells of the cause
    return any(process.exitcode == -getattr(signal, 'SIGBUS', 0) != 0 for process in processes)


def described_or_raised(error: Exception, processes: Sequence[BaseProcess] = ()) -> str:
    """Describe the loss of a loader process; raise the error itself if it means something else."""
    description = described(error, processes)
    if description is None:
        raise error
    return description


@contextlib.contextmanager
def deaths_held_back(deaths: list[str]) -> Iterator[None]:
    """Keep PyTorch from raising the death of a loader process wherever this process is, in the midst of a step say.

    Args:
        deaths: Receives the descriptions of the deaths.
    """
    # PyTorch's handler is there since the first loader with processes; there are none in threads and on Windows.
    is_main = threading.current_thread() is threading.main_thread()
    handler = signal.getsignal(signal.SIGCHLD) if is_main and hasattr(signal, 'SIGCHLD') else None
    if not callable(handler):
        yield
        return

    def note(signum: int, frame: Any) -> None:
        try:
            handler(signum, frame)
        except RuntimeError as error:
            deaths.append(described(error) or str(error))

    signal.signal(signal.SIGCHLD, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGCHLD, handler)
