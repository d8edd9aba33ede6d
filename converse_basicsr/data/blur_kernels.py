"""Synthetic blur kernels: anisotropic Gaussians, and motion along a random trajectory."""

from collections.abc import Sequence

import numpy as np
from basicsr.data.degradations import bivariate_Gaussian
from scipy.ndimage import gaussian_filter

from converse_basicsr.data.kernel_kinds import SYNTHETIC_KINDS

# Standard deviations of Gaussian kernels, as shares of the kernel's side: from hardly any blur to one that fills it.
GAUSSIAN_SHARES = (0.05, 0.25)
# A trajectory is followed in steps of this many pixels, so that it leaves no gaps.
MOTION_STEP = 0.1
# Standard deviation of the change of direction a pixel of path, in radians: from straight lines to tight curls.
MOTION_TURNS = (0.0, 0.6)
# The finite size of the sensor's pixels, in pixels.
MOTION_SOFTNESS = 0.4


def gaussian_kernel(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw an anisotropic Gaussian: two standard deviations and an angle.

    Args:
        rng: Source of the draws.
        size: Side of the kernel, odd.

    Returns:
        The kernel, float64, (size, size), with sum 1.
    """
    sigma_x, sigma_y = rng.uniform(*GAUSSIAN_SHARES, 2) * size
    return bivariate_Gaussian(size, sigma_x, sigma_y, rng.uniform(0, np.pi), isotropic=False).astype(np.float64)


def motion_kernel(rng: np.random.Generator, size: int) -> np.ndarray:
    """Draw the trace of a camera that moves at constant speed and turns at random.

    The trajectory is a random walk of the direction; its points are spread over the four pixels around each, and the
    trace is centred on its centre of mass and softened by the pixels' size.

    Args:
        rng: Source of the draws.
        size: Side of the kernel, odd.

    Returns:
        The kernel, float64, (size, size), with sum 1.
    """
    steps = int(rng.uniform(1, size) / MOTION_STEP)
    turns = rng.normal(0, rng.uniform(*MOTION_TURNS) * np.sqrt(MOTION_STEP), steps)
    direction = rng.uniform(0, 2 * np.pi) + np.cumsum(turns)
    path = np.cumsum(MOTION_STEP * np.stack([np.sin(direction), np.cos(direction)], 1), 0)
    path += (size - 1) / 2 - path.mean(0)
    path = np.clip(path, 0, size - 1)  # a long straight trace may reach beyond the corner of a small kernel
    corner = np.minimum(np.floor(path).astype(int), size - 2)
    share = path - corner
    kernel = np.zeros((size, size))
    for row in (0, 1):
        for column in (0, 1):
            weight = np.abs(1 - row - share[:, 0]) * np.abs(1 - column - share[:, 1])
            np.add.at(kernel, (corner[:, 0] + row, corner[:, 1] + column), weight)
    kernel = gaussian_filter(kernel, MOTION_SOFTNESS, mode='constant')
    return kernel / kernel.sum()


def require_synthetic(size: int, kinds: Sequence[str]) -> None:
    """Refuse what :func:`random_kernel` cannot draw.

    Raises:
        ValueError: If ``size`` is not an odd number of at least 3, or a kind is unknown.
    """
    if size < 3 or size % 2 == 0:
        raise ValueError(f'kernel_size must be an odd number of at least 3, got {size}')
    if not kinds or set(kinds) - set(SYNTHETIC_KINDS):
        raise ValueError(f'kernel_kinds must be some of {sorted(SYNTHETIC_KINDS)}, got {list(kinds)}')


def random_kernel(rng: np.random.Generator, size: int, kinds: Sequence[str] = SYNTHETIC_KINDS) -> np.ndarray:
    """Draw a kernel of one of the given kinds, each as likely.

    Args:
        rng: Source of the draws.
        size: Side of the kernel, odd.
        kinds: Some of :data:`~converse_basicsr.data.kernel_kinds.SYNTHETIC_KINDS`.

    Returns:
        The kernel, float64, (size, size), with sum 1.

    Raises:
        ValueError: If ``size`` is not an odd number of at least 3, or a kind is unknown.
    """
    require_synthetic(size, kinds)
    make = {'gaussian': gaussian_kernel, 'motion': motion_kernel}[kinds[int(rng.integers(len(kinds)))]]
    return make(rng, size)
