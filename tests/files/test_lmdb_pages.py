"""The pages of LMDBs, whole and damaged, read without LMDB."""

import os
import random
from pathlib import Path

import lmdb
import pytest

from converse_basicsr.files import lmdb_pages
from converse_basicsr.files.lmdb_folder import LmdbWriter, check_lmdb
from converse_basicsr.files.lmdb_pages import DamagedLmdb

PAGE = 4096


def build(folder: Path, *, count: int = 300, rounds: int = 3, seed: int = 0) -> Path:
    """An LMDB that was written in several commits, with deletions and replacements; returns its file."""
    rng = random.Random(seed)
    with lmdb.open(str(folder), map_size=2**26) as environment:
        for _ in range(rounds):
            with environment.begin(write=True) as transaction:
                for number in range(count):
                    key = f'{number * 7919:0{rng.randint(1, 9)}d}'.encode()
                    if rng.random() < 0.8:
                        transaction.put(key, rng.randbytes(rng.choice([0, 5, 300, 3000, 9000])))
                    else:
                        transaction.delete(key)
    return folder / 'data.mdb'


def by_lmdb(folder: Path) -> dict[bytes, bytes]:
    with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return {bytes(key): bytes(value) for key, value in transaction.cursor()}


def values(path: Path) -> dict[bytes, lmdb_pages.Value]:
    with path.open('rb') as file:
        return lmdb_pages.values(file)


@pytest.mark.parametrize('count', [0, 1, 40, 1500])
def test_keys_and_places_are_those_that_lmdb_reads(tmp_path: Path, count: int) -> None:
    path = build(tmp_path, count=count)
    data = path.read_bytes()
    found = values(path)
    assert {key: data[place.offset : place.offset + place.size] for key, place in found.items()} == by_lmdb(tmp_path)
    assert list(found) == sorted(found)
    lmdb_pages.check_for_writing(path)


def outcome_of_lmdb(folder: Path, expected: dict[bytes, bytes], *, write: bool) -> int:
    """Let LMDB read all, and perhaps write, in a fork that may die; returns its status, 0 where all is well."""
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            with lmdb.open(str(folder), readonly=True, lock=False) as environment, environment.begin() as transaction:
                right = all(bytes(transaction.get(key)) == value for key, value in expected.items())
                right = right and [bytes(key) for key in transaction.cursor().iternext(values=False)] == list(expected)
            if write:
                environment = lmdb.open(str(folder), map_size=2**26, lock=False)
                with environment.begin(write=True) as transaction:
                    for key in list(expected)[::3]:
                        transaction.delete(key)
                    for number in range(20):
                        transaction.put(f'new{number}'.encode(), bytes(7000))
            os._exit(0 if right else 1)
        except BaseException:
            os._exit(2)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.skipif(not hasattr(os, 'fork'), reason='LMDB may end its process')
@pytest.mark.parametrize('seed', range(3))
def test_what_passes_lmdb_can_read_and_write(tmp_path: Path, seed: int) -> None:
    """Random bytes in the pages of the tree: either they are found, or LMDB is not hurt by them."""
    rng = random.Random(seed)
    path = build(tmp_path, count=(3, 60, 400)[seed], seed=seed)
    whole = path.read_bytes()
    pages = [at for at in range(0, len(whole), PAGE) if at < 2 * PAGE or whole[at + 10] in (1, 2)]
    caught = 0
    for _ in range(30):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 3)):
            data[rng.choice(pages) + rng.randrange(rng.choice([40, 160, PAGE]))] ^= 1 << rng.randrange(8)
        path.write_bytes(data)
        try:
            found = values(path)
        except DamagedLmdb:
            caught += 1
            continue
        try:
            lmdb_pages.check_for_writing(path)
            can_write = True
        except DamagedLmdb:
            can_write = False
        expected = {key: bytes(data[place.offset : place.offset + place.size]) for key, place in found.items()}
        assert outcome_of_lmdb(tmp_path, expected, write=can_write) == 0
    assert caught


@pytest.mark.promise('an LMDB whose pages are damaged')
@pytest.mark.parametrize('at', [0, 10, 16, 20, 40, 2 * PAGE - 1], ids=lambda at: f'byte {at}')
def test_zeros_from_anywhere_on_are_found(tmp_path: Path, at: int) -> None:
    folder = tmp_path / 'x.lmdb'
    path = build(folder)
    (folder / 'meta_info.txt').write_text('')
    data = path.read_bytes()
    path.write_bytes(data[:at] + bytes(len(data) - at))
    problems = check_lmdb(folder)
    assert len(problems) == 1
    assert 'data.mdb' in problems[0]


@pytest.mark.parametrize('content', [b'', b'no database', bytes(100_000), bytes(range(256)) * 64], ids=len)
def test_what_is_no_lmdb_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'data.mdb'
    path.write_bytes(content)
    with pytest.raises(DamagedLmdb, match=r'truncated|no LMDB'):
        values(path)


def test_databases_of_other_kinds_are_refused(tmp_path: Path) -> None:
    with lmdb.open(str(tmp_path), max_dbs=2) as environment:
        environment.open_db(b'inner')
    with pytest.raises(DamagedLmdb):
        values(tmp_path / 'data.mdb')
    path = build(tmp_path / 'twice', count=3)
    data = bytearray(path.read_bytes())
    for at in (92, PAGE + 92):
        data[at] = 0x04  # several values under one key
    path.write_bytes(data)
    with pytest.raises(DamagedLmdb, match='of another kind'):
        values(path)


def test_a_tree_that_contains_itself_ends(tmp_path: Path) -> None:
    path = build(tmp_path, count=1500)
    data = bytearray(path.read_bytes())
    for at in range(2 * PAGE, len(data), PAGE):
        if data[at + 10 : at + 12] == b'\x01\x00':  # a branch: all its children are itself
            for place in range(16, int.from_bytes(data[at + 12 : at + 14], 'little'), 2):
                node = at + int.from_bytes(data[at + place : at + place + 2], 'little')
                data[node : node + 4] = (at // PAGE).to_bytes(4, 'little')
    path.write_bytes(data)
    with pytest.raises(DamagedLmdb):
        values(path)


def test_a_writer_refuses_to_go_on_with_damaged_pages(tmp_path: Path) -> None:
    folder = tmp_path / 'x.lmdb'
    writer = LmdbWriter(folder)
    for number in range(50):
        writer.put(f'{number:04d}', bytes(5000), (2, 3, 3))
        writer.commit()
    writer.close()
    data = bytearray((folder / 'data.mdb').read_bytes())
    for at in range(2 * PAGE, len(data), PAGE):
        if data[at + 10] == 4 and data[at + 12]:
            data[at + 12] += 100  # the head of a value claims pages of others
    (folder / 'data.mdb').write_bytes(data)
    with pytest.raises(ValueError, match='damaged'):
        LmdbWriter(folder, committed={'0000': (2, 3, 3)})
