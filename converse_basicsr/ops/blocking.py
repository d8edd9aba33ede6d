"""Cutting a batch of maps into blocks that stay in a processor's cache."""

from collections.abc import Iterator

import torch

# About the share of the last-level cache that one block's temporaries may take; also small enough for the C allocator
# to reuse their memory, where larger temporaries are returned to the operating system and faulted in again on every
# call.
BLOCK_BYTES = 2 << 20


def block_slices(num: int, channels: int, plane_bytes: int, device: torch.device) -> Iterator[tuple[slice, slice]]:
    """Cut ``num`` x ``channels`` planes of ``plane_bytes`` into (batch, channel) slices.

    Blocks advance through the batch first, so that what belongs to a channel (its filter) is reused while it is warm.
    On a GPU there is one block: it has no such cache, and every launch costs.
    """
    if num * channels == 0:
        return
    if device.type != 'cpu':
        yield slice(0, num), slice(0, channels)
        return
    step_n = min(num, max(1, BLOCK_BYTES // plane_bytes))
    step_c = min(channels, max(1, BLOCK_BYTES // (plane_bytes * step_n)))
    for c in range(0, channels, step_c):
        for n in range(0, num, step_n):
            yield slice(n, min(n + step_n, num)), slice(c, min(c + step_c, channels))


def plane_bytes(grid: tuple[int, int], dtype: torch.dtype) -> int:
    """Size of one plane, at least 1."""
    return max(1, grid[0] * grid[1] * dtype.itemsize)


def pick(x: torch.Tensor, batch: slice, channels: slice) -> torch.Tensor:
    """The block of a tensor whose batch or channel axis may have the broadcast length 1."""
    return x[batch if x.shape[0] > 1 else slice(None), channels if x.shape[1] > 1 else slice(None)]
