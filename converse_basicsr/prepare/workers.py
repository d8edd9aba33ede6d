"""Run tasks in worker processes, in order, with bounded memory, and without orphans."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from converse_basicsr.errors import UserError
from converse_basicsr.messages import tell
from converse_basicsr.prepare.tasks import Outcome, Task

LOOKAHEAD = 2
"""Tasks under way beyond one per worker: keeps the workers busy while one slow image holds back the order."""

_stop: Any = None
"""In a worker: the shared flag that says that no more results are wanted."""


def count_cpus() -> int:
    """Count the CPUs that this process may use; batch systems and containers often allow fewer than there are."""
    if hasattr(os, 'sched_getaffinity'):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def run_tasks(tasks: Iterable[Task], *, workers: int) -> Generator[tuple[Task, Outcome], None, None]:
    """Run the tasks and yield their outcomes in the order of the tasks.

    At most ``workers + 2`` outcomes are in memory. With one worker everything runs in this process.

    Args:
        tasks: What to do; consumed as the work goes on.
        workers: Number of processes.

    Yields:
        Each task with its outcome.

    Raises:
        UserError: If a task fails for a reason other than its image being bad, or a worker process dies.
    """
    if workers == 1:
        for task in tasks:
            yield task, _run_task(task)
        return
    # Spawned everywhere: a fork would copy the locks of this process's threads (tqdm, torch, OpenCV) in any state.
    context = multiprocessing.get_context('spawn')
    # Without a lock, which a worker killed at the wrong moment would keep for ever.
    stop = context.RawValue('b', 0)
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(stop,))
    under_way: deque[tuple[Task, Future[Outcome]]] = deque()
    try:
        for task in tasks:
            with _interrupts_delayed():  # submitting starts processes
                under_way.append((task, pool.submit(_run_in_worker, task)))
            if len(under_way) >= workers + LOOKAHEAD:
                done, future = under_way.popleft()
                yield done, future.result()
        while under_way:
            done, future = under_way.popleft()
            yield done, future.result()
    except KeyboardInterrupt:
        tell('', 'stopping after the images in hand')
        raise
    except BrokenProcessPool as error:
        raise UserError(
            'a worker process died, perhaps because the memory was used up: repeat the command with fewer --workers'
        ) from error
    finally:
        # After Ctrl-C or an error the workers finish the image in hand, no more. Killing one while it sends a result
        # would leave the pool waiting for the rest of it.
        stop.value = 1
        pool.shutdown(wait=True, cancel_futures=True)


@contextlib.contextmanager
def _interrupts_delayed() -> Iterator[None]:
    """Hold Ctrl-C back for a moment, so that new processes inherit a mask and never see it; this one sees it after."""
    if not hasattr(signal, 'pthread_sigmask'):  # Windows
        yield
        return
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)


def _run_task(task: Task) -> Outcome:
    try:
        return task()
    except MemoryError as error:
        raise UserError(
            f'{task.source.path}: the memory is used up; repeat the command with fewer --workers'
        ) from error
    except Exception as error:
        raise UserError(f'{task.source.path}: {type(error).__name__}: {error}') from error


def _run_in_worker(task: Task) -> Outcome:
    return Outcome(bad='was not looked at') if _stop.value else _run_task(task)


def _start_worker(stop: Any) -> None:
    """Ignore Ctrl-C, which the parent handles, end with the parent, and use one thread: the workers fill the CPUs."""
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # for Windows, which has no masks
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _exit_with_parent() -> None:
    """Wait for the parent's death: a killed parent cannot tell its workers, and they would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:  # in a worker there is one
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
