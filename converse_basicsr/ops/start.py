"""How reverse convolutions start: the laws of their kernels, and lam with its logit."""

import math
from collections.abc import Callable, Mapping

import torch

# lam = sigmoid(logit - LAM_LOGIT_SHIFT) + eps: a zero logit starts a layer at lam = 1.2e-4 + eps.
LAM_LOGIT_SHIFT = 9.0
# A filter's gain is at most (1 + sqrt(1 + 1 / lam)) / 2, whatever its kernel: 2.2 here, 44 from a zero logit.
RECOMMENDED_LAM_INIT = 0.1
# Norm of kernels that leave a filter of that lam nearly linear in its kernel.
SMALL_NORM = RECOMMENDED_LAM_INIT
# Standard deviation of the Gaussian under which Gabor kernels lie, pixels.
GABOR_SIGMA = 1.5

KernelLaw = Callable[[torch.Tensor], torch.Tensor]
"""Draws kernels like a tensor of them, (1, C, kh, kw)."""


def softmax(kernels: torch.Tensor) -> torch.Tensor:
    """Softmax over the taps of standard normal draws: positive kernels of sum 1, which lower all frequencies but 0."""
    return torch.randn_like(kernels).flatten(-2).softmax(-1).view_as(kernels)


def unit_normal(kernels: torch.Tensor) -> torch.Tensor:
    """Normal draws scaled to a norm of 1: kernels of any sum, so that upsamplers tell the places of a block apart."""
    return _unit(torch.randn_like(kernels))


def small_normal(kernels: torch.Tensor) -> torch.Tensor:
    """Normal draws scaled to a norm of 0.1, for a lam of 0.1.

    |K|^2 is small against lam, and the filter close to 1 + conj(K) / lam: a random convolution beside the identity.
    """
    return SMALL_NORM * unit_normal(kernels)


def gabor(kernels: torch.Tensor) -> torch.Tensor:
    """Waves under a Gaussian, of norm 1: each reverses a band of random orientation, frequency and phase.

    Outside of its band K is small against lam, and the filter does next to nothing there.
    """
    draws = torch.rand_like(kernels[..., :1, :1].expand(3, *kernels.shape[:2], 1, 1))
    angle, frequency, phase = draws[0] * math.pi, draws[1] * math.pi, draws[2] * 2 * math.pi
    rows, columns = (torch.arange(size, device=kernels.device) - size // 2 for size in kernels.shape[-2:])
    y, x = rows.view(-1, 1), columns
    wave = torch.cos(frequency * (x * angle.cos() + y * angle.sin()) + phase)
    return _unit(wave * torch.exp(-(x.square() + y.square()) / (2 * GABOR_SIGMA**2))).to(kernels.dtype)


def _unit(kernels: torch.Tensor) -> torch.Tensor:
    return kernels / kernels.square().sum((-2, -1), keepdim=True).sqrt()


KERNEL_LAWS: Mapping[str, KernelLaw] = {
    'gabor': gabor,
    'normal': torch.randn_like,
    'small_normal': small_normal,
    'softmax': softmax,
    'uniform': torch.rand_like,
    'unit_normal': unit_normal,
}
"""What ``kernel_init`` may be."""
DEFAULT_KERNEL_INIT = 'softmax'


def check_kernel_init(kernel_init: str, name: str = 'kernel_init') -> None:
    """Raise ValueError unless an argument, called ``name``, is one of ``KERNEL_LAWS``."""
    if kernel_init not in tuple(KERNEL_LAWS):  # an option file may hold a list, which no dict can look up
        raise ValueError(f'{name} must be one of {sorted(KERNEL_LAWS)}, got {kernel_init!r}')


def check_lam_init(lam_init: float | None, eps: float, name: str = 'lam_init') -> None:
    """Raise ValueError unless an initial lam, called ``name``, is None or between its bounds."""
    is_number = isinstance(lam_init, (int, float)) and not isinstance(lam_init, bool)
    if lam_init is not None and not (is_number and 0 < lam_init - eps < 1):
        raise ValueError(f'{name} must be between eps ({eps}) and 1 + eps, got {lam_init!r}')


def initial_logit(lam_init: float | None, eps: float) -> float:
    """The logit from which :func:`lam_of` makes ``lam_init``; 0 for None."""
    if lam_init is None:
        return 0.0
    probability = lam_init - eps
    return math.log(probability / (1 - probability)) + LAM_LOGIT_SHIFT


def lam_of(logit: torch.Tensor, eps: float) -> torch.Tensor:
    """Turn the learned logit into lam: ``sigmoid(logit - 9) + eps``, in float32 or better."""
    # In half precision lam, and with it the filter, would be rounded to two or three digits.
    return torch.sigmoid(logit.to(torch.promote_types(logit.dtype, torch.float32)) - LAM_LOGIT_SHIFT) + eps
