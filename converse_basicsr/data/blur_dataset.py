"""Deblurring pairs whose blur and noise are made when the image is read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from converse_basicsr.data import blur_kernels
from converse_basicsr.data.gaussian_noise_dataset import add_noise, noise_range
from converse_basicsr.data.image_reader import ImageReader
from converse_basicsr.data.kernel_kinds import BANK, SYNTHETIC_KINDS
from converse_basicsr.data.sample_seed import SampleIndex
from converse_basicsr.data.training_patches import (
    crop_to_multiple,
    noise_generator,
    random_patch,
    to_tensor,
    training_generator,
)
from converse_basicsr.data.wrapped_blur import blur, blur_as_tables
from converse_basicsr.files.kernel_files import list_kernels, read_kernel

# The published tables crop images to a multiple of 8 pixels, which also suits networks that downsample three times.
TABLE_MULTIPLE = 8


class BlurDataset(Dataset[dict[str, torch.Tensor | str | int]]):
    r"""Sharp images, blurred with wrapped borders, decimated and made noisy on the fly.

    The blur is that of the published tables: a true convolution of the 8-bit image (SciPy's ``convolve`` with
    ``mode='wrap'``), whose result is truncated to 8 bits. Then every ``scale``-th pixel is kept, and noise is added in
    float, neither clipped nor rounded. In validation and testing, the noise is that of the tables (seed 0 before every
    image).

    Args:
        opt: The dataset section of an option file.

            - ``dataroot_gt``, ``io_backend``: as for :class:`~converse_basicsr.data.image_reader.ImageReader`.
            - ``color``: ``rgb`` (default) or ``gray``.
            - ``kernels``: list of ``.npy`` files, or folders of them; exactly one file for validation and testing.
            - ``kernel_kinds``: what each training sample draws its kernel from: some of ``bank`` (the files),
              ``gaussian`` and ``motion`` (synthetic), with equal probability; a name given twice counts twice. The
              default is the bank if there are ``kernels``, else both synthetic kinds.
            - ``kernel_size``: side of the synthetic kernels, odd. All kernels of a training set are padded with zeros
              to one size.
            - ``sigma``: standard deviation of the noise on the scale of 0 to 255; for training also a range
              ``[low, high]``, from which it is drawn per sample.
            - ``noise_free_prob``: probability that a training sample gets no noise (default 0).
            - ``scale``: decimation factor (BasicSR copies it from the option file's top level; default 1).
            - ``scales``: for training, decimation factors of which one is drawn per batch, instead of ``scale``.
            - ``phase``: ``train``, ``val`` or ``test`` (set by BasicSR).
            - ``gt_size``, ``use_hflip``, ``use_rot``: patch size in pixels and augmentation, for training only.

    Returns:
        Samples ``{'lq', 'gt', 'kernel', 'sigma', 'scale', 'lq_path', 'gt_path'}``; ``gt`` in [0, 1], ``sigma`` on the
        same scale; ``scale`` is an integer.

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
        self.noise_free_prob = float(opt.get('noise_free_prob', 0))
        if not 0 <= self.noise_free_prob <= 1:
            raise ValueError(f'noise_free_prob must be from 0 to 1, got {self.noise_free_prob}')
        files = list_kernels(opt.get('kernels') or [])
        self.kernels = [read_kernel(path) for path in files]
        if self.is_train:
            self._prepare_training()
        elif len(files) != 1:
            raise ValueError(
                f'kernels must name one file when validating or testing, got {[str(path) for path in files]}'
            )

    def _prepare_training(self) -> None:
        self.scales = [int(scale) for scale in self.opt.get('scales') or [self.scale]]
        for scale in self.scales:
            if scale < 1 or int(self.opt['gt_size']) % scale:
                raise ValueError(f'gt_size must be a multiple of the scale {scale}, got {self.opt["gt_size"]}')
        self.kinds = list(self.opt.get('kernel_kinds') or ([BANK] if self.kernels else SYNTHETIC_KINDS))
        if BANK in self.kinds and not self.kernels:
            raise ValueError('kernels must name files for kernel_kinds with bank, got none')
        synthetic = [kind for kind in self.kinds if kind != BANK]
        if synthetic:
            blur_kernels.require_synthetic(int(self.opt['kernel_size']), synthetic)
        sides = [(int(self.opt['kernel_size']),) * 2] if synthetic else []
        self.kernel_shape = np.max([*sides, *(kernel.shape for kernel in self.kernels if BANK in self.kinds)], 0)

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor | str | int]:
        path, gt = self.reader.paths[index], self.reader[index]
        noise, scale = self.sigma, self.scale
        rng: np.random.Generator | np.random.RandomState
        if self.is_train:
            rng = training_generator()
            use_hflip, use_rot = self.opt.get('use_hflip', True), self.opt.get('use_rot', True)
            gt = random_patch(gt, int(self.opt['gt_size']), path, use_hflip=use_hflip, use_rot=use_rot)
            scale = self._draw_scale(index, rng)
            kernel = self._draw_kernel(rng)
            if self.noise_free_prob and rng.random() < self.noise_free_prob:
                noise = (0.0, 0.0)
        else:
            rng = noise_generator(self.opt['phase'])
            gt = crop_to_multiple(gt, int(np.lcm(TABLE_MULTIPLE, scale)))
            kernel = self.kernels[0]
        blurred = (blur if self.is_train else blur_as_tables)(gt, kernel)[::scale, ::scale]
        lq, sigma = add_noise(blurred.astype(np.float64) / 255, noise, rng)
        return {
            'lq': to_tensor(lq),
            'gt': to_tensor(gt),
            'kernel': torch.from_numpy(kernel.astype(np.float32))[None],
            'sigma': torch.full((1, 1, 1), sigma),
            'scale': scale,
            'lq_path': path,
            'gt_path': path,
        }

    def _draw_scale(self, index: int, rng: np.random.Generator) -> int:
        """Draw the scale: that of the sample's batch, or of the sample alone if the index names no batch."""
        if isinstance(index, SampleIndex):
            rng = np.random.default_rng(index.batch_seed)
        return self.scales[int(rng.integers(len(self.scales)))]

    def _draw_kernel(self, rng: np.random.Generator) -> np.ndarray:
        kind = self.kinds[int(rng.integers(len(self.kinds)))]
        if kind == BANK:
            kernel = self.kernels[int(rng.integers(len(self.kernels)))]
        else:
            kernel = blur_kernels.random_kernel(rng, int(self.opt['kernel_size']), [kind])
        rows, columns = (self.kernel_shape - kernel.shape) // 2  # all sides are odd, so the centre stays
        return np.pad(kernel, ((rows, rows), (columns, columns)))
