import cv2
import numpy as np
import pytest

from converse_basicsr.data.wrapped_blur import blur, blur_as_tables


@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('shape', [(1, 1), (3, 3), (7, 7), (5, 9), (25, 25), (33, 3)])
def test_the_fast_blur_is_the_tables_blur(channels: int, shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(0, 256, (30, 41, channels), dtype=np.uint8), (0, 0), 1)
    image = image.reshape(30, 41, channels)
    kernel = rng.random(shape)
    kernel /= kernel.sum()
    # Random weights give no integers, so that nothing is left to rounding.
    np.testing.assert_array_equal(blur(image, kernel), blur_as_tables(image, kernel))


def test_a_kernel_larger_than_the_image_wraps_more_than_once() -> None:
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (7, 6, 3), dtype=np.uint8)
    kernel = rng.random((25, 25))
    kernel /= kernel.sum()
    np.testing.assert_array_equal(blur(image, kernel), blur_as_tables(image, kernel))


@pytest.mark.parametrize('size', [7, 25])
def test_even_areas_keep_their_value(size: int) -> None:
    rng = np.random.default_rng(2)
    for value in (0, 1, 100, 254, 255):
        kernel = rng.random((size, size))
        image = np.full((32, 32, 3), value, np.uint8)
        np.testing.assert_array_equal(blur(image, kernel / kernel.sum()), image)


def test_negative_weights_saturate() -> None:
    image = np.zeros((16, 16, 1), np.uint8)
    image[8:] = 255
    kernel = np.array([[-1.0], [3.0], [-1.0]])
    np.testing.assert_array_equal(blur(image, kernel), image)  # SciPy's -255 would become 1
