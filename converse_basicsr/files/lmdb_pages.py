"""Read the pages of an LMDB without LMDB, which trusts what they say: there, a flipped bit can end the process.

The format is that of LMDB 0.9 on systems of 64 bits (its ``mdb.c``). Read are the pages of the tree, with the keys and
the places of the values; the values themselves are not.
"""

import os
import struct
import sys
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple


class DamagedLmdb(ValueError):
    """The database cannot be read; the text is a phrase to follow its name."""


class Value(NamedTuple):
    """The place of a value in ``data.mdb``."""

    offset: int
    size: int
    has_pages: bool


class _Tree(NamedTuple):
    """Keys and values, or the list of free pages, as the newest commit left them."""

    page_size: int
    flags: int
    levels: int
    branch_pages: int
    leaf_pages: int
    overflow_pages: int
    entries: int
    root: int


_HEADER = struct.Struct('=QHHHH')  # number of the page, unused, flags, end of the pointers, begin of the nodes
_OVERFLOW = struct.Struct('=QHHI')  # of the first page of a value: number, unused, flags, how many pages
_NODE = struct.Struct('=IHH')  # size of the value, flags, size of the key; in a branch the first two are a page
_META = struct.Struct('=IIQQ' + 2 * 'IHHQQQQQ' + 'QQ')  # magic, version, unused, two trees, last page, commit
_MAGIC, _VERSION = 0xBEEFC0DE, 1
_BRANCH, _LEAF, _OVERFLOW_PAGE, _META_PAGE = 1, 2, 4, 8
_HAS_PAGES = 1
_KINDS_OF_KEYS, _NUMBERS = 0x7F, 0x08
_SIZES_OF_NUMBERS, _SIZES_OF_NAMES = {8}, set(range(1, 512))
_FIRST_PAGE = 2
_NO_ROOT = 2**64 - 1
_MOST_LEVELS = 32
_PAGE_SIZES = [2**power for power in range(8, 17)]


def values(file: BinaryIO) -> dict[bytes, Value]:
    """Return the keys of a database, in its order, and where their values are.

    Args:
        file: The open ``data.mdb``.

    Raises:
        DamagedLmdb: If LMDB would fail, end the process or miss a key.
        OSError: If the file cannot be read.

    Example:
        >>> import lmdb, tempfile
        >>> folder = tempfile.mkdtemp()
        >>> with lmdb.open(folder) as environment, environment.begin(write=True) as transaction:
        ...     _ = transaction.put(b'0001', b'...')
        >>> with open(f'{folder}/data.mdb', 'rb') as file:
        ...     list(values(file))
        [b'0001']
    """
    pages = _Pages(file)
    return dict(pages.entries(pages.main, bytes))


def check_for_writing(path: Path) -> None:
    """Look also at what LMDB reads only when it writes: the list of free pages, and the heads of values.

    Raises:
        DamagedLmdb: If LMDB could not go on writing the database.
        OSError: If the file cannot be read.
    """
    with path.open('rb') as file:
        pages = _Pages(file)
        for _, value in pages.entries(pages.main, bytes):
            pages.check_head(value)
        for _, value in pages.entries(pages.free, _as_number):
            pages.check_head(value)
            pages.check_free(value)


def _as_number(key: bytes) -> int:
    return int.from_bytes(key, sys.byteorder)


