import numpy as np
import pytest
import torch
from torch import nn

from converse_basicsr.files.decoding import BadImage
from converse_basicsr.files.picture import Picture
from converse_basicsr.restore.restorer import Restorer


class Enlarge(nn.Module):
    """Nearest upsampling with a gain per channel; remembers the shapes that it was given."""

    def __init__(self, channels: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.gain = nn.Parameter(torch.linspace(0.5, 1, channels).view(1, -1, 1, 1) if channels > 1 else torch.ones(1))
        self.shapes: list[tuple[int, ...]] = []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shapes.append(tuple(x.shape))
        return nn.functional.interpolate(x * self.gain, scale_factor=self.scale)


def restorer(channels: int, scale: int, **options: int) -> Restorer:
    return Restorer(Enlarge(channels, scale).eval(), channels, scale, **{'tile': 64, 'overlap': 16, **options})


def image(channels: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (20, 90, channels), dtype, endpoint=True)


def repeat(array: np.ndarray, scale: int) -> np.ndarray:
    return array.repeat(scale, 0).repeat(scale, 1)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_colour_by_a_colour_network(dtype: type) -> None:
    pixels = image(3, dtype)
    result = restorer(3, 2)(Picture(pixels)).pixels
    expected = np.round(repeat(pixels, 2) * np.array([0.5, 0.75, 1]))
    assert result.dtype == dtype
    assert np.abs(result.astype(float) - expected).max() <= 1  # a half is rounded either way


def test_colour_by_a_grey_network_goes_channel_by_channel() -> None:
    pixels, grey = image(3), restorer(1, 1)
    assert np.array_equal(grey(Picture(pixels)).pixels, pixels)
    assert {shape[:2] for shape in grey.net.shapes} == {(1, 1)}
    assert len(grey.net.shapes) == 3 * 2  # channels, tiles


def test_grey_by_a_colour_network_is_the_mean_of_its_outputs() -> None:
    pixels = image(1)
    result = restorer(3, 1)(Picture(pixels)).pixels
    assert result.shape == pixels.shape
    assert np.abs(result - pixels * 0.75).max() <= 0.5


def test_values_are_clipped() -> None:
    bright = restorer(1, 1)
    bright.net.gain.data.mul_(3)
    assert bright(Picture(np.full((9, 9, 1), 200, np.uint8))).pixels.min() == 255


def test_alpha_stays_where_the_size_does() -> None:
    alpha = image(1)[..., 0]
    assert restorer(3, 1)(Picture(image(3), alpha)).alpha is alpha


@pytest.mark.parametrize('channels', [1, 3])
def test_alpha_is_enlarged_like_a_grey_image(channels: int) -> None:
    alpha, net = image(1)[..., 0], restorer(channels, 2)
    found = net(Picture(image(3), alpha)).alpha
    expected = repeat(alpha, 2) * (1 if channels == 1 else 0.75)
    assert np.abs(found - expected).max() <= 0.5


def test_a_constant_alpha_needs_no_network() -> None:
    net = restorer(3, 2)
    found = net(Picture(image(3), np.full((20, 90), 7, np.uint8))).alpha
    assert found.shape == (40, 180)
    assert (found == 7).all()
    assert len(net.net.shapes) == 2  # the tiles of the image


def test_the_border_is_added_and_cropped() -> None:
    net = restorer(3, 2, border=8)
    assert net(Picture(image(3))).pixels.shape == (40, 180, 3)
    assert net.net.shapes[0] == (1, 3, 28, 72)


def test_other_numbers_of_channels_are_refused() -> None:
    with pytest.raises(BadImage, match='has 3 channels, the network takes 4'):
        restorer(4, 1)(Picture(image(3)))


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
def test_an_array_gives_what_its_picture_gives(channels: int, dtype: type) -> None:
    pixels = image(channels, dtype)
    before, net = pixels.copy(), restorer(3, 2)
    result = net(pixels)
    assert result.dtype == dtype
    assert np.array_equal(result, net(Picture(pixels)).pixels)
    assert np.array_equal(pixels, before)
    if channels == 1:
        assert np.array_equal(net(pixels[..., 0]), result[..., 0])


@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_floating_point_comes_back_as_it_was_and_is_not_rounded_to_levels(dtype: type) -> None:
    pixels = np.random.default_rng(0).random((20, 90, 3)).astype(dtype)
    result = restorer(3, 2)(pixels)
    assert result.dtype == dtype
    expected = repeat(pixels.astype(np.float64), 2) * np.array([0.5, 0.75, 1])
    np.testing.assert_allclose(result, expected, rtol=2 * np.finfo(np.float16 if dtype == np.float16 else 'f4').eps)


def test_noise_beyond_black_and_white_reaches_the_network() -> None:
    bright = restorer(1, 1)
    bright.net.gain.data.mul_(0.5)
    noisy = np.float32([[1.5, -0.5], [0.5, 0.5]])
    assert np.array_equal(bright(noisy), np.float32([[0.75, 0], [0.25, 0.25]]))


@pytest.mark.parametrize(
    ('array', 'message'),
    [
        (np.zeros((2, 2), np.int64), 'image must be of uint8, uint16 or floating point, got int64'),
        (np.zeros((2, 2), bool), 'image must be of uint8, uint16 or floating point, got bool'),
        (np.full((2, 2), 200.0), 'image must hold finite numbers where 1 is white, got a mean of 200'),
        (np.full((2, 2), np.nan), 'got a mean of nan'),
        (np.zeros((2, 2, 4), np.uint8), r'image must be \(H, W\), \(H, W, 1\) or \(H, W, 3\), got \(2, 2, 4\)'),
        (np.zeros((0, 2), np.uint8), r'got \(0, 2\)'),
        ([[0.0]], 'image must be a NumPy array or a Picture, got list'),
    ],
    ids=lambda value: None,
)
def test_arrays_that_are_no_images_are_refused(array: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        restorer(3, 1)(array)


def test_arrays_need_a_network_of_grey_or_colour() -> None:
    with pytest.raises(ValueError, match=r'image is .*, the network takes 4 channels'):
        restorer(4, 1)(image(3))
