"""ConverseNet: blind deblurring by one recurrent stack of Converse blocks."""

import torch
from torch import nn

from converse_basicsr.archs.converse_prior import ConversePrior
from converse_basicsr.archs.reach import Reach
from converse_basicsr.blocks.checks import check_positive


class ConverseNet(nn.Module):
    """A 1x1 convolution, one stack of blocks applied ``num_iter`` times, a 1x1 convolution; ConvNet by ``operator``.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output.
        num_feat: Channels C of the features (2C inside the blocks).
        num_block: Blocks in the stack.
        num_iter: How many times the stack is applied; more add no parameters.
        kernel_size: Side of the kernels in the blocks.
        operator: ``converse``, ``conv`` or ``convtranspose``.
        padding: Width of the border that the reverse convolutions add; None for ``kernel_size - 1``.
        padding_mode: ``circular``, ``constant``, ``reflect`` or ``replicate``.
        kernel_init: Initialisation of the reverse convolutions' kernels (see ``Converse2D``); None for its default.
        lam_init: Initial lam of the reverse convolutions; None for its default.

    Shape:
        - Input: ``(N, num_in_ch, H, W)``, RGB in [0, 1].
        - Output: ``(N, num_out_ch, H, W)``.

    Raises:
        ValueError: If an argument is out of range or has no effect on the operator.

    Reference:
        arXiv 2508.09824, ConverseNet.

    Example:
        >>> ConverseNet(num_block=2, num_feat=8, num_iter=2)(torch.rand(1, 3, 13, 10)).shape
        torch.Size([1, 3, 13, 10])
    """

    # Every pixel depends noticeably on every other, so the fewer tiles the better.
    reach = Reach(tile=752, overlap=96, spans_image=True)

    def __init__(
        self,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        *,
        num_feat: int = 64,
        num_block: int = 7,
        num_iter: int = 5,
        kernel_size: int = 3,
        operator: str = 'converse',
        padding: int | None = None,
        padding_mode: str = 'circular',
        kernel_init: str | None = None,
        lam_init: float | None = None,
    ) -> None:
        super().__init__()
        check_positive(num_in_ch=num_in_ch, num_out_ch=num_out_ch, num_feat=num_feat, num_iter=num_iter)
        self.num_iter = num_iter
        self.conv1 = nn.Conv2d(num_in_ch, num_feat, 1)
        self.p = ConversePrior(
            num_feat,
            num_block=num_block,
            kernel_size=kernel_size,
            operator=operator,
            padding=padding,
            padding_mode=padding_mode,
            kernel_init=kernel_init,
            lam_init=lam_init,
        )
        self.conv2 = nn.Conv2d(num_feat, num_out_ch, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Deblur ``(N, num_in_ch, H, W)``."""
        feat = self.conv1(x)
        for _ in range(self.num_iter):
            feat = self.p(feat)
        return self.conv2(feat)
