"""Converse-up SRResNet: SRResNet with the reverse convolution as its upsampler."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from converse_basicsr.archs.residual_block import ResidualBlock, init_residual_conv
from converse_basicsr.archs.upscale import build_upsampler, upscale_steps
from converse_basicsr.blocks import gelu, stack
from converse_basicsr.blocks.checks import check_positive

# Slope of the leaky ReLU in BasicSR's MSRResNet, the baseline that this network is compared with.
LEAKY_SLOPE = 0.1


class ConverseUpSRResNet(nn.Module):
    """SRResNet without normalisation, each PixelShuffle step replaced by 3x3 convolution, operator and GELU.

    The rest is BasicSR's ``MSRResNet``, with the same keys ``conv_first``, ``body``, ``conv_hr`` and ``conv_last``; the
    bilinearly upsampled input is added.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output; equal to ``num_in_ch``, since the upsampled input is added.
        num_feat: Channels C of the features.
        num_block: Residual blocks.
        upscale: Scale, 2, 3 or 4; 4 takes two steps of 2.
        operator: ``converse``, ``conv`` or ``convtranspose``, with ``kernel_size = scale`` in each step.
        padding_mode: Border of the operator: ``circular``, ``constant``, ``reflect`` or ``replicate``. It has no effect
            where kernels stay within the block of their sample: at scales 2 and 4 with ``converse`` and
            ``convtranspose``.
        kernel_init: Initialisation of the reverse convolutions' kernels (see ``Converse2D``); None for its default.
        lam_init: Initial lam of the reverse convolutions, above 1e-3; None for its default. For what it does see
            ``up_lam_init`` of ``ConverseSRResNet``.

    Shape:
        - Input: ``(N, num_in_ch, H, W)``, RGB in [0, 1].
        - Output: ``(N, num_out_ch, upscale * H, upscale * W)``.

    Raises:
        ValueError: If an argument is out of range or has no effect on the operator.

    Reference:
        arXiv 2508.09824, the upsampling ablation; SRResNet: Ledig et al., CVPR 2017.

    Example:
        >>> ConverseUpSRResNet(num_block=2, num_feat=8)(torch.rand(1, 3, 8, 6)).shape
        torch.Size([1, 3, 32, 24])
    """

    def __init__(
        self,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        *,
        num_feat: int = 64,
        num_block: int = 16,
        upscale: int = 4,
        operator: str = 'converse',
        padding_mode: str = 'replicate',
        kernel_init: str | None = None,
        lam_init: float | None = None,
    ) -> None:
        super().__init__()
        check_positive(num_in_ch=num_in_ch, num_feat=num_feat)
        if num_out_ch != num_in_ch:
            raise ValueError(f'num_out_ch must be num_in_ch ({num_in_ch}), got {num_out_ch}')
        self.upscale = upscale
        self.steps = upscale_steps(upscale)
        self.conv_first = init_residual_conv(nn.Conv2d(num_in_ch, num_feat, 3, padding=1))
        self.body = stack(num_block, partial(ResidualBlock, num_feat))
        for i, step in enumerate(self.steps, 1):
            self.add_module(f'upconv{i}', init_residual_conv(nn.Conv2d(num_feat, num_feat, 3, padding=1)))
            up = build_upsampler(
                num_feat,
                scale=step,
                operator=operator,
                padding_mode=padding_mode,
                kernel_init=kernel_init,
                lam_init=lam_init,
            )
            self.add_module(f'up{i}', up)
        self.conv_hr = init_residual_conv(nn.Conv2d(num_feat, num_feat, 3, padding=1))
        self.conv_last = init_residual_conv(nn.Conv2d(num_feat, num_out_ch, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upscale ``(N, num_in_ch, H, W)`` by ``upscale``."""
        feat = self.body(F.leaky_relu(self.conv_first(x), LEAKY_SLOPE))
        for i in range(1, len(self.steps) + 1):
            feat = gelu(getattr(self, f'up{i}')(getattr(self, f'upconv{i}')(feat)))
        out = self.conv_last(F.leaky_relu(self.conv_hr(feat), LEAKY_SLOPE))
        return out + F.interpolate(x, scale_factor=self.upscale, mode='bilinear', align_corners=False)
