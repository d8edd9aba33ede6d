"""The check of the blur kernels that the non-blind networks take."""

import torch


def check_kernel(kernel: torch.Tensor, batch: int, size: int | None = None) -> None:
    """Raise ValueError unless ``kernel`` is one blur kernel, or one per sample, of side ``size`` if that is given."""
    fits = kernel.ndim == 4 and kernel.shape[0] in (1, batch) and kernel.shape[1] == 1
    if not fits or (size is not None and kernel.shape[-2:] != (size, size)):
        side = ('kh', 'kw') if size is None else (size, size)
        batches = '1' if batch == 1 else f'1 or {batch}'
        raise ValueError(f'kernel must be of shape ({batches}, 1, {side[0]}, {side[1]}), got {tuple(kernel.shape)}')
