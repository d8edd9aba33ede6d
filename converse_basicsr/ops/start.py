"""How reverse convolutions start: the laws of their kernels, and lam with its logit."""

import math
from collections.abc import Callable, Mapping

import torch

# lam = sigmoid(logit - LAM_LOGIT_SHIFT) + eps: a zero logit starts a layer at lam = 1.2e-4 + eps.
LAM_LOGIT_SHIFT = 9.0
# From here a filter's gain is at most about 2 (1 / (2 sqrt(lam)) + 1 / 2); from a zero logit it is above 40.
RECOMMENDED_LAM_INIT = 0.1

KernelLaw = Callable[[torch.Tensor], torch.Tensor]
"""Draws kernels like a tensor of them, (1, C, kh, kw)."""


def softmax(kernels: torch.Tensor) -> torch.Tensor:
    """Softmax over the taps of standard normal draws: positive kernels of sum 1, which lower all frequencies but 0."""
    return torch.randn_like(kernels).flatten(-2).softmax(-1).view_as(kernels)


def unit_normal(kernels: torch.Tensor) -> torch.Tensor:
    """Normal draws scaled to a norm of 1: kernels of any sum, so that upsamplers tell the places of a block apart."""
    draws = torch.randn_like(kernels)
    return draws / draws.square().sum((-2, -1), keepdim=True).sqrt()


KERNEL_LAWS: Mapping[str, KernelLaw] = {
    'normal': torch.randn_like,
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
