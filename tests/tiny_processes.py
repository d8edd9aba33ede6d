"""Whole runs of ``basicsr`` in processes of their own, that can be killed, on networks of a moment.

The processes are forks of this one, which has imported torch and BasicSR once for all of them. Two more names are
registered: ``DoubleModel`` trains in float64, ``NoisyNet`` draws from torch's generator in every forward pass.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import nn

NO_FORKS = not hasattr(os, 'fork') or torch.cuda.is_available()
NO_FORKS_REASON = 'trains in forked processes, which Windows lacks and torch refuses once a GPU was used'


class NoisyNet(nn.Module):
    """Two convolutions and dropout, at scale 4."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Dropout(0.2), nn.Conv2d(16, 48, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pixel_shuffle(self.layers(x), 4)


def register_tiny() -> None:
    """Register ``DoubleModel`` and ``NoisyNet``, once."""
    import converse_basicsr

    converse_basicsr.register()
    import basicsr.test
    import basicsr.train  # noqa: F401
    from basicsr.utils.registry import ARCH_REGISTRY, MODEL_REGISTRY

    from converse_basicsr.models.restoration_model import RestorationModel

    if 'NoisyNet' in ARCH_REGISTRY:
        return

    class DoubleModel(RestorationModel):
        def model_to_device(self, net: nn.Module) -> nn.Module:
            return super().model_to_device(net.double())

        def feed_data(self, data: Mapping[str, Any]) -> None:
            super().feed_data({key: value.double() if torch.is_tensor(value) else value for key, value in data.items()})

    ARCH_REGISTRY.register(NoisyNet)
    MODEL_REGISTRY.register(DoubleModel)


class Training:
    """``basicsr train`` on some processes that are forks of this one.

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
        from converse_basicsr.launch import free_port

        register_tiny()
        folder.mkdir(exist_ok=True)
        self.folder = folder
        (folder / 'run.yml').write_text(yaml.safe_dump(options, sort_keys=False))
        command, environment = ['train', '-opt', 'run.yml', *arguments], {}
        if nproc > 1:
            command += ['--launcher', 'pytorch']
            environment = {'WORLD_SIZE': str(nproc), 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(free_port())}
        self.running = [
            self._fork(command, {**environment, 'RANK': str(rank)}, sends if rank in ranks else None)
            for rank in range(nproc)
        ]

    def _fork(self, command: list[str], environment: dict[str, str], sends: tuple[signal.Signals, int] | None) -> int:
        pid = os.fork()
        if pid:
            return pid
        status = 1
        try:
            os.chdir(self.folder)
            output = os.open('output.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(output, 1)
            os.dup2(output, 2)
            sys.stdout, sys.stderr = os.fdopen(1, 'w'), os.fdopen(2, 'w')
            if 'WORLD_SIZE' in environment:
                os.environ.update(environment)
            torch.set_num_threads(1)
            if sends is not None:
                _send_after_saving(*sends)
            from converse_basicsr import cli

            status = cli.main(command)
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)

    def signal(self, signum: int) -> None:
        """Send a signal to all processes."""
        for pid in self.running:
            os.kill(pid, signum)

    def wait(self, kill_when: Callable[[], bool] = lambda: False) -> list[int]:
        """Wait for the end, and ``kill -9`` all processes as soon as ``kill_when`` says so; return the statuses."""
        statuses, killed = [], False
        while self.running:
            for pid in list(self.running):
                ended, status = os.waitpid(pid, os.WNOHANG)
                if ended:
                    self.running.remove(pid)
                    statuses.append(os.waitstatus_to_exitcode(status))
            if not killed and kill_when():
                self.signal(signal.SIGKILL)
                killed = True
            time.sleep(0.001)
        return statuses

    @property
    def output(self) -> str:
        """What the processes have printed."""
        return (self.folder / 'output.txt').read_text()


def _send_after_saving(signum: signal.Signals, iteration: int) -> None:
    from basicsr.models.base_model import BaseModel

    save_training_state = BaseModel.save_training_state

    def save_and_send(self: BaseModel, epoch: int, current_iter: int) -> None:
        save_training_state(self, epoch, current_iter)
        if current_iter == iteration:
            BaseModel.save_training_state = save_training_state  # once
            os.kill(os.getpid(), signum)

    BaseModel.save_training_state = save_and_send


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
    """Networks and training state of a run named ``tiny``."""
    run = folder / 'experiments/tiny'
    content = {'networks': torch.load(run / f'models/net_g_{number}.pth')}
    state = run / f'training_states/{number}.state'
    return {**content, 'state': torch.load(state)} if state.exists() else content


def same(a: Any, b: Any) -> bool:
    """Whether two nested containers agree to the last bit."""
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(value, b[key]) for key, value in a.items())
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b
