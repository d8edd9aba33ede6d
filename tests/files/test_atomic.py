import errno
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


def test_an_unfinished_file_is_found_and_the_new_name_appears_last(tmp_path: Path) -> None:
    with atomic.writing(tmp_path / 'a') as file:
        file.write(b'new')
        assert not (tmp_path / 'a').exists()
        ((path, final),) = atomic.unfinished(tmp_path)
        assert path in tmp_path.iterdir()
        assert final == 'a'
    assert atomic.unfinished(tmp_path) == []


def test_a_file_that_has_the_name_of_an_unfinished_one_stays(tmp_path: Path) -> None:
    for name in ('.a.tmp', 'a.tmp', 'a.part', '.a.0123456789ab.tmp'):
        (tmp_path / name).write_bytes(b'mine')
    atomic.write_bytes(tmp_path / 'a', b'new')
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.name != 'a'} == dict.fromkeys(
        ('.a.tmp', 'a.tmp', 'a.part', '.a.0123456789ab.tmp'), b'mine'
    )


@pytest.mark.parametrize('links', [True, False])
def test_a_file_that_appeared_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def refuse(*arguments: object) -> None:
        raise PermissionError(errno.EPERM, 'no hard links here')

    if not links:
        monkeypatch.setattr(os, 'link', refuse)

    def write_too_late() -> None:
        with atomic.writing(tmp_path / 'a', replace=False) as file:
            file.write(b'new')
            (tmp_path / 'a').write_bytes(b'mine')

    with pytest.raises(FileExistsError):
        write_too_late()
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [('a', b'mine')]
    atomic.write_bytes(tmp_path / 'b', b'new', replace=False)
    assert (tmp_path / 'b').read_bytes() == b'new'
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a', 'b']


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / 'link').symlink_to(tmp_path / 'a')
    atomic.write_bytes(tmp_path / 'link', b'new')
    assert (tmp_path / 'link').is_symlink()
    assert (tmp_path / 'a').read_bytes() == b'new'


def test_lines_are_added(tmp_path: Path) -> None:
    atomic.append(tmp_path / 'a', 'one\n')
    atomic.append(tmp_path / 'a', 'zwei \udcff\n')
    assert (tmp_path / 'a').read_bytes() == b'one\nzwei \\udcff\n'


def test_the_longest_names_can_be_written(tmp_path: Path) -> None:
    for name in ('n' * 255, 'ä' * 127):
        assert len(os.fsencode(name)) > 250
        atomic.write_bytes(tmp_path / name, b'content')
        assert (tmp_path / name).read_bytes() == b'content'


def test_a_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        atomic.write_bytes(tmp_path / 'none' / 'a', b'')


def test_a_device_is_written_and_stays_one(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = os.stat('/dev/null')
    atomic.write_text(Path('/dev/null'), 'text')
    assert os.path.samestat(before, os.stat('/dev/null'))
    atomic.write_text(Path('/dev/stdout'), 'text')
    assert capfd.readouterr().out == 'text'
    (tmp_path / 'link').symlink_to('/dev/null')
    atomic.write_text(tmp_path / 'link', 'text')
    assert (tmp_path / 'link').is_symlink()


def test_a_free_name_is_taken_once(tmp_path: Path) -> None:
    for name in ('first', 'second', 'taken'):
        (tmp_path / name).write_text(name)
    atomic.take_free_name(tmp_path / 'first', tmp_path / 'free')
    assert (tmp_path / 'free').read_text() == 'first'
    with pytest.raises(FileExistsError) as raised:
        atomic.take_free_name(tmp_path / 'second', tmp_path / 'taken')
    assert raised.value.filename == str(tmp_path / 'taken')
    assert sorted(path.name for path in tmp_path.iterdir()) == ['free', 'second', 'taken']
