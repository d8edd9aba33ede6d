"""What BasicSR does to images on the way in and out, mended."""

import numpy as np
import pytest
import torch

import converse_basicsr


@pytest.fixture(autouse=True)
def _registered() -> None:
    converse_basicsr.register()


@pytest.mark.parametrize('as_list', [False, True])
def test_an_image_made_of_a_tensor_leaves_it_as_it_is(as_list: bool) -> None:
    from basicsr.utils import tensor2img

    tensor = torch.tensor([-0.5, 0.5, 1.5]).view(3, 1, 1)
    image = tensor2img([tensor] if as_list else tensor)
    assert image.tolist() == [[[255, 128, 0]]]
    assert tensor.flatten().tolist() == [-0.5, 0.5, 1.5]


def test_several_tensors_give_several_images() -> None:
    from basicsr.utils import tensor2img

    assert len(tensor2img([torch.zeros(3, 2, 2), torch.ones(3, 2, 2)])) == 2


def test_fractions_of_a_jpeg_quality_are_accepted() -> None:
    from basicsr.data.degradations import add_jpg_compression, random_add_jpg_compression

    image = np.linspace(0, 1, 8 * 8 * 3, dtype=np.float32).reshape(8, 8, 3)
    np.testing.assert_array_equal(add_jpg_compression(image, 90.4), add_jpg_compression(image, 90))
    assert random_add_jpg_compression(image).shape == image.shape
