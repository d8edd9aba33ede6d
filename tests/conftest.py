import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import yaml
from tiny_run import smooth_image, write_lmdb

SCALE = 4

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts into the background so, and the commands that tests interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _fresh_basicsr_logger() -> Iterator[None]:
    """Drop the log handlers a test made: they hold its captured, by then closed, standard error."""
    yield
    if 'basicsr.utils.logger' in sys.modules:
        sys.modules['basicsr.utils.logger'].initialized_logger.clear()
        logging.getLogger('basicsr').handlers.clear()


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """The folder with the public test images (``data/``) and the released weights (``model_zoo/``)."""
    folder = os.environ.get('CONVERSE_BASICSR_DATA')
    if not folder:
        pytest.skip('needs the test images and released weights: set CONVERSE_BASICSR_DATA to their folder')
    return Path(folder)


@pytest.fixture(scope='session')
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty training pairs (32 x 32 and 8 x 8) as LMDBs, and two validation images as folders, at scale 4."""
    root = tmp_path_factory.mktemp('pairs')
    rng = np.random.default_rng(0)
    gts = {f'{number:04d}': smooth_image(rng, 32, 32) for number in range(20)}
    write_lmdb(root / 'gt.lmdb', gts)
    write_lmdb(
        root / 'lq.lmdb', {name: cv2.resize(gt, (8, 8), interpolation=cv2.INTER_AREA) for name, gt in gts.items()}
    )
    for number in range(2):
        gt = smooth_image(rng, 40, 48)
        for folder, image in (('val_gt', gt), ('val_lq', cv2.resize(gt, (12, 10), interpolation=cv2.INTER_AREA))):
            (root / folder).mkdir(exist_ok=True)
            cv2.imwrite(str(root / folder / f'val{number}.png'), image)
    return root


@pytest.fixture
def run_options(pairs: Path) -> dict[str, Any]:
    """Options of a training run that takes a second: 4 iterations of a tiny Converse-SRResNet from LMDB."""
    return {
        'name': 'tiny',
        'model_type': 'SRModel',
        'scale': SCALE,
        'num_gpu': 'auto',
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
        'network_g': {'type': 'ConverseSRResNet', 'num_feat': 4, 'num_block': 1, 'upscale': SCALE},
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


@pytest.fixture
def basicsr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command line in an empty current directory: ``basicsr('train', options)`` returns the exit status."""
    from converse_basicsr import cli

    monkeypatch.chdir(tmp_path)

    def run(command: str, options: dict[str, Any] | None = None, *arguments: str) -> int:
        if options is None:
            return cli.main([command, *arguments])
        Path('run.yml').write_text(yaml.safe_dump(options, sort_keys=False))
        return cli.main([command, '-opt', 'run.yml', *arguments])

    return run
