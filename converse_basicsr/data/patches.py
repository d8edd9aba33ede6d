"""Crops, flips and tensors of images that are degraded when they are read."""

import random

import numpy as np
import torch
from basicsr.data.transforms import augment

# Seed of the noise before every image: the published tables draw it with NumPy's legacy generator, seeded anew by 0.
TABLE_SEED = 0


def random_patch(image: np.ndarray, size: int, name: str, *, use_hflip: bool, use_rot: bool) -> np.ndarray:
    """Cut a random square and flip or rotate it at random (Python's ``random``, as BasicSR's transforms).

    Args:
        image: The image, (H, W, C).
        size: Side of the square in pixels.
        name: The image's name, for the error.
        use_hflip: Flip horizontally half of the time.
        use_rot: Flip vertically and transpose, each half of the time.

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
        step: The corner's coordinates are multiples of this.

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
    """Cut an image, (H, W, C), at the right and bottom to multiples of ``multiple``."""
    height, width = (size - size % multiple for size in image.shape[:2])
    return image[:height, :width]


def noise_generator(phase: str) -> np.random.Generator | np.random.RandomState:
    """Return the generator of an image's degradation.

    Training: a new one each time, seeded from torch's generator, which is itself seeded for each sample
    (:class:`~converse_basicsr.data.sample_seed.SeededDataset`). Else: that of the published tables, the same for every
    image.
    """
    if phase == 'train':
        return np.random.default_rng(int(torch.randint(2**62, ())))
    return np.random.RandomState(TABLE_SEED)


def to_tensor(image: np.ndarray) -> torch.Tensor:
    """Turn (H, W, C) values, 8-bit or in [0, 1], into a float32 tensor (C, H, W) in [0, 1]."""
    if image.dtype == np.uint8:
        image = image.astype(np.float32) / 255
    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32))
