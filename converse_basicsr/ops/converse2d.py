"""Reverse convolution: the functional ``converse2d`` and the learnable layer ``Converse2D``."""

import functools
from typing import Any, ClassVar

import torch
from torch import nn

from converse_basicsr.ops import sampling, torch_library
from converse_basicsr.ops.autocast import autocast_off
from converse_basicsr.ops.float64 import for_float64, moved
from converse_basicsr.ops.inference import solve_in_blocks, solve_op
from converse_basicsr.ops.padding import PADDING_MODES, check_padding, pad2d
from converse_basicsr.ops.roles import Role
from converse_basicsr.ops.start import (
    DEFAULT_KERNEL_INIT,
    KERNEL_LAWS,
    check_kernel_init,
    check_lam_init,
    initial_logit,
    lam_of,
)

DEFAULT_EPS = 1e-5


def converse2d(
    x: torch.Tensor, kernel: torch.Tensor, lam: torch.Tensor, scale: int = 1, x0: torch.Tensor | None = None
) -> torch.Tensor:
    r"""Reverse a circular depthwise convolution followed by decimation, in closed form.

    For every channel this returns the exact

    .. math:: x^* = \arg\min_z \|x - (k * z)\downarrow_s\|^2 + \lambda \|z - x_0\|^2 .

    It is solved in float32, or in float64 for float64 input, also under autocast; the result has the input's dtype.

    Convention:
        ``*`` is circular convolution (not correlation) on the grid as given, without padding, with its centre at
        tap ``(kh // 2, kw // 2)``; taps beyond the grid wrap around it. Decimation keeps every ``scale``-th sample
        from index 0.

    Args:
        x: Feature map.
        kernel: One kernel for the whole batch or per sample, for all channels or per channel.
        lam: Regularisation weight, above 0.
        scale: Upsampling factor.
        x0: What the regularisation pulls the solution towards; the nearest-neighbour upsampling of ``x`` if None.

    Returns:
        The solution, in the dtype of ``x``.

    Shape:
        - x: (N, C, H, W)
        - kernel: (1 or N, 1 or C, kh, kw)
        - lam: (1 or N, 1 or C, 1, 1)
        - x0: (N, C, scale * H, scale * W)
        - returns: (N, C, scale * H, scale * W)

    Raises:
        ValueError: If a shape, a dtype or the scale does not fit the above.

    Reference:
        Reverse Convolution and Its Applications to Image Restoration, arXiv 2508.09824; evaluated by the exact
        rewritings of docs/operator.md.

    Example:
        >>> x = torch.rand(2, 3, 8, 8)
        >>> kernel = torch.full((1, 3, 5, 5), 1 / 25)
        >>> converse2d(x, kernel, torch.full((1, 1, 1, 1), 1e-3), scale=2).shape
        torch.Size([2, 3, 16, 16])
    """
    _check(x, kernel, lam, scale, x0)
    # Give kernel and lam one leading shape; where one of them is broadcast, autograd sums its gradient.
    lead = torch.broadcast_shapes(kernel.shape[:2], lam.shape[:2])
    kernel, lam = kernel.expand(*lead, -1, -1), lam.expand(*lead, -1, -1)
    needs_transform = max(kernel.shape[-2:]) > scale
    with autocast_off(x.device.type):
        if x0 is None and needs_transform and not torch.compiler.is_compiling() and not _records_graph(x, kernel, lam):
            return solve_in_blocks(x, kernel, lam, scale, 0, 0, 'circular', keep_filter=False)
        return _solve(x, kernel, lam, scale, x0)


