"""Depthwise convolutions with the interface of ``Converse2D``, which they replace in the paper's ablations."""

import torch
import torch.nn.functional as F
from torch import nn

from converse_basicsr.blocks.checks import check_positive
from converse_basicsr.ops.padding import PADDING_MODES, pad2d


class _Depthwise(nn.Module):
    """The parameters that both depthwise operators share: one kernel and one additive bias per channel."""

    def __init__(self, num_feat: int, kernel_size: int, *, scale: int, padding_mode: str) -> None:
        super().__init__()
        check_positive(num_feat=num_feat, kernel_size=kernel_size, scale=scale)
        if padding_mode not in PADDING_MODES:
            raise ValueError(f'padding_mode must be one of {sorted(PADDING_MODES)}, got {padding_mode!r}')
        self.kernel_size = kernel_size
        self.scale = scale
        self.padding_mode = padding_mode
        # PyTorch's own initialisation of a convolution with kernel_size ** 2 inputs per output: U(-1/k, 1/k) for both.
        bound = 1 / kernel_size
        self.weight = nn.Parameter(torch.empty(num_feat, 1, kernel_size, kernel_size).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_feat).uniform_(-bound, bound))

    def extra_repr(self) -> str:
        return f'{self.bias.numel()}, {self.kernel_size}, scale={self.scale}, padding_mode={self.padding_mode!r}'


def depthwise_conv(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, padding_mode: str) -> torch.Tensor:
    """Depthwise convolution (PyTorch's, a correlation) whose output has the size of its input.

    Convention: tap ``(k - 1) // 2`` meets the pixel itself.

    Args:
        x: Feature map.
        weight: Kernels, one per channel.
        bias: Added to the channels, or None.
        padding_mode: What lies beyond the border.

    Shape:
        ``(N, C, H, W)`` with ``(C, 1, kh, kw)`` and ``(C,)`` -> ``(N, C, H, W)``.
    """
    kh, kw = weight.shape[-2:]
    x = pad2d(x, ((kw - 1) // 2, kw // 2, (kh - 1) // 2, kh // 2), padding_mode)
    return F.conv2d(x, weight, bias, groups=weight.shape[0])


def depthwise_conv_transpose(
    x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, scale: int, padding_mode: str
) -> torch.Tensor:
    """Depthwise transposed convolution whose output has ``scale`` times the size of its input.

    Convention: zero insertion with the samples at multiples of ``scale``, then a true convolution whose centre is tap
    ``(k - 1) // 2``. It is the adjoint of blur and decimation in the reverse convolution's data term, with the kernel
    rotated by 180 degrees. With ``k == scale`` every tap stays within the block of its own sample.

    Args:
        x: Feature map.
        weight: Kernels, one per channel.
        bias: Added to the channels, or None.
        scale: Stride of the zero insertion.
        padding_mode: What lies beyond the border.

    Shape:
        ``(N, C, H, W)`` with ``(C, 1, kh, kw)`` and ``(C,)`` -> ``(N, C, scale * H, scale * W)``.
    """
    height, width = (scale * size for size in x.shape[-2:])
    # ConvTranspose2d has no padding mode but zeros: the input is padded by the samples that reach across the border,
    # and the output is cropped. output_padding adds the zeros that kernels smaller than the stride leave at the end.
    kh, kw = weight.shape[-2:]
    row, column = (kh - 1) // 2, (kw - 1) // 2
    top, left = kh // 2 // scale, kw // 2 // scale
    x = pad2d(x, (left, (column + scale - 1) // scale, top, (row + scale - 1) // scale), padding_mode)
    y = F.conv_transpose2d(x, weight, bias, stride=scale, groups=weight.shape[0], output_padding=scale - 1)
    row, column = row + scale * top, column + scale * left
    return y[..., row : row + height, column : column + width]


class DepthwiseConv2d(_Depthwise):
    """Nearest-neighbour upsampling (where ``scale`` is above 1), then a depthwise convolution of 'same' size.

    Args:
        num_feat: Number of channels C.
        kernel_size: Side k of the kernels.
        scale: Upsampling factor s.
        padding_mode: ``circular``, ``constant`` (zeros), ``reflect`` or ``replicate``.

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: ``(N, C, s H, s W)``.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> DepthwiseConv2d(8, 5, padding_mode='reflect')(torch.rand(2, 8, 9, 7)).shape
        torch.Size([2, 8, 9, 7])
    """

    def __init__(self, num_feat: int, kernel_size: int, *, scale: int = 1, padding_mode: str = 'circular') -> None:
        super().__init__(num_feat, kernel_size, scale=scale, padding_mode=padding_mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upsample and convolve ``(N, C, H, W)``."""
        if self.scale > 1:
            x = F.interpolate(x, scale_factor=self.scale, mode='nearest')
        return depthwise_conv(x, self.weight, self.bias, self.padding_mode)


class DepthwiseConvTranspose2d(_Depthwise):
    """Depthwise transposed convolution with stride ``scale`` and an output of exactly ``scale`` times the size.

    Args:
        num_feat: Number of channels C.
        kernel_size: Side k of the kernels.
        scale: Stride s.
        padding_mode: ``circular``, ``constant`` (zeros), ``reflect`` or ``replicate``.

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: ``(N, C, s H, s W)``.

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> DepthwiseConvTranspose2d(8, 2, scale=2)(torch.rand(2, 8, 9, 7)).shape
        torch.Size([2, 8, 18, 14])
    """

    def __init__(self, num_feat: int, kernel_size: int, *, scale: int = 1, padding_mode: str = 'circular') -> None:
        super().__init__(num_feat, kernel_size, scale=scale, padding_mode=padding_mode)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Convolve ``(N, C, H, W)``, transposed."""
        return depthwise_conv_transpose(x, self.weight, self.bias, self.scale, self.padding_mode)
