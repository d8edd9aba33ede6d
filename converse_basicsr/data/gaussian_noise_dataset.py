"""Denoising pairs whose noise is drawn when the image is read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from converse_basicsr.data.image_reader import ImageReader
from converse_basicsr.data.training_patches import noise_generator, random_patch, to_tensor


class GaussianNoiseDataset(Dataset[dict[str, torch.Tensor | str]]):
    """Clean images with white Gaussian noise added on the fly, neither clipped nor rounded.

    In validation and testing, every image gets the noise of the published tables: float64 draws of NumPy's legacy
    generator, seeded with 0 before each image, in the order (H, W, C), RGB. In training, the noise is new each time.

    Args:
        opt: The dataset section of an option file.

            - ``dataroot_gt``, ``io_backend``: as for :class:`~converse_basicsr.data.image_reader.ImageReader`.
            - ``color``: ``gray`` or ``rgb`` (default).
            - ``sigma``: standard deviation on the scale of 0 to 255; for training also a range ``[low, high]``, from
              which it is drawn per sample.
            - ``phase``: ``train``, ``val`` or ``test`` (set by BasicSR).
            - ``gt_size``, ``use_hflip``, ``use_rot``: patch size in pixels and augmentation, for training only.

    Returns:
        Samples ``{'lq', 'gt', 'sigma', 'lq_path', 'gt_path'}``; ``gt`` in [0, 1], ``sigma`` on the same scale.

    Shape:
        - ``lq``, ``gt``: :math:`(C, H, W)`
        - ``sigma``: :math:`(1, 1, 1)`

    Raises:
        ValueError: If there is no image, or ``sigma`` is neither a level nor, for training, a range.

    Reference:
        Evaluation protocol of "Reverse Convolution and Its Applications to Image Restoration", arXiv 2508.09824.

    Example (a section of an option file)::

        val:
          name: Set12
          type: GaussianNoiseDataset
          dataroot_gt: datasets/Set12
          color: gray
          sigma: 25
          io_backend:
            type: disk
    """

    def __init__(self, opt: Mapping[str, Any]) -> None:
        super().__init__()
        self.opt = opt
        self.is_train = opt['phase'] == 'train'
        self.reader = ImageReader(opt['dataroot_gt'], opt['io_backend'], opt.get('color', 'rgb'))
        self.sigma = noise_range(opt['sigma'], is_train=self.is_train)

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor | str]:
        path, gt = self.reader.paths[index], self.reader[index]
        if self.is_train:
            use_hflip, use_rot = self.opt.get('use_hflip', True), self.opt.get('use_rot', True)
            gt = random_patch(gt, int(self.opt['gt_size']), path, use_hflip=use_hflip, use_rot=use_rot)
        lq, sigma = add_noise(gt.astype(np.float64) / 255, self.sigma, noise_generator(self.opt['phase']))
        return {
            'lq': to_tensor(lq),
            'gt': to_tensor(gt),
            'sigma': torch.full((1, 1, 1), sigma),
            'lq_path': path,
            'gt_path': path,
        }


def noise_range(sigma: float | list[float], *, is_train: bool) -> tuple[float, float]:
    """Read a noise level or range on the scale of 0 to 255.

    Returns:
        Its bounds on the scale of 0 to 1.

    Raises:
        ValueError: If it is neither, or is a range although ``is_train`` is false.
    """
    bounds = sigma if isinstance(sigma, list) else [sigma, sigma]
    if len(bounds) != 2 or not all(isinstance(b, (int, float)) for b in bounds) or not 0 <= bounds[0] <= bounds[1]:
        raise ValueError(f'sigma must be a level from 0 up or a range [low, high], got {sigma!r}')
    if bounds[0] != bounds[1] and not is_train:
        raise ValueError(f'sigma must be one level when validating or testing, got the range {sigma}')
    return bounds[0] / 255, bounds[1] / 255


def add_noise(
    image: np.ndarray, sigma: tuple[float, float], rng: np.random.Generator | np.random.RandomState
) -> tuple[np.ndarray, float]:
    """Add white Gaussian noise of a level drawn uniformly from a range.

    Args:
        image: Values in [0, 1], (H, W, C).
        sigma: Bounds of the standard deviation; if they are equal, nothing is drawn for it.
        rng: Source of the draws.

    Returns:
        The noisy image and the level.
    """
    low, high = sigma
    level = low if low == high else rng.uniform(low, high)
    return image + rng.normal(0, level, image.shape), level
