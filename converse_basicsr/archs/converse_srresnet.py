"""Converse-SRResNet: single-image super-resolution with reverse convolutions in the body and the upsamplers."""

from functools import partial

import torch
import torch.nn.functional as F
from torch import nn

from converse_basicsr.archs.reach import Reach
from converse_basicsr.archs.upscale import UP_EPS, build_upsampler, upscale_steps
from converse_basicsr.blocks import ConverseBlock, gelu, stack
from converse_basicsr.blocks.checks import check_positive
from converse_basicsr.blocks.operators import check_converse_only
from converse_basicsr.ops.start import check_kernel_init, check_lam_init


class ConverseSRResNet(nn.Module):
    """SRResNet made of Converse blocks, upsampling by reverse convolution; Conv- and ConvT-SRResNet by ``operator``.

    A 1x1 convolution and GELU; ``num_block`` blocks; one upsampler per step (one block, the operator with
    ``kernel_size = scale``, GELU); one block and GELU at the high resolution; a 1x1 convolution without bias. The
    bilinearly upsampled input is added. Scale 4 takes two steps of 2, scales 2 and 3 one step.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output; equal to ``num_in_ch``, since the upsampled input is added.
        num_feat: Channels C of the features (2C inside the blocks).
        num_block: Blocks at the low resolution.
        kernel_size: Side of the kernels in the blocks.
        upscale: Scale, 2, 3 or 4.
        operator: ``converse``, ``conv`` or ``convtranspose``, in the blocks and in the upsamplers. The paper does not
            describe the upsamplers of the last two; here they are nearest-neighbour upsampling and a depthwise
            convolution, or a depthwise transposed convolution with the scale as its stride.
        padding: Width of the border that the blocks' reverse convolutions add; None for ``kernel_size - 1``.
        padding_mode: ``circular``, ``constant``, ``reflect`` or ``replicate``.
        kernel_init: Initialisation of the reverse convolutions' kernels (see ``Converse2D``); None for its default.
        lam_init: Initial lam of the blocks' reverse convolutions; None for its default.
        up_kernel_init: Initialisation of the upsamplers' kernels; None for ``kernel_init``.
        up_lam_init: Initial lam of the upsamplers', above 1e-3; None for its default, about 1.1e-3. With softmax
            kernels, steps of 2 start as nearest-neighbour upsampling whatever it is: it divides the gradient of each
            kernel by ``|kernel|^2 + lam``. In a step of 3 it also pulls the start towards nearest-neighbour upsampling.

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

    reach = Reach(spans_image=True)

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
        up_kernel_init: str | None = None,
        up_lam_init: float | None = None,
    ) -> None:
        super().__init__()
        check_positive(num_in_ch=num_in_ch, num_feat=num_feat)
        check_converse_only(operator, up_kernel_init=up_kernel_init, up_lam_init=up_lam_init)
        if up_kernel_init is not None:
            check_kernel_init(up_kernel_init, 'up_kernel_init')
        check_lam_init(up_lam_init, UP_EPS, 'up_lam_init')
        if num_out_ch != num_in_ch:
            raise ValueError(f'num_out_ch must be num_in_ch ({num_in_ch}), got {num_out_ch}')
        self.upscale = upscale
        self.steps = upscale_steps(upscale)
        block = partial(
            ConverseBlock,
            num_feat,
            kernel_size=kernel_size,
            operator=operator,
            padding=padding,
            padding_mode=padding_mode,
            kernel_init=kernel_init,
            lam_init=lam_init,
        )
        upsampler = partial(
            build_upsampler,
            num_feat,
            operator=operator,
            padding_mode=padding_mode,
            kernel_init=kernel_init if up_kernel_init is None else up_kernel_init,
            lam_init=up_lam_init,
        )
        self.conv_first = nn.Conv2d(num_in_ch, num_feat, 1)
        self.conv_body = stack(num_block, block)
        for i, step in enumerate(self.steps, 1):
            self.add_module(f'upconv{i}', block())
            self.add_module(f'up{i}', upsampler(scale=step))
        self.conv_hres = block()
        self.conv_last = nn.Conv2d(num_feat, num_out_ch, 1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Upscale ``(N, C, H, W)`` by ``upscale``."""
        feat = self.conv_body(gelu(self.conv_first(x)))
        for i in range(1, len(self.steps) + 1):
            feat = gelu(getattr(self, f'up{i}')(getattr(self, f'upconv{i}')(feat)))
        out = self.conv_last(gelu(self.conv_hres(feat)))
        return out + F.interpolate(x, scale_factor=self.upscale, mode='bilinear', align_corners=False)
