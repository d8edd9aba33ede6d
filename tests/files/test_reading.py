import os
import socket
from pathlib import Path

import pytest

from converse_basicsr.files.reading import Unreadable, read_bytes, read_text, require_file

LIMIT = 1000


def test_a_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / 'list.txt'
    path.write_bytes(b'baby.png\r\nbird \xc3\xa9.png\r\n')
    assert read_bytes(path, LIMIT) == path.read_bytes()
    assert read_text(path, LIMIT) == path.read_text(encoding='utf-8') == 'baby.png\nbird é.png\n'
    assert require_file(path) == path.stat().st_size


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    server = socket.socket(socket.AF_UNIX)
    server.bind(path.name)  # names of sockets are short, so from within their folder
    server.close()


def make_sparse(path: Path) -> None:
    with path.open('wb') as file:
        file.truncate(10**11)


def make_link(path: Path) -> None:
    path.symlink_to('/dev/zero')


@pytest.mark.parametrize(
    ('make', 'says'),
    [
        (make_pipe, 'is a pipe, not a file'),
        (make_socket, 'is a socket, not a file'),
        (Path.mkdir, 'is a folder, not a file'),
        (make_link, 'is a device, not a file'),
        (make_sparse, 'has 100000000000 bytes, more than the 1000'),
    ],
)
def test_what_would_hang_or_fill_the_memory_is_refused(tmp_path: Path, monkeypatch, make, says: str) -> None:
    monkeypatch.chdir(tmp_path)
    make(tmp_path / 'list.txt')
    for read in (read_bytes, read_text, require_file):
        with pytest.raises(Unreadable, match=says):
            read('list.txt', LIMIT)


def test_names_that_no_file_can_have_are_refused() -> None:
    with pytest.raises(Unreadable, match='is no name of a file'):
        read_bytes('a\0b', LIMIT)
    with pytest.raises(OSError, match='name too long'):
        read_bytes('a' * 300, LIMIT)


@pytest.mark.skipif(not os.path.exists('/proc/self/maps'), reason='needs /proc')
def test_no_more_is_read_than_the_file_says_it_has() -> None:
    assert read_bytes('/proc/self/maps', LIMIT) == b''
