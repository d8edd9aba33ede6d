"""``basicsr prepare sr``: pairs of sub-images."""

import cv2
import numpy as np
import pytest
from PIL import Image
from prepare_commands import photograph, raw_lmdb, read_lmdb, sr_command

from converse_basicsr.errors import UserError
from converse_basicsr.files.lmdb_folder import check_lmdb
from converse_basicsr.prepare.downsample import load_imresize
from converse_basicsr.prepare.tasks import crop_starts


def test_sub_images_are_cuts_of_the_image_and_of_its_whole_downsampled_version(photographs, tmp_path):
    assert sr_command(photographs, tmp_path / 'out', '--scale', 4) == 0
    gt, lq = read_lmdb(tmp_path / 'out/gt.lmdb'), read_lmdb(tmp_path / 'out/lq_x4.lmdb')
    expected_gt, expected_lq = {}, {}
    for path in sorted(photographs.iterdir()):
        image = cv2.imread(str(path))
        image = image[: image.shape[0] // 4 * 4, : image.shape[1] // 4 * 4]
        small = load_imresize()(image.astype(np.float32) / 255, 0.25)
        small = (small.clip(0, 1) * 255).round().astype(np.uint8)
        index = 0
        for top in crop_starts(image.shape[0], 24, 12):
            for left in crop_starts(image.shape[1], 24, 12):
                index += 1
                key = f'{path.stem}_s{index:03d}'
                expected_gt[key] = image[top : top + 24, left : left + 24]
                expected_lq[key] = small[top // 4 : top // 4 + 6, left // 4 : left // 4 + 6]
    for found, expected in ((gt, expected_gt), (lq, expected_lq)):
        assert found.keys() == expected.keys()
        for key in found:
            np.testing.assert_array_equal(found[key], expected[key])


def test_basicsr_reads_the_pairs(photographs, tmp_path):
    from converse_basicsr import compat

    compat.apply()
    from basicsr.data.paired_image_dataset import PairedImageDataset

    sr_command(photographs, tmp_path / 'out', '--scale', 2)
    dataset = PairedImageDataset(
        {
            'dataroot_gt': str(tmp_path / 'out/gt.lmdb'),
            'dataroot_lq': str(tmp_path / 'out/lq_x2.lmdb'),
            'io_backend': {'type': 'lmdb'},
            'scale': 2,
            'phase': 'val',
        }
    )
    gt = read_lmdb(tmp_path / 'out/gt.lmdb')
    assert len(dataset) == len(gt)
    for index in (0, len(dataset) - 1):
        item = dataset[index]
        assert item['lq'].shape == (3, 12, 12)
        shown = np.rint(item['gt'].numpy().transpose(1, 2, 0)[:, :, ::-1] * 255)
        np.testing.assert_array_equal(shown, gt[item['gt_path']])


def test_meta_info_has_basicsrs_lines(photographs, tmp_path):
    sr_command(photographs, tmp_path / 'out')
    lines = (tmp_path / 'out/lq_x4.lmdb/meta_info.txt').read_text().splitlines()
    assert lines[0] == '0000_s001.png (6,6,3) 1'
    assert lines == sorted(lines)
    assert check_lmdb(tmp_path / 'out/lq_x4.lmdb') == []


def test_several_scales_share_one_ground_truth(photographs, tmp_path):
    sr_command(photographs, tmp_path / 'out', '--scale', 4, 2, 3)
    keys = read_lmdb(tmp_path / 'out/gt.lmdb').keys()
    assert {path.name for path in (tmp_path / 'out').iterdir()} == {
        'gt.lmdb', 'lq_x2.lmdb', 'lq_x3.lmdb', 'lq_x4.lmdb', 'prepare.json',
    }  # fmt: skip
    for scale in (2, 3, 4):
        small = read_lmdb(tmp_path / f'out/lq_x{scale}.lmdb')
        assert small.keys() == keys
        assert all(image.shape == (24 // scale, 24 // scale, 3) for image in small.values())


@pytest.mark.slow
def test_worker_processes_make_the_same_as_one(photographs, tmp_path):
    sr_command(photographs, tmp_path / 'one')
    sr_command(photographs, tmp_path / 'two', '--workers', 2)
    for name in ('gt.lmdb', 'lq_x4.lmdb'):
        assert raw_lmdb(tmp_path / 'one' / name) == raw_lmdb(tmp_path / 'two' / name)


def test_the_grid_is_basicsrs():
    # Sizes of DIV2K's first three images and the numbers of their sub-images in BasicSR's published list.
    for height, width, count in [(1404, 2040, 40), (1848, 2040, 56), (1356, 2040, 40)]:
        assert len(crop_starts(height, 480, 240)) * len(crop_starts(width, 480, 240)) == count
    assert crop_starts(480, 480, 240) == [0]
    assert crop_starts(720, 480, 240) == [0, 240]
    assert crop_starts(721, 480, 240) == [0, 240, 241]


def test_names_with_dots_spaces_and_letters_beyond_ascii_stay_apart(tmp_path):
    folder = tmp_path / 'in'
    folder.mkdir()
    for index, name in enumerate(['a.b', 'a b', 'größe', 'grösse', '図']):
        Image.fromarray(photograph(24, 24, index)).save(folder / f'{name}.png')
    sr_command(folder, tmp_path / 'out')
    gt = read_lmdb(tmp_path / 'out/gt.lmdb')
    assert len(gt) == 5
    assert all(key.isascii() and '.' not in key and ' ' not in key for key in gt)
    assert check_lmdb(tmp_path / 'out/gt.lmdb') == []


@pytest.mark.parametrize(('first', 'second'), [('a.png', 'a.jpg'), ('A.png', 'a.png')])
def test_names_of_which_one_would_replace_the_other_are_refused(tmp_path, first, second):
    (tmp_path / 'in').mkdir()
    for name in (first, second):
        cv2.imwrite(str(tmp_path / 'in' / name), photograph(24, 24))
    if len(list((tmp_path / 'in').iterdir())) == 1:
        pytest.skip('this file system does not tell upper from lower case')
    with pytest.raises(UserError, match=r'a\.(png|jpg) and (a|A)\.(png|jpg)|A\.png and a\.png'):
        sr_command(tmp_path / 'in', tmp_path / 'out')
