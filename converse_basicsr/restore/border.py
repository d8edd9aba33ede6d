"""Close an image to a torus without a jump, for networks that reverse a blur with circular boundary.

A photograph's blur does not wrap around its border. Where a network supposes that it does, the jump from each border to
the opposite one is reversed as if the lens had made it, and rings far into the image.
"""

import math

import torch


def close(x: torch.Tensor, width: int) -> torch.Tensor:
    """Lengthen both axes by a strip that leads from the end back to the beginning.

    The strip is the reflection at the end, faded (raised cosine) into the reflection at the beginning.

    Args:
        x: Images.
        width: Length of the strip; cut to the length of each axis.

    Shape:
        (..., H, W) -> (..., H + width, W + width)

    Example:
        >>> close(torch.arange(4.0).view(1, 1, 1, 4), 2)[0, 0, 0]
        tensor([0.0000, 1.0000, 2.0000, 3.0000, 2.7071, 0.2929])
    """
    for axis in (-2, -1):
        size = x.shape[axis]
        length = min(width, size)
        phase = (torch.arange(length, device=x.device, dtype=x.dtype) + 0.5) * (math.pi / max(1, length))
        fade = (0.5 - 0.5 * phase.cos()).view((-1, 1) if axis == -2 else (1, -1))
        end = x.narrow(axis, size - length, length).flip(axis)
        beginning = x.narrow(axis, 0, length).flip(axis)
        x = torch.cat([x, torch.lerp(end, beginning, fade)], axis)
    return x
