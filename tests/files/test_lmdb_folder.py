import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest

from converse_basicsr.files import lmdb_folder as lmdb_writer
from converse_basicsr.files.lmdb_folder import LmdbWriter, check_lmdb


def png(seed: int, size: int = 100) -> bytes:
    """An image of 2 x 3 pixels, with some bytes behind it that readers ignore."""
    image = np.random.default_rng(seed).integers(0, 256, (2, 3), dtype=np.uint8)
    return cv2.imencode('.png', image)[1].tobytes() + bytes(size)


def make(path: Path, keys: Sequence[str] = ('a', 'b', 'c'), size: int = 100) -> Path:
    writer = LmdbWriter(path)
    for number, key in enumerate(keys):
        writer.put(key, png(number, size), (2, 3, 1))
    writer.finish()
    return path


@pytest.mark.parametrize('key', ['', 'a.b', 'ä', 'a b', 'a\n', 'a' * 512])
def test_keys_that_basicsr_or_lmdb_cannot_hold_are_refused(tmp_path, key):
    writer = LmdbWriter(tmp_path / 'x.lmdb')
    with pytest.raises(ValueError, match='key must be 1 to 511'):
        writer.put(key, b'', (1, 1, 1))
    writer.close()


def test_a_key_does_not_replace_another(tmp_path):
    writer = LmdbWriter(tmp_path / 'x.lmdb')
    writer.put('a', b'1', (1, 1, 1))
    with pytest.raises(ValueError, match="key must be new, got 'a' again"):
        writer.put('a', b'2', (1, 1, 1))
    writer.close()


def test_path_must_end_in_lmdb(tmp_path):
    with pytest.raises(ValueError, match=r"path must end with '.lmdb'"):
        LmdbWriter(tmp_path / 'x')


def test_the_map_grows_with_the_data(tmp_path, monkeypatch):
    monkeypatch.setattr(lmdb_writer, 'INITIAL_MAP_SIZE', 2**16)
    path = make(tmp_path / 'x.lmdb', keys=[f'k{index}' for index in range(50)], size=50_000)
    assert check_lmdb(path) == []
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        assert transaction.get(b'k49') == png(49, 50_000)


def test_the_map_grows_beyond_a_reopened_database(tmp_path, monkeypatch):
    monkeypatch.setattr(lmdb_writer, 'INITIAL_MAP_SIZE', 2**16)
    path = tmp_path / 'x.lmdb'
    writer = LmdbWriter(path)
    writer.put('a', png(0, 10**6), (2, 3, 1))
    writer.commit()
    writer.close()
    writer = LmdbWriter(path, committed={'a': (2, 3, 1)})
    writer.put('b', png(1, 10**6), (2, 3, 1))
    writer.finish()
    assert check_lmdb(path) == []


def test_going_on_keeps_the_committed_and_drops_the_rest(tmp_path):
    path = tmp_path / 'x.lmdb'
    writer = LmdbWriter(path)
    writer.put('kept', png(1), (2, 3, 1))
    writer.put('stray', png(2), (2, 3, 1))
    writer.commit()
    writer.put('lost', png(3), (2, 3, 1))
    writer.close()
    writer = LmdbWriter(path, committed={'kept': (2, 3, 1)})
    writer.put('new', png(4), (2, 3, 1))
    writer.finish()
    assert (path / 'meta_info.txt').read_text() == 'kept.png (2,3,1) 1\nnew.png (2,3,1) 1\n'
    assert check_lmdb(path) == []


def test_going_on_with_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"committed must be keys of .*got 'a'"):
        LmdbWriter(tmp_path / 'x.lmdb', committed={'a': (1, 1, 1)})


def test_an_unfinished_database_has_no_meta_info(tmp_path):
    writer = LmdbWriter(tmp_path / 'x.lmdb')
    writer.put('a', b'1', (1, 1, 1))
    writer.commit()
    writer.close()
    assert check_lmdb(tmp_path / 'x.lmdb') == ['lacks meta_info.txt: the database was not finished, prepare it again']


