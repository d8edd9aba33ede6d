"""Read images from a folder or an LMDB, as BasicSR stores them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from basicsr.data.data_util import paths_from_folder, paths_from_lmdb
from basicsr.utils import FileClient, imfrombytes

FLAGS = {'gray': 'grayscale', 'rgb': 'color'}


class ImageReader:
    """The images of a dataset section, sorted by name.

    Files and databases are opened at the first read, so in each loader worker anew.

    Args:
        root: Folder of images, or LMDB folder (``io_backend: {type: lmdb}``).
        io_backend: The section's ``io_backend``.
        color: ``rgb``, or ``gray`` to read one channel.

    Raises:
        ValueError: If there is no image, or ``color`` is neither.
    """

    def __init__(self, root: str, io_backend: Mapping[str, Any], color: str = 'rgb') -> None:
        if color not in FLAGS:
            raise ValueError(f'color must be one of {sorted(FLAGS)}, got {color!r}')
        self.root = str(Path(root).expanduser())
        self.flag = FLAGS[color]
        self.io_backend = dict(io_backend)
        self._client: FileClient | None = None
        find = paths_from_lmdb if self.io_backend['type'] == 'lmdb' else paths_from_folder
        self.paths: list[str] = sorted(find(self.root))
        if not self.paths:
            raise ValueError(f'dataroot_gt must hold images, got none in {self.root}')

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray:
        """Return an image, uint8 of shape (H, W, 3), RGB, or (H, W, 1).

        Raises:
            ValueError: If it cannot be decoded.
        """
        path = self.paths[index]
        if self._client is None:
            self._client = self._open()
        content = self._client.get(path, 'gt')
        image = imfrombytes(content, flag=self.flag) if content else None
        if image is None:  # OpenCV's answer to what it cannot decode
            raise ValueError(f'{path} in {self.root} is no image that can be read')
        return image[..., None] if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_BGR2RGB)

    def _open(self) -> FileClient:
        options = {name: value for name, value in self.io_backend.items() if name != 'type'}
        if self.io_backend['type'] == 'lmdb':
            options.update(db_paths=[self.root], client_keys=['gt'])
        return FileClient(self.io_backend['type'], **options)
