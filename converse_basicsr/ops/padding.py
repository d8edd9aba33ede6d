"""Boundary handling: four padding modes on all sides, circular padding as wide as one likes."""

import torch
import torch.nn.functional as F

PADDING_MODES = ('circular', 'constant', 'reflect', 'replicate')


def pad2d(x: torch.Tensor, padding: tuple[int, int, int, int], mode: str = 'circular') -> torch.Tensor:
    """Pad the two last axes of ``x`` by (left, right, top, bottom), as ``F.pad`` does.

    Circular padding wider than the map wraps as often as it takes, where ``F.pad`` gives up after one turn.
    """
    height, width = x.shape[-2:]
    left, right, top, bottom = padding
    if not any(padding):
        return x
    if mode == 'circular' and (max(left, right) > width or max(top, bottom) > height):
        rows = torch.arange(-top, height + bottom, device=x.device) % height
        columns = torch.arange(-left, width + right, device=x.device) % width
        return x.index_select(-2, rows).index_select(-1, columns)
    if mode == 'reflect' and (max(left, right) >= width or max(top, bottom) >= height):
        raise ValueError(
            f'padding must be smaller than the map for padding_mode reflect, got {padding} for a map of {height}x{width}'
        )
    return F.pad(x, padding, mode=mode)
