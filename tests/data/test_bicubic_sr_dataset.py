from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from tiny_run import smooth_image, write_lmdb

import converse_basicsr

converse_basicsr.register()

from basicsr.data import build_dataset  # noqa: E402
from basicsr.utils.matlab_functions import imresize  # noqa: E402

from converse_basicsr.data import bicubic_sr_dataset  # noqa: E402
from converse_basicsr.data.training_patches import random_corner  # noqa: E402


def build(root: Path, **options: Any) -> Any:
    section = {
        'name': 'x',
        'type': 'BicubicSRDataset',
        'phase': 'test',
        'scale': 4,
        'dataroot_gt': str(root),
        'io_backend': {'type': 'lmdb' if root.suffix == '.lmdb' else 'disk'},
    }
    return build_dataset({**section, **options})


@pytest.fixture
def images(tmp_path: Path) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    images = {'b': smooth_image(rng, 50, 47), 'a': smooth_image(rng, 40, 64)}
    folder = tmp_path / 'gt'
    folder.mkdir()
    for name, image in images.items():
        cv2.imwrite(str(folder / f'{name}.png'), image)
    write_lmdb(tmp_path / 'gt.lmdb', images)
    return images


@pytest.mark.parametrize('root', ['gt', 'gt.lmdb'])
@pytest.mark.parametrize('scale', [2, 3, 4])
def test_lq_is_the_float_bicubic_of_the_cropped_gt(
    images: dict[str, np.ndarray], tmp_path: Path, root: str, scale: int
) -> None:
    dataset = build(tmp_path / root, scale=scale)
    assert [Path(sample['gt_path']).stem for sample in dataset] == ['a', 'b']
    sample = dataset[1]
    height, width = (size - size % scale for size in (50, 47))
    rgb = images['b'][:height, :width, ::-1].astype(np.float32) / 255
    assert torch.allclose(sample['gt'], torch.from_numpy(rgb.transpose(2, 0, 1).copy()))
    expected = imresize(torch.from_numpy(rgb.transpose(2, 0, 1).copy()), 1 / scale)
    assert torch.allclose(sample['lq'], expected, atol=1e-6)
    assert (sample['lq'] * 255 - (sample['lq'] * 255).round()).abs().max() > 0.1  # not rounded to 8 bits


def test_training_patches_belong_together(images: dict[str, np.ndarray], tmp_path: Path) -> None:
    dataset = build(tmp_path / 'gt', phase='train', gt_size=24)
    shapes = {(tuple(dataset[0]['gt'].shape), tuple(dataset[0]['lq'].shape)) for _ in range(8)}
    assert shapes == {((3, 24, 24), (3, 6, 6))}
    # The reduced patch differs from the patch of the reduced image at its border only.
    sample = dataset[0]
    inner = np.s_[:, 2:-2, 2:-2]
    assert torch.allclose(imresize(sample['gt'], 0.25)[inner], sample['lq'][inner], atol=1e-5)


@pytest.mark.parametrize('color', ['rgb', 'gray'])
@pytest.mark.parametrize('scale', [2, 3, 4])
def test_training_patches_are_cut_from_the_whole_images(
    images: dict[str, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scale: int, color: str
) -> None:
    gt, lq = (build(tmp_path / 'gt', scale=scale, color=color)[1][key] for key in ('gt', 'lq'))
    size = 12
    side = size // scale
    options = {'phase': 'train', 'gt_size': size, 'use_hflip': False, 'use_rot': False}
    dataset = build(tmp_path / 'gt', scale=scale, color=color, **options)
    ends = [length - side for length in lq.shape[1:]]
    for top in (0, 1, 2, ends[0] - 1, ends[0]):  # to the borders, where imresize mirrors
        for left in (0, 1, ends[1] - 2, ends[1]):
            corner = (scale * top, scale * left)
            monkeypatch.setattr(bicubic_sr_dataset, 'random_corner', lambda *args, corner=corner, **kwargs: corner)
            sample = dataset[1]
            assert torch.equal(sample['gt'], gt[:, corner[0] : corner[0] + size, corner[1] : corner[1] + size])
            expected = lq[:, top : top + side, left : left + side]
            torch.testing.assert_close(sample['lq'], expected, rtol=0, atol=1e-6)


def test_corners_of_patches_lie_on_the_small_image(images: dict[str, np.ndarray]) -> None:
    corners = [random_corner(images['b'], 24, 'b', step=4) for _ in range(400)]
    assert {top for top, _ in corners} == set(range(0, 50 - 24 + 1, 4))
    assert {left for _, left in corners} == set(range(0, 47 - 24 + 1, 4))


def test_bad_arguments_are_refused(images: dict[str, np.ndarray], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match='gt_size must be a multiple of the scale 4, got 25'):
        build(tmp_path / 'gt', phase='train', gt_size=25)
    with pytest.raises(
        ValueError, match=r'gt_size must be at most the size of every image, got 44 for .*a\.png of 40 x 64'
    ):
        build(tmp_path / 'gt', phase='train', gt_size=44)[0]
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='must hold images'):
        build(tmp_path / 'empty')
    (tmp_path / 'gt' / 'a.png').write_bytes(b'no image')
    with pytest.raises(ValueError, match=r'a\.png .* is no image'):
        build(tmp_path / 'gt')[0]


@pytest.mark.slow
@pytest.mark.parametrize('backend', ['disk', 'lmdb'])
def test_psnr_of_the_released_network_on_one_image(shared_data: Path, tmp_path: Path, backend: str) -> None:
    """The whole protocol: float LR, rounded luma, border of four, through BasicSR's own metric call."""
    import json

    from basicsr.metrics import calculate_metric
    from basicsr.utils import tensor2img

    from converse_basicsr.archs import ConverseSRResNet

    root = tmp_path / ('set.lmdb' if backend == 'lmdb' else 'set')
    image = cv2.imread(str(shared_data / 'data/Set5/butterfly.png'))
    if backend == 'lmdb':
        write_lmdb(root, {'butterfly': image})
    else:
        root.mkdir()
        cv2.imwrite(str(root / 'butterfly.png'), image)
    net = ConverseSRResNet()
    net.load_state_dict(torch.load(shared_data / 'model_zoo/converse_srresnet.pth'))
    sample = build(root)[0]
    with torch.no_grad():
        result = tensor2img(net.eval()(sample['lq'][None]))
    psnr = calculate_metric(
        {'img': result, 'img2': tensor2img(sample['gt'])},
        {'type': 'calculate_psnr_uint8', 'crop_border': 4, 'test_y_channel': True},
    )
    reference = json.loads((shared_data / 'data/reference_psnr.json').read_text())
    assert psnr == pytest.approx(reference['sr_Set5']['butterfly.png'], abs=0.01)
