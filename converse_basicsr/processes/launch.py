"""Start the processes of a distributed run on this machine, and end them together: ``--nproc N``."""

import hashlib
import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from converse_basicsr import import_path
from converse_basicsr.errors import UserError
from converse_basicsr.messages import tell
from converse_basicsr.processes.stopping import LAUNCHER, handled

COMMAND = import_path.command('converse_basicsr.cli')

FOLDER = 'BASICSR_LAUNCH_FOLDER'
"""Environment variable with a folder in which the processes note which messages have been printed."""

GRACE = 5.0
"""Seconds that processes get to end by themselves, with their own messages, after the first has failed."""


def require_startable(nproc: int, launcher: str) -> None:
    """Refuse a number of processes that cannot be started here.

    Raises:
        UserError: If it is not positive, or another launcher is at work.
    """
    if nproc < 1:
        raise UserError(f'--nproc must be at least 1, got {nproc}')
    if launcher != 'none' or 'WORLD_SIZE' in os.environ:
        raise UserError('--nproc starts the processes itself: leave out --launcher, torchrun and srun')


def started_here() -> bool:
    """Say whether this process was started by :func:`run`."""
    return FOLDER in os.environ


def first_to_tell(message: str) -> bool:
    """Say whether to print a message: not if another process that the same ``--nproc`` started has printed it."""
    if not started_here():
        return True
    try:
        Path(os.environ[FOLDER], hashlib.sha256(message.encode()).hexdigest()).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def run(nproc: int, arguments: Sequence[str]) -> int:
    """Run ``basicsr ARGUMENTS`` in ``nproc`` processes of one run and wait for all of them.

    The first that fails ends the others. SIGTERM, SIGHUP and Ctrl-C are passed on, so that the processes can save.

    Args:
        nproc: Number of processes.
        arguments: The command line after ``basicsr``; ``--launcher pytorch`` must be in it.

    Returns:
        The exit status: of the first process that failed, or 0.
    """
    with tempfile.TemporaryDirectory(prefix='basicsr_', ignore_cleanup_errors=True) as folder:
        return _run(nproc, arguments, folder)


def _run(nproc: int, arguments: Sequence[str], folder: str) -> int:
    environment = {
        # Without this every process would take as many threads as the machine has cores.
        'OMP_NUM_THREADS': str(max(1, (os.cpu_count() or 1) // nproc)),
        **os.environ,
        'WORLD_SIZE': str(nproc),
        'LOCAL_WORLD_SIZE': str(nproc),
        'MASTER_ADDR': '127.0.0.1',
        'MASTER_PORT': str(free_port()),
        LAUNCHER: str(os.getpid()),
        FOLDER: folder,
    }
    command = [*COMMAND, *arguments]
    processes: list[subprocess.Popen[bytes]] = []
    handed_on: list[int] = []

    def hand_on(signum: int, frame: object) -> None:
        handed_on.append(signum)
        for process in processes:
            if process.poll() is None:
                process.send_signal(signum)

    before = handled(hand_on)
    try:
        for rank in range(nproc):
            ranks = {'RANK': str(rank), 'LOCAL_RANK': str(rank)}
            # In sessions of their own, a Ctrl-C reaches them through this process only, once.
            processes.append(subprocess.Popen(command, env={**environment, **ranks}, start_new_session=True))
            if handed_on:  # it came before this process was there
                processes[-1].send_signal(handed_on[0])
        return _wait(processes, handed_on)
    finally:
        for process in processes:
            process.kill()
            process.wait()
        for watched, handler in before.items():
            signal.signal(watched, handler)


def _wait(processes: list[subprocess.Popen[bytes]], handed_on: list[int]) -> int:
    """Wait until all have ended, or :data:`GRACE` seconds have passed since one failed; after a signal, for all."""
    first_failure, failed_at = 0, 0.0
    while None in [process.poll() for process in processes]:  # each must be asked
        if first_failure and not handed_on and time.monotonic() > failed_at + GRACE:
            break
        if not first_failure:
            first_failure, failed_at = _failure(processes), time.monotonic()
        time.sleep(0.05)
    return first_failure or _failure(processes)


def _failure(processes: list[subprocess.Popen[bytes]]) -> int:
    """Return the exit status of a process that has failed, as a shell would give it; 0 while none has."""
    for rank, process in enumerate(processes):
        if process.returncode:
            if process.returncode < 0:
                name = signal.Signals(-process.returncode).name
                tell(f'basicsr: error: rank {rank} was killed by {name}')
                return 128 - process.returncode
            return process.returncode
    return 0


def free_port() -> int:
    """Return a TCP port of this machine that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        return probe.getsockname()[1]
