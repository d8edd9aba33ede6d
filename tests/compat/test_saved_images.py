"""What BasicSR does to images on the way in and out."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from converse_basicsr import compat
from converse_basicsr.compat.patches import replaced


@pytest.mark.parametrize('as_list', [False, True])
@pytest.mark.promise('`tensor2img` clamps the tensor it is given in place, on the CPU')
def test_an_image_made_of_a_tensor_leaves_the_tensor_unchanged(as_list: bool) -> None:
    from basicsr.utils import tensor2img

    tensor = torch.tensor([-0.5, 0.5, 1.5]).view(3, 1, 1)
    image = tensor2img([tensor] if as_list else tensor)
    assert image.tolist() == [[[255, 128, 0]]]
    assert tensor.flatten().tolist() == [-0.5, 0.5, 1.5]


def test_without_the_patch_the_tensor_is_clamped() -> None:
    from basicsr import utils

    tensor = torch.tensor([-0.5, 0.5, 1.5]).view(3, 1, 1)
    with compat.disabled('tensor2img'):
        utils.tensor2img(tensor)
    assert tensor.flatten().tolist() == [0, 0.5, 1]


def test_several_tensors_give_several_images() -> None:
    from basicsr.utils import tensor2img

    assert len(tensor2img([torch.zeros(3, 2, 2), torch.ones(3, 2, 2)])) == 2


@pytest.mark.promise('`random_add_jpg_compression` fails with OpenCV 5')
def test_fractions_of_a_jpeg_quality_are_accepted() -> None:
    from basicsr.data.degradations import add_jpg_compression, random_add_jpg_compression

    image = np.linspace(0, 1, 8 * 8 * 3, dtype=np.float32).reshape(8, 8, 3)
    np.testing.assert_array_equal(add_jpg_compression(image, 90.4), add_jpg_compression(image, 90))
    assert random_add_jpg_compression(image).shape == image.shape


def test_without_the_patch_fractions_are_refused() -> None:
    if not replaced()['jpeg_quality']:
        pytest.skip('this OpenCV takes fractions itself')
    from basicsr.data import degradations

    with compat.disabled('jpeg_quality'), pytest.raises(Exception, match='imencode'):
        degradations.add_jpg_compression(np.zeros((8, 8, 3), np.float32), 90.4)


def folders_of_two_sets() -> list[Any]:
    """Where a model that validates two sets saves their images."""
    from basicsr.models.base_model import BaseModel

    class Model(BaseModel):
        def nondist_validation(self, dataloader: Any, current_iter: Any, tb_logger: Any, save_img: bool) -> None:
            seen.append(self.opt['path']['visualization'])

    seen: list[Any] = []
    model = Model(
        {
            'num_gpu': 0,
            'is_train': True,
            'dist': False,
            'datasets': {'train': {}, 'val': {}, 'val_2': {}},
            'path': {'visualization': 'folder'},
        }
    )
    for name in ('a', 'b'):
        model.validation(SimpleNamespace(dataset=SimpleNamespace(opt={'name': name})), 1, None, True)
    assert model.opt['path']['visualization'] == 'folder'
    return seen


@pytest.mark.promise('with several validation sets, saved images of the same name overwrite each other')
def test_each_validation_set_has_a_folder_of_its_own() -> None:
    assert folders_of_two_sets() == ['folder/a', 'folder/b']
    with compat.disabled('saved_images'):
        assert folders_of_two_sets() == ['folder', 'folder']
