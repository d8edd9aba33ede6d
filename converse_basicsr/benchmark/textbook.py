"""The textbook evaluation of the operator and other plain implementations, for comparison only.

Written from the formulas: with L = conj(K) F(up y) + lam F(x0), the paper evaluates
``X = (L - conj(K) tile(fold(K L) / (fold |K|^2 + lam))) / lam`` by full complex transforms at the high resolution.
"""

import torch
import torch.nn.functional as F
from torch import nn

from converse_basicsr.blocks import LayerNorm2d
from converse_basicsr.ops import Converse2D


def textbook(x: torch.Tensor, kernel: torch.Tensor, lam: torch.Tensor, scale: int = 1) -> torch.Tensor:
    """Evaluate ``converse2d`` by the formula of the paper (arXiv 2508.09824); same arguments and shapes."""
    n, c, h, w = x.shape
    kh, kw = kernel.shape[-2:]
    grid = (h * scale, w * scale)
    up = x.new_zeros(n, c, *grid)
    up[..., ::scale, ::scale] = x
    x0 = F.interpolate(x, scale_factor=scale, mode='nearest')
    placed = F.pad(kernel, (0, grid[1] - kw, 0, grid[0] - kh))
    otf = torch.fft.fft2(torch.roll(placed, (-(kh // 2), -(kw // 2)), (-2, -1)))

    def fold(spectrum: torch.Tensor) -> torch.Tensor:
        return spectrum.unflatten(-1, (scale, w)).unflatten(-3, (scale, h)).mean((-4, -2))

    data = otf.conj() * torch.fft.fft2(up) + torch.fft.fft2(lam * x0)
    inner = fold(otf * data) / (fold(otf.abs().square()) + lam)
    solution = (data - otf.conj() * inner.repeat(1, 1, scale, scale)) / lam
    return torch.fft.ifft2(solution).real


class TextbookConverse2D(nn.Module):
    """``Converse2D`` with the textbook evaluation, sharing the given module's parameters."""

    def __init__(self, module: Converse2D) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = module.weight, module.bias, module.eps
        self.scale, self.padding, self.padding_mode = module.scale, module.padding, module.padding_mode

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad, evaluate, crop."""
        rows, columns = self.padding
        lam = torch.sigmoid(self.bias - 9.0) + self.eps
        padded = F.pad(x, (columns, columns, rows, rows), mode=self.padding_mode)
        out = textbook(padded, self.weight, lam, self.scale)
        top, left = self.scale * rows, self.scale * columns
        return out[..., top : out.shape[-2] - top, left : out.shape[-1] - left]


class PlainLayerNorm2d(nn.Module):
    """Channel normalisation by mean and variance, as it is commonly written, sharing the given module's parameters."""

    def __init__(self, module: LayerNorm2d) -> None:
        super().__init__()
        self.weight, self.bias, self.eps = module.weight, module.bias, module.eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Normalise (N, C, H, W) over C."""
        mean = x.mean(1, keepdim=True)
        variance = (x - mean).pow(2).mean(1, keepdim=True)
        normed = (x - mean) / torch.sqrt(variance + self.eps)
        return self.weight[:, None, None] * normed + self.bias[:, None, None]
