import numpy as np
import pytest
import torch
from torch import nn

from converse_basicsr.prepare.images import BadImage
from converse_basicsr.restore.image_file import Picture
from converse_basicsr.restore.restorer import Restorer


class Enlarge(nn.Module):
    """Nearest upsampling with a gain a channel; remembers the shapes that it was given."""

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
