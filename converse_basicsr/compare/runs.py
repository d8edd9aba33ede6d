"""Train the runs of comparisons, each by ``basicsr train`` in a process of its own."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from converse_basicsr.compare.comparison import Comparison, Run
from converse_basicsr.errors import UserError
from converse_basicsr.evaluation.evaluate import latest_weights
from converse_basicsr.files import atomic
from converse_basicsr.files.lock import Lock
from converse_basicsr.messages import say, tell
from converse_basicsr.options.file import read_option_file
from converse_basicsr.processes.launch import COMMAND
from converse_basicsr.processes.stopping import handled

POLL_SECONDS = 0.5


def train_runs(comparisons: Iterable[Comparison], output: Path, *, jobs: int, threads: int) -> list[str]:
    """Train every run that is not finished, ``jobs`` at a time, resuming interrupted ones.

    Args:
        comparisons: What to train; a run that several of them have under the same name is trained once.
        output: Receives the options and the terminal output of each run, below ``runs/``.
        jobs: Number of processes.
        threads: CPU threads of each.

    Returns:
        One line per run that failed.

    Raises:
        UserError: If an experiment of a run's name was trained with other options, or is being trained elsewhere.
    """
    runs: dict[str, Run] = {}
    for comparison in comparisons:
        for run in comparison.runs:
            other = runs.setdefault(run.name, run)
            if other.option_file.options != run.option_file.options:
                raise UserError(
                    f'{run.option_file.path} and {other.option_file.path} have different runs with the name {run.name}'
                )
    waiting = [run for run in runs.values() if not is_finished(run)]
    say(f'{len(runs)} runs, {len(runs) - len(waiting)} of them finished before')
    (output / 'runs').mkdir(parents=True, exist_ok=True)
    previous = handled(_leave)
    done, failed = len(runs) - len(waiting), []
    working: dict[subprocess.Popen[bytes], tuple[Run, float, Lock]] = {}
    try:
        while waiting or working:
            while waiting and len(working) < jobs:
                run = waiting.pop(0)
                lock = Lock(output / 'runs' / f'.{run.name}.lock', f'the run {run.name}')
                lock.acquire()
                try:
                    working[start(run, output / 'runs', threads)] = (run, time.monotonic(), lock)
                except BaseException:
                    lock.release()
                    raise
            time.sleep(POLL_SECONDS)
            for process in [process for process in working if process.poll() is not None]:
                run, begun, lock = working.pop(process)
                lock.release()
                log = output / 'runs' / f'{run.name}.txt'
                if process.returncode == 0:
                    done += 1
                    say(f'[{done}/{len(runs)}] {run.name}: {time.monotonic() - begun:.0f} s')
                else:
                    failed.append(f'{run.name} ended with status {process.returncode}: {last_line(log)} (see {log})')
                    tell(failed[-1])
    finally:
        for process in working:
            process.terminate()
        for process, (_, _, lock) in working.items():
            process.wait()
            lock.release()
        for number, handler in previous.items():
            signal.signal(number, handler)
    return failed


def _leave(number: int, frame: Any) -> None:
    """End this process; unhandled, the signal would end it and leave its children training."""
    if number == signal.SIGINT:
        raise KeyboardInterrupt
    sys.exit(128 + number)


def is_finished(run: Run) -> bool:
    """Say whether the run has been trained to its end, with these options.

    Raises:
        UserError: If a run of this name was trained with other options.
    """
    folder = Path('experiments', run.name)
    kept = folder / f'{run.name}.yml'
    if kept.is_file() and read_option_file(str(kept)).options != run.option_file.options:
        raise UserError(
            f'{kept} differs from the options that {run.option_file.path} gives this run; remove {folder} '
            '(and tb_logger beside it) to train it anew, or change the name in the comparison file'
        )
    return kept.is_file() and latest_weights(run.name).is_file()


def start(run: Run, folder: Path, threads: int) -> 'subprocess.Popen[bytes]':
    """Start the training of a run."""
    options = folder / f'{run.name}.yml'
    atomic.write_text(options, run.option_file.dump())
    with open(folder / f'{run.name}.txt', 'ab') as log:
        command = [*COMMAND, 'train', '-opt', str(options), '--auto_resume']
        environment = {**os.environ, 'OMP_NUM_THREADS': str(threads)}
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=environment)


def last_line(log: Path) -> str:
    """Return the last line of a run's output that is not empty."""
    lines = [line.strip() for line in log.read_text(encoding='utf-8', errors='replace').splitlines()]
    return next((line for line in reversed(lines) if line), 'no output')
