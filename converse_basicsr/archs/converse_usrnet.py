"""Converse-USRNet: non-blind deblurring and super-resolution that reverses the blur in feature space."""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import nn

from converse_basicsr.archs.blur_kernel import check_kernel
from converse_basicsr.archs.converse_prior import ConversePrior
from converse_basicsr.archs.reach import Reach
from converse_basicsr.blocks.checks import check_positive
from converse_basicsr.blocks.depthwise import depthwise_conv, depthwise_conv_transpose
from converse_basicsr.blocks.gelu import gelu
from converse_basicsr.blocks.operators import check_converse_only, check_operator
from converse_basicsr.ops import converse2d
from converse_basicsr.ops.autocast import autocast_off
from converse_basicsr.ops.roles import Role
from converse_basicsr.ops.start import check_lam_init, initial_logit, lam_of

# Lower bound of lam in the data step, a hundred times that in the blocks (arXiv 2508.09824).
DATA_EPS = 1e-3


class KernelNet(nn.Module):
    """Predict kernels in feature space from the blur kernel: three fully connected layers with GELU between them.

    Args:
        kernel_size: Side k of the blur kernel and of the predicted ones.
        num_hidden: Width of the two hidden layers.
        num_kernel_feat: Number M of predicted kernels.

    Shape:
        - Input: ``(N, 1, k, k)``.
        - Output: ``(N, M, k, k)``.
    """

    def __init__(self, kernel_size: int, *, num_hidden: int, num_kernel_feat: int) -> None:
        super().__init__()
        self.shape = (num_kernel_feat, kernel_size, kernel_size)
        self.fc1 = nn.Linear(kernel_size**2, num_hidden)
        self.fc2 = nn.Linear(num_hidden, num_hidden)
        self.fc3 = nn.Linear(num_hidden, num_kernel_feat * kernel_size**2)
        # Before training it predicts the kernel that blurs nothing, whatever the blur kernel is.
        nn.init.zeros_(self.fc3.weight)
        nn.init.zeros_(self.fc3.bias)
        with torch.no_grad():
            self.fc3.bias.unflatten(0, self.shape)[:, kernel_size // 2, kernel_size // 2] = 1

    def forward(self, kernel: torch.Tensor) -> torch.Tensor:
        """Predict from ``(N, 1, k, k)``, row by row and not flipped."""
        hidden = gelu(self.fc2(gelu(self.fc1(kernel.flatten(1)))))
        return self.fc3(hidden).unflatten(1, self.shape)


@torch.no_grad()
def _init_mean(conv: nn.Conv2d) -> None:
    """Initialise a 1x1 convolution as weighted means of its inputs: random weights that sum to 1, zero bias."""
    conv.weight += (1 - conv.weight.sum(1, keepdim=True)) / conv.in_channels
    nn.init.zeros_(conv.get_parameter('bias'))


class ConverseDataStep(nn.Module):
    """Reverse convolution with given kernels and one learned lam per channel, without a border.

    The parameter ``alpha`` is the logit of lam: ``lam = sigmoid(alpha - 9) + 1e-3``.

    Args:
        num_feat: Number of channels C.
        lam_init: Initial lam, above 1e-3; None for that of a zero ``alpha``.

    Shape:
        - Input: ``(N, C, H, W)`` with kernels ``(N or 1, C, k, k)``.
        - Output: ``(N, C, scale * H, scale * W)``.
    """

    roles: ClassVar[dict[Role, str]] = {'lam': 'alpha'}

    def __init__(self, num_feat: int, *, lam_init: float | None = None) -> None:
        super().__init__()
        check_lam_init(lam_init, DATA_EPS)
        self.alpha = nn.Parameter(torch.full((1, num_feat, 1, 1), initial_logit(lam_init, DATA_EPS)))

    def forward(self, x: torch.Tensor, kernel: torch.Tensor, scale: int) -> torch.Tensor:
        """Reverse ``(N, C, H, W)``."""
        return converse2d(x, kernel, self.lam, scale)

    @property
    def lam(self) -> torch.Tensor:
        """The regularisation weight, ``(1, C, 1, 1)``."""
        return lam_of(self.alpha, DATA_EPS)


class DepthwiseDataStep(nn.Module):
    """The data step of Conv-USRNet: a depthwise convolution with given kernels, circular, without parameters.

    The paper does not describe it. Here it is nearest-neighbour upsampling (where scale is above 1) and a convolution,
    or a transposed convolution with the scale as its stride.

    Args:
        transposed: Whether to use the transposed convolution.

    Shape:
        - Input: ``(N, C, H, W)`` with kernels ``(N or 1, C, k, k)``.
        - Output: ``(N, C, scale * H, scale * W)``.
    """

    def __init__(self, *, transposed: bool) -> None:
        super().__init__()
        self.transposed = transposed

    def forward(self, x: torch.Tensor, kernel: torch.Tensor, scale: int) -> torch.Tensor:
        """Convolve ``(N, C, H, W)``."""
        n, c = x.shape[:2]
        weight = kernel.expand(n, -1, -1, -1).reshape(n * c, 1, *kernel.shape[-2:])
        x = x.reshape(1, n * c, *x.shape[-2:])
        if self.transposed:
            y = depthwise_conv_transpose(x, weight, None, scale, 'circular')
        else:
            if scale > 1:
                x = F.interpolate(x, scale_factor=scale, mode='nearest')
            y = depthwise_conv(x, weight, None, 'circular')
        return y.reshape(n, c, *y.shape[-2:])


class ConverseUSRNet(nn.Module):
    """Unfolding network in feature space; Conv- and ConvT-USRNet by ``operator``.

    A 1x1 convolution maps the image to ``num_feat`` channels. Each iteration then reverses the blur with kernels of its
    own and applies the prior, whose weights all iterations share. For the kernels, ``kernelnet`` predicts
    ``num_kernel_feat`` of them from the blur kernel, and a 1x1 convolution per iteration mixes these into one per
    channel. A last 1x1 convolution maps the features to the image. Only the first iteration upsamples by the scale.

    At the start all predicted kernels are the one that blurs nothing, and the blocks' gains are zero. So nothing is
    reversed, and training does not have to undo first what random kernels did.

    Convention: the blur kernel's centre is tap ``(k // 2, k // 2)``, the blur a true convolution with it; the kernel
    sums to 1 and is not flipped.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output.
        num_feat: Channels C of the features (2C inside the blocks).
        num_block: Blocks in the prior.
        num_iter: Number of iterations.
        kernel_size: Side of the kernels in the blocks.
        blur_kernel_size: Side of the blur kernels.
        num_kernel_feat: Number of kernels that ``kernelnet`` predicts.
        num_hidden: Width of the hidden layers of ``kernelnet``.
        operator: ``converse``, ``conv`` or ``convtranspose``, in the blocks and in the data step.
        padding: Width of the border that the blocks' reverse convolutions add; None for ``kernel_size - 1``.
        padding_mode: Border of the blocks: ``circular``, ``constant``, ``reflect`` or ``replicate``.
        kernel_init: Initialisation of the blocks' kernels (see ``Converse2D``); None for its default.
        lam_init: Initial lam of the blocks; None for its default.
        data_lam_init: Initial lam of the data step, above 1e-3; None for that of a zero logit, about 1.1e-3. The data
            step starts as the identity whatever it is. It limits how much the features' noise can be amplified where
            the kernels lose a frequency: to about ``1 / (2 sqrt(lam))``.

    Shape:
        - Input: x ``(N, num_in_ch, H, W)``, RGB in [0, 1]; kernel ``(N or 1, 1, k, k)``.
        - Output: ``(N, num_out_ch, scale * H, scale * W)``.

    Raises:
        ValueError: If an argument is out of range or has no effect on the operator.

    Reference:
        arXiv 2508.09824, Converse-USRNet.

    Example:
        >>> net = ConverseUSRNet(num_feat=8, num_block=2, num_iter=2)
        >>> kernel = torch.full((1, 1, 7, 7), 1 / 49)
        >>> net(torch.rand(2, 3, 12, 10), kernel, scale=2).shape
        torch.Size([2, 3, 24, 20])
    """

    reach = Reach(overlap=96, border=32, spans_image=True)

    def __init__(
        self,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        *,
        num_feat: int = 64,
        num_block: int = 7,
        num_iter: int = 5,
        kernel_size: int = 3,
        blur_kernel_size: int = 7,
        num_kernel_feat: int = 16,
        num_hidden: int = 64,
        operator: str = 'converse',
        padding: int | None = None,
        padding_mode: str = 'circular',
        kernel_init: str | None = None,
        lam_init: float | None = None,
        data_lam_init: float | None = None,
    ) -> None:
        super().__init__()
        check_positive(
            num_in_ch=num_in_ch,
            num_out_ch=num_out_ch,
            num_feat=num_feat,
            num_iter=num_iter,
            blur_kernel_size=blur_kernel_size,
            num_kernel_feat=num_kernel_feat,
            num_hidden=num_hidden,
        )
        check_operator(operator)
        check_converse_only(operator, data_lam_init=data_lam_init)
        check_lam_init(data_lam_init, DATA_EPS, 'data_lam_init')
        self.blur_kernel_size = blur_kernel_size
        self.kernelnet = KernelNet(blur_kernel_size, num_hidden=num_hidden, num_kernel_feat=num_kernel_feat)
        convs = [nn.Conv2d(num_kernel_feat, num_feat, 1) for _ in range(num_iter)]
        for conv in convs:
            _init_mean(conv)
        self.convs = nn.ModuleList(convs)
        self.conv1 = nn.Conv2d(num_in_ch, num_feat, 1)
        self.d = (
            ConverseDataStep(num_feat, lam_init=data_lam_init)
            if operator == 'converse'
            else DepthwiseDataStep(transposed=operator == 'convtranspose')
        )
        self.p = ConversePrior(
            num_feat,
            num_block=num_block,
            kernel_size=kernel_size,
            operator=operator,
            padding=padding,
            padding_mode=padding_mode,
            kernel_init=kernel_init,
            lam_init=lam_init,
            alpha=True,
        )
        self.conv2 = nn.Conv2d(num_feat, num_out_ch, 1)

    def forward(self, x: torch.Tensor, kernel: torch.Tensor, scale: int = 1) -> torch.Tensor:
        """Undo blur and decimation.

        Args:
            x: Degraded images ``(N, num_in_ch, H, W)``.
            kernel: Blur kernels ``(N, 1, k, k)``, or one for all, ``(1, 1, k, k)``.
            scale: Decimation factor, 1 for deblurring.

        Returns:
            Restored images ``(N, num_out_ch, scale * H, scale * W)``.

        Raises:
            ValueError: If the kernel's shape or the scale does not fit.
        """
        check_positive(scale=scale)
        check_kernel(kernel, x.shape[0], self.blur_kernel_size)
        # A few thousand numbers decide what is reversed everywhere: full precision costs little, under autocast too.
        with autocast_off(x.device.type):
            kernels = self.kernelnet(kernel.to(self.kernelnet.fc1.weight.dtype))
            kernels = [conv(kernels) for conv in self.convs]
        feat = self.conv1(x)
        for i, kernel_i in enumerate(kernels):
            feat = self.p(self.d(feat, kernel_i, scale if i == 0 else 1))
        return self.conv2(feat)
