from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from tiny_run import smooth_image, write_lmdb

import converse_basicsr

converse_basicsr.register()

from basicsr.data import build_dataloader, build_dataset  # noqa: E402


@pytest.fixture
def root(tmp_path: Path) -> Path:
    rng = np.random.default_rng(2)
    folder = tmp_path / 'clean'
    folder.mkdir()
    images = {name: smooth_image(rng, 30, 26) for name in 'ab'}
    for name, image in images.items():
        cv2.imwrite(str(folder / f'{name}.png'), image)
    write_lmdb(tmp_path / 'clean.lmdb', images)
    return folder


def build(root: Path, **options: Any) -> Any:
    backend = 'lmdb' if root.suffix == '.lmdb' else 'disk'
    section = {
        'name': 'x',
        'type': 'GaussianNoiseDataset',
        'phase': 'test',
        'sigma': 25,
        'io_backend': {'type': backend},
    }
    return build_dataset({**section, 'dataroot_gt': str(root), **options})


@pytest.mark.parametrize(('color', 'channels'), [('rgb', 3), ('gray', 1)])
def test_the_noise_is_that_of_the_tables(root: Path, color: str, channels: int) -> None:
    dataset = build(root, color=color)
    flag = cv2.IMREAD_COLOR if color == 'rgb' else cv2.IMREAD_GRAYSCALE
    for name, sample in zip('ab', dataset):
        image = cv2.imread(str(root / f'{name}.png'), flag)
        image = (image[..., ::-1] if color == 'rgb' else image[..., None]).astype(np.float64) / 255
        np.random.seed(0)  # noqa: NPY002  (what the tables do before every image)
        noisy = image + np.random.normal(0, 25 / 255, (30, 26, channels))  # noqa: NPY002
        assert sample['lq'].shape == sample['gt'].shape == (channels, 30, 26)
        assert torch.equal(sample['lq'], torch.from_numpy(noisy.transpose(2, 0, 1).astype(np.float32)))
        assert sample['gt_path'].endswith(f'{name}.png')
        assert sample['sigma'].item() == pytest.approx(25 / 255)


def test_training_noise_is_new_each_time_and_repeats_with_the_seed(root: Path) -> None:
    dataset = build(root, phase='train', gt_size=16, sigma=[0, 50])
    torch.manual_seed(0)
    first, second = dataset[0], dataset[0]
    assert first['lq'].shape == (3, 16, 16)
    assert not torch.equal(first['lq'], second['lq'])
    assert first['sigma'] != second['sigma']
    torch.manual_seed(0)
    again = dataset[0]
    assert torch.equal(first['sigma'], again['sigma'])


def test_the_noise_has_the_level_it_states(root: Path) -> None:
    dataset = build(root, phase='train', gt_size=24, sigma=[5, 50])
    residuals = [(s['lq'] - s['gt']).std() / s['sigma'].item() for s in (dataset[0] for _ in range(30))]
    assert torch.stack(residuals).mean().item() == pytest.approx(1, abs=0.02)


def test_no_two_workers_draw_the_same_noise(root: Path) -> None:
    options = {'phase': 'train', 'num_worker_per_gpu': 2, 'batch_size_per_gpu': 1, 'gt_size': 16}
    dataset = build(root.with_suffix('.lmdb'), use_hflip=False, use_rot=False, **options)
    torch.manual_seed(3)
    loader = build_dataloader(dataset, {**options, 'name': 'x'}, seed=0, sampler=[0, 0, 0, 0])
    noises = [batch['lq'] - batch['gt'] for _ in range(2) for batch in loader]
    for number, noise in enumerate(noises):
        assert all(not torch.equal(noise, other) for other in noises[:number])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'sigma': -1}, 'sigma must be a level'),
        ({'sigma': [5, 1]}, 'sigma must be a level'),
        ({'sigma': [1, 2, 3]}, 'sigma must be a level'),
        ({'sigma': '25'}, 'sigma must be a level'),
        ({'sigma': [0, 50]}, 'sigma must be one level when validating'),
        ({'color': 'grey'}, r"color must be one of \['gray', 'rgb'\]"),
    ],
)
def test_bad_options_are_refused(root: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(root, **options)


def test_too_small_and_unreadable_images_are_named(root: Path) -> None:
    with pytest.raises(ValueError, match=r'gt_size .* 31 for .*a\.png of 30 x 26'):
        build(root, phase='train', gt_size=31)[0]
    (root / 'a.png').write_bytes(b'')
    with pytest.raises(ValueError, match=r'a\.png .* is no image'):
        build(root)[0]


@pytest.mark.slow
def test_set12_by_the_tables_protocol(shared_data: Path, tmp_path: Path) -> None:
    """DnCNN's released weights on one image, through the dataset and BasicSR's metric call."""
    import json

    from basicsr.metrics import calculate_metric
    from basicsr.utils import tensor2img

    from converse_basicsr.archs import DnCNN

    (tmp_path / 'set').mkdir()
    (tmp_path / 'set/01.png').write_bytes((shared_data / 'data/Set12/01.png').read_bytes())
    net = DnCNN(1, 1, norm='none')
    net.load_state_dict(torch.load(shared_data / 'model_zoo/dncnn_25.pth'))
    sample = build(tmp_path / 'set', color='gray')[0]
    with torch.no_grad():
        result = tensor2img(net.eval()(sample['lq'][None]))
    images = {'img': result, 'img2': tensor2img(sample['gt'])}
    psnr = calculate_metric(images, {'type': 'calculate_psnr_uint8', 'crop_border': 0})
    reference = json.loads((shared_data / 'data/reference_psnr.json').read_text())
    assert psnr == pytest.approx(reference['dncnn25_Set12']['01.png'], abs=0.01)
