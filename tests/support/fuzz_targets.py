"""Functions that read what strangers wrote: given any bytes, they end well or refuse in the product's own words.

A target raises nothing but what shows a fault: refusals (UserError, BadImage, what a reader documents) are none. The
tests replay a corpus through them; ``scripts/fuzz.sh`` lets atheris search for more.
"""

import contextlib
import io
import json
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import lmdb as lmdb_library
import torch

from converse_basicsr.archs.detection import detect
from converse_basicsr.checkpoints import files
from converse_basicsr.errors import UserError
from converse_basicsr.evaluation import measurements
from converse_basicsr.files import decoding, image_header, images, meta_info, picture
from converse_basicsr.files.inside import UnsafeName, inside
from converse_basicsr.files.lmdb_folder import check_lmdb
from converse_basicsr.files.lock import Owner
from converse_basicsr.options.check import sections
from converse_basicsr.options.file import read_option_file
from converse_basicsr.prepare import journal
from converse_basicsr.prepare.record import Record
from converse_basicsr.restore import checkpoint

Target = Callable[[bytes], None]


def options(data: bytes) -> None:
    """An option file: read, and each key compared with its definition."""
    with _file('run.yml', data) as path, contextlib.suppress(UserError):
        option_file = read_option_file(path)
        option_file.dump()
        for is_train in (True, False):
            for problem in sections.key_problems(option_file.options, is_train=is_train):
                option_file.where(*problem.keys)


def lmdb(data: bytes) -> None:
    """The folder of an LMDB: two bytes with the length of ``meta_info.txt``, that file, ``data.mdb``."""
    length = int.from_bytes(data[:2], 'little')
    with _file('meta_info.txt', data[2 : 2 + length], folder='gt.lmdb') as path:
        (path.parent / 'data.mdb').write_bytes(data[2 + length :])
        if not check_lmdb(path.parent):
            _read_lmdb(path.parent)


def _read_lmdb(folder: Path) -> None:
    """Read all of an LMDB by LMDB itself: where its pages are not what they should be, it ends the process."""
    with lmdb_library.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as transaction:
        held = dict(transaction.cursor())
        for entry in meta_info.entries(folder):
            if held[entry.key.encode()] != transaction.get(entry.key.encode()):
                raise AssertionError(f'{entry.key} cannot be found by its key')


def records(data: bytes) -> None:
    """A record, a journal, measurements, a list of images, a lock or a name: which one says the first byte."""
    kind, data = data[:1], data[1:]
    with contextlib.suppress(UserError):
        if kind == b'r':
            with _file('prepare.json', data) as path:
                json.dumps(Record.read(path).parameters)
        elif kind == b'j':
            with _file('journal.jsonl', data) as path, contextlib.suppress(ValueError):
                for line in journal.read(path).values():
                    line.shapes('gt.lmdb')
        elif kind == b'm':
            with _file('measured.csv', data) as path:
                measurements.Record(path).lines.clear()
        elif kind == b'i':
            with _file(meta_info.FILE_NAME, data) as path:
                meta_info.survey(path.parent)
        elif kind == b'l':
            str(Owner.parse(data.decode('utf-8', 'replace')))
        else:
            with contextlib.suppress(UnsafeName):
                path = inside(Path('/data'), data.decode('utf-8', 'surrogateescape'))
                if path.resolve() == Path('/data') or not path.resolve().is_relative_to('/data'):
                    raise AssertionError(f'{data!r} leads to {path}')


def checkpoints(data: bytes) -> None:
    """A checkpoint: a whole file, or the pickle or the header inside of one. Which of them says the first byte."""
    kind, data = data[:1], data[1:]
    suffix = '.safetensors' if kind in (b's', b'h') else '.pth'
    if kind == b'p':
        data = _zip_of(data)
    elif kind == b'h':
        data = struct.pack('<Q', len(data)) + data + bytes(256)
    with _file(f'net_g_1{suffix}', data) as path:
        for read in (files.require_intact, _look_into, checkpoint.load):
            with contextlib.suppress(UserError):
                read(path)


def _look_into(path: Path) -> None:
    content = files.read(path)
    files.network_of(content)
    state, _ = files.choose_parameters(content, 'params_ema', path)
    with contextlib.suppress(ValueError):
        detect(state)


def pictures(data: bytes) -> None:
    """An image: its header, the image as data preparation reads it, and as ``basicsr restore`` does."""
    data = _with_right_checksums(data)
    with _file('a.png', data) as path:
        with contextlib.suppress(ValueError):
            image_header.read_header(path)
        with contextlib.suppress(images.BadImage):
            images.read_image(path)
        with contextlib.suppress(images.BadImage):
            picture.read(path)
        decoding.area(path)


TARGETS: dict[str, Target] = {
    'checkpoints': checkpoints,
    'lmdb': lmdb,
    'options': options,
    'pictures': pictures,
    'records': records,
}


@contextlib.contextmanager
def _file(name: str, data: bytes, folder: str = 'x'):
    """Write a file, in memory where the system can, into a folder of its own."""
    memory = Path('/dev/shm')
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as root:
        path = Path(root, folder, name)
        path.parent.mkdir()
        path.write_bytes(data)
        yield path


def _zip_of(pickle: bytes) -> bytes:
    """Make a ``.pth`` of a pickle: as a mutated file, nearly all would fail at checksums of the archive."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        archive.writestr('archive/data.pkl', pickle)
        archive.writestr('archive/byteorder', 'little')
        for number in range(3):
            archive.writestr(f'archive/data/{number}', bytes(64))
        archive.writestr('archive/version', '3\n')
    return buffer.getvalue()


def _with_right_checksums(data: bytes) -> bytes:
    """Correct the checksums of a PNG: nearly all mutated ones would fail there."""
    if not data.startswith(b'\x89PNG\r\n\x1a\n'):
        return data
    result, place = bytearray(data), 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], 'big')
        end = place + 8 + length
        if end + 4 > len(data):
            break
        result[end : end + 4] = struct.pack('>I', zlib.crc32(data[place + 4 : end]))
        place = end + 4
    return bytes(result)


def limit_resources() -> None:
    """Let what takes too much memory be an error."""
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (6 * 2**30, resource.getrlimit(resource.RLIMIT_AS)[1]))
    torch.set_num_threads(1)
