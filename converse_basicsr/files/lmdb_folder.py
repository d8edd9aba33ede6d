"""Write LMDBs in BasicSR's format, and check them.

An LMDB is a folder ``NAME.lmdb`` with ``data.mdb`` and ``meta_info.txt``. A key is an image's name without extension,
its value the encoded PNG; :mod:`~converse_basicsr.files.meta_info` is the list of them.
"""

import io
import re
import struct
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import lmdb

from converse_basicsr.files import inside, lmdb_pages, meta_info

MAX_KEY_LENGTH = 511
"""LMDB's own limit, in bytes."""

INITIAL_MAP_SIZE = 64 * 2**20
"""Bytes. The map grows as needed: a generous one fails where the address space is limited, as in batch systems."""

DATA, LOCK = 'data.mdb', 'lock.mdb'
"""LMDB's own files. Locks are made by other programs only: ours have one writer, and readers that need none."""

VALUES_READ = 100
"""Number of values whose beginning :func:`check_lmdb` reads, evenly spaced; the places of all are checked."""

_KEY = re.compile(r'[\x21-\x7e]+')
_PNG = b'\x89PNG\r\n\x1a\n'
_MAX_VALUE = 2**28

Shape = tuple[int, int, int]


class LmdbWriter:
    r"""Write images into a new LMDB, or go on with one that an earlier writer left unfinished.

    ``put`` collects, ``commit`` makes what was collected durable, ``finish`` writes ``meta_info.txt`` and checks that
    database and text agree. Until then there is no ``meta_info.txt``, so that BasicSR cannot take an unfinished
    database for a finished one. Write to a temporary path and rename it after ``finish``.

    Args:
        path: Folder of the database, ending in ``.lmdb``; created where missing.
        compression: PNG level to state in ``meta_info.txt``.
        committed: Keys and shapes that an earlier writer committed and that are to stay; every other key found in the
            database is dropped. Without any, a new database takes the place of one that is there.

    Raises:
        ValueError: If ``path`` does not end in ``.lmdb``, or does not hold what was committed.
        lmdb.Error: If the database cannot be made.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / 'gt.lmdb'
        >>> writer = LmdbWriter(path)
        >>> writer.put('0001', b'...', (2, 3, 3))
        >>> writer.commit()
        >>> writer.finish()
        >>> (path / 'meta_info.txt').read_text()
        '0001.png (2,3,3) 1\n'
    """

    def __init__(self, path: Path, *, compression: int = 1, committed: Mapping[str, Shape] | None = None) -> None:
        if path.suffix != '.lmdb':
            raise ValueError(f"path must end with '.lmdb', got {path}")
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self.compression = compression
        self._shapes: dict[str, Shape] = dict(committed or {})
        self._pending: dict[str, bytes] = {}
        inside.remove(path, meta_info.FILE_NAME)
        if self._shapes:
            self._require_committed()
        else:
            inside.remove(path, DATA)  # perhaps only begun
        inside.remove(path, LOCK)  # of an earlier version, which may be damaged
        self._environment = lmdb.open(str(path), map_size=INITIAL_MAP_SIZE, lock=False)

    def _require_committed(self) -> None:
        """Refuse a database that LMDB cannot go on writing, or that lacks what was committed."""
        held = _values(self.path)
        missing = [key for key in self._shapes if key.encode('ascii', 'backslashreplace') not in held]
        if missing:
            raise ValueError(f'committed must be keys of {self.path}, got {missing[0]!r} ({len(missing)} are missing)')
        lmdb_pages.check_for_writing(self.path / DATA)

    def put(self, key: str, value: bytes, shape: Shape) -> None:
        """Collect an image for the next :meth:`commit`.

        Args:
            key: Name without extension.
            value: The encoded PNG.
            shape: Height, width, channels.

        Raises:
            ValueError: If the key is empty, too long, taken, has a dot (BasicSR would cut it there) or a character
                outside printable ASCII.
        """
        if not _KEY.fullmatch(key) or '.' in key or len(key) > MAX_KEY_LENGTH:
            raise ValueError(
                f'key must be 1 to {MAX_KEY_LENGTH} printable ASCII characters without dot or space, got {key!r}'
            )
        if key in self._shapes:
            raise ValueError(f'key must be new, got {key!r} again')
        self._shapes[key] = shape
        self._pending[key] = value

    def commit(self) -> None:
        """Write what was collected, in one transaction that is on the disk when this returns.

        Raises:
            lmdb.Error: If the disk is full (``lmdb.DiskError``) or writing fails; nothing of the transaction is kept.
        """
        if not self._pending:
            return
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    for key, value in self._pending.items():
                        transaction.put(key.encode('ascii'), value)
                break
            except lmdb.MapFullError:
                self._grow()
        self._pending.clear()

    def finish(self) -> None:
        """Commit, write ``meta_info.txt`` sorted by key, check, and close.

        Raises:
            ValueError: If the database and ``meta_info.txt`` disagree.
            lmdb.Error: If writing fails.
            OSError: If writing the text fails.
        """
        self.commit()
        self._drop_strays()
        meta_info.write(
            self.path, (meta_info.Entry(key, *shape, self.compression) for key, shape in self._shapes.items())
        )
        self.close()
        problems = _compare(_values(self.path), self.path)[1]
        if problems:
            raise ValueError(f'the finished database must hold what was put, got: {"; ".join(problems)}')

    def close(self) -> None:
        """Close the database; what was not committed is lost."""
        self._environment.close()

    def _grow(self) -> None:
        size = self._environment.info()['map_size']
        needed = 2 * sum(map(len, self._pending.values()))
        self._environment.set_mapsize(size + max(needed, size // 4))

    def _drop_strays(self) -> None:
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    strays = [
                        key for key in transaction.cursor().iternext(values=False) if key.decode() not in self._shapes
                    ]
                    for key in strays:
                        transaction.delete(key)
                return
            except lmdb.MapFullError:  # deleting copies pages first
                self._grow()


def check_lmdb(path: Path) -> list[str]:
    """Look for what would make BasicSR fail, or silently train on less, with an LMDB.

    Args:
        path: Folder of the database.

    Returns:
        The problems, each a phrase to follow ``path``; empty if there are none.
    """
    if path.suffix != '.lmdb':
        return ['does not end in .lmdb: BasicSR insists on it']
    if not path.is_dir():
        return ['does not exist']
    absent = [name for name in (DATA, meta_info.FILE_NAME) if not (path / name).is_file()]
    if absent:
        return [f'lacks {name}: the database was not finished, prepare it again' for name in absent]
    try:
        held = _values(path)
        entries, problems = _compare(held, path)
        return problems or _sample(held, entries, path)
    except lmdb_pages.DamagedLmdb as error:
        return [str(error)]
    except OSError as error:
        return [f'cannot be read: {error.strerror or error}']


def _values(path: Path) -> dict[bytes, lmdb_pages.Value]:
    try:
        with (path / DATA).open('rb') as file:
            return lmdb_pages.values(file)
    except FileNotFoundError:
        return {}


def _compare(held: Mapping[bytes, lmdb_pages.Value], path: Path) -> tuple[list[meta_info.Entry], list[str]]:
    """Compare the keys of a database with the list of its images, which is returned with the problems."""
    keys = {key.decode('ascii', 'backslashreplace') for key in held}
    entries, problems = meta_info.survey(path)
    listed = {entry.key for entry in entries}
    if not listed and not problems:
        problems.append(f'is empty: no image in {meta_info.FILE_NAME}')
    for names, text in (
        (listed - keys, f'lacks images that {meta_info.FILE_NAME} lists'),
        (keys - listed, f'holds images that {meta_info.FILE_NAME} does not list'),
    ):
        if names:
            problems.append(f'{text}: {len(names)} of {len(listed | keys)}, the first is {min(names)}')
    return entries, problems


def _sample(held: Mapping[bytes, lmdb_pages.Value], entries: Sequence[meta_info.Entry], path: Path) -> list[str]:
    """Look at some of the images: whether they are images, of the sizes that are listed."""
    step = max(1.0, len(entries) / VALUES_READ)
    with (path / DATA).open('rb') as file:
        for entry in (entries[int(index * step)] for index in range(min(len(entries), VALUES_READ))):
            size = _image_size(file, held[entry.key.encode('ascii')])
            if size is None:
                return [f'holds what is no image: {entry.key}']
            if size != (entry.height, entry.width):
                return [
                    f'holds an image of another size than {meta_info.FILE_NAME} says: {entry.key} has '
                    f'{size[0]} x {size[1]} pixels, not {entry.height} x {entry.width}'
                ]
    return []


def _image_size(file: BinaryIO, value: lmdb_pages.Value) -> tuple[int, int] | None:
    """Return height and width of an encoded image; None where it is no image."""
    file.seek(value.offset)
    begin = file.read(min(value.size, 24))
    if begin.startswith(_PNG):
        return struct.unpack('>II', begin[16:24])[::-1] if len(begin) == 24 else None
    if value.size > _MAX_VALUE:
        return None
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            with Image.open(io.BytesIO(begin + file.read(value.size - len(begin)))) as image:
                return image.height, image.width
    except Exception:  # Pillow's readers raise almost every class
        return None
