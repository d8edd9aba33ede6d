"""Reading data: LMDBs, read-ahead threads, and the seeds of loader workers."""

import contextlib
import functools
import os
import random
from collections.abc import Iterator
from typing import Any

from converse_basicsr.compat.replacement import Replacement
from converse_basicsr.files.reading import Unreadable, require_file

MAX_IMAGE_BYTES = 2**32
"""OpenCV reads 2**30 pixels at most."""


def lmdb_backend() -> Iterator[Replacement]:
    """Let several datasets of a process read one LMDB, and let opened datasets be pickled.

    lmdb 1.6 and later refuse to open an environment twice in one process. Can go when BasicSR shares its environments.
    """
    from basicsr.utils.file_client import FileClient

    from converse_basicsr.data.lmdb_backend import SharedLmdbBackend

    yield Replacement(FileClient._backends, 'lmdb', SharedLmdbBackend)


def regular_files() -> Iterator[Replacement]:
    """Read images from regular files only: a list may name a pipe, for which BasicSR waits for ever, or a device.

    Can go when ``HardDiskBackend`` looks at what it opens.
    """
    from basicsr.utils.file_client import HardDiskBackend

    original = HardDiskBackend.get

    @functools.wraps(original)
    def get(self: Any, filepath: str | os.PathLike[str]) -> bytes:
        try:
            require_file(filepath, MAX_IMAGE_BYTES)
        except Unreadable as error:
            raise ValueError(f'{filepath} {error}') from None
        return original(self, filepath)

    yield Replacement(HardDiskBackend, 'get', get)


def prefetch_errors() -> Iterator[Replacement]:
    """Raise a loader's error in the training loop: with ``prefetch_mode: cpu`` it ends a thread and the run hangs.

    Can go when ``PrefetchGenerator`` hands exceptions on.
    """
    from basicsr.data.prefetch_dataloader import PrefetchGenerator

    class _LoaderError:
        def __init__(self, error: BaseException) -> None:
            self.error = error

    def run(self: Any) -> None:
        try:
            for item in self.generator:
                self.queue.put(item)
        except BaseException as error:
            self.queue.put(_LoaderError(error))
        else:
            self.queue.put(None)

    def get_next(self: Any) -> Any:
        item = self.queue.get()
        if item is None:
            raise StopIteration
        if isinstance(item, _LoaderError):
            raise item.error
        return item

    yield Replacement(PrefetchGenerator, 'run', run)
    yield Replacement(PrefetchGenerator, '__next__', get_next)


def worker_seeds() -> Iterator[Replacement]:
    """Draw new crops, flips and noise every epoch: BasicSR seeds its workers alike in each.

    Can go when ``worker_init_fn`` uses ``torch.initial_seed()``.
    """
    import basicsr.data

    yield Replacement(basicsr.data, 'worker_init_fn', seed_worker)


def seed_worker(worker_id: int, num_workers: int, rank: int, seed: int) -> None:
    """Seed ``random`` and NumPy of a loader worker from torch's seed for it, which changes from epoch to epoch.

    Takes the arguments of BasicSR's ``worker_init_fn``; torch has derived the worker's seed from the main process's
    generator (seeded by ``manual_seed`` and the rank) and the worker's number.
    """
    import numpy as np
    import torch

    if hasattr(os, 'setpgid'):
        # Ctrl-C and a batch system's signals must reach the training process alone: it saves and ends its workers.
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
    worker_seed = torch.initial_seed() % 2**32
    random.seed(worker_seed)
    np.random.seed(worker_seed)  # noqa: NPY002  (datasets of BasicSR draw from the global generator)
