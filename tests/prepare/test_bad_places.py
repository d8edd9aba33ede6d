"""Places that are full or read-only, names and numbers at their limits, and input that is no image file."""

import errno
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import cv2
import pytest
from prepare_commands import command, photograph, read_lmdb

from converse_basicsr import cli, prepare
from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic
from converse_basicsr.files.images import find_images
from converse_basicsr.files.lmdb_folder import LmdbWriter, check_lmdb

pytestmark = pytest.mark.skipif(sys.platform == 'win32', reason='needs pipes, limits and permissions of Unix')


def denoise(photographs: Path, output: Path, **options: bool) -> prepare.Prepared:
    return prepare.prepare_denoise(photographs, output, workers=1, **options)


@pytest.fixture
def small_files() -> Iterator[Callable[[int], None]]:
    """Let no file grow beyond a number of bytes, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, ignored)


@pytest.mark.promise('a disk that is full, or a file that the system lets grow no further')
@pytest.mark.parametrize(
    ('make', 'size'),
    [
        *((denoise, size) for size in (0, 300, 5000, 9000, 20_000)),
        *((lambda images, output: prepare.prepare_testset(images, output, workers=1), size) for size in (0, 700, 3000)),
    ],
)
def test_files_that_cannot_grow_are_one_error_and_the_work_goes_on(photographs, tmp_path, small_files, make, size):
    small_files(size)
    with pytest.raises(UserError) as caught:
        make(photographs, tmp_path / 'out')
    assert len(caught.value.lines) == 1
    assert not list((tmp_path / 'out').glob('*.json'))
    small_files(resource.RLIM_INFINITY)
    make(photographs, tmp_path / 'out')
    assert len(list((tmp_path / 'out').glob('*.json'))) == 1
    assert not list((tmp_path / 'out').glob('*.partial'))


@pytest.mark.promise('a disk that is full, or a file that the system lets grow no further')
def test_a_full_disk_while_replacing_keeps_the_old_set(photographs, tmp_path, monkeypatch):
    denoise(photographs, tmp_path / 'out')
    old = read_lmdb(tmp_path / 'out/gt.lmdb')
    cv2.imwrite(str(photographs / 'new.png'), photograph(30, 30, 9))

    def fail(self: LmdbWriter) -> None:
        raise OSError(errno.ENOSPC, 'No space left on device')

    with monkeypatch.context() as patch:
        patch.setattr(LmdbWriter, 'finish', fail)
        with pytest.raises(UserError, match=r'the disk of .* is full'):
            denoise(photographs, tmp_path / 'out', overwrite=True)
    assert read_lmdb(tmp_path / 'out/gt.lmdb').keys() == old.keys()
    assert (tmp_path / 'out/prepare.json').exists()
    assert denoise(photographs, tmp_path / 'out', overwrite=True).record.members == {'gt.lmdb': 6}


def as_nobody(act: Callable[[], int]) -> int:
    """Do something in a fork that has no rights of its own, and return the status."""
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            os._exit(act())
        except BaseException:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.promise('a data set in a read-only place')
@pytest.mark.skipif(sys.platform == 'win32' or os.geteuid() != 0, reason='only root can give up its rights')
def test_a_read_only_place(photographs, tmp_path, capfd):
    for path in (*tmp_path.parents[:3], tmp_path, photographs):
        path.chmod(0o755)
    denoise(photographs, tmp_path / 'out')
    (tmp_path / 'out/prepare.partial').mkdir()  # what a kill at the very end leaves
    words = ['prepare', 'denoise', '--input', str(photographs), '--workers', '1', '--output']
    assert as_nobody(lambda: cli.main([*words, str(tmp_path / 'out')])) == 0
    assert 'nothing to do' in capfd.readouterr().out
    assert as_nobody(lambda: len(check_lmdb(tmp_path / 'out/gt.lmdb'))) == 0
    for more in ([str(tmp_path / 'out'), '--overwrite'], [str(tmp_path / 'new/deep')]):
        assert as_nobody(partial(cli.main, [*words, *more])) == 2
        error = capfd.readouterr().err
        assert error.count('\n') == 1
        assert 'Permission denied' in error
    assert check_lmdb(tmp_path / 'out/gt.lmdb') == []


def socket_file(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # its names must be short
    with socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path.name)
    os.chdir(here)


@pytest.mark.promise('pipes, sockets, devices and folders among the images')
def test_what_is_no_file_is_no_image(photographs, tmp_path):
    os.mkfifo(photographs / 'pipe.png')
    socket_file(photographs / 'socket.png')
    (photographs / 'device.png').symlink_to('/dev/zero')
    (photographs / 'folder.png').mkdir()
    (photographs / 'nowhere.png').symlink_to('nowhere')
    (photographs / 'itself.png').symlink_to('itself.png')
    assert denoise(photographs, tmp_path / 'out').record.members == {'gt.lmdb': 5}


@pytest.mark.promise('pipes, sockets, devices and folders among the images')
@pytest.mark.parametrize('make', [os.mkfifo, socket_file, lambda path: path.symlink_to('/dev/zero')])
def test_an_input_that_is_no_folder_is_named(tmp_path, make):
    make(tmp_path / 'in')
    with pytest.raises(UserError, match=r'in is a file: give the folder'):
        denoise(tmp_path / 'in', tmp_path / 'out')


NAMES = [
    'a' * 251,
    'ü' * 125,
    'a\nb',
    '\x1b[2Jred',
    'con',
    ' ',
    '-rf',
    '~',
    '$(x)',
    '\udcff\udcfe',
    '\u202egnp',
    'a\\b',
]


@pytest.mark.promise('names of 255 bytes, and names with control characters or no text at all')
def test_every_name_that_a_file_can_have_is_made(tmp_path, capsys, monkeypatch):
    (tmp_path / 'in').mkdir()
    for number, name in enumerate(NAMES):
        content = cv2.imencode('.png', photograph(24, 24, number))[1].tobytes()
        Path(os.fsdecode(os.fsencode(tmp_path / 'in' / f'{name}.png'))).write_bytes(content)
    assert command('denoise', '--input', tmp_path / 'in', '--output', tmp_path / 'lmdb', '--workers', 1) == 0
    assert len(read_lmdb(tmp_path / 'lmdb/gt.lmdb')) == len(NAMES)

    def stop(*args: object, **kwargs: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr('converse_basicsr.prepare.runner.publish', stop)
        assert command('testset', '--input', tmp_path / 'in', '--output', tmp_path / 'set', '--workers', 1) == 130
    (tmp_path / 'set/prepare_x4.partial/prepare_x4.json').unlink()
    (tmp_path / 'set/prepare_x4.partial/GTmod4/stray\x1b.png').write_text('of a kill')
    assert command('testset', '--input', tmp_path / 'in', '--output', tmp_path / 'set', '--workers', 1) == 0
    assert {path.stem for path in (tmp_path / 'set/GTmod4').iterdir()} == set(NAMES)
    assert '\x1b' not in ''.join(capsys.readouterr())


@pytest.mark.promise('scales, crops and steps beyond all images')
@pytest.mark.parametrize(
    ('make', 'options'),
    [
        (prepare.prepare_testset, {'scales': (10**9,)}),
        (prepare.prepare_testset, {'scales': (10**300,)}),
        (prepare.prepare_testset, {'scales': (2**63,)}),
        (prepare.prepare_sr, {'scales': (10**9,)}),
        (prepare.prepare_sr, {'scales': (10**9,), 'crop': 10**9, 'step': 10**9}),
        (prepare.prepare_denoise, {'crop': 10**30}),
        (prepare.prepare_deblur, {'crop': 2**64, 'step': 1}),
    ],
)
def test_absurd_numbers_are_one_error(photographs, tmp_path, make, options):
    with pytest.raises(UserError) as caught:
        make(photographs, tmp_path / 'out', workers=1, **options)
    assert len(caught.value.lines) == 1


def test_a_hundred_thousand_files_are_listed_in_time_that_grows_with_their_number(tmp_path, monkeypatch):
    """Counted, not timed: each file is compared with others a few times at most."""
    for number in range(2000):
        (tmp_path / f'{number}{".png" if number % 2 else ".txt"}').touch()
    compared = 0
    original = type(tmp_path).__hash__

    def count(self: Path) -> int:
        nonlocal compared
        compared += 1
        return original(self)

    monkeypatch.setattr(type(tmp_path), '__hash__', count)
    images, others = find_images(tmp_path)
    assert (len(images), len(others)) == (1000, 1000)
    assert compared < 20_000


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, 'geteuid') or os.geteuid() != 0, reason='only root can make a small disk')
def test_a_disk_that_is_really_full(photographs, tmp_path):
    disk = tmp_path / 'disk'
    disk.mkdir()
    if subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=100k', 'tmpfs', str(disk)], capture_output=True).returncode:
        pytest.skip('disks cannot be mounted here')
    try:
        for blocks in (24, 22, 16, 8, 0):
            (disk / 'filler').write_bytes(bytes(blocks * 4096))
            with pytest.raises(UserError, match=r'the disk of .* is full|No space left'):
                prepare.prepare_deblur(photographs, disk / 'out', crop=24, step=4, workers=1)
            assert not (disk / 'out/prepare.json').exists()
        subprocess.run(['mount', '-o', 'remount,size=20m', str(disk)], check=True)
        prepare.prepare_deblur(photographs, disk / 'out', crop=24, step=4, workers=1)
        assert check_lmdb(disk / 'out/gt.lmdb') == []
    finally:
        subprocess.run(['umount', str(disk)], check=True)


@pytest.mark.parametrize('code', [errno.EIO, errno.EROFS, errno.EACCES])
def test_other_errors_of_the_file_system_name_the_file(photographs, tmp_path, monkeypatch, code):
    def fail(path: Path, text: str) -> None:
        raise OSError(code, os.strerror(code), str(path))

    monkeypatch.setattr(atomic, 'append', fail)
    with pytest.raises(UserError, match=rf'journal\.jsonl: {os.strerror(code)}'):
        denoise(photographs, tmp_path / 'out')
