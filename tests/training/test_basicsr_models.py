"""BasicSR's own models train, save, validate and go on in this package's loop."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from tiny_run import only_log, smooth_image

from converse_basicsr.checkpoints import files

Run = Callable[..., int]

pytestmark = pytest.mark.slow

DISCRIMINATOR = {'type': 'UNetDiscriminatorSN', 'num_in_ch': 3, 'num_feat': 4}
GAN_LOSS = {'type': 'GANLoss', 'gan_type': 'vanilla', 'real_label_val': 1.0, 'fake_label_val': 0.0, 'loss_weight': 0.1}

FRAMES = 100
"""BasicSR's dataset of video clips knows clips of no other length."""

SIDE = 256
"""Of the frames, in pixels: the optical flow of BasicVSR halves those of the input six times."""


def train_and_resume(basicsr: Run, options: dict[str, Any], networks: str = 'g') -> None:
    """Train to iteration 4, which is validated where there is a validation set, then go on to 6."""
    if 'val' in options:
        options['val']['val_freq'] = 4
    assert basicsr('train', options) == 0
    assert ('psnr' in only_log()) is ('val' in options)
    options['train']['total_iter'] = 6
    assert basicsr('train', options, '--auto_resume') == 0
    assert 'Resuming training from epoch: 0, iter: 4.' in only_log()
    run = Path('experiments/tiny')
    assert {path.stem for path in (run / 'training_states').iterdir()} == {'2', '4', '6'}
    for label in networks:
        content = files.read(run / f'models/net_{label}_6.pth')
        assert files.network_of(content, f'network_{label}') is not None
        before = files.read(run / f'models/net_{label}_4.pth')['params']
        assert any(not torch.equal(value, before[name]) for name, value in content['params'].items())


@pytest.mark.parametrize('model', ['SRModel', 'SwinIRModel'])
def test_models_of_one_network(basicsr: Run, run_options: dict[str, Any], model: str) -> None:
    run_options['model_type'] = model
    if model == 'SwinIRModel':
        sizes = {'img_size': 8, 'window_size': 4, 'depths': [1], 'embed_dim': 8, 'num_heads': [2], 'mlp_ratio': 2}
        run_options['network_g'] = {'type': 'SwinIR', 'upscale': 4, 'upsampler': 'pixelshuffledirect', **sizes}
    train_and_resume(basicsr, run_options)


@pytest.mark.parametrize('model', ['SRGANModel', 'ESRGANModel'])
def test_models_with_a_discriminator(basicsr: Run, run_options: dict[str, Any], model: str) -> None:
    run_options.update(model_type=model, network_d=DISCRIMINATOR)
    run_options['train'].update(optim_d={'type': 'Adam', 'lr': 1e-3}, gan_opt=GAN_LOSS, ema_decay=0.9)
    train_and_resume(basicsr, run_options, networks='gd')


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """A clip of 100 small frames for training, at scale 4, and its first three frames for validation."""
    frame = smooth_image(np.random.default_rng(0), SIDE, SIDE)
    for number in range(FRAMES):
        gt = np.roll(frame, number, axis=1)
        pair = (('gt', gt), ('lq', cv2.resize(gt, (SIDE // 4, SIDE // 4), interpolation=cv2.INTER_AREA)))
        for name, image in pair:
            for folder in (tmp_path / name / '000', *([tmp_path / f'val_{name}' / '000'] if number < 3 else [])):
                folder.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(folder / f'{number:08d}.png'), image)
    (tmp_path / 'meta.txt').write_text(f'000 {FRAMES} ({SIDE},{SIDE},3)\n')
    return tmp_path


def test_models_of_videos(basicsr: Run, run_options: dict[str, Any], clips: Path) -> None:
    disk = {'io_backend': {'type': 'disk'}}
    train: dict[str, Any] = {'name': 'clips', 'type': 'REDSRecurrentDataset', **disk, 'dataset_enlarge_ratio': 10}
    train.update(dataroot_gt=str(clips / 'gt'), dataroot_lq=str(clips / 'lq'), meta_info_file=str(clips / 'meta.txt'))
    train.update(val_partition='official', test_mode=False, num_frame=3, gt_size=SIDE, interval_list=[1])
    train.update(random_reverse=False, use_hflip=True, use_rot=True, num_worker_per_gpu=0, batch_size_per_gpu=1)
    val: dict[str, Any] = {'name': 'REDS4', 'type': 'VideoRecurrentTestDataset', **disk, 'cache_data': True}
    val.update(dataroot_gt=str(clips / 'val_gt'), dataroot_lq=str(clips / 'val_lq'), num_frame=-1)
    run_options.update(model_type='VideoRecurrentModel', datasets={'train': train, 'val': val})
    run_options['network_g'] = {'type': 'BasicVSR', 'num_feat': 4, 'num_block': 1}
    run_options['val']['metrics'] = {'psnr': {'type': 'calculate_psnr', 'crop_border': 0, 'test_y_channel': False}}
    if run_options['num_gpu'] == 0:  # BasicSR collects the metrics of videos on a GPU
        del run_options['val'], run_options['datasets']['val']
    train_and_resume(basicsr, run_options)
