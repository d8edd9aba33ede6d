"""The operator's two steps as torch operators, differentiable any number of times.

``inverse_filter`` makes the filter of a kernel; ``spectral_filter`` applies it. The second is linear in the map and in the filter, so its
derivatives are itself and one more operator, ``spectral_filter_backward``, whose own derivatives are those two again. Being torch operators
with shape rules, they pass through ``torch.compile``, ``torch.export`` and fake tensors as single nodes.
"""

from collections.abc import Callable
from typing import Any

import torch

from converse_basicsr.ops import transfer
from converse_basicsr.ops.blocking import block_slices, pick


def complex_dtype(dtype: torch.dtype) -> torch.dtype:
    """The dtype of a real tensor's spectrum."""
    return torch.complex128 if dtype == torch.float64 else torch.complex64


def build_filter(
    kernel: torch.Tensor, lam: torch.Tensor, scale: int, height: int, width: int, term: str, dtype: torch.dtype
) -> torch.Tensor:
    """``transfer.inverse_filter`` block by block, rounded once to ``dtype``."""
    out = kernel.new_empty(*kernel.shape[:2], height, width // 2 + 1, dtype=dtype)
    for n, c in block_slices(out, *kernel.shape[:2]):
        out[n, c] = transfer.inverse_filter(kernel[n, c], lam[n, c], scale, height, width, term)
    return out


@torch.library.custom_op('converse_basicsr::inverse_filter', mutates_args=())
def inverse_filter(
    kernel: torch.Tensor, lam: torch.Tensor, scale: int, height: int, width: int, term: str, dtype: torch.dtype
) -> torch.Tensor:
    """The operator's filter on the half spectrum; see the table in ``ops/transfer.py``.

    Shape:
        kernel (B, C, kh, kw), lam (B, C, 1, 1) -> (B, C, height, width // 2 + 1)
    """
    return build_filter(kernel, lam, scale, height, width, term, dtype)


@inverse_filter.register_fake
def _(kernel: torch.Tensor, lam: torch.Tensor, scale: int, height: int, width: int, term: str, dtype: torch.dtype) -> torch.Tensor:
    return kernel.new_empty(*kernel.shape[:2], height, width // 2 + 1, dtype=dtype)


@torch.library.custom_op('converse_basicsr::inverse_filter_backward', mutates_args=())
def inverse_filter_backward(
    grad: torch.Tensor, kernel: torch.Tensor, lam: torch.Tensor, scale: int, term: str, width: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of the kernel and of lam, in their dtypes."""
    grad_kernel = torch.empty_like(kernel, memory_format=torch.contiguous_format)
    grad_lam = torch.empty_like(lam, memory_format=torch.contiguous_format)
    for n, c in block_slices(grad, *kernel.shape[:2]):
        block = transfer.inverse_filter_vjp(grad[n, c], kernel[n, c], lam[n, c], scale, term, width)
        grad_kernel[n, c], grad_lam[n, c] = block
    return grad_kernel, grad_lam


@inverse_filter_backward.register_fake
def _(grad: torch.Tensor, kernel: torch.Tensor, lam: torch.Tensor, scale: int, term: str, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    return (
        torch.empty_like(kernel, memory_format=torch.contiguous_format),
        torch.empty_like(lam, memory_format=torch.contiguous_format),
    )


def _inverse_filter_setup(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
    kernel, lam, ctx.scale, _, ctx.width, ctx.term, _ = inputs
    ctx.save_for_backward(kernel, lam)


def _inverse_filter_grad(ctx: Any, grad: torch.Tensor) -> tuple:
    kernel, lam = ctx.saved_tensors
    grad_kernel, grad_lam = inverse_filter_backward(grad, kernel, lam, ctx.scale, ctx.term, ctx.width)
    return grad_kernel, grad_lam, None, None, None, None, None


def _inverse_filter_backward_setup(ctx: Any, inputs: tuple, output: tuple) -> None:
    grad, kernel, lam, ctx.scale, ctx.term, ctx.width = inputs
    ctx.save_for_backward(grad, kernel, lam)


def _inverse_filter_backward_grad(ctx: Any, grad_kernel: torch.Tensor, grad_lam: torch.Tensor) -> tuple:
    grad, kernel, lam = ctx.saved_tensors

    def first_order(*tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        of_kernel, of_lam = transfer.inverse_filter_vjp(*tensors, ctx.scale, ctx.term, ctx.width)
        return of_kernel.to(kernel.dtype), of_lam.to(lam.dtype)

    _, pull_back = torch.func.vjp(first_order, grad, kernel, lam)
    return *pull_back((grad_kernel, grad_lam)), None, None, None


@torch.library.custom_op('converse_basicsr::spectral_filter', mutates_args=())
def spectral_filter(x: torch.Tensor, otf: torch.Tensor) -> torch.Tensor:
    """Circular convolution with the filters of a half spectrum: irfft2(rfft2(x) * otf).

    Shape:
        x (N, C, H, W), otf (N or 1, C or 1, H, W // 2 + 1) -> (N, C, H, W)
    """
    out = torch.empty_like(x, memory_format=torch.contiguous_format)
    for n, c in block_slices(x, *x.shape[:2]):
        out[n, c] = torch.fft.irfft2(torch.fft.rfft2(x[n, c]).mul_(pick(otf, n, c)), s=x.shape[-2:])
    return out


@spectral_filter.register_fake
def _(x: torch.Tensor, otf: torch.Tensor) -> torch.Tensor:
    return torch.empty_like(x, memory_format=torch.contiguous_format)


@torch.library.custom_op('converse_basicsr::spectral_filter_backward', mutates_args=())
def spectral_filter_backward(
    grad: torch.Tensor, x: torch.Tensor, otf: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Gradients of ``spectral_filter``: irfft2(G conj(otf)) and the cross-spectrum sum_n conj(X) G.

    Every column of a half spectrum stands for two of the full one, except the first and, at even width, the last: the
    cross-spectrum is weighted accordingly.
    """
    height, width = x.shape[-2:]
    grad_x = torch.empty_like(x, memory_format=torch.contiguous_format)
    grad_otf = torch.zeros_like(otf, memory_format=torch.contiguous_format)
    for n, c in block_slices(x, *x.shape[:2]):
        spectrum = torch.fft.rfft2(grad[n, c])
        cross = torch.fft.rfft2(x[n, c]).conj_physical_().mul_(spectrum)
        pick(grad_otf, n, c).add_(cross.sum_to_size(pick(otf, n, c).shape))
        grad_x[n, c] = torch.fft.irfft2(spectrum.mul_(pick(otf, n, c).conj()), s=(height, width))
    grad_otf.mul_(1 / (height * width))[..., 1 : (width + 1) // 2].mul_(2)
    return grad_x, grad_otf


@spectral_filter_backward.register_fake
def _(grad: torch.Tensor, x: torch.Tensor, otf: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    return (
        torch.empty_like(x, memory_format=torch.contiguous_format),
        torch.empty_like(otf, memory_format=torch.contiguous_format),
    )


def _spectral_filter_setup(ctx: Any, inputs: tuple, output: torch.Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _spectral_filter_grad(ctx: Any, grad: torch.Tensor) -> tuple:
    x, otf = ctx.saved_tensors
    if not ctx.needs_input_grad[1]:
        return spectral_filter(grad, otf.conj().resolve_conj()), None
    return spectral_filter_backward(grad, x, otf)


def _spectral_filter_backward_grad(ctx: Any, u: torch.Tensor, v: torch.Tensor) -> tuple:
    # Both outputs are bilinear, <u, irfft2(G conj(otf))> + <v, cross(x, grad)>; collected by argument, the terms are
    # applications and gradients of the filter again, with u and v in the places of map and filter.
    grad, x, otf = ctx.saved_tensors
    grad_x, grad_otf = spectral_filter_backward(grad, u, v)
    return spectral_filter(u, otf) + spectral_filter(x, v), grad_x, grad_otf


inverse_filter.register_autograd(_inverse_filter_grad, setup_context=_inverse_filter_setup)
inverse_filter_backward.register_autograd(_inverse_filter_backward_grad, setup_context=_inverse_filter_backward_setup)
spectral_filter.register_autograd(_spectral_filter_grad, setup_context=_spectral_filter_setup)
spectral_filter_backward.register_autograd(_spectral_filter_backward_grad, setup_context=_spectral_filter_setup)


def _vmap_by_loop(op: Callable[..., Any]) -> Callable[..., Any]:
    """A batching rule for ``torch.func.vmap``: one call an item, stacked."""

    def rule(info: Any, in_dims: tuple, *args: Any) -> tuple[Any, Any]:
        calls = [
            op(*(arg if dim is None else arg.select(dim, i) for arg, dim in zip(args, in_dims)))
            for i in range(info.batch_size)
        ]
        if isinstance(calls[0], torch.Tensor):
            return torch.stack(calls), 0
        return tuple(torch.stack(output) for output in zip(*calls)), tuple(0 for _ in calls[0])

    return rule


for _op in (inverse_filter, inverse_filter_backward, spectral_filter, spectral_filter_backward):
    _op.register_vmap(_vmap_by_loop(_op))
