"""Whole runs of ``basicsr`` in processes of their own, that can be killed, on networks of a moment."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml

DRIVER = Path(__file__).with_name('tiny_driver.py')
LONGEST = 600
"""Seconds after which a run is taken to hang."""


def process_environment() -> dict[str, str]:
    """The environment of processes that compute on the CPU, where runs agree to the last bit, with one thread each."""
    return {**os.environ, 'OMP_NUM_THREADS': '1', 'CUDA_VISIBLE_DEVICES': ''}


class Training:
    """``basicsr train`` in some processes.

    Args:
        folder: Current directory of the run; made if it is not there.
        options: The option file's content.
        arguments: Further arguments of ``basicsr train``.
        nproc: Number of processes.
        sends: A signal that processes send to themselves, after the state of which iteration is saved.
        ranks: Those that do.
    """

    def __init__(
        self,
        folder: Path,
        options: dict[str, Any],
        *arguments: str,
        nproc: int = 1,
        sends: tuple[signal.Signals, int] | None = None,
        ranks: Sequence[int] = (0, 1),
    ) -> None:
        from converse_basicsr.processes.launch import free_port

        folder.mkdir(exist_ok=True)
        self.folder = folder
        (folder / 'run.yml').write_text(yaml.safe_dump(options, sort_keys=False))
        command, environment = ['train', '-opt', 'run.yml', *arguments], process_environment()
        if nproc > 1:
            command += ['--launcher', 'pytorch']
            environment.update(WORLD_SIZE=str(nproc), MASTER_ADDR='127.0.0.1', MASTER_PORT=str(free_port()))
        self.processes = []
        for rank in range(nproc):
            if nproc > 1:
                environment['RANK'] = str(rank)
            sending = ['--send', sends[0].name, '--after', str(sends[1])] if sends and rank in ranks else []
            program = [sys.executable, str(DRIVER), *sending, *command]
            with open(folder / 'output.txt', 'a') as output:
                process = subprocess.Popen(program, cwd=folder, env=environment, stdout=output, stderr=output)
            self.processes.append(process)

    def kill(self) -> None:
        """``kill -9`` all processes that have not ended."""
        for process in self.processes:
            process.kill()

    def wait(self, kill_when: Callable[[], bool] | None = None) -> list[int]:
        """Wait for the end, and kill all processes as soon as ``kill_when`` says so; return their exit statuses."""
        killed, end = False, time.monotonic() + LONGEST
        try:
            while None in (statuses := [process.poll() for process in self.processes]):
                if kill_when and not killed and kill_when():
                    self.kill()
                    killed = True
                if time.monotonic() > end:
                    raise TimeoutError(f'the processes have not ended after {LONGEST} s:\n{self.output[-4000:]}')
                time.sleep(0.001 if kill_when else 0.02)
        finally:
            self.kill()
        return statuses

    @property
    def output(self) -> str:
        """What the processes have printed."""
        return (self.folder / 'output.txt').read_text()


def train(folder: Path, options: dict[str, Any], *arguments: str, nproc: int = 1) -> str:
    """Train in a folder to the end; return what was printed."""
    training = Training(folder, options, *arguments, nproc=nproc)
    assert training.wait() == [0] * nproc, training.output[-4000:]
    return training.output


def newest(folder: Path) -> int:
    """The iteration of the newest training state of a run named ``tiny``."""
    states = (folder / 'experiments/tiny/training_states').glob('*.state')
    return max((int(path.stem) for path in states), default=0)


def checkpoint(folder: Path, number: int | str) -> dict[str, Any]:
    """Networks and training state of a run named ``tiny``, without what tells the run from another one."""
    run = folder / 'experiments/tiny'
    content = {'networks': torch.load(run / f'models/net_g_{number}.pth')}
    state = run / f'training_states/{number}.state'
    if state.exists():
        content['state'] = {key: value for key, value in torch.load(state).items() if key not in ('course', 'options')}
    return content


def same(a: Any, b: Any) -> bool:
    """Whether two nested containers agree to the last bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b
