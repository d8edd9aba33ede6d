"""What the tests of whole runs share: tiny data in BasicSR's formats, and the log of a run."""

from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np


def smooth_image(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A colour image with structure: enlarged noise."""
    noise = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def write_lmdb(path: Path, images: dict[str, np.ndarray]) -> None:
    """Write an LMDB as BasicSR's tools do."""
    environment = lmdb.open(str(path), map_size=2**24)
    with environment.begin(write=True) as transaction:
        for name, image in images.items():
            transaction.put(name.encode(), cv2.imencode('.png', image)[1].tobytes())
    environment.close()
    lines = [f'{name}.png ({image.shape[0]},{image.shape[1]},3) 1\n' for name, image in images.items()]
    (path / 'meta_info.txt').write_text(''.join(lines))


def tiny_options(pairs: Path, num_gpu: int | str = 'auto') -> dict[str, Any]:
    """Options of a training run that takes a second: 4 iterations of a tiny Converse-SRResNet from LMDB.

    Args:
        pairs: Folder with ``gt.lmdb`` and ``lq.lmdb``, and ``val_gt`` and ``val_lq``, at scale 4.
        num_gpu: Number of GPUs.
    """
    return {
        'name': 'tiny',
        'model_type': 'SRModel',
        'scale': 4,
        'num_gpu': num_gpu,
        'manual_seed': 0,
        'datasets': {
            'train': {
                'name': 'train',
                'type': 'PairedImageDataset',
                'dataroot_gt': str(pairs / 'gt.lmdb'),
                'dataroot_lq': str(pairs / 'lq.lmdb'),
                'io_backend': {'type': 'lmdb'},
                'gt_size': 16,
                'use_hflip': True,
                'use_rot': True,
                'num_worker_per_gpu': 0,
                'batch_size_per_gpu': 2,
                'dataset_enlarge_ratio': 1,
            },
            'val': {
                'name': 'val',
                'type': 'PairedImageDataset',
                'dataroot_gt': str(pairs / 'val_gt'),
                'dataroot_lq': str(pairs / 'val_lq'),
                'io_backend': {'type': 'disk'},
            },
        },
        'network_g': {'type': 'ConverseSRResNet', 'num_feat': 4, 'num_block': 1, 'upscale': 4},
        'path': {'pretrain_network_g': None, 'resume_state': None},
        'train': {
            'optim_g': {'type': 'Adam', 'lr': 1e-3},
            'scheduler': {'type': 'MultiStepLR', 'milestones': [1000]},
            'total_iter': 4,
            'pixel_opt': {'type': 'L1Loss'},
        },
        'val': {
            'val_freq': 100,
            'save_img': False,
            'metrics': {'psnr': {'type': 'calculate_psnr_uint8', 'crop_border': 4, 'test_y_channel': True}},
        },
        'logger': {'print_freq': 1, 'save_checkpoint_freq': 2, 'use_tb_logger': False},
    }


def only_log(run: str = 'tiny', results: bool = False) -> str:
    """The text of the newest log file of a run in the current directory."""
    folder = Path('results' if results else 'experiments', run)
    return max(folder.glob('*.log'), key=lambda path: path.stat().st_mtime_ns).read_text()
