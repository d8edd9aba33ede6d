"""Converse-SRResNet: single-image super-resolution with reverse convolutions in the body and as upsampler."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from converse_basicsr.archs.upscale import build_upsampler, upscale_steps
from converse_basicsr.blocks import ConverseBlock, gelu
from converse_basicsr.blocks.checks import check_positive


class ConverseSRResNet(nn.Module):
    """SRResNet made of Converse blocks, upsampling by reverse convolution; Conv- and ConvT-SRResNet by ``operator``.

    A 1x1 convolution and GELU, ``num_block`` blocks, an upsampler a step (one block, the operator with
    ``kernel_size = scale``, GELU), one block and GELU at the high resolution, a 1x1 convolution without bias, and the
    bilinearly upsampled input added. Scale 4 takes two steps of 2, scales 2 and 3 one step.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output; it must equal ``num_in_ch``, whose upsampling is added.
        num_feat: Channels C between (2C inside the blocks).
        num_block: Blocks at the low resolution.
        kernel_size: Side of the kernels in the blocks.
        upscale: Scale, 2, 3 or 4.
        operator: ``converse``, ``conv`` or ``convtranspose``, in the blocks and in the upsamplers. The last two are
            this package's reading in the upsamplers: nearest upsampling and a depthwise convolution, or a depthwise
            transposed convolution with the scale as its stride.
        padding: Width of the border before the blocks' reverse convolutions; None for ``kernel_size - 1``.
        padding_mode: ``circular``, ``constant``, ``reflect`` or ``replicate``.
        kernel_init: Start of the reverse convolutions' kernels (see ``Converse2D``); None for its default.
        lam_init: Start of lam in the blocks' reverse convolutions; None for its default. That of the upsamplers starts
            at its default, above 1e-3.

    Shape:
        - Input: ``(N, num_in_ch, H, W)``, RGB in [0, 1].
        - Output: ``(N, num_out_ch, upscale * H, upscale * W)``.

    Raises:
        ValueError: If an argument is out of range or has no effect on the operator.

    Reference:
        arXiv 2508.09824, Converse-SRResNet.

    Example:
        >>> ConverseSRResNet(num_block=2, num_feat=8, upscale=3)(torch.rand(1, 3, 16, 12)).shape
        torch.Size([1, 3, 48, 36])
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        *,
        num_feat: int = 64,
        num_block: int = 16,
        kernel_size: int = 5,
        upscale: int = 4,
        operator: str = 'converse',
        padding: int | None = None,
        padding_mode: str = 'replicate',
        kernel_init: str | None = None,
        lam_init: float | None = None,
    ) -> None:
        super().__init__()
        check_positive(num_in_ch=num_in_ch, num_feat=num_feat, num_block=num_block)
        if num_out_ch != num_in_ch:
            raise ValueError(f'num_out_ch must be num_in_ch ({num_in_ch}), got {num_out_ch}')
        self.upscale = upscale
        self.steps = upscale_steps(upscale)
        options = {'operator': operator, 'padding_mode': padding_mode, 'kernel_init': kernel_init}
        block = partial(ConverseBlock, num_feat, kernel_size=kernel_size, padding=padding, lam_init=lam_init, **options)
        self.conv_first = nn.Conv2d(num_in_ch, num_feat, 1)
        self.conv_body = nn.Sequential(*(block() for _ in range(num_block)))
        for i, step in enumerate(self.steps, 1):
            self.add_module(f'upconv{i}', block())
            self.add_module(f'up{i}', build_upsampler(num_feat, scale=step, **options))
        self.conv_hres = block()
        self.conv_last = nn.Conv2d(num_feat, num_out_ch, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upscale ``(N, C, H, W)`` by ``upscale``."""
        feat = self.conv_body(gelu(self.conv_first(x)))
        for i in range(1, len(self.steps) + 1):
            feat = gelu(getattr(self, f'up{i}')(getattr(self, f'upconv{i}')(feat)))
        out = self.conv_last(gelu(self.conv_hres(feat)))
        return out + F.interpolate(x, scale_factor=self.upscale, mode='bilinear', align_corners=False)
