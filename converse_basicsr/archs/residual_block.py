"""The residual block of SRResNet without normalisation."""

import torch
import torch.nn.functional as F
from torch import nn

# Residual branches start with a tenth of He's variance-preserving weights: ESRGAN (Wang et al., 2018), section 3.1.
RESIDUAL_INIT_SCALE = 0.1


def init_residual_conv(conv: nn.Conv2d) -> nn.Conv2d:
    """Initialise a convolution: ``RESIDUAL_INIT_SCALE`` times He's normal weights, zero bias; and return it."""
    nn.init.kaiming_normal_(conv.weight)
    with torch.no_grad():
        conv.weight.mul_(RESIDUAL_INIT_SCALE)
    nn.init.zeros_(conv.get_parameter('bias'))
    return conv


class ResidualBlock(nn.Module):
    """``x + conv2(relu(conv1(x)))`` with 3x3 convolutions; it has the keys of BasicSR's ``ResidualBlockNoBN``.

    Args:
        num_feat: Number of channels C.

    Shape:
        - Input: ``(N, C, H, W)``.
        - Output: ``(N, C, H, W)``.
    """

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.conv1 = init_residual_conv(nn.Conv2d(num_feat, num_feat, 3, padding=1))
        self.conv2 = init_residual_conv(nn.Conv2d(num_feat, num_feat, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Apply the block to ``(N, C, H, W)``."""
        return x + self.conv2(F.relu(self.conv1(x)))
