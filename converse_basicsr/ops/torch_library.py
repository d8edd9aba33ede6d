"""The operator's two steps as torch operators, differentiable any number of times.

``inverse_filter`` makes the filter of a kernel; ``spectral_filter`` applies it. The second is linear in the map and in
the filter: its derivatives are itself and one more operator, ``spectral_filter_backward``, whose own derivatives are
these two again. They are torch operators with shape rules, so ``torch.compile``, ``torch.export`` and fake tensors see
each as a single node.
"""

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from converse_basicsr.ops import transfer
from converse_basicsr.ops.blocking import block_slices, pick, plane_bytes, unexpanded
from converse_basicsr.ops.float64 import for_float64, moved
from converse_basicsr.ops.padding import pad2d, pad2d_adjoint_


def complex_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of a real tensor's spectrum."""
    return torch.complex128 if dtype == torch.float64 else torch.complex64


def build_filter(
    kernel: torch.Tensor, lam: torch.Tensor, scale: int, height: int, width: int, term: str, dtype: torch.dtype
) -> torch.Tensor:
    """``transfer.inverse_filter`` block by block, rounded once to ``dtype``."""
    device = kernel.device
    kernel, lam = for_float64(kernel), for_float64(lam)
    num, channels = kernel.shape[:2]
    out = kernel.new_empty(num, channels, height, width // 2 + 1, dtype=dtype)
    for n, c in block_slices(num, channels, plane_bytes(out.shape[-2:], out.dtype), out.device):
        out[n, c] = transfer.inverse_filter(kernel[n, c], lam[n, c], scale, height, width, term)
    return moved(out, device)


@torch.library.custom_op('converse_basicsr::inverse_filter', mutates_args=())
def inverse_filter_op(
    kernel: torch.Tensor, lam: torch.Tensor, scale: int, height: int, width: int, term: str, dtype: torch.dtype
) -> torch.Tensor:
    """The operator's filter on the half spectrum; see the table in ``ops/transfer.py``.

    Shape:
        kernel (B, C, kh, kw), lam (B, C, 1, 1) -> (B, C, height, width // 2 + 1)
    """
    return build_filter(kernel, lam, scale, height, width, term, dtype)


@inverse_filter_op.register_fake
def _(
    kernel: torch.Tensor, lam: torch.Tensor, scale: int, height: int, width: int, term: str, dtype: torch.dtype
) -> torch.Tensor:
    return kernel.new_empty(*kernel.shape[:2], height, width // 2 + 1, dtype=dtype)


@torch.library.custom_op('converse_basicsr::inverse_filter_backward', mutates_args=())
def inverse_filter_backward_op(
    grad: torch.Tensor, kernel: torch.Tensor, lam: torch.Tensor, scale: int, term: str, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of the kernel and of lam, each in the dtype of its tensor."""
    device = kernel.device
    grad, kernel, lam = (for_float64(x) for x in (grad, kernel, lam))
    num, channels = kernel.shape[:2]
    grad_kernel = torch.empty_like(kernel, memory_format=torch.contiguous_format)
    grad_lam = torch.empty_like(lam, memory_format=torch.contiguous_format)
    for n, c in block_slices(num, channels, plane_bytes(grad.shape[-2:], grad.dtype), grad.device):
        block = transfer.inverse_filter_vjp(grad[n, c], kernel[n, c], lam[n, c], scale, term, width)
        grad_kernel[n, c], grad_lam[n, c] = block
    return moved(grad_kernel, device), moved(grad_lam, device)


@inverse_filter_backward_op.register_fake
def _(
    grad: torch.Tensor, kernel: torch.Tensor, lam: torch.Tensor, scale: int, term: str, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    return (
        torch.empty_like(kernel, memory_format=torch.contiguous_format),
        torch.empty_like(lam, memory_format=torch.contiguous_format),
    )


def _inverse_filter_setup(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    kernel, lam, ctx.scale, _, ctx.width, ctx.term, _ = inputs
    ctx.save_for_backward(kernel, lam)


def _inverse_filter_grad(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
    kernel, lam = ctx.saved_tensors
    grad_kernel, grad_lam = inverse_filter_backward(grad, kernel, lam, ctx.scale, ctx.term, ctx.width)
    return grad_kernel, grad_lam, None, None, None, None, None


def _inverse_filter_backward_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    grad, kernel, lam, ctx.scale, ctx.term, ctx.width = inputs
    ctx.save_for_backward(grad, kernel, lam)


def _inverse_filter_backward_grad(ctx: Any, grad_kernel: torch.Tensor, grad_lam: torch.Tensor) -> tuple[Any, ...]:
    device = ctx.saved_tensors[0].device
    grad, kernel, lam = (for_float64(x) for x in ctx.saved_tensors)

    def first_order(g: torch.Tensor, k: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        of_kernel, of_lam = transfer.inverse_filter_vjp(g, k, weight, ctx.scale, ctx.term, ctx.width)
        return of_kernel.to(kernel.dtype), of_lam.to(lam.dtype)

    pull_back = torch.func.vjp(first_order, grad, kernel, lam)[1]
    gradients = pull_back((for_float64(grad_kernel), for_float64(grad_lam)))
    return *(moved(gradient, device) for gradient in gradients), None, None, None


@torch.library.custom_op('converse_basicsr::spectral_filter', mutates_args=())
def spectral_filter_op(
    x: torch.Tensor, otf: torch.Tensor, rows: int, columns: int, mode: str, crop: bool
) -> torch.Tensor:
    """Pad, convolve circularly with filters given as half spectra, and, if ``crop``, crop the padding.

    Shape:
        x (N, C, H, W), otf (1 or N, 1 or C, H + 2 rows, (W + 2 columns) // 2 + 1) -> (N, C, H, W) if ``crop``, else
        (N, C, H + 2 rows, W + 2 columns)
    """
    num, channels, height, width = x.shape
    grid = (height + 2 * rows, width + 2 * columns)
    out = _new_output(x, rows, columns, crop)
    x = unexpanded(x)
    for n, c in block_slices(num, channels, plane_bytes(grid, x.dtype), x.device):
        block = pad2d(x[n, c], (columns, columns, rows, rows), mode)
        solved = torch.fft.irfft2(torch.fft.rfft2(block).mul_(pick(otf, n, c)), s=grid)
        out[n, c] = solved[..., rows : rows + height, columns : columns + width] if crop else solved
    return out


@spectral_filter_op.register_fake
def _(x: torch.Tensor, otf: torch.Tensor, rows: int, columns: int, mode: str, crop: bool) -> torch.Tensor:
    return _new_output(x, rows, columns, crop)


def _new_output(x: torch.Tensor, rows: int, columns: int, crop: bool) -> torch.Tensor:
    n, c, h, w = x.shape
    return x.new_empty(n, c, h, w) if crop else x.new_empty(n, c, h + 2 * rows, w + 2 * columns)


@torch.library.custom_op('converse_basicsr::spectral_filter_backward', mutates_args=())
def spectral_filter_backward_op(
    grad: torch.Tensor, x: torch.Tensor, otf: torch.Tensor, rows: int, columns: int, mode: str, crop: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of ``spectral_filter``: irfft2(G conj(otf)), and the cross-spectrum sum_n conj(X) G.

    X and G are the spectra of the padded map and of ``grad``, which is padded with zeros if the output was cropped.
    Every column of a half spectrum stands for two of the full one, except the first and, at even width, the last: the
    cross-spectrum is weighted accordingly.
    """
    num, channels, height, width = x.shape
    grid = (height + 2 * rows, width + 2 * columns)
    padding = (columns, columns, rows, rows)
    grad, x = unexpanded(grad), unexpanded(x)
    grad_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    grad_otf = torch.zeros_like(otf, memory_format=torch.contiguous_format)
    for n, c in block_slices(num, channels, plane_bytes(grid, x.dtype), x.device):
        spectrum = torch.fft.rfft2(F.pad(grad[n, c], padding) if crop else grad[n, c])
        # Not ``conj``: torch.compile disables the dispatch key of lazy conjugation, which would be lost here.
        cross = torch.fft.rfft2(pad2d(x[n, c], padding, mode)).conj_physical_().mul_(spectrum)
        block = pick(grad_otf, n, c)
        block.add_(cross.sum_to_size(block.shape))
        spectrum.mul_(pick(otf, n, c).conj_physical())
        grad_x[n, c] = pad2d_adjoint_(torch.fft.irfft2(spectrum, s=grid), padding, mode)
    grad_otf.mul_(1 / (grid[0] * grid[1]))[..., 1 : (grid[1] + 1) // 2].mul_(2)
    return grad_x, grad_otf


@spectral_filter_backward_op.register_fake
def _(
    grad: torch.Tensor, x: torch.Tensor, otf: torch.Tensor, rows: int, columns: int, mode: str, crop: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        torch.empty_like(otf, memory_format=torch.contiguous_format),
    )


def _spectral_filter_setup(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
    x, otf, *ctx.geometry = inputs
    ctx.save_for_backward(x, otf)


def _spectral_filter_grad(ctx: Any, grad: torch.Tensor) -> tuple[Any, ...]:
    return *spectral_filter_backward(grad, *ctx.saved_tensors, *ctx.geometry), None, None, None, None


def _spectral_filter_backward_setup(ctx: Any, inputs: tuple[Any, ...], output: tuple[torch.Tensor, ...]) -> None:
    grad, x, otf, *ctx.geometry = inputs
    ctx.save_for_backward(grad, x, otf)


def _spectral_filter_backward_grad(ctx: Any, u: torch.Tensor, v: torch.Tensor) -> tuple[Any, ...]:
    # Both outputs are bilinear: <u, irfft2(G conj(otf))> + <v, cross(x, grad)>. Sorted by argument, the terms are again
    # applications and gradients of the filter, with u and v in place of map and filter.
    grad, x, otf = ctx.saved_tensors
    of_grad = spectral_filter(u, otf, *ctx.geometry) + spectral_filter(x, v, *ctx.geometry)
    return of_grad, *spectral_filter_backward(grad, u, v, *ctx.geometry), None, None, None, None


def _vmap_by_loop(op: Callable[..., Any]) -> Callable[..., Any]:
    """A batching rule for ``torch.func.vmap``: one call per item, the results stacked."""

    def rule(info: Any, in_dims: tuple[int | None, ...], *args: Any) -> tuple[Any, Any]:
        calls = [
            op(*(arg if dim is None else arg.select(dim, i) for arg, dim in zip(args, in_dims)))
            for i in range(info.batch_size)
        ]
        if isinstance(calls[0], torch.Tensor):
            return torch.stack(calls), 0
        return tuple(torch.stack(output) for output in zip(*calls)), tuple(0 for _ in calls[0])

    return rule


def _differentiable(
    op: Any, setup: Callable[..., None], backward: Callable[..., tuple[Any, ...]]
) -> Callable[..., Any]:
    """Give a torch operator its derivative, under ``torch.func`` too.

    A registered formula serves autograd, ``torch.compile`` and ``torch.export``. But ``torch.func`` refuses it, and
    forward-mode tangents are dropped silently. In these cases a ``torch.autograd.Function`` of the same formula is
    used: it works under ``torch.func.grad``, ``vmap`` and ``jacrev``, and raises an error in forward mode.
    """
    op.register_autograd(backward, setup_context=setup)
    function: Any = type(
        'ConverseFunction',
        (torch.autograd.Function,),
        {
            'forward': staticmethod(lambda *args: op(*args)),
            'setup_context': staticmethod(setup),
            'backward': staticmethod(backward),
            'vmap': staticmethod(_vmap_by_loop(lambda *args: call(*args))),
        },
    )

    def call(*args: Any) -> Any:
        return function.apply(*args) if is_transformed() else op(*args)

    return call


def is_transformed() -> bool:
    """Whether a ``torch.func`` transform or a forward-mode level is active in eager mode."""
    if torch.compiler.is_compiling():
        return False
    return torch._C._are_functorch_transforms_active() or torch.autograd.forward_ad._current_level >= 0


inverse_filter = _differentiable(inverse_filter_op, _inverse_filter_setup, _inverse_filter_grad)
inverse_filter_backward = _differentiable(
    inverse_filter_backward_op, _inverse_filter_backward_setup, _inverse_filter_backward_grad
)
spectral_filter = _differentiable(spectral_filter_op, _spectral_filter_setup, _spectral_filter_grad)
spectral_filter_backward = _differentiable(
    spectral_filter_backward_op, _spectral_filter_backward_setup, _spectral_filter_backward_grad
)
