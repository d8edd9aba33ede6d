"""Padding in four modes, circular padding of any width included, and its adjoint."""

import torch
import torch.nn.functional as F

PADDING_MODES = ('circular', 'constant', 'reflect', 'replicate')


def check_padding(height: int, width: int, padding: tuple[int, int, int, int], mode: str) -> None:
    """Raise ValueError if a map is too small for its padding (left, right, top, bottom)."""
    left, right, top, bottom = padding
    if mode == 'reflect' and (max(left, right) >= width or max(top, bottom) >= height):
        raise ValueError(
            f'padding must be smaller than the map where padding_mode is reflect, got (left, right, top, bottom) = '
            f'{padding} for a map of {height}x{width}'
        )


def pad2d(x: torch.Tensor, padding: tuple[int, int, int, int], mode: str = 'circular') -> torch.Tensor:
    """Pad the last two axes of ``x`` by (left, right, top, bottom), as ``F.pad`` does.

    Circular padding may be wider than the map, which is then repeated; ``F.pad`` refuses that.
    """
    if not any(padding):
        return x
    height, width = x.shape[-2:]
    check_padding(height, width, padding, mode)
    left, right, top, bottom = padding
    if mode == 'circular' and (max(left, right) > width or max(top, bottom) > height):
        rows = torch.arange(-top, height + bottom, device=x.device) % height
        columns = torch.arange(-left, width + right, device=x.device) % width
        return x.index_select(-2, rows).index_select(-1, columns)
    return F.pad(x, padding, mode=mode)


def pad2d_adjoint_(grad: torch.Tensor, padding: tuple[int, int, int, int], mode: str) -> torch.Tensor:
    """Add the border of ``grad`` to the samples that it was copied from, in place, and return ``grad`` without it."""
    left, right, top, bottom = padding
    return _fold_axis_(_fold_axis_(grad, -2, top, bottom, mode), -1, left, right, mode)


def _fold_axis_(grad: torch.Tensor, axis: int, before: int, after: int, mode: str) -> torch.Tensor:
    size = grad.shape[axis] - before - after
    inner = grad.narrow(axis, before, size)
    head, tail = grad.narrow(axis, 0, before), grad.narrow(axis, before + size, after)
    if mode == 'circular' and max(before, after) > size:
        index = torch.arange(-before, size + after, device=grad.device) % size
        return torch.zeros_like(inner).index_add_(axis, index, grad)
    if mode == 'circular':
        inner.narrow(axis, size - before, before).add_(head)
        inner.narrow(axis, 0, after).add_(tail)
    elif mode == 'reflect':
        inner.narrow(axis, 1, before).add_(head.flip(axis))
        inner.narrow(axis, size - 1 - after, after).add_(tail.flip(axis))
    elif mode == 'replicate':
        inner.narrow(axis, 0, 1).add_(head.sum(axis, keepdim=True))
        inner.narrow(axis, size - 1, 1).add_(tail.sum(axis, keepdim=True))
    return inner
