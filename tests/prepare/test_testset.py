"""``basicsr prepare testset``: pairs of folders."""

import cv2
import numpy as np
import pytest
from prepare_commands import command, photograph

from converse_basicsr.errors import UserError
from converse_basicsr.prepare.downsample import downsample


def test_pairs_have_the_same_names_and_keep_colour_and_grey(tmp_path):
    folder = tmp_path / 'in'
    folder.mkdir()
    colour, grey = photograph(43, 50), photograph(40, 40, channels=1)
    cv2.imwrite(str(folder / 'a.colour.png'), colour)
    cv2.imwrite(str(folder / 'grey.bmp'), grey)
    assert command('testset', '--input', folder, '--output', tmp_path / 'out', '--scale', 4, '--workers', 1) == 0
    names = {'a.colour.png', 'grey.png'}
    for name in ('GTmod4', 'LRbicx4'):
        assert {path.name for path in (tmp_path / 'out' / name).iterdir()} == names
    for name, image in (('a.colour.png', colour[:40, :48]), ('grey.png', grey)):
        gt = cv2.imread(str(tmp_path / 'out/GTmod4' / name), cv2.IMREAD_UNCHANGED)
        lq = cv2.imread(str(tmp_path / 'out/LRbicx4' / name), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(gt, image)
        np.testing.assert_array_equal(lq, downsample(image, 4))


def test_output_defaults_to_the_input_folder_and_scales_come_one_by_one(photographs, capsys):
    assert command('testset', '--input', photographs, '--scale', 2, '--workers', 1) == 0
    assert command('testset', '--input', photographs, '--scale', 2, 4, '--workers', 1) == 0
    assert {path.name for path in photographs.iterdir() if not path.name.startswith('0')} == {
        'GTmod2', 'LRbicx2', 'GTmod4', 'LRbicx4', 'prepare_x2.json', 'prepare_x4.json',
    }  # fmt: skip
    assert 'no images' not in capsys.readouterr().out


def test_image_below_the_kernel_is_named(tmp_path):
    (tmp_path / 'in').mkdir()
    cv2.imwrite(str(tmp_path / 'in/tiny.png'), photograph(15, 40))
    with pytest.raises(UserError, match=r'tiny.png is too small for x4: both sides must have 16 pixels'):
        command('testset', '--input', tmp_path / 'in', '--output', tmp_path / 'out', '--workers', 1)


def test_set5_has_the_sizes_of_the_literature(shared_data, tmp_path):
    command('testset', '--input', shared_data / 'data/Set5', '--output', tmp_path, '--scale', 4, '--workers', 1)
    sizes = {path.stem: cv2.imread(str(path)).shape[:2] for path in (tmp_path / 'LRbicx4').iterdir()}
    assert sizes == {
        'baby': (128, 128),
        'bird': (72, 72),
        'butterfly': (64, 64),
        'head': (70, 70),
        'woman': (86, 57),
    }
