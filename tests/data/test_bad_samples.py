import traceback
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_run import only_log, smooth_image
from torch.utils.data import DataLoader, Dataset

from converse_basicsr.data.bad_samples import MAX_SUCCESSIVE, BadSampleError, GuardedDataset, skipped_samples
from converse_basicsr.data.sample_seed import SampleIndex


class Numbers(Dataset):
    """The numbers up to ``length``, without those in ``bad``."""

    def __init__(self, length: int, bad: set[int]) -> None:
        self.paths = [f'file{number}.png' for number in range(length)]
        self.bad = bad
        self.opt = {'name': 'numbers'}

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> int:
        if index in self.bad:
            raise ValueError('it is damaged\nbeyond repair')
        return int(index)


def test_an_error_names_data_set_file_and_place() -> None:
    guarded = GuardedDataset(Numbers(4, {2}), 'tiny')
    assert guarded[1] == 1
    message = (
        r'data set tiny: file2\.png cannot be used: it is damaged beyond repair \(ValueError in test_bad_samples\.py:'
    )
    with pytest.raises(BadSampleError, match=message):
        guarded[2]


@pytest.mark.parametrize('start', ['fork', 'spawn'])
def test_the_message_survives_a_loader_process(start: str) -> None:
    loader = DataLoader(GuardedDataset(Numbers(4, {2}), 'tiny'), num_workers=1, multiprocessing_context=start)
    with pytest.raises(BadSampleError) as caught:
        list(loader)
    (line,) = str(caught.value).splitlines()
    traceback.clear_frames(caught.tb)  # they hold the worker, for whose end the garbage collector would wait
    assert line.startswith('data set tiny: file2.png cannot be used')


def test_bad_samples_are_replaced_by_the_next_good_one_and_counted(capfd: pytest.CaptureFixture[str]) -> None:
    guarded = GuardedDataset(Numbers(6, {2, 3, 5}), 'tiny', skip=True)
    for workers in (0, 2):
        loader = DataLoader(guarded, batch_size=6, num_workers=workers)
        assert next(iter(loader)).tolist() == [0, 1, 4, 4, 4, 0]
    assert 'data set tiny: 3 of 6 samples could not be used and were skipped' in skipped_samples()
    assert capfd.readouterr().err.count('skipping a sample: data set tiny: file3.png') == 1


def test_the_replacement_keeps_the_seeds_of_the_place() -> None:
    class Seeds(Numbers):
        def __getitem__(self, index: int) -> tuple[int, Any, Any]:
            super().__getitem__(index)
            return int(index), index.seed, index.batch_seed

    guarded = GuardedDataset(Seeds(3, {1}), 'tiny', skip=True)
    assert guarded[SampleIndex(1, (7, 0, 1), (7, 0, 0))] == (2, (7, 0, 1), (7, 0, 0))


def test_it_ends_where_nothing_can_be_read() -> None:
    guarded = GuardedDataset(Numbers(3 * MAX_SUCCESSIVE, set(range(3 * MAX_SUCCESSIVE))), 'tiny', skip=True)
    with pytest.raises(BadSampleError, match=f'as the {MAX_SUCCESSIVE - 1} samples before it'):
        guarded[0]


def test_everything_else_is_that_of_the_dataset() -> None:
    guarded = GuardedDataset(Numbers(3, set()), 'tiny')
    assert guarded.opt['name'] == 'numbers'
    assert len(guarded) == 3
    with pytest.raises(AttributeError):
        guarded.absent  # noqa: B018


@pytest.fixture
def damaged(run_options: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The tiny run on folders with one damaged image, which the headers do not show."""
    import cv2

    rng = np.random.default_rng(0)
    for folder, size in (('gt', 32), ('lq', 8)):
        (tmp_path / folder).mkdir()
        for number in range(5):
            content = cv2.imencode('.png', smooth_image(rng, size, size))[1].tobytes()
            if (folder, number) == ('gt', 3):
                content = content[:60] + bytes([content[60] ^ 255]) + content[61:]
            (tmp_path / folder / f'{number}.png').write_bytes(content)
    run_options['datasets']['train'].update(dataroot_gt='gt', dataroot_lq='lq', io_backend={'type': 'disk'})
    return run_options


@pytest.mark.slow
@pytest.mark.parametrize('prefetch_mode', [None, 'cpu'])
@pytest.mark.promise('an image damaged in the middle')
def test_training_stops_at_a_bad_sample_in_one_line(
    basicsr: Any, damaged: dict[str, Any], capsys: pytest.CaptureFixture[str], prefetch_mode: str | None
) -> None:
    damaged['datasets']['train'].update(num_worker_per_gpu=1, prefetch_mode=prefetch_mode)
    assert basicsr('train', damaged) == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith('basicsr: error')]
    assert len(errors) == 1
    assert 'data set train: lq/3.png, gt/3.png cannot be used' in errors[0]
    assert 'on_bad_sample: skip' in errors[0]


@pytest.mark.slow
@pytest.mark.promise('an image damaged in the middle')
def test_training_skips_and_counts(basicsr: Any, damaged: dict[str, Any]) -> None:
    damaged['datasets']['train']['on_bad_sample'] = 'skip'
    assert basicsr('train', damaged) == 0
    assert 'data set train: 1 of 5 samples could not be used and were skipped' in only_log()
    assert torch.load('experiments/tiny/models/net_g_4.pth')
