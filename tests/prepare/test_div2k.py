"""``basicsr prepare div2k``: the names of the option files, and incomplete downloads."""

from pathlib import Path

import cv2
import pytest
from prepare_commands import command, photograph, read_lmdb

from converse_basicsr.errors import UserError
from converse_basicsr.files.lmdb_folder import check_lmdb
from converse_basicsr.prepare import div2k


@pytest.fixture
def small_div2k(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(div2k, 'NUM_IMAGES', 3)
    folder = tmp_path / 'DIV2K/DIV2K_train_HR'
    folder.mkdir(parents=True)
    for number in (1, 2, 3):
        cv2.imwrite(str(folder / f'{number:04d}.png'), photograph(36, 48, number))
    return tmp_path / 'DIV2K'


def test_names_are_those_of_the_option_files(small_div2k):
    argv = ['--root', small_div2k, '--crop', 24, '--step', 12, '--workers', 1]
    assert command('div2k', *argv) == 0
    assert len(read_lmdb(small_div2k / 'train_sub/gt.lmdb')) == 3 * 2 * 3
    assert check_lmdb(small_div2k / 'train_sub/lq_x4.lmdb') == []


def test_missing_says_what_to_download_from_where_to_where(tmp_path):
    with pytest.raises(UserError, match=r'download https://.*/DIV2K_train_HR.zip .* unpack it in .*DIV2K'):
        command('div2k', '--root', tmp_path / 'DIV2K')


def test_incomplete_or_foreign_images_are_refused(small_div2k):
    (small_div2k / 'DIV2K_train_HR/0002.png').rename(small_div2k / 'DIV2K_train_HR/cat.png')
    with pytest.raises(UserError, match=r'1 of 3 images are missing, the first is 0002.png and 1 do not belong'):
        command('div2k', '--root', small_div2k)
