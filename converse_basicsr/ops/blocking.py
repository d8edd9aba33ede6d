"""Cut a batch of maps into blocks that stay in a processor's cache."""

from collections.abc import Iterator, Sequence

import torch

# About the share of the last-level cache that the temporaries of one block may take. It is also small enough for the C
# allocator to reuse their memory; larger ones are returned to the operating system and faulted in again on every call.
BLOCK_BYTES = 2 << 20


def block_slices(num: int, channels: int, plane_bytes: int, device: torch.device) -> Iterator[tuple[slice, slice]]:
    """Cut ``num`` x ``channels`` planes of ``plane_bytes`` bytes each into (batch, channel) slices.

    Blocks advance through the batch first, so that the filter of a channel is reused while it is in the cache. On a GPU
    there is one block: its caches are no help here, and every kernel launch costs time.
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


def plane_bytes(grid: Sequence[int], dtype: torch.dtype) -> int:
    """Size in bytes of one plane of (height, width) values, at least 1."""
    return max(1, grid[0] * grid[1] * dtype.itemsize)


def pick(x: torch.Tensor, batch: slice, channels: slice) -> torch.Tensor:
    """The block of a tensor; an axis of length 1 is broadcast and so kept whole."""
    return x[batch if x.shape[0] > 1 else slice(None), channels if x.shape[1] > 1 else slice(None)]


def unexpanded(x: torch.Tensor) -> torch.Tensor:
    """Copy what ``expand`` made, such as the gradient of a sum: the FFT of MKL refuses it in torch 2.6."""
    return x.contiguous() if 0 in x.stride() else x
