"""Run tasks in worker processes, in order, with bounded memory, and without orphans."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from converse_basicsr.errors import UserError
from converse_basicsr.prepare.tasks import Outcome, Task

LOOKAHEAD = 2
"""Tasks under way beyond one for each worker: keeps the workers busy while one slow image holds back the order."""


def run_tasks(tasks: Iterable[Task], *, workers: int) -> Iterator[tuple[Task, Outcome]]:
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
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker)
    under_way: deque = deque()
    try:
        for task in tasks:
            under_way.append((task, pool.submit(_run_task, task)))
            if len(under_way) >= workers + LOOKAHEAD:
                done, future = under_way.popleft()
                yield done, future.result()
        while under_way:
            done, future = under_way.popleft()
            yield done, future.result()
    except BrokenProcessPool as error:
        raise UserError(
            'a worker process died, perhaps because the memory was used up: repeat the command with fewer --workers'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _run_task(task: Task) -> Outcome:
    try:
        return task()
    except MemoryError as error:
        raise UserError(
            f'{task.source.path}: the memory is used up; repeat the command with fewer --workers'
        ) from error
    except Exception as error:
        raise UserError(f'{task.source.path}: {type(error).__name__}: {error}') from error


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, end with it, and use one thread: the workers themselves fill the CPUs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    import cv2
    import torch

    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def _exit_with_parent() -> None:
    """Wait for the parent's death: a killed parent cannot tell its workers, and they would wait for tasks for ever."""
    multiprocessing.connection.wait([multiprocessing.parent_process().sentinel])
    os._exit(1)
