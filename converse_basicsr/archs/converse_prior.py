"""The image prior shared by ConverseNet and Converse-USRNet: a stack of Converse blocks."""

import torch
from torch import nn

from converse_basicsr.blocks import ConverseBlock
from converse_basicsr.blocks.checks import check_positive


class ConversePrior(nn.Module):
    """``num_block`` Converse blocks in a row, applied once an iteration with the same weights.

    Args:
        num_feat: Number of channels C.
        num_block: Number of blocks.
        kernel_size: Side of the kernels.
        operator: ``converse``, ``conv`` or ``convtranspose``.
        padding: Width of the border before the reverse convolutions; None for ``kernel_size - 1``.
        padding_mode: ``circular``, ``constant``, ``reflect`` or ``replicate``.
        kernel_init: Start of the reverse convolutions' kernels (see ``Converse2D``); None for its default.
        lam_init: Start of the reverse convolutions' lam; None for its default.
        alpha: Give each block its two learned gains, zero at the start.

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
        check_positive(num_feat=num_feat, num_block=num_block)
        self.m_body = nn.Sequential(
            *(
                ConverseBlock(
                    num_feat,
                    kernel_size=kernel_size,
                    operator=operator,
                    padding=padding,
                    padding_mode=padding_mode,
                    kernel_init=kernel_init,
                    lam_init=lam_init,
                    alpha=alpha,
                )
                for _ in range(num_block)
            )
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the blocks to ``(N, C, H, W)``."""
        return self.m_body(x)
