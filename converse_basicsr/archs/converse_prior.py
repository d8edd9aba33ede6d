"""The image prior shared by ConverseNet and Converse-USRNet: a stack of Converse blocks."""

from functools import partial

import torch
from torch import nn

from converse_basicsr.blocks import ConverseBlock, stack


class ConversePrior(nn.Module):
    """``num_block`` Converse blocks in a row; every iteration of a network applies them with the same weights.

    Args:
        num_feat: Number of channels C.
        num_block: Number of blocks.
        kernel_size: Side of the kernels.
        operator: ``converse``, ``conv`` or ``convtranspose``.
        padding: Width of the border that the reverse convolutions add; None for ``kernel_size - 1``.
        padding_mode: ``circular``, ``constant``, ``reflect`` or ``replicate``.
        kernel_init: Initialisation of the reverse convolutions' kernels (see ``Converse2D``); None for its default.
        lam_init: Initial lam of the reverse convolutions; None for its default.
        alpha: Give each half of a block a learned gain per channel, zero at the start.

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: ``(N, C, H, W)``.

    Raises:
        ValueError: If an argument is out of range or has no effect on the operator.
    """

    def __init__(
        self,
        num_feat: int,
        *,
        num_block: int,
        kernel_size: int,
        operator: str = 'converse',
        padding: int | None = None,
        padding_mode: str = 'circular',
        kernel_init: str | None = None,
        lam_init: float | None = None,
        alpha: bool = False,
    ) -> None:
        super().__init__()
        block = partial(
            ConverseBlock,
            num_feat,
            kernel_size=kernel_size,
            operator=operator,
            padding=padding,
            padding_mode=padding_mode,
            kernel_init=kernel_init,
            lam_init=lam_init,
            alpha=alpha,
        )
        self.m_body = stack(num_block, block)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the blocks to ``(N, C, H, W)``."""
        return self.m_body(x)
