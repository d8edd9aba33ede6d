import os
from pathlib import Path

import pytest

from converse_basicsr.files import atomic


@pytest.mark.parametrize('durable', [True, False])
def test_a_file_is_written_and_replaced(tmp_path: Path, durable: bool) -> None:
    for content in (b'first', b'second'):
        atomic.write_bytes(tmp_path / 'a', content, durable=durable)
        assert (tmp_path / 'a').read_bytes() == content
    assert [path.name for path in tmp_path.iterdir()] == ['a']


def test_an_error_keeps_the_old_content_and_leaves_nothing_else(tmp_path: Path) -> None:
    atomic.write_bytes(tmp_path / 'a', b'old')

    def fail() -> None:
        with atomic.writing(tmp_path / 'a') as file:
            file.write(b'new')
            raise RuntimeError('on purpose')

    with pytest.raises(RuntimeError, match='on purpose'):
        fail()
    assert (tmp_path / 'a').read_bytes() == b'old'
    assert [path.name for path in tmp_path.iterdir()] == ['a']


def test_an_unfinished_file_has_the_stated_pattern_and_the_new_name_appears_last(tmp_path: Path) -> None:
    with atomic.writing(tmp_path / 'a') as file:
        file.write(b'new')
        assert not (tmp_path / 'a').exists()
        assert len(list(tmp_path.glob(atomic.UNFINISHED))) == 1


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    for name in ('n' * 255, 'ä' * 127):
        assert len(os.fsencode(name)) > 250
        atomic.write_bytes(tmp_path / name, b'content')
        assert (tmp_path / name).read_bytes() == b'content'


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic.write_bytes(tmp_path / 'none' / 'a', b'')
