"""Write LMDBs in BasicSR's format, and check them.

An LMDB is a folder ``NAME.lmdb`` with ``data.mdb``, ``lock.mdb`` and ``meta_info.txt``. A key is an image's name
without extension, its value the encoded PNG; :mod:`~converse_basicsr.files.meta_info` is the list of them.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import lmdb

from converse_basicsr.files import meta_info

MAX_KEY_LENGTH = 511
"""LMDB's own limit, in bytes."""

INITIAL_MAP_SIZE = 64 * 2**20
"""Bytes. The map grows as needed: a generous one fails where the address space is limited, as in batch systems."""

_KEY = re.compile(r'[\x21-\x7e]+')

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
            database is dropped by ``finish``.

    Raises:
        ValueError: If ``path`` does not end in ``.lmdb``.

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
        self._environment = lmdb.open(str(path), map_size=INITIAL_MAP_SIZE)
        with self._environment.begin() as transaction:
            missing = [key for key in self._shapes if transaction.get(key.encode('ascii')) is None]
        if missing:
            self.close()
            raise ValueError(f'committed must be keys of {path}, got {missing[0]!r} ({len(missing)} are missing)')

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
        problems = _compare(self._environment, self.path)
        self.close()
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
    absent = [name for name in ('data.mdb', meta_info.FILE_NAME) if not (path / name).is_file()]
    if absent:
        return [f'lacks {name}: the database was not finished, prepare it again' for name in absent]
    try:
        environment = lmdb.open(str(path), readonly=True, lock=False, readahead=False, create=False)
    except lmdb.Error as error:
        return [f'cannot be opened: {error}']
    try:
        return _compare(environment, path)
    finally:
        environment.close()


def _compare(environment: lmdb.Environment, path: Path) -> list[str]:
    # Reading beyond the end of a truncated file is a bus error, which no Python code can catch: look at the size first.
    expected = (environment.info()['last_pgno'] + 1) * environment.stat()['psize']
    size = (path / 'data.mdb').stat().st_size
    if size < expected:
        return [f'has a truncated data.mdb: {size} of {expected} bytes']
    with environment.begin() as transaction:
        held = {key.decode('ascii', 'backslashreplace') for key in transaction.cursor().iternext(values=False)}
    entries, problems = meta_info.survey(path)
    listed = {entry.key for entry in entries}
    if not listed and not problems:
        problems.append(f'is empty: no image in {meta_info.FILE_NAME}')
    for names, text in (
        (listed - held, f'lacks images that {meta_info.FILE_NAME} lists'),
        (held - listed, f'holds images that {meta_info.FILE_NAME} does not list'),
    ):
        if names:
            problems.append(f'{text}: {len(names)} of {len(listed | held)}, the first is {min(names)}')
    return problems
