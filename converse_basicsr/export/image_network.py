"""A network as a function of images alone, or of images and kernels, with everything else fixed."""

from typing import Any

import numpy as np
import torch
from torch import nn

from converse_basicsr.errors import ArgumentError, UserError
from converse_basicsr.restore.checkpoint import Loaded
from converse_basicsr.restore.conditions import choose_conditions

ANY_KERNEL = 25
"""Side of the kernel to export for, where the network accepts any size and no kernel is given."""


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
        restored: torch.Tensor = (
            self.net(image, **self.fixed) if kernel is None else self.net(image, kernel, **self.fixed)
        )
        return restored


def image_network(
    loaded: Loaded,
    *,
    size: tuple[int, int],
    kernel: np.ndarray | None = None,
    scale: int | None = None,
    sigma: float | None = None,
    device: torch.device | None = None,
) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """Fix the arguments that are no tensors, and make example inputs of the size to export for.

    Args:
        loaded: The network, which is moved to the device.
        size: Height and width of the image.
        kernel: A blur kernel (kh, kw); a box of the network's size if None.
        scale: Upscaling factor, for networks that accept any.
        sigma: Noise level of 0 to 255, for networks that take one.
        device: Where to compute; the CPU if None.

    Returns:
        The network and its example inputs: an image (1, C, H, W) and, where it takes one, a kernel (1, 1, kh, kw).

    Raises:
        UserError: If an argument does not suit the network.
    """
    if min(size) < 1:
        raise ArgumentError(f'size must be two numbers of at least 1, got {tuple(size)}')
    example = [torch.rand(1, loaded.channels, *size)]
    if 'kernel' in loaded.conditions and kernel is None:
        side = getattr(loaded.net, 'blur_kernel_size', ANY_KERNEL)
        kernel = np.full((side, side), 1 / side**2)
    conditions = choose_conditions(loaded, kernel=kernel, scale=scale, sigma=sigma)
    if 'kernel' in conditions:
        example.append(conditions.pop('kernel'))
    net = loaded.net.to(device or 'cpu')
    example = [value.to(device or 'cpu') for value in example]
    try:
        with torch.inference_mode():
            net(*example, **conditions)
    except (ValueError, RuntimeError) as error:
        raise UserError(f'{loaded.name} does not take an image of {size[0]} x {size[1]}: {error}') from error
    return ImageNetwork(net, conditions).eval(), tuple(example)