class _Pages:
    """The pages of an open ``data.mdb``."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.size = os.fstat(file.fileno()).st_size
        self.page_size, self.last = 4096, 1  # until the file says it
        first = self._meta(0)
        second = self._meta(first[4])
        newest = max(first, second, key=lambda meta: meta[-1])
        self.free, self.main, self.last = _Tree(*newest[4:12]), _Tree(*newest[12:20]), newest[20]
        self.page_size = self.free.page_size
        if self.size < (self.last + 1) * self.page_size:
            raise self._truncation()
        if self.free.flags & _KINDS_OF_KEYS != _NUMBERS:
            raise DamagedLmdb('has a data.mdb that is damaged at its beginning')
        if self.main.flags or self.main.page_size:  # its page size is that of several values under one key
            raise DamagedLmdb('has a data.mdb of another kind: its keys are no names, or have several values')

    def entries(self, tree: _Tree, order: Callable[[bytes], Any]) -> Iterator[tuple[bytes, Value]]:
        """Yield the keys and values of a tree, whose keys must have the given order."""
        number = 0
        if tree.root != _NO_ROOT:
            for entry in self._walk(tree.root, min(tree.levels, _MOST_LEVELS), order, None, None):
                number += 1
                yield entry
                if number > tree.entries:
                    break
        if number != tree.entries:
            raise self._damage('the number of keys')

    def check_head(self, value: Value) -> None:
        """Look at the head of a value that has pages of its own."""
        if value.has_pages:
            number = value.offset // self.page_size
            head = _OVERFLOW.unpack(self._read(value.offset - _OVERFLOW.size, _OVERFLOW.size))
            is_head = (head[0], head[2]) == (number, _OVERFLOW_PAGE)
            if not is_head or not self._pages_of(value.size) <= head[3] <= self.last - number + 1:
                raise self._damage(f'page {number}')

    def check_free(self, value: Value) -> None:
        """Look at a list of free pages: their number, then theirs from the last to the first."""
        data = self._read(value.offset, value.size - value.size % 8)
        listed = struct.unpack(f'={len(data) // 8}Q', data)
        pages = listed[1 : 1 + listed[0]] if listed else ()
        falls = all(one > other for one, other in pairwise(pages))
        if not pages or len(pages) != listed[0] or not falls or pages[0] > self.last or pages[-1] < _FIRST_PAGE:
            raise self._damage('the list of free pages')

    def _meta(self, offset: int) -> tuple[int, ...]:
        data = self._read(offset, _HEADER.size + _META.size)
        meta = _META.unpack_from(data, _HEADER.size)
        is_meta = _HEADER.unpack_from(data)[2] == _META_PAGE and meta[:2] == (_MAGIC, _VERSION)
        if not is_meta or meta[4] not in _PAGE_SIZES or offset not in (0, meta[4]):
            raise DamagedLmdb('has a data.mdb that is no LMDB, or is damaged at its beginning')
        return meta

    def _walk(
        self, number: int, level: int, order: Callable[[bytes], Any], low: Any, high: Any
    ) -> Iterator[tuple[bytes, Value]]:
        """Yield the entries below a page whose keys must lie in ``low <= key < high``."""
        if not _FIRST_PAGE <= number <= self.last or level < 1:
            raise self._damage(f'page {number}')
        data = self._read(number * self.page_size, self.page_size)
        own_number, _, kind, end, begin = _HEADER.unpack_from(data)
        places = struct.unpack_from(f'={max(0, min(end, self.page_size) - _HEADER.size) // 2}H', data, _HEADER.size)
        is_leaf, is_free_list = level == 1, order is not bytes
        if (
            (own_number, kind) != (number, _LEAF if is_leaf else _BRANCH)
            or not end <= begin <= self.page_size
            or len(places) < (1 if is_leaf or is_free_list else 2)
            or not all(begin <= place <= self.page_size - _NODE.size for place in places)
        ):
            raise self._damage(f'page {number}')
        nodes = [self._node(data, place) for place in places]
        sizes = {len(key) for key, *_ in nodes[0 if is_leaf else 1 :]}
        if not sizes <= (_SIZES_OF_NUMBERS if is_free_list else _SIZES_OF_NAMES):
            raise self._damage(f'page {number}')
        keys = [order(key) for key, *_ in nodes]
        if not is_leaf:
            keys[0] = low  # LMDB leaves it empty
        inner = keys if keys[0] is not None else keys[1:]
        if (
            not all(one < other for one, other in pairwise(inner))
            or (inner and low is not None and inner[0] < low)
            or (inner and high is not None and inner[-1] >= high)
        ):
            raise self._damage(f'the order of the keys in page {number}')
        for index, (key, low_part, flags, after) in enumerate(nodes):
            if is_leaf:
                yield key, self._value(data, number, after, low_part, flags)
            else:
                child = low_part | flags << 32
                yield from self._walk(
                    child, level - 1, order, keys[index], keys[index + 1] if index + 1 < len(keys) else high
                )

    def _node(self, data: bytes, place: int) -> tuple[bytes, int, int, int]:
        """Return a node's key, its two numbers, and where its value begins."""
        low_part, flags, key_size = _NODE.unpack_from(data, place)
        after = place + _NODE.size + key_size
        return data[place + _NODE.size : after], low_part, flags, after

    def _value(self, data: bytes, number: int, after: int, size: int, flags: int) -> Value:
        """Return the place of a value, which must lie in its page or in pages of the file."""
        if flags not in (0, _HAS_PAGES) or after + (8 if flags else size) > self.page_size:
            raise self._damage(f'page {number}')
        if not flags:
            return Value(number * self.page_size + after, size, False)
        (first,) = struct.unpack_from('=Q', data, after)
        value = Value(first * self.page_size + _OVERFLOW.size, size, True)
        if not _FIRST_PAGE <= first <= self.last - self._pages_of(size) + 1:
            raise self._damage(f'page {number}')
        if value.offset + size > self.size:
            raise self._truncation()
        return value

    def _pages_of(self, size: int) -> int:
        return (_OVERFLOW.size - 1 + size) // self.page_size + 1

    def _read(self, offset: int, size: int) -> bytes:
        if offset + size > self.size:
            raise self._truncation()
        self.file.seek(offset)
        return self.file.read(size)

    def _truncation(self) -> DamagedLmdb:
        return DamagedLmdb(f'has a truncated data.mdb: {self.size} of {(self.last + 1) * self.page_size} bytes')

    @staticmethod
    def _damage(what: str) -> DamagedLmdb:
        return DamagedLmdb(f'has a damaged data.mdb ({what}): fetch or prepare it again')
