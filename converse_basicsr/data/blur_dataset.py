"""Deblurring pairs whose blur and noise are made when the image is read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from scipy.ndimage import convolve
from torch.utils.data import Dataset

from converse_basicsr.data import blur_kernels
from converse_basicsr.data.gaussian_noise_dataset import add_noise, noise_range
from converse_basicsr.data.image_reader import ImageReader
from converse_basicsr.data.patches import crop_to_multiple, noise_generator, random_patch, to_tensor

# The tables crop images to a multiple of eight pixels, which also suits networks that downsample three times.
TABLE_MULTIPLE = 8


class BlurDataset(Dataset):
    r"""Sharp images, blurred with wrapped borders, decimated and made noisy on the fly.

    The blur is that of the published tables: a true convolution of the 8-bit image (SciPy's ``convolve`` with
    ``mode='wrap'``), whose result is truncated to 8 bits; then every ``scale``-th pixel; then noise in float, neither
    clipped nor rounded. When validating and testing, the noise is that of the tables (seed 0 before every image).

    Args:
        opt: The dataset section of an option file.

            - ``dataroot_gt``, ``io_backend``: as for :class:`~converse_basicsr.data.image_reader.ImageReader`.
            - ``color``: ``rgb`` (default) or ``gray``.
            - ``kernels``: list of ``.npy`` files, one of which each training sample takes at random; exactly one when
              validating and testing. Without it, training draws synthetic kernels:
            - ``kernel_size``: their side, odd; ``kernel_kinds``: some of ``gaussian`` and ``motion`` (default both).
            - ``sigma``: noise on the scale of 0 to 255, or for training a range ``[low, high]``.
            - ``scale``: decimation (BasicSR copies it from the option file's top level; default 1).
            - ``phase``: ``train``, ``val`` or ``test`` (set by BasicSR).
            - ``gt_size``, ``use_hflip``, ``use_rot``: patch size in pixels and augmentation, for training only.

    Returns:
        Samples ``{'lq', 'gt', 'kernel', 'sigma', 'lq_path', 'gt_path'}``; ``gt`` in [0, 1], ``sigma`` on the same
        scale.

    Shape:
        - ``gt``: :math:`(C, sH, sW)`
        - ``lq``: :math:`(C, H, W)`
        - ``kernel``: :math:`(1, k_h, k_w)`, with sum 1, not flipped
        - ``sigma``: :math:`(1, 1, 1)`

    Raises:
        ValueError: If there is no image, or a kernel, noise level or size is out of range.

    Reference:
        Evaluation protocol of "Reverse Convolution and Its Applications to Image Restoration", arXiv 2508.09824.

    Example (a section of an option file)::

        val:
          name: BSD100_k1
          type: BlurDataset
          dataroot_gt: datasets/BSD100
          kernels: [datasets/blur_kernels/kernel_1.npy]
          sigma: 2.55
          io_backend:
            type: disk
    """

    def __init__(self, opt: Mapping[str, Any]) -> None:
        super().__init__()
        self.opt = opt
        self.is_train = opt['phase'] == 'train'
        self.scale = int(opt.get('scale', 1))
        self.reader = ImageReader(opt['dataroot_gt'], opt['io_backend'], opt.get('color', 'rgb'))
        self.sigma = noise_range(opt['sigma'], is_train=self.is_train)
        files = opt.get('kernels') or []
        self.kernels = [blur_kernels.read_kernel(path) for path in files]
        if not self.is_train and len(files) != 1:
            raise ValueError(f'kernels must name one file when validating or testing, got {files}')
        if self.is_train and int(opt['gt_size']) % self.scale:
            raise ValueError(f'gt_size must be a multiple of the scale {self.scale}, got {opt["gt_size"]}')

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor | str]:
        path, gt = self.reader.paths[index], self.reader[index]
        rng = noise_generator(self.opt['phase'])
        if self.is_train:
            use_hflip, use_rot = self.opt.get('use_hflip', True), self.opt.get('use_rot', True)
            gt = random_patch(gt, int(self.opt['gt_size']), path, use_hflip=use_hflip, use_rot=use_rot)
        else:
            gt = crop_to_multiple(gt, int(np.lcm(TABLE_MULTIPLE, self.scale)))
        kernel = self._kernel(rng)
        blurred = convolve(gt, kernel[..., None], mode='wrap')[:: self.scale, :: self.scale]
        lq, sigma = add_noise(blurred.astype(np.float64) / 255, self.sigma, rng)
        return {
            'lq': to_tensor(lq),
            'gt': to_tensor(gt),
            'kernel': torch.from_numpy(kernel.astype(np.float32))[None],
            'sigma': torch.full((1, 1, 1), sigma),
            'lq_path': path,
            'gt_path': path,
        }

    def _kernel(self, rng: np.random.Generator | np.random.RandomState) -> np.ndarray:
        if not self.is_train:
            return self.kernels[0]
        if self.kernels:
            return self.kernels[int(rng.integers(len(self.kernels)))]
        size, kinds = int(self.opt['kernel_size']), self.opt.get('kernel_kinds', blur_kernels.KINDS)
        return blur_kernels.random_kernel(rng, size, kinds)
