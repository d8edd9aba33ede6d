import numpy as np
import pytest

import converse_basicsr

converse_basicsr.register()

from basicsr.metrics import calculate_metric, calculate_psnr, calculate_ssim  # noqa: E402


@pytest.fixture
def images() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    img = rng.integers(0, 256, (24, 20, 3), dtype=np.uint8)
    noise = rng.integers(-9, 10, img.shape)
    return img, np.clip(img + noise, 0, 255).astype(np.uint8)


def luma(image: np.ndarray) -> np.ndarray:
    """BT.601 studio-swing luma of a BGR image, rounded to integers."""
    blue, green, red = (image[..., channel].astype(np.float64) / 255 for channel in range(3))
    return np.round(65.481 * red + 128.553 * green + 24.966 * blue + 16)


def psnr(first: np.ndarray, second: np.ndarray) -> float:
    return 10 * np.log10(255**2 / np.mean((first.astype(np.float64) - second) ** 2))


def test_luma_is_rounded(images: tuple[np.ndarray, np.ndarray]) -> None:
    img, img2 = images
    options = {'type': 'calculate_psnr_uint8', 'crop_border': 4, 'test_y_channel': True}
    measured = calculate_metric({'img': img, 'img2': img2}, options)
    inner = np.s_[4:-4, 4:-4]
    assert measured == pytest.approx(psnr(luma(img)[inner], luma(img2)[inner]), abs=1e-9)
    assert measured != pytest.approx(calculate_psnr(img, img2, 4, test_y_channel=True), abs=1e-4)


@pytest.mark.parametrize('order', ['HWC', 'CHW'])
def test_all_channels_agree_with_basicsr(images: tuple[np.ndarray, np.ndarray], order: str) -> None:
    pair = [image if order == 'HWC' else image.transpose(2, 0, 1) for image in images]
    data = dict(zip(('img', 'img2'), pair))
    options = {'crop_border': 2, 'input_order': order}
    assert calculate_metric(data, {'type': 'calculate_psnr_uint8', **options}) == calculate_psnr(*pair, 2, order)
    assert calculate_metric(data, {'type': 'calculate_ssim_uint8', **options}) == calculate_ssim(*pair, 2, order)


def test_ssim_is_that_of_the_rounded_luma(images: tuple[np.ndarray, np.ndarray]) -> None:
    img, img2 = images
    measured = calculate_metric(
        {'img': img, 'img2': img2}, {'type': 'calculate_ssim_uint8', 'crop_border': 0, 'test_y_channel': True}
    )
    assert measured == pytest.approx(calculate_ssim(luma(img), luma(img2), 0))
    same = calculate_metric({'img': img, 'img2': img}, {'type': 'calculate_ssim_uint8', 'crop_border': 0})
    assert same == pytest.approx(1)


def test_grey_images_are_their_own_luma(images: tuple[np.ndarray, np.ndarray]) -> None:
    grey, grey2 = (image[..., 0] for image in images)
    options = {'type': 'calculate_psnr_uint8', 'crop_border': 0, 'test_y_channel': True}
    assert calculate_metric({'img': grey, 'img2': grey2}, options) == pytest.approx(psnr(grey, grey2))


@pytest.mark.parametrize('metric', ['calculate_psnr_uint8', 'calculate_ssim_uint8'])
def test_bad_images_are_refused(images: tuple[np.ndarray, np.ndarray], metric: str) -> None:
    img, img2 = images
    options = {'type': metric, 'crop_border': 0}
    with pytest.raises(ValueError, match='must be uint8'):
        calculate_metric({'img': img.astype(np.float32), 'img2': img2}, options)
    with pytest.raises(ValueError, match='one shape'):
        calculate_metric({'img': img[1:], 'img2': img2}, options)
    with pytest.raises(TypeError, match='crop_boarder'):
        calculate_metric({'img': img, 'img2': img2}, {**options, 'crop_boarder': 4})
