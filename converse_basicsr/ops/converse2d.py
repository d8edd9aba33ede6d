"""Reverse convolution: the functional ``converse2d`` and the learnable layer ``Converse2D``."""

import torch
import torch.nn.functional as F
from torch import nn

from converse_basicsr.ops.padding import PADDING_MODES, pad2d
from converse_basicsr.ops.transfer import folded_power, inverse_filter

# lam = sigmoid(bias - LAM_LOGIT_SHIFT) + eps: a zero bias starts the layer at lam = 1.2e-4 (+ eps).
LAM_LOGIT_SHIFT = 9.0


def converse2d(
    x: torch.Tensor, kernel: torch.Tensor, lam: torch.Tensor, scale: int = 1, x0: torch.Tensor | None = None
) -> torch.Tensor:
    """Reverse a circular depthwise convolution with decimation."""
    dtype = x.dtype
    n, c, h, w = x.shape
    work = torch.promote_types(dtype, torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        y = x.to(work)
        if scale == 1 and x0 is None:
            out = torch.fft.irfft2(torch.fft.rfft2(y) * inverse_filter(kernel, lam, h, w).to(y.dtype.to_complex()), s=(h, w))
            return out.to(dtype)
        prior = y.repeat_interleave(scale, -2).repeat_interleave(scale, -1) if x0 is None else x0.to(work)
        residual = y - blur_and_decimate(prior, kernel.to(work), scale)
        kh, kw = kernel.shape[-2:]
        if kh <= scale and kw <= scale:
            z = residual / (kernel.to(work).square().sum((-2, -1), keepdim=True) + lam)
        else:
            gain = 1 / (folded_power(kernel, scale, h, w) + lam.to(torch.float64))
            z = torch.fft.irfft2(torch.fft.rfft2(residual) * gain.to(work), s=(h, w))
        return (prior + blur_and_decimate_adjoint(z, kernel.to(work), scale)).to(dtype)


def _grouped(x: torch.Tensor, kernel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Fold the batch into the channels where the kernel is per sample, so that one grouped convolution does all."""
    n, c = x.shape[:2]
    kernel = kernel.flip(-2, -1).expand(kernel.shape[0], c, -1, -1)
    if kernel.shape[0] == 1:
        return x, kernel.reshape(c, 1, *kernel.shape[-2:])
    return x.reshape(1, n * c, *x.shape[-2:]), kernel.reshape(n * c, 1, *kernel.shape[-2:])


def blur_and_decimate(x: torch.Tensor, kernel: torch.Tensor, scale: int) -> torch.Tensor:
    """T x: circular convolution, then every scale-th sample."""
    (n, c, h, w), (kh, kw) = x.shape, kernel.shape[-2:]
    ch, cw = kh // 2, kw // 2
    x = pad2d(x, (kw - 1 - cw, max(0, cw - scale + 1), kh - 1 - ch, max(0, ch - scale + 1)))
    x, weight = _grouped(x, kernel)
    return F.conv2d(x, weight, stride=scale, groups=weight.shape[0])[..., : h // scale, : w // scale].reshape(n, c, h // scale, w // scale)


def blur_and_decimate_adjoint(z: torch.Tensor, kernel: torch.Tensor, scale: int) -> torch.Tensor:
    """T' z: zero insertion, then circular correlation."""
    (n, c, h, w), (kh, kw) = z.shape, kernel.shape[-2:]
    ch, cw = kh // 2, kw // 2
    top, left = ch // scale, cw // scale
    z = pad2d(z, (left, (scale + kw - 2 - cw) // scale, top, (scale + kh - 2 - ch) // scale))
    z, weight = _grouped(z, kernel)
    out = F.conv_transpose2d(
        z, weight, stride=scale, groups=weight.shape[0], output_padding=(max(0, scale - 1 - ch), max(0, scale - 1 - cw))
    )
    row, column = scale * top + kh - 1 - ch, scale * left + kw - 1 - cw
    return out[..., row : row + scale * h, column : column + scale * w].reshape(n, c, scale * h, scale * w)


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else tuple(value)


class Converse2D(nn.Module):
    """Learnable reverse convolution."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        scale: int = 1,
        padding: int | tuple[int, int] | None = None,
        padding_mode: str = 'circular',
        eps: float = 1e-5,
        *,
        kernel_init: str = 'softmax',
        lam_init: float | None = None,
    ) -> None:
        super().__init__()
        if in_channels != out_channels:
            raise ValueError(f'out_channels must be in_channels ({in_channels}), got {out_channels}')
        if padding_mode not in PADDING_MODES:
            raise ValueError(f'padding_mode must be one of {sorted(PADDING_MODES)}, got {padding_mode!r}')
        self.kernel_size = kh, kw = _pair(kernel_size)
        self.scale = scale
        self.padding = (kh - 1, kw - 1) if padding is None else _pair(padding)
        self.padding_mode = padding_mode
        self.eps = eps
        draw = {'softmax': lambda *s: torch.randn(*s).softmax(-1), 'normal': torch.randn, 'uniform': torch.rand}
        if kernel_init not in draw:
            raise ValueError(f'kernel_init must be one of {sorted(draw)}, got {kernel_init!r}')
        self.weight = nn.Parameter(draw[kernel_init](1, in_channels, kh * kw).view(1, in_channels, kh, kw))
        logit = 0.0 if lam_init is None else torch.logit(torch.tensor(lam_init - eps)).item() + LAM_LOGIT_SHIFT
        self.bias = nn.Parameter(torch.full((1, in_channels, 1, 1), logit))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Reverse the convolution on the padded map and crop."""
        ph, pw = self.padding
        lam = torch.sigmoid(self.bias - LAM_LOGIT_SHIFT) + self.eps
        out = converse2d(pad2d(x, (pw, pw, ph, ph), self.padding_mode), self.weight, lam, self.scale)
        top, left = self.scale * ph, self.scale * pw
        return out[..., top : out.shape[-2] - top, left : out.shape[-1] - left]