class Converse2D(nn.Module):
    r"""Learnable reverse convolution with one kernel and one regularisation weight per channel.

    The map is padded, ``converse2d`` solves on the padded grid with :math:`\lambda = \sigma(b - 9) + \epsilon`, and
    ``scale * padding`` is cropped off each side.

    Args:
        in_channels: Number of channels.
        out_channels: The same number of channels; the operator works channel by channel.
        kernel_size: Size of the kernel, or (rows, columns).
        scale: Upsampling factor.
        padding: Samples added on every side, or (rows, columns); kernel size - 1 if None. Circular padding has an
            effect too: the problem is solved on a larger grid.
        padding_mode: 'circular', 'constant' (zeros), 'reflect' or 'replicate'.
        eps: Lower bound of lam.
        kernel_init: Initial kernels: 'softmax' over the taps of standard normal draws (positive, with sum 1), the
            'normal' draws themselves, 'unit_normal' and 'small_normal' draws scaled to a norm of 1 and 0.1, 'uniform'
            draws from [0, 1), or 'gabor' waves of norm 1.
        lam_init: Initial lam, between ``eps`` and 1 + ``eps``; None for that of a zero ``bias``, the paper's.

    Attributes:
        weight: The kernels, (1, C, kh, kw).
        bias: The logit of lam - eps, plus 9, (1, C, 1, 1); not an additive bias.

    Shape:
        (N, C, H, W) -> (N, C, scale * H, scale * W)

    Raises:
        ValueError: If an argument does not fit the above.

    Reference:
        Reverse Convolution and Its Applications to Image Restoration, arXiv 2508.09824.

    Example:
        >>> Converse2D(64, 64, 2, scale=2)(torch.rand(1, 64, 24, 32)).shape
        torch.Size([1, 64, 48, 64])
    """

    roles: ClassVar[dict[Role, str]] = {'kernel': 'weight', 'lam': 'bias'}

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        scale: int = 1,
        padding: int | tuple[int, int] | None = None,
        padding_mode: str = 'circular',
        eps: float = DEFAULT_EPS,
        *,
        kernel_init: str = DEFAULT_KERNEL_INIT,
        lam_init: float | None = None,
    ) -> None:
        super().__init__()
        if in_channels < 1:
            raise ValueError(f'in_channels must be at least 1, got {in_channels}')
        if out_channels != in_channels:
            raise ValueError(f'out_channels must be in_channels ({in_channels}), got {out_channels}')
        if padding_mode not in PADDING_MODES:
            raise ValueError(f'padding_mode must be one of {sorted(PADDING_MODES)}, got {padding_mode!r}')
        check_kernel_init(kernel_init)
        if eps < 0:
            raise ValueError(f'eps must be at least 0, got {eps}')
        check_lam_init(lam_init, eps)
        _check_scale(scale)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = rows, columns = _pair('kernel_size', kernel_size, least=1)
        self.scale = scale
        self.padding = (rows - 1, columns - 1) if padding is None else _pair('padding', padding, least=0)
        self.padding_mode = padding_mode
        self.eps = eps
        self.kernel_init = kernel_init
        self.lam_init = lam_init
        self.weight = nn.Parameter(torch.empty(1, in_channels, *self.kernel_size))
        self.bias = nn.Parameter(torch.empty(1, in_channels, 1, 1))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Draw new kernels and set lam to its initial value."""
        self.weight.copy_(KERNEL_LAWS[self.kernel_init](self.weight))
        self.bias.fill_(initial_logit(self.lam_init, self.eps))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reverse the convolution on the padded map and crop."""
        if x.ndim != 4 or x.shape[1] != self.in_channels:
            raise ValueError(f'x must be of shape (N, {self.in_channels}, H, W), got {tuple(x.shape)}')
        _check_floating('x', x)
        rows, columns = self.padding
        check_padding(x.shape[-2], x.shape[-1], (columns, columns, rows, rows), self.padding_mode)
        with autocast_off(x.device.type):
            if max(self.kernel_size) > self.scale and not _records_graph(x, self.weight, self.bias):
                solve = solve_op if torch.compiler.is_compiling() else functools.partial(solve_in_blocks, owner=self)
                return solve(x, self.weight, self.lam, self.scale, rows, columns, self.padding_mode)
            return _solve(x, self.weight, self.lam, self.scale, None, self.padding, self.padding_mode)

    @property
    def lam(self) -> torch.Tensor:
        """The regularisation weight, (1, C, 1, 1)."""
        return lam_of(self.bias, self.eps)

    def extra_repr(self) -> str:
        """The arguments, as ``print`` shows them."""
        return (
            f'{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, scale={self.scale}, '
            f'padding={self.padding}, padding_mode={self.padding_mode!r}, eps={self.eps}'
        )


