"""Cutting a batch of maps into blocks that stay in a processor's cache."""

from collections.abc import Iterator

import torch

# About the share of the last-level cache that one block's temporaries may take; also small enough for the C allocator to
# reuse their memory, where larger temporaries are returned to the operating system and faulted in again on every call.
BLOCK_BYTES = 2 << 20


def block_slices(x: torch.Tensor, num_batch: int, num_channels: int) -> Iterator[tuple[slice, slice]]:
    """Yield (batch, channel) slices over ``num_batch`` x ``num_channels`` planes of the size of ``x``'s.

    Blocks advance through the batch first, so that what belongs to a channel (its filter) is reused while it is warm. On a GPU there is
    one block: it has no such cache, and every launch costs.
    """
    if num_batch * num_channels == 0:
        return
    if x.device.type != 'cpu':
        yield slice(0, num_batch), slice(0, num_channels)
        return
    plane = max(1, x.shape[-2] * x.shape[-1] * x.element_size())
    step_n = min(num_batch, max(1, BLOCK_BYTES // plane))
    step_c = min(num_channels, max(1, BLOCK_BYTES // (plane * step_n)))
    for c in range(0, num_channels, step_c):
        for n in range(0, num_batch, step_n):
            yield slice(n, min(n + step_n, num_batch)), slice(c, min(c + step_c, num_channels))


def pick(x: torch.Tensor, batch: slice, channels: slice) -> torch.Tensor:
    """The block of a tensor whose batch or channel axis may have the broadcast length 1."""
    return x[batch if x.shape[0] > 1 else slice(None), channels if x.shape[1] > 1 else slice(None)]
