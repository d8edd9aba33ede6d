"""The operator without gradients: pad, solve and crop block by block, with cached filters."""

import torch

from converse_basicsr.ops import sampling, transfer
from converse_basicsr.ops.blocking import block_slices, pick, plane_bytes, unexpanded
from converse_basicsr.ops.cache import filter_cache
from converse_basicsr.ops.float64 import has_float64, moved
from converse_basicsr.ops.padding import pad2d
from converse_basicsr.ops.torch_library import build_filter, complex_dtype


def solve_in_blocks(
    x: torch.Tensor,
    kernel: torch.Tensor,
    lam: torch.Tensor,
    scale: int,
    rows: int,
    columns: int,
    mode: str,
    *,
    keep_filter: bool = True,
    owner: object | None = None,
) -> torch.Tensor:
    """Pad, solve and crop with FFTs, as ``Converse2D`` does; the output is the only tensor as large as the batch.

    Args:
        x: Feature map (N, C, H, W).
        kernel: Kernel (1 or N, 1 or C, kh, kw).
        lam: Regularisation weight, of the same leading shape as the kernel.
        scale: Upsampling factor.
        rows: Padding above and below.
        columns: Padding on the left and on the right.
        mode: One of the padding modes.
        keep_filter: Whether the filter may be cached: that of a layer's parameters is likely to be needed again, that
            of a predicted kernel is not.
        owner: The cached filter is dropped when this object is collected; None: no owner.

    Returns:
        The solution (N, C, scale * H, scale * W), in the dtype of ``x``.
    """
    num, channels, height, width = x.shape
    grid = (height + 2 * rows, width + 2 * columns)
    work = torch.promote_types(x.dtype, torch.float32)
    out = x.new_empty(num, channels, scale * height, scale * width)
    filters = None
    dtype = complex_dtype(work)
    on_cpu = x.device.type == 'cpu' or not has_float64(x.device)  # where filters are made
    if keep_filter and on_cpu:
        size = kernel.shape[1] * grid[0] * (grid[1] // 2 + 1) * dtype.itemsize
        filters = filter_cache.get(
            kernel,
            lam,
            (scale, grid, dtype, x.device),
            size,
            lambda kernel, lam: moved(build_filter(kernel, lam, scale, *grid, 'both', dtype), x.device),
            owner,
        )
    if filters is None and not has_float64(x.device):
        filters = build_filter(kernel, lam, scale, *grid, 'both', dtype)
    taps = kernel.to(work) if scale > 1 else None
    x = unexpanded(x)
    for n, c in block_slices(num, channels, plane_bytes(grid, work), x.device):
        block = pad2d(x[n, c].to(work), (columns, columns, rows, rows), mode)
        if filters is None:
            otf = transfer.inverse_filter(pick(kernel, n, c), pick(lam, n, c), scale, *grid).to(dtype)
        else:
            otf = pick(filters, n, c)
        solved = torch.fft.irfft2(torch.fft.rfft2(block).mul_(otf), s=grid)
        if taps is not None:
            solved = sampling.blur_and_decimate_adjoint(solved, pick(taps, n, c), scale)
            solved.unflatten(-1, (-1, scale)).unflatten(-3, (-1, scale)).add_(block[:, :, :, None, :, None])
        out[n, c] = solved[..., scale * rows : scale * (rows + height), scale * columns : scale * (columns + width)]
    return out


@torch.library.custom_op('converse_basicsr::solve', mutates_args=())
def solve_op(
    x: torch.Tensor, kernel: torch.Tensor, lam: torch.Tensor, scale: int, rows: int, columns: int, mode: str
) -> torch.Tensor:
    """``solve_in_blocks`` as one node of a compiled or exported graph, cached filters included; it has no gradient."""
    return solve_in_blocks(x, kernel, lam, scale, rows, columns, mode)


@solve_op.register_fake
def _(
    x: torch.Tensor, kernel: torch.Tensor, lam: torch.Tensor, scale: int, rows: int, columns: int, mode: str
) -> torch.Tensor:
    return x.new_empty(*x.shape[:2], scale * x.shape[2], scale * x.shape[3])
