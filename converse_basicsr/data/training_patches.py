"""Crop, flip and convert to tensors the images that are degraded when they are read."""

import random

import numpy as np
import torch
from basicsr.data.transforms import augment

# The published tables draw the noise with NumPy's legacy generator, seeded with this before every image.
TABLE_SEED = 0


def random_patch(image: np.ndarray, size: int, name: str, *, use_hflip: bool, use_rot: bool) -> np.ndarray:
    """Cut a random square and flip or rotate it at random (by Python's ``random``, as BasicSR's transforms do).

    Args:
        image: The image, (H, W, C).
        size: Side of the square in pixels.
        name: The image's name, for the error.
        use_hflip: Flip horizontally half of the time.
        use_rot: Flip vertically and transpose, each half of the time.

    Returns:
        The square, (size, size, C).

    Raises:
        ValueError: If the image is smaller than the square.
    """
    top, left = random_corner(image, size, name)
    patch = np.ascontiguousarray(image[top : top + size, left : left + size])
    return np.ascontiguousarray(augment(patch, use_hflip, use_rot).reshape(size, size, -1))


def random_corner(image: np.ndarray, size: int, name: str, step: int = 1) -> tuple[int, int]:
    """Draw the top left corner of a square inside an image.

    Args:
        image: The image, (H, W, C).
        size: Side of the square in pixels.
        name: The image's name, for the error.
        step: The coordinates are multiples of this.

    Returns:
        The row and the column of the corner.

    Raises:
        ValueError: If the image is smaller than the square.
    """
    height, width = image.shape[:2]
    if min(height, width) < size:
        raise ValueError(
            f'gt_size must be at most the size of every image, got {size} for {name} of {height} x {width}'
        )
    return step * random.randint(0, (height - size) // step), step * random.randint(0, (width - size) // step)


def crop_to_multiple(image: np.ndarray, multiple: int) -> np.ndarray:
    """Crop an image, (H, W, C), at the right and the bottom to multiples of ``multiple``."""
    height, width = (size - size % multiple for size in image.shape[:2])
    return image[:height, :width]


def noise_generator(phase: str) -> np.random.Generator | np.random.RandomState:
    """Return the generator that an image's degradation is drawn from.

    Args:
        phase: For ``train`` that of :func:`training_generator`; for all others that of the published tables, in the
            same state for every image.
    """
    return training_generator() if phase == 'train' else np.random.RandomState(TABLE_SEED)


def training_generator() -> np.random.Generator:
    """Return a new generator, seeded from torch's, which is itself seeded for each sample.

    See :class:`~converse_basicsr.data.sample_seed.SeededDataset`.
    """
    return np.random.default_rng(int(torch.randint(2**62, ())))


def to_tensor(image: np.ndarray) -> torch.Tensor:
    """Convert an image, (H, W, C), uint8 or float in [0, 1], to a float32 tensor (C, H, W) in [0, 1]."""
    if image.dtype == np.uint8:
        image = image.astype(np.float32) / 255
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))
