"""A finished data set: found, refused, replaced."""

import json

import cv2
import pytest
from prepare_commands import photograph, raw_lmdb, read_lmdb, sr_command

from converse_basicsr.errors import UserError
from converse_basicsr.prepare import Record, runner


@pytest.mark.promise('`basicsr prepare` on a data set that is complete, or was made otherwise')
def test_same_command_succeeds_without_work(photographs, tmp_path, capsys, monkeypatch):
    sr_command(photographs, tmp_path / 'out')
    monkeypatch.setattr(runner, 'run_tasks', None)
    assert sr_command(photographs, tmp_path / 'out') == 0
    assert 'nothing to do' in capsys.readouterr().out


@pytest.mark.promise('`basicsr prepare` on a data set that is complete, or was made otherwise')
def test_other_parameters_or_images_are_refused_and_leave_the_data(photographs, tmp_path):
    sr_command(photographs, tmp_path / 'out')
    before = raw_lmdb(tmp_path / 'out/gt.lmdb')
    with pytest.raises(UserError, match=r'already made, but with other parameters \(scale \[4\] there, \[2\] now\)'):
        sr_command(photographs, tmp_path / 'out', '--scale', 2)
    cv2.imwrite(str(photographs / 'new.png'), photograph(24, 24))
    with pytest.raises(UserError, match=r'1 of its images are new since \(the first is new.png\)'):
        sr_command(photographs, tmp_path / 'out')
    assert raw_lmdb(tmp_path / 'out/gt.lmdb') == before
    assert not (tmp_path / 'out/prepare.partial').exists()


def test_overwrite_replaces_and_removes_what_no_longer_matches(photographs, tmp_path):
    sr_command(photographs, tmp_path / 'out', '--scale', 2, 4)
    assert sr_command(photographs, tmp_path / 'out', '--step', 24, '--overwrite') == 0
    assert not (tmp_path / 'out/lq_x2.lmdb').exists()
    assert read_lmdb(tmp_path / 'out/gt.lmdb').keys() == read_lmdb(tmp_path / 'out/lq_x4.lmdb').keys()


def test_what_others_made_is_not_overwritten(photographs, tmp_path):
    (tmp_path / 'out/gt.lmdb').mkdir(parents=True)
    (tmp_path / 'out/gt.lmdb/data.mdb').write_text('precious')
    with pytest.raises(UserError, match=r'gt.lmdb exists and was not made by this command'):
        sr_command(photographs, tmp_path / 'out')
    assert (tmp_path / 'out/gt.lmdb/data.mdb').read_text() == 'precious'


def test_damage_since_is_noticed(photographs, tmp_path):
    sr_command(photographs, tmp_path / 'out')
    (tmp_path / 'out/lq_x4.lmdb/meta_info.txt').unlink()
    with pytest.raises(UserError, match=r'lq_x4.lmdb was finished, but now lacks meta_info.txt'):
        sr_command(photographs, tmp_path / 'out')


@pytest.mark.parametrize('content', ['{"parameters": ', '[]', '{}'])
def test_a_damaged_record_is_named(photographs, tmp_path, content):
    sr_command(photographs, tmp_path / 'out')
    (tmp_path / 'out/prepare.json').write_text(content)
    with pytest.raises(UserError, match=r'prepare.json is damaged: delete it and repeat the command with --overwrite'):
        sr_command(photographs, tmp_path / 'out')


def test_a_record_of_an_earlier_version_that_listed_no_files_is_understood(photographs, tmp_path):
    sr_command(photographs, tmp_path / 'out')
    record = json.loads((tmp_path / 'out/prepare.json').read_text())
    del record['files']
    (tmp_path / 'out/prepare.json').write_text(json.dumps(record))
    made = Record.read(tmp_path / 'out/prepare.json')
    assert made.files == []
    assert sr_command(photographs, tmp_path / 'out') == 0
    assert sr_command(photographs, tmp_path / 'out', '--step', 24, '--overwrite') == 0