def _solve(
    x: torch.Tensor,
    kernel: torch.Tensor,
    lam: torch.Tensor,
    scale: int,
    x0: torch.Tensor | None,
    padding: tuple[int, int] = (0, 0),
    padding_mode: str = 'circular',
) -> torch.Tensor:
    """Pad, solve and crop in steps that can be recorded; kernel and lam have one leading shape, autocast is off."""
    work = torch.promote_types(x.dtype, torch.float32)
    y = x.to(work)
    if x0 is None and _has_gains(kernel, scale):
        # Every block depends on its own sample alone, so padding would change nothing.
        gains = sampling.block_gains(for_float64(kernel).double(), for_float64(lam).double(), scale).to(work)
        return sampling.scale_blocks(y, moved(gains, x.device), scale).to(x.dtype)
    rows, columns = padding
    grid = (y.shape[-2] + 2 * rows, y.shape[-1] + 2 * columns)

    def filtered(z: torch.Tensor, term: str, *geometry: Any) -> torch.Tensor:
        otf = torch_library.inverse_filter(kernel, lam, scale, *grid, term, torch_library.complex_dtype(work))
        return torch_library.spectral_filter(z, otf, *(geometry or (0, 0, 'circular', False)))

    if scale == 1:
        if x0 is None:
            return filtered(y, 'both', rows, columns, padding_mode, True).to(x.dtype)
        return (filtered(y, 'data') + filtered(x0.to(work), 'prior')).to(x.dtype)
    padded = pad2d(y, (columns, columns, rows, rows), padding_mode)
    start = sampling.nearest(padded, scale) if x0 is None else x0.to(work)
    taps = kernel.to(work)
    if max(kernel.shape[-2:]) <= scale:
        blurred = sampling.blur_and_decimate(start, taps, scale)
        z = (padded - blurred) / (taps.square().sum((-2, -1), keepdim=True) + lam)
    elif x0 is None:
        z = filtered(y, 'both', rows, columns, padding_mode, False)
    else:
        z = filtered(padded - sampling.blur_and_decimate(start, taps, scale), 'data')
    out = (start + sampling.blur_and_decimate_adjoint(z, taps, scale)).to(x.dtype)
    top, left = scale * rows, scale * columns
    return out[..., top : out.shape[-2] - top, left : out.shape[-1] - left]


def _has_gains(kernel: torch.Tensor, scale: int) -> bool:
    return max(kernel.shape[-2:]) <= min(2, scale)


def _records_graph(*tensors: torch.Tensor) -> bool:
    """Whether autograd, a tracer, ``torch.func`` or a tensor subclass has to see the computation step by step."""
    if torch.is_grad_enabled() and any(t.requires_grad for t in tensors):
        return True
    if torch.compiler.is_compiling():
        return False
    if torch.jit.is_tracing() or torch_library.is_transformed():
        return True
    return any(type(t) not in (torch.Tensor, nn.Parameter) for t in tensors)


def _pair(name: str, value: int | tuple[int, int], *, least: int) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or not all(isinstance(v, int) and v >= least for v in pair):
        raise ValueError(f'{name} must be an int or two ints of at least {least}, got {value!r}')
    return pair


def _check_scale(scale: int) -> None:
    if not isinstance(scale, int) or scale < 1:
        raise ValueError(f'scale must be an int of at least 1, got {scale!r}')


def _check_floating(name: str, x: torch.Tensor) -> None:
    if not x.is_floating_point():
        raise ValueError(f'{name} must be of a floating dtype, got {x.dtype}')


def _check(x: torch.Tensor, kernel: torch.Tensor, lam: torch.Tensor, scale: int, x0: torch.Tensor | None) -> None:
    _check_scale(scale)
    if x.ndim != 4:
        raise ValueError(f'x must be of shape (N, C, H, W), got {tuple(x.shape)}')
    for name, tensor in (('x', x), ('kernel', kernel), ('lam', lam)):
        _check_floating(name, tensor)
    n, c, h, w = x.shape
    for name, tensor, tail in (('kernel', kernel, 'kh, kw'), ('lam', lam, '1, 1')):
        fits = tensor.ndim == 4 and tensor.shape[0] in (1, n) and tensor.shape[1] in (1, c)
        if not fits or (name == 'lam' and tensor.shape[2:] != (1, 1)) or tensor.numel() == 0 < n:
            raise ValueError(f'{name} must be of shape (1 or {n}, 1 or {c}, {tail}), got {tuple(tensor.shape)}')
    if x0 is not None and x0.shape != (n, c, scale * h, scale * w):
        raise ValueError(f'x0 must be of shape {(n, c, scale * h, scale * w)}, got {tuple(x0.shape)}')
