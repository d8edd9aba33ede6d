"""``basicsr`` as the tests of whole runs start it, in a process of its own.

    python tests/support/tiny_driver.py [--send SIGTERM --after 20] train -opt run.yml

It computes on one thread and knows two more names: ``DoubleModel`` trains in float64, ``NoisyNet`` draws from torch's
generator in every forward pass. With ``--send`` it sends a signal to itself as soon as the training state of an
iteration is saved.
"""

import argparse
import os
import signal
import sys
from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

import converse_basicsr


class NoisyNet(nn.Module):
    """Two convolutions and dropout, at scale 4."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1), nn.Dropout(0.2), nn.Conv2d(16, 48, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pixel_shuffle(self.layers(x), 4)


def register_tiny() -> None:
    """Register ``DoubleModel`` and ``NoisyNet``."""
    converse_basicsr.register()
    from basicsr.utils.registry import ARCH_REGISTRY, MODEL_REGISTRY

    from converse_basicsr.models.restoration_model import RestorationModel

    class DoubleModel(RestorationModel):
        def model_to_device(self, net: nn.Module) -> nn.Module:
            return super().model_to_device(net.double())

        def feed_data(self, data: Mapping[str, Any]) -> None:
            super().feed_data({key: value.double() if torch.is_tensor(value) else value for key, value in data.items()})

    ARCH_REGISTRY.register(NoisyNet)
    MODEL_REGISTRY.register(DoubleModel)


def send_after_saving(signum: signal.Signals, iteration: int) -> None:
    """Let this process send a signal to itself, once, after the state of an iteration is saved."""
    from basicsr.models.base_model import BaseModel

    save_training_state = BaseModel.save_training_state

    def save_and_send(self: BaseModel, epoch: int, current_iter: int) -> None:
        save_training_state(self, epoch, current_iter)
        if current_iter == iteration:
            BaseModel.save_training_state = save_training_state
            os.kill(os.getpid(), signum)

    BaseModel.save_training_state = save_and_send


def main() -> int:
    """Do what the command line says; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--send', metavar='SIGNAL', help='name of a signal that this process sends to itself')
    parser.add_argument('--after', type=int, metavar='N', help='iteration after whose training state it does')
    parser.add_argument('command', nargs=argparse.REMAINDER, help='command line of basicsr')
    args = parser.parse_args()
    torch.set_num_threads(1)
    register_tiny()
    if args.send:
        send_after_saving(signal.Signals[args.send], args.after)
    from converse_basicsr import cli

    return cli.main(args.command)


if __name__ == '__main__':
    sys.exit(main())
