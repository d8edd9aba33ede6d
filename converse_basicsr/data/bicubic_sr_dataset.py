"""Super-resolution pairs whose low-resolution image is computed, in float, when it is read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from basicsr.data.data_util import paths_from_folder, paths_from_lmdb
from basicsr.data.transforms import augment, mod_crop, paired_random_crop
from basicsr.utils import FileClient, imfrombytes, img2tensor
from basicsr.utils.matlab_functions import imresize
from torch.utils.data import Dataset


class BicubicSRDataset(Dataset):
    r"""High-resolution images with MATLAB-style bicubic low-resolution counterparts made on the fly.

    The tables of super-resolution papers whose code follows KAIR feed the network the antialiased bicubic image **in
    float**; LR images stored with 8 bits score about 0.03 dB lower. Images are cropped to a multiple of the scale, top
    left.

    When training, the whole image is reduced first and the pair is cropped then, so patches carry no border of their
    own.

    Args:
        opt: The dataset section of an option file.

            - ``dataroot_gt``: folder of images, or an LMDB (``.lmdb``) as BasicSR writes it.
            - ``io_backend``: ``{type: disk}`` or ``{type: lmdb}``.
            - ``scale``: the scale, 2, 3, 4, ... (BasicSR copies it from the option file's top level).
            - ``phase``: ``train``, ``val`` or ``test`` (set by BasicSR).
            - ``gt_size``, ``use_hflip``, ``use_rot``: patch size in pixels (a multiple of the scale) and augmentation,
            for
              training only.

    Returns:
        Samples ``{'lq', 'gt', 'lq_path', 'gt_path'}`` with RGB tensors in [0, 1]; ``lq`` may leave that range slightly,
        as bicubic reduction does.

    Shape:
        - ``gt``: :math:`(3, sH, sW)`
        - ``lq``: :math:`(3, H, W)`

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
        self.root = str(Path(opt['dataroot_gt']).expanduser())
        self.file_client: FileClient | None = None
        self.is_lmdb = opt['io_backend']['type'] == 'lmdb'
        self.paths = sorted(paths_from_lmdb(self.root) if self.is_lmdb else paths_from_folder(self.root))
        if not self.paths:
            raise ValueError(f'dataroot_gt must hold images, got none in {self.root}')
        if opt['phase'] == 'train' and int(opt['gt_size']) % self.scale:
            raise ValueError(f'gt_size must be a multiple of the scale {self.scale}, got {opt["gt_size"]}')

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor | str]:
        path = self.paths[index]
        gt = self._read(path)
        if gt is None:
            raise ValueError(f'{path} in {self.root} is no image that can be read')
        gt = mod_crop(gt, self.scale)
        lq = imresize(gt, 1 / self.scale)
        if self.opt['phase'] == 'train':
            gt, lq = paired_random_crop(gt, lq, int(self.opt['gt_size']), self.scale, path)
            gt, lq = augment([gt, lq], self.opt.get('use_hflip', True), self.opt.get('use_rot', True))
        gt, lq = img2tensor([gt, np.ascontiguousarray(lq)], bgr2rgb=True, float32=True)
        return {'lq': lq, 'gt': gt, 'lq_path': path, 'gt_path': path}

    def _read(self, path: str) -> np.ndarray | None:
        """Read an image as BGR floats in [0, 1]; ``None`` if it cannot be decoded."""
        if self.file_client is None:
            options = {name: value for name, value in self.opt['io_backend'].items() if name != 'type'}
            if self.is_lmdb:
                options.update(db_paths=[self.root], client_keys=['gt'])
            self.file_client = FileClient(self.opt['io_backend']['type'], **options)
        content = self.file_client.get(path, 'gt')
        try:
            return imfrombytes(content, float32=True)
        except AttributeError:  # OpenCV returns None for what it cannot decode
            return None
