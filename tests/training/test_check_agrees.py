"""What the check lets pass also runs: options are changed at random, and the dry run is asked whether it was right."""

import copy
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converse_basicsr.errors import UserError
from converse_basicsr.options import check
from converse_basicsr.options.file import OptionFile

Options = dict[str, Any]

GAN = {'type': 'GANLoss', 'gan_type': 'vanilla', 'real_label_val': 1.0, 'fake_label_val': 0.0, 'loss_weight': 0.1}

VALUES: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 4, 7, 8, 16, 0.5, 1e-3, 1e9, '', 'x', 'gray', 'rgb', 'y', [], [1], [1, 2], {},
    {'type': 'x'}, 'Adam', 'SGD', 'LBFGS', 'L1Loss', 'MSELoss', 'WeightedTVLoss', 'none', 'sum', 'hinge', 'bf16',
    'calculate_niqe', 'calculate_ssim', 'calculate_psnr_pt', 'higher', 'SingleImageDataset', 'BicubicSRDataset',
    'GaussianNoiseDataset', 'SRModel', 'RestorationModel', 'SwinIRModel', 'EDSR', 'DnCNN', 'ConverseNet', 'circular',
]  # fmt: skip
FURTHER = [
    'val:self_ensemble', 'train:ema_decay', 'train:accum_iter', 'train:grad_clip', 'train:amp', 'datasets:train:scales',
    'datasets:val:scale', 'datasets:val:color', 'datasets:train:color', 'datasets:train:sigma', 'network_g:num_in_ch',
    'network_g:num_out_ch', 'network_g:kernel_size', 'network_g:padding_mode', 'datasets:train:mean', 'val:metrics:x',
    'train:optim_g:betas', 'train:optim_g:momentum', 'train:pixel_opt:reduction', 'val:metrics:psnr:better',
]  # fmt: skip
ROUNDS = 40
"""Changed files of each kind."""


def degraded(options: Options, kernel: Path) -> None:
    np.save(kernel, np.full((5, 5), 0.04))
    options.update(model_type='RestorationModel', scale=1)
    options['network_g'] = {
        'type': 'ConverseUSRNet',
        'num_feat': 4,
        'num_block': 1,
        'num_iter': 1,
        'blur_kernel_size': 5,
    }
    for dataset in options['datasets'].values():
        dataset.update(type='BlurDataset', sigma=2, kernels=[str(kernel)])
        del dataset['dataroot_lq']


def discriminated(options: Options, _: Path) -> None:
    options.update(model_type='ESRGANModel', network_d={'type': 'UNetDiscriminatorSN', 'num_in_ch': 3, 'num_feat': 4})
    options['train'].update(optim_d={'type': 'Adam', 'lr': 1e-3}, gan_opt=dict(GAN), net_d_iters=1, net_d_init_iters=0)


def key_paths(section: Options, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in section.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from key_paths(value, (*prefix, key))


def changed(options: Options, rng: random.Random) -> Options:
    options = copy.deepcopy(options)
    for _ in range(rng.choice([1, 1, 2])):
        *sections, key = rng.choice([*key_paths(options), *(tuple(path.split(':')) for path in FURTHER)])
        section: Any = options
        for name in sections:
            section = section.get(name) if isinstance(section, dict) else None
        if isinstance(section, dict):
            if rng.random() < 0.25:
                section.pop(key, None)
            else:
                section[key] = copy.deepcopy(rng.choice(VALUES))
    return options


@pytest.mark.slow
@pytest.mark.parametrize(
    'change', [lambda *_: None, degraded, discriminated], ids=['plain', 'degraded', 'discriminated']
)
def test_what_the_check_lets_pass_runs(run_options: Options, tmp_path: Path, change: Any) -> None:
    import converse_basicsr

    converse_basicsr.register()
    from converse_basicsr.training.dry_run import dry_run

    change(run_options, tmp_path / 'kernel.npy')
    rng = random.Random(0)
    passed = 0
    for _ in range(ROUNDS):
        options = changed(run_options, rng)
        try:
            check.require_runnable(OptionFile(Path('run.yml'), copy.deepcopy(options)), is_train='train' in options)
        except UserError:
            continue
        passed += 1
        dry_run(OptionFile(Path('run.yml'), options), str(tmp_path), is_train='train' in options)
    assert passed >= ROUNDS // 20  # most changes are mistakes
