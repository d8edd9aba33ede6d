"""T, circular convolution followed by decimation, its adjoint T', and nearest-neighbour upsampling.

Convention:
    ``(T x)[n] = sum_m k[m] x[s n - (m - c)]`` with centre c = (kh // 2, kw // 2), indices modulo the grid; decimation
    keeps every s-th sample from index 0. Kernels are (1 or N, 1 or C, kh, kw) for maps (N, C, H, W).
"""

import torch
import torch.nn.functional as F

from converse_basicsr.ops.padding import pad2d


def nearest(x: torch.Tensor, scale: int) -> torch.Tensor:
    """Nearest-neighbour upsampling: every sample becomes a scale x scale block."""
    if scale == 1:
        return x
    n, c, h, w = x.shape
    return x[:, :, :, None, :, None].expand(n, c, h, scale, w, scale).reshape(n, c, h * scale, w * scale)


def blur_and_decimate(x: torch.Tensor, kernel: torch.Tensor, scale: int) -> torch.Tensor:
    """T x, a strided depthwise convolution."""
    (n, c, h, w), (kh, kw) = x.shape, kernel.shape[-2:]
    ch, cw = kh // 2, kw // 2
    h, w = h // scale, w // scale
    x = pad2d(x, (kw - 1 - cw, max(0, cw - scale + 1), kh - 1 - ch, max(0, ch - scale + 1)))
    x, weight = _as_groups(x, kernel)
    return F.conv2d(x, weight, stride=scale, groups=weight.shape[0])[..., :h, :w].reshape(n, c, h, w)


def blur_and_decimate_adjoint(z: torch.Tensor, kernel: torch.Tensor, scale: int) -> torch.Tensor:
    """T' z, a strided depthwise transposed convolution of the wrapped map."""
    (n, c, h, w), (kh, kw) = z.shape, kernel.shape[-2:]
    ch, cw = kh // 2, kw // 2
    top, left = ch // scale, cw // scale
    z = pad2d(z, (left, (scale + kw - 2 - cw) // scale, top, (scale + kh - 2 - ch) // scale))
    z, weight = _as_groups(z, kernel)
    # Where the kernel is smaller than the stride, no tap reaches the last samples: output_padding adds them as zeros.
    rest = (max(0, scale - 1 - ch), max(0, scale - 1 - cw))
    out = F.conv_transpose2d(z, weight, stride=scale, groups=weight.shape[0], output_padding=rest)
    row, column = scale * top + kh - 1 - ch, scale * left + kw - 1 - cw
    return out[..., row : row + scale * h, column : column + scale * w].reshape(n, c, scale * h, scale * w)


def block_gains(kernel: torch.Tensor, lam: torch.Tensor, scale: int) -> torch.Tensor:
    """The operator where every tap lies inside its own block (kernels up to min(2, scale)): one gain per phase.

    Phase j of a block reads tap m = c - j. So its gain is 1 + k[c - j] (1 - sum k) / (sum k^2 + lam), or 1 where there
    is no such tap.

    Shape:
        kernel (..., kh, kw), lam (..., 1, 1) -> (..., scale, scale)
    """
    kh, kw = kernel.shape[-2:]
    total = kernel.sum((-2, -1), keepdim=True)
    power = kernel.square().sum((-2, -1), keepdim=True)
    gains = 1 + kernel.flip(-2, -1) * ((1 - total) / (power + lam))
    return F.pad(gains, (0, scale - kw, 0, scale - kh), value=1.0)


def scale_blocks(x: torch.Tensor, gains: torch.Tensor, scale: int) -> torch.Tensor:
    """Nearest-neighbour upsampling with one gain per phase; the output is written once."""
    n, c, h, w = x.shape
    out = x[:, :, :, None, :, None] * gains[:, :, None, :, None, :]
    return out.reshape(n, c, h * scale, w * scale)


def _as_groups(x: torch.Tensor, kernel: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Flip the kernel (torch correlates) and, if there is one per sample, fold the batch into the channels."""
    c = x.shape[1]
    if kernel.shape[0] == 0:
        kernel = kernel.sum(0, keepdim=True)  # an empty batch would make no groups, which the convolutions refuse
    kernel = kernel.flip(-2, -1).expand(-1, c, -1, -1).flatten(0, 1).unsqueeze(1)
    return (x if kernel.shape[0] == c else x.flatten(0, 1).unsqueeze(0)), kernel
