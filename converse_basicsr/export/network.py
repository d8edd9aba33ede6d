"""A network as a function of images alone, or of images and kernels, with everything else fixed."""

import argparse
from typing import Any

import torch
from torch import nn

from converse_basicsr.checkpoint import Loaded
from converse_basicsr.errors import UserError
from converse_basicsr.restore.conditions import choose_conditions

ANY_KERNEL = 25
"""Side of the kernels to export for where a network takes all and none is given."""


class ImageNetwork(nn.Module):
    """A network with its scale and noise level fixed.

    Args:
        net: The network.
        fixed: Arguments of its ``forward`` by name.
    """

    def __init__(self, net: nn.Module, fixed: dict[str, Any]) -> None:
        super().__init__()
        self.net = net
        self.fixed = fixed

    def forward(self, image: torch.Tensor, kernel: torch.Tensor | None = None) -> torch.Tensor:
        """Restore an image, with its blur kernel where the network takes one."""
        return self.net(image, **self.fixed) if kernel is None else self.net(image, kernel, **self.fixed)


def image_network(loaded: Loaded, args: argparse.Namespace) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Fix what is no tensor, and make inputs of the size to export for.

    Raises:
        UserError: If an argument does not suit the network.
    """
    example = [torch.rand(1, loaded.channels, *args.size)]
    needs_kernel = 'kernel' in loaded.conditions
    if needs_kernel and args.kernel is None:
        side = getattr(loaded.net, 'blur_kernel_size', ANY_KERNEL)
        box: torch.Tensor | None = torch.full((1, 1, side, side), 1 / side**2)
    else:
        box = None
    conditions = choose_conditions(loaded, args, kernel=box)
    if needs_kernel:
        example.append(conditions.pop('kernel'))
    try:
        with torch.inference_mode():
            loaded.net(*example, **conditions)
    except (ValueError, RuntimeError) as error:
        raise UserError(f'{loaded.name} does not take an image of {args.size[0]} x {args.size[1]}: {error}') from error
    return ImageNetwork(loaded.net, conditions).eval(), tuple(example)
