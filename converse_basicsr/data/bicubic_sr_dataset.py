"""Super-resolution pairs whose low-resolution image is computed, in float, when it is read."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from basicsr.data.transforms import augment
from basicsr.utils.matlab_functions import imresize
from torch.utils.data import Dataset

from converse_basicsr.data.image_reader import ImageReader
from converse_basicsr.data.training_patches import crop_to_multiple, random_corner, to_tensor

# Bicubic interpolation extends over two pixels of the small image to either side.
REACH = 2


class BicubicSRDataset(Dataset[dict[str, torch.Tensor | str]]):
    r"""High-resolution images with MATLAB-style bicubic low-resolution counterparts made on the fly.

    The tables of super-resolution papers whose code follows KAIR feed the network the antialiased bicubic image **in
    float**; with LR images stored in 8 bits the PSNR is about 0.03 dB lower. Images are cropped to a multiple of the
    scale, at the right and the bottom. A training pair equals a cut from the whole image and from its reduced version,
    without border effects of its own; only as much of the image is reduced as that takes.

    Args:
        opt: The dataset section of an option file.

            - ``dataroot_gt``: folder of images, or an LMDB (``.lmdb``) as BasicSR writes it.
            - ``io_backend``: ``{type: disk}`` or ``{type: lmdb}``.
            - ``scale``: the scale, 2, 3, 4, ... (BasicSR copies it from the option file's top level).
            - ``color``: ``rgb`` (default) or ``gray``.
            - ``phase``: ``train``, ``val`` or ``test`` (set by BasicSR).
            - ``gt_size``, ``use_hflip``, ``use_rot``: patch size in pixels (a multiple of the scale) and augmentation,
              for training only.

    Returns:
        Samples ``{'lq', 'gt', 'lq_path', 'gt_path'}`` with tensors in [0, 1]; ``lq`` may leave that range slightly, as
        bicubic reduction does.

    Shape:
        - ``gt``: :math:`(3, sH, sW)`, or one channel
        - ``lq``: :math:`(3, H, W)`, or one channel

    Raises:
        ValueError: If there is no image, or ``gt_size`` does not fit the scale.

    Reference:
        Evaluation protocol of "Reverse Convolution and Its Applications to Image Restoration", arXiv 2508.09824.

    Example (a section of an option file)::

        val:
          name: Set5
          type: BicubicSRDataset
          dataroot_gt: datasets/Set5/GTmod4
          io_backend:
            type: disk
    """

    def __init__(self, opt: Mapping[str, Any]) -> None:
        super().__init__()
        self.opt = opt
        self.scale = int(opt['scale'])
        self.reader = ImageReader(opt['dataroot_gt'], opt['io_backend'], opt.get('color', 'rgb'))
        if opt['phase'] == 'train' and int(opt['gt_size']) % self.scale:
            raise ValueError(f'gt_size must be a multiple of the scale {self.scale}, got {opt["gt_size"]}')

    def __len__(self) -> int:
        return len(self.reader)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor | str]:
        path = self.reader.paths[index]
        image = crop_to_multiple(self.reader[index], self.scale)
        if self.opt['phase'] == 'train':
            gt, lq = self._random_pair(image, path)
            gt, lq = augment([gt, lq], self.opt.get('use_hflip', True), self.opt.get('use_rot', True))
            gt, lq = (image.reshape(*image.shape[:2], -1) for image in (gt, lq))  # OpenCV drops a single channel
        else:
            gt, lq = self._pair(image)
        return {'lq': to_tensor(lq), 'gt': to_tensor(gt), 'lq_path': path, 'gt_path': path}

    def _pair(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        gt = image.astype(np.float32) / 255
        return gt, np.ascontiguousarray(imresize(gt, 1 / self.scale))  # a transposed view, which OpenCV does not flip

    def _random_pair(self, image: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
        size, scale = int(self.opt['gt_size']), self.scale
        corner = random_corner(image, size, name, step=scale)
        # Where the cut ends with the image, imresize mirrors as it would in the whole image.
        first = [max(0, start - REACH * scale) for start in corner]
        rows, columns = (slice(begin, start + size + REACH * scale) for begin, start in zip(first, corner))
        gt, lq = self._pair(image[rows, columns])
        top, left = (start - begin for begin, start in zip(first, corner))
        gt = gt[top : top + size, left : left + size]
        top, left, size = top // scale, left // scale, size // scale
        # Copies, because OpenCV does not flip views.
        return np.ascontiguousarray(gt), np.ascontiguousarray(lq[top : top + size, left : left + size])
