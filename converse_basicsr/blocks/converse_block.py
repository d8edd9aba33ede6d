"""The Converse block: an operator between two 1x1 convolutions, then a 1x1 feed-forward half."""

import torch
from torch import nn

from converse_basicsr.blocks.gelu import GELU
from converse_basicsr.blocks.layernorm import LayerNorm2d
from converse_basicsr.blocks.operators import build_operator


class ConverseBlock(nn.Module):
    r"""Residual block of two halves, C channels outside and 2C inside.

    .. math::
        x &\leftarrow x + \alpha_1 \, W_2\, \mathrm{gelu}(R(\mathrm{gelu}(W_1 \mathrm{LN}(x)))) \\
        x &\leftarrow x + \alpha_2 \, V_2\, \mathrm{gelu}(V_1 \mathrm{LN}(x))

    with R the operator (the reverse convolution or one of its twins) and W, V 1x1 convolutions; without ``alpha``,
    :math:`\alpha_1 = \alpha_2 = 1`.

    Args:
        num_feat: Number of channels C.
        kernel_size: Side of the operator's kernels.
        operator: ``converse``, ``conv`` or ``convtranspose``.
        padding: Width of the border that the reverse convolution adds to the map; None for ``kernel_size - 1``.
        padding_mode: ``circular``, ``constant``, ``reflect`` or ``replicate``.
        kernel_init: Initialisation of the reverse convolution's kernels (see ``Converse2D``); None for its default.
        lam_init: Initial lam of the reverse convolution; None for its default.
        alpha: Multiply each half by one learned gain per channel, zero at the start (the block then starts as the
            identity).

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: ``(N, C, H, W)``.

    Raises:
        ValueError: If an argument is out of range or has no effect on the operator.

    Reference:
        arXiv 2508.09824, the Converse block.

    Example:
        >>> ConverseBlock(16, kernel_size=3)(torch.rand(2, 16, 9, 7)).shape
        torch.Size([2, 16, 9, 7])
    """

    def __init__(
        self,
        num_feat: int,
        *,
        kernel_size: int = 5,
        operator: str = 'converse',
        padding: int | None = None,
        padding_mode: str = 'circular',
        kernel_init: str | None = None,
        lam_init: float | None = None,
        alpha: bool = False,
    ) -> None:
        super().__init__()
        # The positions in the two Sequentials are part of the keys of the released checkpoints.
        self.conv1 = nn.Sequential(
            LayerNorm2d(num_feat),
            nn.Conv2d(num_feat, 2 * num_feat, 1),
            GELU(),
            build_operator(
                operator,
                2 * num_feat,
                kernel_size,
                padding=padding,
                padding_mode=padding_mode,
                kernel_init=kernel_init,
                lam_init=lam_init,
            ),
            GELU(),
            nn.Conv2d(2 * num_feat, num_feat, 1),
        )
        self.conv2 = nn.Sequential(
            LayerNorm2d(num_feat),
            nn.Conv2d(num_feat, 2 * num_feat, 1),
            GELU(),
            nn.Conv2d(2 * num_feat, num_feat, 1),
        )
        self.alpha1 = nn.Parameter(torch.zeros(1, num_feat, 1, 1)) if alpha else None
        self.alpha2 = nn.Parameter(torch.zeros(1, num_feat, 1, 1)) if alpha else None

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply both halves to ``(N, C, H, W)``."""
        if self.alpha1 is None or self.alpha2 is None:
            x = x + self.conv1(x)
            return x + self.conv2(x)
        x = torch.addcmul(x, self.alpha1, self.conv1(x))
        return torch.addcmul(x, self.alpha2, self.conv2(x))
