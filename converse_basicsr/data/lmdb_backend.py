"""An LMDB storage backend for BasicSR's ``FileClient`` that several readers, forks and pickles can share."""

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lmdb
from basicsr.utils.file_client import BaseStorageBackend

# py-lmdb refuses to open one environment twice in a process, so all readers of a path share one handle.
_environments: dict[str, lmdb.Environment] = {}
_lock = threading.Lock()


def _forget_environments_of_parent() -> None:
    """Close the handles a forked child inherited: it opens its own at its first read."""
    global _lock
    _lock = threading.Lock()  # the parent's may have been held by another thread at the fork
    for environment in _environments.values():
        environment.close()
    _environments.clear()


if hasattr(os, 'register_at_fork'):
    os.register_at_fork(after_in_child=_forget_environments_of_parent)


def _environment(path: str, options: dict[str, Any]) -> lmdb.Environment:
    with _lock:
        environment = _environments.get(path)
        if environment is None:
            if not Path(path, 'data.mdb').is_file():
                raise FileNotFoundError(f'{path} is not an LMDB folder: it holds no data.mdb')
            environment = _environments[path] = lmdb.open(path, **options)
        return environment


class SharedLmdbBackend(BaseStorageBackend):
    """Read values from LMDB folders, opened at the first read and shared by the whole process.

    BasicSR's own backend opens its environments in the constructor. Since py-lmdb 1.6 that fails as soon as two
    datasets use one LMDB (GT and LQ, or training and validation), and an opened dataset cannot be pickled for a spawned
    worker. This one holds nothing but paths, so it pickles, and forked workers open handles of their own.

    Args:
        db_paths: One LMDB folder or several.
        client_keys: A name for each folder, by which :meth:`get` chooses.
        readonly: Open for reading only.
        lock: Take LMDB's file lock (not needed by readers).
        readahead: Let the operating system read ahead (slows random access to large databases).
        max_readers: LMDB's reader slots; ignored by a database that is open already, as are the three flags above.

    Raises:
        ValueError: If there are not as many names as folders.
    """

    def __init__(
        self,
        db_paths: str | Sequence[str],
        client_keys: str | Sequence[str] = 'default',
        readonly: bool = True,
        lock: bool = False,
        readahead: bool = False,
        max_readers: int = 126,
    ) -> None:
        db_paths = [db_paths] if isinstance(db_paths, (str, os.PathLike)) else list(db_paths)
        client_keys = [client_keys] if isinstance(client_keys, str) else list(client_keys)
        if len(db_paths) != len(client_keys):
            raise ValueError(f'client_keys must be as many as db_paths, got {client_keys} for {db_paths}')
        self.db_paths = [os.path.realpath(path) for path in db_paths]
        self._path_of = dict(zip(client_keys, self.db_paths))
        self._options: dict[str, Any] = {
            'readonly': readonly,
            'lock': lock,
            'readahead': readahead,
            'max_readers': max_readers,
        }

    def get(self, filepath: str, client_key: str = 'default') -> bytes:
        """Return the value stored under the key ``filepath`` in the database named ``client_key``.

        Raises:
            KeyError: If the database has no such key, or ``client_key`` names no database.
            FileNotFoundError: If the folder holds no LMDB.
        """
        if client_key not in self._path_of:
            raise KeyError(f'client_key must be one of {sorted(self._path_of)}, got {client_key!r}')
        path = self._path_of[client_key]
        with _environment(path, self._options).begin(write=False) as transaction:
            value = transaction.get(str(filepath).encode())
        if value is None:
            raise KeyError(f'{path} has no key {str(filepath)!r}; its meta_info.txt does not match its content')
        return value

    def get_text(self, filepath: str) -> str:
        """Not offered by LMDB storage (nor by BasicSR's backend)."""
        raise NotImplementedError('LMDB storage holds bytes, not text')
