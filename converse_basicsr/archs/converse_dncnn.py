"""Converse-DnCNN: Gaussian denoising by a plain stack of Converse blocks."""

from functools import partial

import torch
from torch import nn

from converse_basicsr.archs.reach import Reach
from converse_basicsr.blocks import ConverseBlock, stack
from converse_basicsr.blocks.checks import check_positive


class ConverseDnCNN(nn.Module):
    """A 1x1 convolution, ``num_block`` Converse blocks, a 1x1 convolution; Conv- and ConvT-DnCNN by ``operator``.

    The output is the clean image itself: unlike DnCNN the network has no global skip.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output.
        num_feat: Channels C of the features (2C inside the blocks).
        num_block: Number of blocks.
        kernel_size: Side of the kernels; 5 in the paper's table, 7 in the released weights.
        operator: ``converse``, ``conv`` or ``convtranspose``.
        padding: Width of the border that the reverse convolutions add; None for ``kernel_size - 1``.
        padding_mode: ``circular``, ``constant``, ``reflect`` or ``replicate``.
        kernel_init: Initialisation of the reverse convolutions' kernels (see ``Converse2D``); None for its default.
        lam_init: Initial lam of the reverse convolutions; None for its default.

    Shape:
        - Input: ``(N, num_in_ch, H, W)`` in [0, 1].
        - Output: ``(N, num_out_ch, H, W)``.

    Raises:
        ValueError: If an argument is out of range or has no effect on the operator.

    Reference:
        arXiv 2508.09824, Converse-DnCNN.

    Example:
        >>> ConverseDnCNN(num_block=2, num_feat=8)(torch.rand(1, 1, 13, 10)).shape
        torch.Size([1, 1, 13, 10])
    """

    reach = Reach(spans_image=True)

    def __init__(
        self,
        num_in_ch: int = 1,
        num_out_ch: int = 1,
        *,
        num_feat: int = 64,
        num_block: int = 20,
        kernel_size: int = 5,
        operator: str = 'converse',
        padding: int | None = None,
        padding_mode: str = 'circular',
        kernel_init: str | None = None,
        lam_init: float | None = None,
    ) -> None:
        super().__init__()
        check_positive(num_in_ch=num_in_ch, num_out_ch=num_out_ch, num_feat=num_feat)
        self.m_head = nn.Sequential(nn.Conv2d(num_in_ch, num_feat, 1))
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
        self.m_body = stack(num_block, block)
        self.m_tail = nn.Sequential(nn.Conv2d(num_feat, num_out_ch, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Denoise ``(N, num_in_ch, H, W)``."""
        return self.m_tail(self.m_body(self.m_head(x)))
