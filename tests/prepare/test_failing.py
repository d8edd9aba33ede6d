"""The disk is full, the database or a worker fails."""

import argparse
import errno

import lmdb
import pytest
from prepare_commands import sr_command

from converse_basicsr.errors import UserError
from converse_basicsr.files.lmdb_folder import LmdbWriter, check_lmdb
from converse_basicsr.prepare import runner


@pytest.mark.parametrize(
    'error',
    [
        OSError(errno.ENOSPC, 'No space left on device'),
        lmdb.DiskError('mdb_txn_commit: No space left on device'),
        lmdb.Error('mdb_txn_commit: Input/output error'),  # what a really full disk gives
    ],
)
@pytest.mark.promise('`basicsr prepare` repeated after Ctrl-C, a kill or a full disk')
def test_full_disk_keeps_the_work_and_says_so(photographs, tmp_path, monkeypatch, error):
    monkeypatch.setattr(runner, 'COMMIT_BYTES', 1)
    monkeypatch.setattr(runner.shutil, 'disk_usage', lambda path: argparse.Namespace(free=2**20))
    original, calls = LmdbWriter.commit, []

    def commit(self):
        calls.append(None)
        if len(calls) == 6:
            raise error
        original(self)

    monkeypatch.setattr(LmdbWriter, 'commit', commit)
    with pytest.raises(UserError, match=r'the disk of .* is full .*prepare.partial, make room and repeat the command'):
        sr_command(photographs, tmp_path / 'out')
    assert not (tmp_path / 'out/gt.lmdb').exists()
    monkeypatch.undo()
    assert sr_command(photographs, tmp_path / 'out') == 0
    assert check_lmdb(tmp_path / 'out/gt.lmdb') == []


def test_another_database_error_is_not_called_a_full_disk(photographs, tmp_path, monkeypatch):
    def commit(self):
        raise lmdb.Error('mdb_txn_commit: Input/output error')

    monkeypatch.setattr(LmdbWriter, 'commit', commit)
    monkeypatch.setattr(runner.shutil, 'disk_usage', lambda path: argparse.Namespace(free=2**40))
    with pytest.raises(UserError, match=r'prepare.partial: the database cannot be written: .*Input/output error'):
        sr_command(photographs, tmp_path / 'out')


def test_error_inside_a_worker_names_the_image(photographs, tmp_path, monkeypatch):
    def fail(image, scale):
        raise RuntimeError('broken on purpose')

    monkeypatch.setattr('converse_basicsr.prepare.tasks.downsample', fail)
    with pytest.raises(UserError, match=r'0000.png: RuntimeError: broken on purpose'):
        sr_command(photographs, tmp_path / 'out')