class TestCheckLmdb:
    def test_a_finished_database_has_no_problems(self, tmp_path):
        assert check_lmdb(make(tmp_path / 'x.lmdb')) == []

    def test_missing_and_misnamed_folders(self, tmp_path):
        assert check_lmdb(tmp_path / 'x.lmdb') == ['does not exist']
        assert 'does not end in .lmdb' in check_lmdb(tmp_path)[0]

    @pytest.mark.parametrize(
        ('text', 'problem'),
        [
            (
                'a.png (2,3,1) 1\nb.png (2,3,1) 1\n',
                'holds images that meta_info.txt does not list: 1 of 3, the first is c',
            ),
            (
                'a.png (2,3,1) 1\nb.png (2,3,1) 1\nc.png (2,3,1) 1\nd.png (2,3,1) 1\n',
                'lacks images that meta_info.txt lists: 1 of 4, the first is d',
            ),
            ('a.png (2,3,1) 1\na.png (2,3,1) 1\n', 'lists a twice in meta_info.txt'),
            ('a.b.png (2,3,1) 1\n', "has a malformed line 1 in meta_info.txt: 'a.b.png (2,3,1) 1'"),
            ('', 'is empty: no image in meta_info.txt'),
        ],
    )
    def test_disagreement_is_described(self, tmp_path, text, problem):
        path = make(tmp_path / 'x.lmdb')
        (path / 'meta_info.txt').write_text(text)
        assert problem in check_lmdb(path)

    def test_a_truncated_database_is_a_problem_and_no_bus_error(self, tmp_path):
        path = make(tmp_path / 'x.lmdb', size=10_000)
        data = (path / 'data.mdb').read_bytes()
        for size in (len(data) // 2, 8192, 100, 0):
            (path / 'data.mdb').write_bytes(data[:size])
            assert len(check_lmdb(path)) == 1

    @pytest.mark.promise('an LMDB with a value that is no image, or one of another size than `meta_info.txt` says')
    @pytest.mark.parametrize(
        ('value', 'shape', 'problem'),
        [
            (b'', (2, 3, 1), 'holds what is no image: b'),
            (b'\x89PNG\r\n\x1a\n', (2, 3, 1), 'holds what is no image: b'),
            (b'garbage' * 100, (2, 3, 1), 'holds what is no image: b'),
            (
                png(0),
                (3, 2, 1),
                'holds an image of another size than meta_info.txt says: b has 2 x 3 pixels, not 3 x 2',
            ),
        ],
    )
    def test_a_value_that_is_not_what_is_listed(self, tmp_path, value, shape, problem):
        writer = LmdbWriter(tmp_path / 'x.lmdb')
        writer.put('a', png(1), (2, 3, 1))
        writer.put('b', value, shape)
        writer.finish()
        assert check_lmdb(tmp_path / 'x.lmdb') == [problem]

    def test_other_formats_than_png_are_images_too(self, tmp_path):
        writer = LmdbWriter(tmp_path / 'x.lmdb')
        for name in ('.jpg', '.webp', '.bmp'):
            writer.put(name[1:], cv2.imencode(name, np.zeros((5, 7, 3), np.uint8))[1].tobytes(), (5, 7, 3))
        writer.finish()
        assert check_lmdb(tmp_path / 'x.lmdb') == []

    def test_it_opens_nothing_for_writing(self, tmp_path):
        """So that data in a read-only place, or open in this process, can be checked."""
        path = make(tmp_path / 'x.lmdb')
        with lmdb.open(str(path), readonly=True, lock=False):
            assert check_lmdb(path) == []
        assert {file.name for file in path.iterdir()} == {'data.mdb', 'meta_info.txt'}

    @pytest.mark.parametrize('name', ['data.mdb', 'meta_info.txt'])
    def test_a_pipe_does_not_hang(self, tmp_path, name):
        path = make(tmp_path / 'x.lmdb')
        (path / name).unlink()
        os.mkfifo(path / name)
        assert check_lmdb(path) == [f'lacks {name}: the database was not finished, prepare it again']


def test_a_database_that_was_only_begun_is_begun_anew(tmp_path):
    path = make(tmp_path / 'x.lmdb')
    whole = (path / 'data.mdb').read_bytes()
    for size in (0, 100, 4096, 5000):
        (path / 'data.mdb').write_bytes(whole[:size])
        (path / 'lock.mdb').write_bytes(b'\xff' * 8192)
        make(path)
        assert check_lmdb(path) == []
