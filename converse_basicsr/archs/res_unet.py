"""ResUNet: the image prior of USRNet."""

from functools import partial
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from converse_basicsr.blocks import stack


class _ResidualBlock(nn.Module):
    """``x + conv2(relu(conv1(x)))``, 3x3 convolutions without biases."""

    def __init__(self, num_feat: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(num_feat, num_feat, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(num_feat, num_feat, 3, padding=1, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.conv2(F.relu(self.conv1(x)))


def _residual_blocks(num_feat: int, num_block: int) -> nn.Sequential:
    return stack(num_block, partial(_ResidualBlock, num_feat))


class ResUNet(nn.Module):
    """U-Net of residual blocks whose skip connections are added.

    A 3x3 convolution. Going down, per scale: ``num_block`` residual blocks and a 2x2 convolution with stride 2. At the
    bottom ``num_block`` residual blocks. Going up, per scale: addition of the skip, a 2x2 transposed convolution and
    ``num_block`` residual blocks. Then addition of the first convolution's output and a 3x3 convolution. Only the
    residual blocks have activations.

    Inputs may have any size: they are padded by replication to a multiple of ``2 ** (num_scale - 1)``, and the output
    is cropped.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output.
        num_feat: Channels at the first scale; each further scale has twice as many.
        num_block: Residual blocks per scale and direction.
        num_scale: Number of scales.

    Shape:
        - Input: ``(N, num_in_ch, H, W)``.
        - Output: ``(N, num_out_ch, H, W)``.

    Reference:
        Zhang et al., "Deep Unfolding Network for Image Super-Resolution", CVPR 2020, section 4.2.
    """

    def __init__(self, num_in_ch: int, num_out_ch: int, *, num_feat: int, num_block: int, num_scale: int = 4) -> None:
        super().__init__()
        widths = [num_feat * 2**i for i in range(num_scale)]
        self.head = nn.Conv2d(num_in_ch, num_feat, 3, padding=1, bias=False)
        self.down = nn.ModuleList(
            nn.Sequential(*_residual_blocks(a, num_block), nn.Conv2d(a, b, 2, stride=2, bias=False))
            for a, b in pairwise(widths)
        )
        self.body = _residual_blocks(widths[-1], num_block)
        self.up = nn.ModuleList(
            nn.Sequential(nn.ConvTranspose2d(b, a, 2, stride=2, bias=False), *_residual_blocks(a, num_block))
            for b, a in pairwise(reversed(widths))
        )
        self.tail = nn.Conv2d(num_feat, num_out_ch, 3, padding=1, bias=False)
        self.multiple = 2 ** (num_scale - 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Map ``(N, num_in_ch, H, W)`` to ``(N, num_out_ch, H, W)``."""
        height, width = x.shape[-2:]
        x = F.pad(x, (0, -width % self.multiple, 0, -height % self.multiple), mode='replicate')
        skips = [self.head(x)]
        for down in self.down:
            skips.append(down(skips[-1]))
        x = self.body(skips[-1])
        for up in self.up:
            x = up(x + skips.pop())
        return self.tail(x + skips.pop())[..., :height, :width]
