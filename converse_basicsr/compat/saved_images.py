"""Tensors that become images, and images that are saved."""

import functools
import os
from collections.abc import Iterator
from typing import Any

from converse_basicsr.compat.replacement import Replacement, everywhere


def saved_images() -> Iterator[Replacement]:
    """Save the images of several validation sets in one folder per set: in BasicSR, equal names overwrite each other.

    Can go when ``SRModel`` puts the name of the data set into the paths of training too.
    """
    from basicsr.models.base_model import BaseModel

    original = BaseModel.validation

    @functools.wraps(original)
    def validation(self: Any, dataloader: Any, current_iter: Any, tb_logger: Any, save_img: bool = False) -> None:
        sets = [name for name in self.opt.get('datasets') or {} if name.split('_')[0] == 'val']
        if not (save_img and self.is_train and len(sets) > 1):
            original(self, dataloader, current_iter, tb_logger, save_img)
            return
        folder = self.opt['path']['visualization']
        self.opt['path']['visualization'] = os.path.join(folder, dataloader.dataset.opt['name'])
        try:
            original(self, dataloader, current_iter, tb_logger, save_img)
        finally:
            self.opt['path']['visualization'] = folder

    yield Replacement(BaseModel, 'validation', validation)


def tensor2img() -> Iterator[Replacement]:
    """Leave the tensors that become images unchanged: on the CPU, BasicSR clamps them in place.

    Can go when ``tensor2img`` clamps a copy.
    """
    import torch
    from basicsr.utils import img_util

    original = img_util.tensor2img

    @functools.wraps(original)
    def on_copies(tensor: Any, *args: Any, **kwargs: Any) -> Any:
        copies = [
            one.clone() if torch.is_tensor(one) else one for one in (tensor if isinstance(tensor, list) else [tensor])
        ]
        return original(copies if isinstance(tensor, list) else copies[0], *args, **kwargs)

    yield from everywhere(original, on_copies)


def jpeg_quality() -> Iterator[Replacement]:
    """Compress with a whole JPEG quality: OpenCV 5 refuses the fractions that BasicSR draws.

    A trial call decides, not a version. Can go when ``add_jpg_compression`` rounds.
    """
    import numpy as np
    from basicsr.data import degradations

    original = degradations.add_jpg_compression
    try:
        original(np.zeros((8, 8, 3), np.float32), 90.5)
    except Exception:  # OpenCV's own class, or TypeError, by version
        pass
    else:
        return

    @functools.wraps(original)
    def add_jpg_compression(img: Any, quality: float = 90) -> Any:
        return original(img, round(quality))

    yield from everywhere(original, add_jpg_compression)
