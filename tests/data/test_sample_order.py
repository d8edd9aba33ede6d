import pickle
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset, get_worker_info

import converse_basicsr

converse_basicsr.register()

from basicsr.data import build_dataloader  # noqa: E402

from converse_basicsr.data.sample_order import SampleOrder  # noqa: E402
from converse_basicsr.data.sample_seed import SampleIndex, SeededDataset  # noqa: E402

SIZE = 12


class Drawing(Dataset):
    """Draws from each of the three global generators, and says which worker did so."""

    def __len__(self) -> int:
        return SIZE

    def __getitem__(self, index: int) -> dict[str, Any]:
        worker = get_worker_info()
        drawn = [random.random(), np.random.random(), torch.rand(()).item()]  # noqa: NPY002
        return {'index': int(index), 'drawn': torch.tensor(drawn), 'worker': -1 if worker is None else worker.id}


def order(seed: int = 0, epoch: int = 0, ranks: int = 1, ratio: int = 1, rank: int = 0) -> SampleOrder:
    sampler = SampleOrder(range(SIZE), ranks, rank, ratio)
    sampler.seed = seed
    sampler.set_epoch(epoch)
    return sampler


def batches(workers: int, sampler: SampleOrder, batch: int = 4) -> list[dict[str, torch.Tensor]]:
    options = {'phase': 'train', 'num_worker_per_gpu': workers, 'batch_size_per_gpu': batch}
    return list(build_dataloader(SeededDataset(Drawing()), options, sampler=sampler, seed=0))


def joined(loaded: Sequence[dict[str, torch.Tensor]], key: str = 'drawn') -> torch.Tensor:
    return torch.cat([batch[key] for batch in loaded])


def test_the_order_depends_on_the_seed_and_the_epoch() -> None:
    assert list(order(1)) == list(order(1))
    assert list(order(1)) != list(order(2))
    assert list(order(1)) != list(order(1, epoch=1))
    assert sorted(order(ratio=2)) == sorted([*range(SIZE)] * 2)


@pytest.mark.parametrize('ranks', [2, 3, 5])
def test_processes_share_the_samples_of_one(ranks: int) -> None:
    alone = [index.seed for index in order(seed=3, ratio=3)]
    shares = [[index.seed for index in order(seed=3, ratio=3, ranks=ranks, rank=rank)] for rank in range(ranks)]
    assert len({len(share) for share in shares}) == 1
    together = [sample for step in zip(*shares) for sample in step]
    assert together == alone[: len(together)]
    assert len(alone) - len(together) < ranks
    assert len(set(alone)) == len(alone)  # the same image, met again in an epoch, draws anew


@pytest.mark.parametrize('workers', [1, 3])
def test_samples_do_not_depend_on_the_workers(workers: int) -> None:
    alone, shared = batches(0, order(5)), batches(workers, order(5))
    assert torch.equal(joined(alone, 'index'), joined(shared, 'index'))
    assert torch.equal(joined(alone), joined(shared))
    assert len(set(joined(shared, 'worker').tolist())) == workers


def test_samples_do_not_depend_on_the_processes() -> None:
    alone = joined(batches(0, order(5)))
    shares = [batches(0, order(5, ranks=2, rank=rank), batch=2) for rank in range(2)]
    together = torch.cat([torch.stack([a, b], 1).flatten(0, 1) for a, b in zip(*map(list, map(rows, shares)))])
    assert torch.equal(together, alone)


def rows(loaded: list[dict[str, torch.Tensor]]) -> list[torch.Tensor]:
    return [batch['drawn'] for batch in loaded]


def test_no_two_samples_draw_alike_and_epochs_and_seeds_differ() -> None:
    drawn = torch.cat(
        [
            joined(batches(2, order(seed, epoch, ranks=2, rank=rank), batch=2))
            for seed in (0, 1)
            for epoch in (0, 1)
            for rank in (0, 1)
        ]
    )
    assert len(drawn) == 8 * SIZE // 2
    for column in drawn.T:
        assert len(set(column.tolist())) == len(drawn)


def test_a_sample_leaves_the_generators_of_the_main_process_alone() -> None:
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    expected = Drawing()[0]['drawn']
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    seeded = SeededDataset(Drawing())[SampleIndex(0, (1, 2, 3), (1, 2, 0))]['drawn']
    assert torch.equal(Drawing()[0]['drawn'], expected)
    assert not torch.equal(seeded, expected)


def test_a_plain_index_draws_from_the_generators_as_they_are() -> None:
    torch.manual_seed(1)
    dataset = SeededDataset(Drawing())
    assert len(dataset) == SIZE
    first = dataset[0]['drawn']
    assert not torch.equal(dataset[0]['drawn'], first)


def test_an_index_is_a_number_and_keeps_its_seeds_when_pickled() -> None:
    index = pickle.loads(pickle.dumps(SampleIndex(7, (1, 2, 3), (1, 2, 0))))
    assert 'abcdefgh'[index] == 'h'
    assert (index.seed, index.batch_seed) == ((1, 2, 3), (1, 2, 0))


@pytest.mark.parametrize('ranks', [1, 2])
def test_resuming_goes_on_within_the_epoch(ranks: int) -> None:
    whole = batches(0, order(5, epoch=2, ranks=ranks), batch=2)
    sampler = order(5, epoch=2, ranks=ranks)
    sampler.resume(2, 4 * ranks)
    rest = batches(2, sampler, batch=2)
    assert torch.equal(joined(rest), joined(whole[2:]))
    sampler.set_epoch(3)
    assert torch.equal(
        joined(batches(0, sampler, batch=2)), joined(batches(0, order(5, epoch=3, ranks=ranks), batch=2))
    )


def test_batch_seeds_are_shared_by_a_batch_and_its_processes() -> None:
    samplers = [order(ranks=2, rank=rank, ratio=2) for rank in range(2)]
    for sampler in samplers:
        sampler.batch_size = 4
    first, second = ([index.batch_seed for index in sampler] for sampler in samplers)
    assert first == second
    assert first == [(0, 0, batch) for batch in range(6) for _ in range(2)]
