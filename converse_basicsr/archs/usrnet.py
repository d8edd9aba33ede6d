"""USRNet: the deep unfolding network in image space that Converse-USRNet follows in feature space."""

import torch
import torch.nn.functional as F
from torch import nn

from converse_basicsr.archs.blur_kernel import check_kernel
from converse_basicsr.archs.reach import Reach
from converse_basicsr.archs.res_unet import ResUNet
from converse_basicsr.blocks.checks import check_positive
from converse_basicsr.ops import converse2d
from converse_basicsr.ops.autocast import autocast_off

# Added to the predicted hyper-parameters, so that the data step does not divide by zero.
HYPER_MIN = 1e-6


class HyperNet(nn.Module):
    """Predict the penalty and the noise level of every iteration from the noise level and the scale.

    Three fully connected layers, ReLU after the first two and softplus after the last.

    Args:
        num_iter: Number K of iterations.
        num_hidden: Width of the two hidden layers.

    Shape:
        - Input: ``(N, 2)``, sigma and scale.
        - Output: ``(2, K, N, 1, 1, 1)``, alpha (the data step's) and beta (the prior's), positive.
    """

    def __init__(self, num_iter: int, *, num_hidden: int) -> None:
        super().__init__()
        self.num_iter = num_iter
        self.mlp = nn.Sequential(
            nn.Linear(2, num_hidden),
            nn.ReLU(inplace=True),
            nn.Linear(num_hidden, num_hidden),
            nn.ReLU(inplace=True),
            nn.Linear(num_hidden, 2 * num_iter),
        )

    def forward(self, degradation: torch.Tensor) -> torch.Tensor:
        """Predict from ``(N, 2)``."""
        hyper = F.softplus(self.mlp(degradation)) + HYPER_MIN
        return hyper.T.reshape(2, self.num_iter, -1, 1, 1, 1)


class USRNet(nn.Module):
    r"""Half-quadratic splitting unrolled: a data step in closed form, then a learned prior, ``num_iter`` times.

    .. math::
        z_i &= \arg\min_z \|y - (z \otimes k)\downarrow_s\|^2 + \alpha_i \|z - x_{i-1}\|^2 \\
        x_i &= \mathrm{ResUNet}(z_i, \beta_i)

    from :math:`x_0`, the nearest-neighbour upsampling of y; the penalties :math:`\alpha_i` and the prior's noise levels
    :math:`\beta_i` come from the hyper-parameter network, and all iterations share one prior. The data step is
    ``converse2d`` with the prior's output as its ``x0``.

    Convention: circular boundary, decimation keeps every s-th sample from 0, the kernel's centre is tap
    ``(kh // 2, kw // 2)``; the kernel sums to 1 and is not flipped.

    Args:
        num_in_ch: Channels of the input.
        num_out_ch: Channels of the output; equal to ``num_in_ch``, since every iteration compares the two.
        num_feat: Channels at the first of the prior's four scales; each further scale has twice as many.
        num_block: Residual blocks per scale and direction.
        num_iter: Number of iterations.
        num_hidden: Width of the hyper-parameter network.

    Shape:
        - Input: x ``(N, num_in_ch, H, W)``, RGB in [0, 1]; kernel ``(N or 1, 1, kh, kw)``.
        - Output: ``(N, num_out_ch, scale * H, scale * W)``.

    Raises:
        ValueError: If an argument is out of range.

    Reference:
        Zhang et al., "Deep Unfolding Network for Image Super-Resolution", CVPR 2020.

    Example:
        >>> net = USRNet(num_feat=4, num_block=1, num_iter=2)
        >>> net(torch.rand(2, 3, 9, 7), torch.full((1, 1, 5, 5), 1 / 25), scale=2, sigma=0.01).shape
        torch.Size([2, 3, 18, 14])
    """

    reach = Reach(overlap=96, border=32, spans_image=True)

    def __init__(
        self,
        num_in_ch: int = 3,
        num_out_ch: int = 3,
        *,
        num_feat: int = 64,
        num_block: int = 2,
        num_iter: int = 8,
        num_hidden: int = 64,
    ) -> None:
        super().__init__()
        if num_out_ch != num_in_ch:
            raise ValueError(f'num_out_ch must be num_in_ch ({num_in_ch}), got {num_out_ch}')
        check_positive(
            num_in_ch=num_in_ch, num_feat=num_feat, num_block=num_block, num_iter=num_iter, num_hidden=num_hidden
        )
        self.h = HyperNet(num_iter, num_hidden=num_hidden)
        # The prior's noise level enters as one more channel.
        self.p = ResUNet(num_in_ch + 1, num_out_ch, num_feat=num_feat, num_block=num_block)

    def forward(
        self, x: torch.Tensor, kernel: torch.Tensor, scale: int = 1, sigma: float | torch.Tensor = 0.0
    ) -> torch.Tensor:
        """Undo blur and decimation of noisy images.

        Args:
            x: Degraded images ``(N, num_in_ch, H, W)``.
            kernel: Blur kernels ``(N, 1, kh, kw)``, or one for all, ``(1, 1, kh, kw)``.
            scale: Decimation factor, 1 for deblurring.
            sigma: Standard deviation of the noise for the value range [0, 1]: one number, or one per sample (any shape
                of 1 or N elements).

        Returns:
            Restored images ``(N, num_out_ch, scale * H, scale * W)``.

        Raises:
            ValueError: If the shape of the kernel or sigma, or the scale, does not fit.
        """
        check_positive(scale=scale)
        check_kernel(kernel, x.shape[0])
        alphas, betas = self.predict_hyper(x, scale, sigma)
        estimate = F.interpolate(x, scale_factor=scale, mode='nearest')
        for alpha, beta in zip(alphas, betas):
            estimate = converse2d(x, kernel, alpha, scale, x0=estimate.to(x.dtype))
            noise_level = beta.to(estimate.dtype).expand(estimate.shape[0], 1, *estimate.shape[-2:])
            estimate = self.p(torch.cat((estimate, noise_level), dim=1))
        return estimate

    def predict_hyper(self, x: torch.Tensor, scale: int, sigma: float | torch.Tensor) -> torch.Tensor:
        """Predict the hyper-parameters of a batch, (2, K, N, 1, 1, 1), in the parameters' dtype also under autocast."""
        weight = self.h.get_parameter('mlp.0.weight')
        sigma = torch.as_tensor(sigma, dtype=weight.dtype, device=weight.device).flatten()
        if sigma.numel() not in (1, x.shape[0]):
            raise ValueError(f'sigma must be one number or one per sample ({x.shape[0]}), got {sigma.numel()}')
        sigma = sigma.expand(x.shape[0])
        with autocast_off(x.device.type):
            return self.h(torch.stack((sigma, torch.full_like(sigma, scale)), dim=1))
