r"""The linear filter that each channel of a reverse convolution is: its response, its gains, how far it reaches.

On a grid of N x N samples, without padding, a channel is a linear operator that commutes with circular shifts, so that
its response h to one sample (sN x sN pixels) says all about it. With H_p the DFTs of the s^2 polyphase components of h,

.. math:: g(\omega)^2 = \sum_p |H_p(\omega)|^2 / s^2, \qquad rms = \|h\| / s, \qquad peak = \max_\omega g(\omega)

White noise of RMS 1 comes out with the RMS ``rms``, which is the quadratic mean of g (Parseval), and no map comes out
with more than ``peak`` times its RMS: s g(omega) are the singular values of the operator. The division by s makes
nearest-neighbour upsampling, which repeats every sample s^2 times, a filter of gain 1.
"""

from dataclasses import dataclass

import torch

from converse_basicsr.ops import converse2d

GRID = 40
"""Side N of the grid: about that of the patches that networks are trained on."""

DEAD = 0.01
"""A channel below this rms gain is dead: it adds less than a hundredth of what any other layer would pass on."""

IDLE = 0.01
"""A response within this relative distance of a multiple of nearest-neighbour upsampling is idle: it only scales."""

SHARES = (0.5, 0.9, 0.99)
"""Shares of a response's energy whose reach is measured: responses have long tails, and the last share is often as wide
as the grid, where the first two still tell filters apart."""

_MOST_PIXELS = 2**23
"""Pixels of the responses that are measured at once."""


@dataclass(frozen=True)
class Filters:
    """The filters of C channels.

    Attributes:
        kernel: The kernels, (C, kh, kw).
        rms: RMS of the output for white noise of RMS 1, (C,).
        peak: Largest gain of any input, the largest singular value of the operator divided by s, (C,).
        reach: Sides in output pixels of the smallest squares around the block of a sample that hold 50, 90 and 99% of
            its response's energy, (C, 3); at most that of the grid.
        dead: Channels that pass nothing on, (C,), bool.
        idle: Channels that do no more than scale, bool; at scales above 1, than scaled nearest-neighbour upsampling.
    """

    kernel: torch.Tensor
    rms: torch.Tensor
    peak: torch.Tensor
    reach: torch.Tensor
    dead: torch.Tensor
    idle: torch.Tensor


@torch.no_grad()
def measure(kernel: torch.Tensor, lam: torch.Tensor, scale: int = 1, grid: int = GRID) -> Filters:
    """Measure the filters of C channels, in float64.

    Args:
        kernel: The kernels, (C, kh, kw).
        lam: Regularisation weights, (C,).
        scale: Upsampling factor.
        grid: Side of the grid, in samples.

    Example:
        >>> blur = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]])[None] / 16
        >>> measure(blur, torch.tensor([0.01])).peak  # at most about 1 / (2 sqrt(lam)) + 1 / 2
        tensor([5.5249], dtype=torch.float64)
    """
    step = max(1, _MOST_PIXELS // (scale * grid) ** 2)
    parts = []
    for kernels, lams in zip(kernel.split(step), lam.split(step)):
        h = response(kernels, lams, scale, grid)
        energy = h.square().sum((-2, -1))
        start = scale * (grid // 2)
        # What is left of h after its projection onto a block of ones, which has the energy s^2.
        block = h[:, start : start + scale, start : start + scale].sum((-2, -1))
        rest = energy - (block / scale).square()
        rms = energy.sqrt() / scale
        dead = rms < DEAD
        idle = (rest <= IDLE**2 * energy) & ~dead
        parts.append((rms, gain(h, scale).amax((-2, -1)), reach(h, scale), dead, idle))
    return Filters(kernel, *map(torch.cat, zip(*parts)))


@torch.no_grad()
def response(kernel: torch.Tensor, lam: torch.Tensor, scale: int = 1, grid: int = GRID) -> torch.Tensor:
    """Return the response h to one sample in the middle of the grid, sample (N // 2, N // 2).

    Shape:
        kernel (C, kh, kw), lam (C,) -> (C, scale * N, scale * N), float64
    """
    x = torch.zeros(1, len(kernel), grid, grid, dtype=torch.float64, device=kernel.device)
    x[..., grid // 2, grid // 2] = 1
    return converse2d(x, kernel.double()[None], lam.double().view(1, -1, 1, 1), scale)[0]


def gain(h: torch.Tensor, scale: int = 1) -> torch.Tensor:
    """Return the gain g of each frequency of the input, from the response.

    It is the RMS of the output for a wave of RMS 1: ``peak`` is its largest value, ``rms`` its quadratic mean.

    Shape:
        (C, scale * N, scale * N) -> (C, N, N), frequency zero at (0, 0)
    """
    phases = h.unflatten(-1, (-1, scale)).unflatten(-3, (-1, scale))  # (C, N, s, N, s)
    return torch.fft.fft2(phases, dim=(1, 3)).abs().square().sum((2, 4)).sqrt() / scale


def reach(h: torch.Tensor, scale: int = 1) -> torch.Tensor:
    """Return the sides of the smallest squares that hold the :data:`SHARES` of the energy: that of a block, plus 2 n.

    Shape:
        (C, scale * N, scale * N) -> (C, 3)
    """
    side = h.shape[-1]
    offset = (torch.arange(side, device=h.device) - scale * (side // scale // 2)) % side
    away = torch.minimum((offset - scale + 1).clamp(min=0), side - offset)
    ring = torch.maximum(away[:, None], away).flatten()
    rings = h.new_zeros(len(h), side).index_add(1, ring, h.square().flatten(1)).cumsum(1)
    firsts = [(rings >= share * rings[:, -1:]).int().argmax(1) for share in SHARES]
    return (scale + 2 * torch.stack(firsts, 1)).clamp(max=side)
