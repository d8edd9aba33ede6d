"""Reading data: LMDBs, read-ahead threads, and the seeds of loader workers."""

import copy
import os
import pickle
import queue
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest
import torch
import yaml

from converse_basicsr import compat
from converse_basicsr.compat.loading import seed_worker

Open = Callable[..., Any]


def test_one_lmdb_serves_several_datasets(open_dataset: Open, pairs: Path) -> None:
    first, second = (open_dataset(dataroot_lq=str(pairs / 'gt.lmdb'), scale=1) for _ in range(2))
    for sample in (first[0], second[0]):
        assert torch.equal(sample['gt'], sample['lq'])
    again = pickle.loads(pickle.dumps(first))
    assert again[3]['gt'].shape == (3, 16, 16)
    assert len(copy.deepcopy(first)) == 20


def test_without_the_patch_an_lmdb_serves_one(open_dataset: Open, pairs: Path) -> None:
    with compat.disabled('lmdb_backend'):
        dataset = open_dataset(dataroot_lq=str(pairs / 'gt.lmdb'), scale=1)
        with pytest.raises(lmdb.Error):
            dataset[0]


def test_forked_workers_read_an_lmdb_their_parent_has_open(open_dataset: Open) -> None:
    if sys.platform == 'win32':
        pytest.skip('Windows does not fork')
    dataset = open_dataset()
    dataset[0]
    loader = torch.utils.data.DataLoader(dataset, batch_size=4, num_workers=2, multiprocessing_context='fork')
    assert sum(len(batch['gt']) for batch in loader) == 20
    dataset[1]


def test_a_missing_key_is_named(pairs: Path) -> None:
    from converse_basicsr.data.lmdb_backend import SharedLmdbBackend

    backend = SharedLmdbBackend([str(pairs / 'gt.lmdb')], ['gt'])
    with pytest.raises(KeyError, match=r"gt\.lmdb has no key 'nowhere'"):
        backend.get('nowhere', 'gt')
    with pytest.raises(KeyError, match='client_key must be one of'):
        backend.get('0000', 'lq')
    with pytest.raises(FileNotFoundError, match=r'no data\.mdb'):
        SharedLmdbBackend(str(pairs / 'val_gt')).get('0000')
    with pytest.raises(ValueError, match='client_keys must be as many'):
        SharedLmdbBackend(['a', 'b'], ['gt'])


def failing() -> Iterator[int]:
    yield 1
    raise ValueError('no image')


def test_an_error_of_the_read_ahead_thread_is_raised() -> None:
    from basicsr.data.prefetch_dataloader import PrefetchGenerator

    items = PrefetchGenerator(failing(), 1)
    assert next(items) == 1
    with pytest.raises(ValueError, match='no image'):
        next(items)


@pytest.mark.filterwarnings('ignore::pytest.PytestUnhandledThreadExceptionWarning')
def test_without_the_patch_the_reader_waits_for_ever() -> None:
    from basicsr.data.prefetch_dataloader import PrefetchGenerator

    with compat.disabled('prefetch_errors'):
        items = PrefetchGenerator(failing(), 1)
        assert next(items) == 1
        items.join(10)
        with pytest.raises(queue.Empty):
            items.queue.get(timeout=0.1)


def two_epochs(open_dataset: Open, seed: int) -> list[torch.Tensor]:
    from basicsr.data import build_dataloader

    options = {'phase': 'train', 'num_worker_per_gpu': 2, 'batch_size_per_gpu': 5}
    torch.manual_seed(seed)
    loader = build_dataloader(open_dataset(), options, seed=seed, sampler=range(20))
    return [torch.cat([batch['gt'] for batch in loader]) for _ in range(2)]


def test_workers_draw_anew_every_epoch_and_repeat_with_the_seed(open_dataset: Open) -> None:
    first, second = two_epochs(open_dataset, 7)
    assert not torch.equal(first, second)
    again, _ = two_epochs(open_dataset, 7)
    assert torch.equal(first, again)
    other, _ = two_epochs(open_dataset, 8)
    assert not torch.equal(first, other)
    with compat.disabled('worker_seeds'):
        assert torch.equal(*two_epochs(open_dataset, 7))


def test_seed_worker_uses_torchs_seed() -> None:
    def draw() -> tuple[float, float]:
        seed_worker(0, num_workers=2, rank=0, seed=0)
        return random.random(), float(np.random.rand())  # noqa: NPY002

    torch.manual_seed(1)
    first = draw()
    assert draw() == first
    torch.manual_seed(2)
    assert draw() != first


@pytest.mark.slow
@pytest.mark.parametrize('prefetch', ['cpu', None])
def test_a_corrupt_image_ends_the_run(
    run_options: dict[str, Any], pairs: Path, tmp_path: Path, prefetch: str | None
) -> None:
    for name in ('gt.lmdb', 'lq.lmdb'):
        source = tmp_path / name
        source.mkdir()
        for file in ('data.mdb', 'meta_info.txt'):
            (source / file).write_bytes((pairs / name / file).read_bytes())
    environment = lmdb.open(str(tmp_path / 'gt.lmdb'), map_size=2**24)
    with environment.begin(write=True) as transaction:
        for key, value in list(transaction.cursor())[1:]:  # the check reads one sample
            transaction.put(key, value[:60] + bytes(len(value) - 60))  # behind the header, which it looks at too
    environment.close()
    train = run_options['datasets']['train']
    train.update(dataroot_gt=str(tmp_path / 'gt.lmdb'), dataroot_lq=str(tmp_path / 'lq.lmdb'), prefetch_mode=prefetch)
    (tmp_path / 'run.yml').write_text(yaml.safe_dump(run_options))
    command = [sys.executable, '-m', 'converse_basicsr.cli', 'train', '-opt', 'run.yml']
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)
    assert result.returncode == 2
    assert 'cannot be used' in result.stderr
    assert 'Traceback' not in result.stderr


@pytest.mark.promise('a pipe, socket or device in a list of images')
def test_an_image_that_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    from basicsr.utils import FileClient

    os.mkfifo(tmp_path / 'a.png')
    with pytest.raises(ValueError, match=r'a\.png is a pipe, not a file'):
        FileClient('disk').get(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='/dev/zero is a device, not a file'):
        FileClient('disk').get('/dev/zero')
