import random
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from tiny_run import smooth_image

import converse_basicsr

converse_basicsr.register()

from basicsr.data import build_dataset  # noqa: E402

from converse_basicsr.data import blur_kernels  # noqa: E402
from converse_basicsr.data.kernel_kinds import SYNTHETIC_KINDS  # noqa: E402
from converse_basicsr.data.sample_seed import SampleIndex  # noqa: E402
from converse_basicsr.data.wrapped_blur import blur_as_tables  # noqa: E402
from converse_basicsr.files.kernel_files import read_kernel  # noqa: E402


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / 'sharp'
    folder.mkdir()
    cv2.imwrite(str(folder / 'a.png'), smooth_image(np.random.default_rng(3), 45, 51))
    kernel = np.random.default_rng(4).random((5, 7))
    np.save(tmp_path / 'kernel.npy', kernel)
    return folder


def build(root: Path, **options: Any) -> Any:
    section = {'name': 'x', 'type': 'BlurDataset', 'phase': 'test', 'sigma': 2.55, 'io_backend': {'type': 'disk'}}
    section['kernels'] = [str(root.parent / 'kernel.npy')]
    return build_dataset({**section, 'dataroot_gt': str(root), **options})


@pytest.mark.parametrize('scale', [1, 2, 3])
def test_the_blur_is_a_wrapped_truncated_convolution(root: Path, scale: int) -> None:
    sample = build(root, scale=scale, sigma=0)[0]
    side = 24 if scale == 3 else 8
    height, width = (size - size % side for size in (45, 51))
    assert sample['gt'].shape == (3, height, width)
    kernel = sample['kernel'][0].double().numpy()
    assert kernel.shape == (5, 7)
    assert kernel.sum() == pytest.approx(1)
    gt = (sample['gt'] * 255).round().double().numpy()
    # (k * x)[n] = sum_m k[m] x[n - (m - centre)], indices modulo the image
    blurred = sum(kernel[i, j] * np.roll(gt, (i - 2, j - 3), (1, 2)) for i in range(5) for j in range(7))[
        :, ::scale, ::scale
    ]
    lq = sample['lq'].double().numpy() * 255
    assert np.abs(lq - np.round(lq)).max() < 1e-3  # 8-bit values
    assert (blurred - lq).min() > -0.01  # truncated, not rounded
    assert (blurred - lq).max() < 1.01


def test_the_noise_is_that_of_the_tables(root: Path) -> None:
    noisy, clean = build(root)[0], build(root, sigma=0)[0]
    noise = np.random.RandomState(0).normal(0, 2.55 / 255, (40, 48, 3)).transpose(2, 0, 1)
    assert np.abs((noisy['lq'] - clean['lq']).numpy() - noise).max() < 1e-6


def test_training_draws_kernels_and_noise(root: Path) -> None:
    dataset = build(root, phase='train', kernels=None, kernel_size=9, gt_size=24, sigma=[0, 10])
    samples = [dataset[0] for _ in range(4)]
    for sample in samples:
        assert sample['kernel'].shape == (1, 9, 9)
        assert sample['kernel'].sum().item() == pytest.approx(1, abs=1e-5)
        assert sample['lq'].shape == sample['gt'].shape == (3, 24, 24)
    assert len({sample['kernel'].numpy().tobytes() for sample in samples}) == 4
    torch.manual_seed(1)
    first = dataset[0]['kernel']
    torch.manual_seed(1)
    assert torch.equal(dataset[0]['kernel'], first)


def test_training_takes_from_the_bank(root: Path) -> None:
    second = root.parent / 'second.npy'
    np.save(second, np.eye(5))
    names = [str(root.parent / 'kernel.npy'), str(second)]
    dataset = build(root, phase='train', kernels=names, gt_size=24, scale=2)
    assert dataset[0]['lq'].shape == (3, 12, 12)
    expected = [read_kernel(names[0]), np.pad(np.eye(5) / 5, ((0, 0), (1, 1)))]
    drawn = np.stack([dataset[0]['kernel'][0].numpy() for _ in range(20)])
    which = np.stack([np.abs(drawn - kernel).max((1, 2)) < 1e-7 for kernel in expected])
    assert which.any(0).all()
    assert which.any(1).all()


def test_a_folder_of_kernels_is_a_bank(root: Path) -> None:
    bank = root.parent / 'bank'
    bank.mkdir()
    with pytest.raises(
        ValueError, match=r'kernels must be \.npy files or folders of them, got .*bank, which holds none'
    ):
        build(root, phase='train', kernels=[str(bank)], gt_size=24)
    kernels = {name: np.random.default_rng(index).random((5, 5)) for index, name in enumerate(['b', 'a'])}
    for name, kernel in kernels.items():
        np.save(bank / f'{name}.npy', kernel)
    dataset = build(root, phase='train', kernels=[str(bank), str(root.parent / 'kernel.npy')], gt_size=24)
    read = [kernels['a'], kernels['b'], np.random.default_rng(4).random((5, 7))]
    for kernel, expected in zip(dataset.kernels, read, strict=True):
        np.testing.assert_allclose(kernel, expected / expected.sum())
    with pytest.raises(ValueError, match='kernels must name one file when validating or testing'):
        build(root, kernels=[str(bank)])


