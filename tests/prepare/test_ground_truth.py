"""``basicsr prepare denoise`` and ``deblur``: clean images, whole or cut, grey or as they are."""

import shlex
from pathlib import Path

import cv2
import numpy as np
import pytest
from prepare_commands import command, parser, read_lmdb

import converse_basicsr
from converse_basicsr.errors import UserError
from converse_basicsr.files.lmdb_folder import check_lmdb
from converse_basicsr.options.file import read_option_file
from converse_basicsr.options.library import option_files
from converse_basicsr.prepare.tasks import crop_starts


def one_process(*argv: object) -> int:
    return command(*argv, '--workers', 1)


@pytest.fixture
def images(tmp_path: Path) -> dict[str, np.ndarray]:
    """A colour image, a grey one and a small one, in ``tmp_path / 'in'``."""
    rng = np.random.default_rng(0)
    shapes = {'colour': (50, 61, 3), 'grey': (45, 40), 'small': (20, 60, 3)}
    made = {name: rng.integers(0, 256, shape, dtype=np.uint8) for name, shape in shapes.items()}
    (tmp_path / 'in').mkdir()
    for name, image in made.items():
        cv2.imwrite(str(tmp_path / f'in/{name}.png'), image)
    return made


@pytest.mark.parametrize(('name', 'argv'), [('denoise', []), ('deblur', ['--crop', 'whole'])])
def test_whole_images_are_stored_as_they_are(images, tmp_path, name, argv):
    assert one_process(name, '--input', tmp_path / 'in', '--output', tmp_path / 'out', *argv) == 0
    found = read_lmdb(tmp_path / 'out/gt.lmdb')
    assert found.keys() == images.keys()
    for key, image in images.items():
        np.testing.assert_array_equal(found[key], image)
    assert check_lmdb(tmp_path / 'out/gt.lmdb') == []


@pytest.mark.parametrize('name', ['denoise', 'deblur'])
def test_sub_images_cover_the_image_and_too_small_ones_are_reported(images, tmp_path, capsys, name):
    assert one_process(name, '--input', tmp_path / 'in', '--output', tmp_path / 'out', '--crop', 24) == 0
    expected = {}
    for key in ('colour', 'grey'):
        height, width = images[key].shape[:2]
        corners = [(top, left) for top in crop_starts(height, 24, 12) for left in crop_starts(width, 24, 12)]
        for index, (top, left) in enumerate(corners, start=1):
            expected[f'{key}_s{index:03d}'] = images[key][top : top + 24, left : left + 24]
    found = read_lmdb(tmp_path / 'out/gt.lmdb')
    assert found.keys() == expected.keys()
    for key in found:
        np.testing.assert_array_equal(found[key], expected[key])
    assert 'left out, smaller than the crop: 1 image (small.png)' in capsys.readouterr().out


def test_gray_makes_rounded_luma_and_says_of_what(images, tmp_path, capsys):
    assert one_process('denoise', '--input', tmp_path / 'in', '--output', tmp_path / 'out', '--gray') == 0
    found = read_lmdb(tmp_path / 'out/gt.lmdb')
    blue, green, red = images['colour'].astype(float).transpose(2, 0, 1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    assert np.abs(found['colour'] - luma).max() < 0.51
    np.testing.assert_array_equal(found['grey'], images['grey'])
    assert {image.ndim for image in found.values()} == {2}
    assert 'colour.png (50,61,1) 1' in (tmp_path / 'out/gt.lmdb/meta_info.txt').read_text()
    assert 'colour made grey: 2 images (colour.png, small.png)' in capsys.readouterr().out


def test_datasets_read_what_was_prepared(images, tmp_path):
    converse_basicsr.register()
    from basicsr.data import build_dataset

    one_process('denoise', '--input', tmp_path / 'in', '--output', tmp_path / 'grey', '--gray')
    one_process('deblur', '--input', tmp_path / 'in', '--output', tmp_path / 'colour', '--crop', 40, '--step', 40)
    common = {'name': 'train', 'phase': 'train', 'io_backend': {'type': 'lmdb'}, 'gt_size': 16, 'sigma': 25}
    denoise = build_dataset(
        {**common, 'type': 'GaussianNoiseDataset', 'dataroot_gt': str(tmp_path / 'grey/gt.lmdb'), 'color': 'gray'}
    )
    assert len(denoise) == 3
    assert denoise[0]['gt'].shape == (1, 16, 16)
    deblur = build_dataset(
        {**common, 'type': 'BlurDataset', 'dataroot_gt': str(tmp_path / 'colour/gt.lmdb'), 'kernel_size': 7}
    )
    assert len(deblur) == 2 * 2 + 2
    assert deblur[0]['lq'].shape == (3, 16, 16)


def test_the_same_command_finds_it_complete_and_another_one_refuses(images, tmp_path, capsys):
    words = ['--input', tmp_path / 'in', '--output', tmp_path / 'out', '--crop', 40]
    one_process('denoise', *words)
    assert one_process('denoise', *words) == 0
    assert 'nothing to do' in capsys.readouterr().out
    with pytest.raises(UserError, match=r'gray false there, true now'):
        one_process('denoise', *words, '--gray')
    with pytest.raises(UserError, match=r'command "denoise" there, "deblur" now'):
        one_process('deblur', *words)
    assert one_process('deblur', *words, '--gray', '--overwrite') == 0
    assert {image.ndim for image in read_lmdb(tmp_path / 'out/gt.lmdb').values()} == {2}


def test_grids_that_make_no_sense_are_refused(images, tmp_path, capsys):
    words = ['denoise', '--input', tmp_path / 'in', '--output', tmp_path / 'out']
    with pytest.raises(UserError, match=r'--step 20 needs sub-images: give --crop PX'):
        one_process(*words, '--step', 20)
    with pytest.raises(UserError, match=r'--step must be at most --crop 16, got 20'):
        one_process(*words, '--crop', 16, '--step', 20)
    with pytest.raises(SystemExit):
        one_process(*words, '--crop', 'half')
    assert 'must be whole or an integer of at least 1, got half' in capsys.readouterr().err
    assert not (tmp_path / 'out').exists()


def test_every_hint_of_the_option_files_is_a_command_that_parses():
    seen = set()
    for path in dict(option_files()).values():
        for section in read_option_file(path).options['datasets'].values():
            program, name, *words = shlex.split(section['prepare'])
            assert (program, name) == ('basicsr', 'prepare')
            if words != ['--help']:
                seen.add(parser().parse_args(words).prepare_command)
    assert {'div2k', 'denoise', 'testset', 'demo'} <= seen