def test_training_blurs_as_the_tables_do(root: Path) -> None:
    sample = build(root, phase='train', gt_size=24, sigma=0)[0]
    gt = (sample['gt'] * 255).round().numpy().transpose(1, 2, 0).astype(np.uint8)
    expected = blur_as_tables(gt, read_kernel(root.parent / 'kernel.npy'))
    np.testing.assert_array_equal((sample['lq'] * 255).round().numpy().transpose(1, 2, 0), expected)


def test_training_mixes_the_bank_with_synthetic_kernels(root: Path) -> None:
    dataset = build(root, phase='train', gt_size=24, kernel_size=9, kernel_kinds=['bank', 'motion'])
    drawn = np.stack([dataset[0]['kernel'][0].numpy() for _ in range(20)])
    assert drawn.shape == (20, 9, 9)
    bank = np.pad(read_kernel(root.parent / 'kernel.npy'), ((2, 2), (1, 1)))
    from_bank = np.abs(drawn - bank).max((1, 2)) < 1e-7
    assert 0 < from_bank.sum() < 20


def test_a_padded_kernel_blurs_alike(root: Path) -> None:
    padded = build(root, phase='train', gt_size=24, kernel_size=9, kernel_kinds=['bank'] * 2, sigma=0)
    plain = build(root, phase='train', gt_size=24, sigma=0)
    samples = []
    for dataset in (padded, plain):
        torch.manual_seed(2)
        random.seed(2)
        samples.append(dataset[0])
    assert torch.equal(samples[0]['lq'], samples[1]['lq'])


def test_a_batch_shares_its_scale(root: Path) -> None:
    dataset = build(root, phase='train', gt_size=24, scales=[1, 2, 3, 4])
    for number in range(8):
        samples = [dataset[SampleIndex(0, (0, 0, s), (0, 0, number))] for s in range(3)]
        assert len({sample['scale'] for sample in samples}) == 1
        assert {tuple(s['lq'].shape) for s in samples} == {(3, 24 // samples[0]['scale'], 24 // samples[0]['scale'])}
    assert {dataset[SampleIndex(0, (0, 0, 0), (0, 0, n))]['scale'] for n in range(40)} == {1, 2, 3, 4}
    assert {dataset[0]['scale'] for _ in range(40)} == {1, 2, 3, 4}


def test_some_training_samples_may_be_free_of_noise(root: Path) -> None:
    dataset = build(root, phase='train', gt_size=24, sigma=[5, 10], noise_free_prob=0.5)
    levels = [dataset[0]['sigma'].item() * 255 for _ in range(24)]
    assert 0 < levels.count(0) < 24
    assert all(level == 0 or 5 <= level <= 10 for level in levels)


@pytest.mark.parametrize('kind', SYNTHETIC_KINDS)
@pytest.mark.parametrize('size', [3, 7, 25])
def test_synthetic_kernels(kind: str, size: int) -> None:
    rng = np.random.default_rng(5)
    kernels = [blur_kernels.random_kernel(rng, size, [kind]) for _ in range(20)]
    grid = np.arange(size) - size // 2
    for kernel in kernels:
        assert kernel.shape == (size, size)
        assert kernel.min() >= 0
        assert kernel.sum() == pytest.approx(1)
    centre = np.array([[(k.sum(1) * grid).sum(), (k.sum(0) * grid).sum()] for k in kernels])
    assert np.abs(centre).max() < 0.12 * size  # the image does not wander
    # both narrow and wide ones occur
    spread = [float((k * (grid[:, None] ** 2 + grid**2)).sum()) for k in kernels]
    assert max(spread) > 1.5 * min(spread)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'kernels': None}, 'kernels must name one file'),
        ({'kernels': ['EVEN']}, 'odd sides'),
        ({'kernels': ['ZERO']}, 'positive sum'),
        ({'sigma': [1, 2]}, 'one level'),
        ({'phase': 'train', 'gt_size': 25, 'scale': 2}, 'gt_size must be a multiple of the scale 2, got 25'),
        ({'phase': 'train', 'gt_size': 24, 'scales': [2, 5]}, 'gt_size must be a multiple of the scale 5, got 24'),
        ({'phase': 'train', 'gt_size': 24, 'kernels': None, 'kernel_kinds': ['bank']}, 'kernels must name files'),
        ({'phase': 'train', 'gt_size': 24, 'kernel_kinds': ['disc'], 'kernel_size': 7}, 'kernel_kinds must be some'),
        ({'phase': 'train', 'gt_size': 24, 'kernel_kinds': ['motion'], 'kernel_size': 8}, 'kernel_size must be an odd'),
        ({'noise_free_prob': 2}, 'noise_free_prob must be from 0 to 1'),
    ],
)
def test_bad_options_are_refused(root: Path, options: dict[str, Any], message: str) -> None:
    np.save(root.parent / 'EVEN.npy', np.ones((4, 5)))
    np.save(root.parent / 'ZERO.npy', np.zeros((5, 5)))
    if options.get('kernels'):
        options = {'kernels': [str(root.parent / f'{name}.npy') for name in options['kernels']]}
    with pytest.raises(ValueError, match=message):
        build(root, **options)


@pytest.mark.parametrize(
    ('size', 'kinds', 'message'),
    [(4, ['motion'], 'odd number'), (1, ['motion'], 'at least 3'), (7, ['box'], 'some of'), (7, [], 'some of')],
)
def test_bad_kernel_requests_are_refused(size: int, kinds: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        blur_kernels.random_kernel(np.random.default_rng(0), size, kinds)
