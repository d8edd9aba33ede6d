"""The randomness of a training sample: a function of the run's seed, the epoch and the sample alone.

So crops, flips, noise and kernels do not depend on how many workers or processes share the work, nor on which of them
makes the sample, and a resumed run draws what the interrupted one would have drawn.
"""

import contextlib
import random
from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import torch
from torch.utils.data import Dataset, get_worker_info


class SampleIndex(int):
    """An index into a dataset that also says which sample of which epoch and batch it stands for.

    Attributes:
        seed: The run's seed, the epoch, and the sample's number within the enlarged dataset.
        batch_seed: The run's seed, the epoch, and the batch's number within the epoch.
    """

    seed: tuple[int, int, int]
    batch_seed: tuple[int, int, int]

    def __new__(cls, index: int, seed: tuple[int, int, int], batch_seed: tuple[int, int, int]) -> 'SampleIndex':
        """Make the index of a sample from its number in the dataset."""
        self = super().__new__(cls, index)
        self.seed, self.batch_seed = seed, batch_seed
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return SampleIndex, (int(self), self.seed, self.batch_seed)


class MapStyleDataset(Protocol):
    """A dataset that has a length and is indexed by integers (torch's ``Dataset`` declares no length)."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int) -> Any: ...


class SeededDataset(Dataset[Any]):
    """A dataset that seeds the random generators anew for each sample.

    These are Python's ``random``, NumPy's global generator and torch's, from which the datasets of BasicSR and of this
    package draw. In the training process itself, their states are restored afterwards.

    Args:
        dataset: Any map-style dataset. For indices that are not a :class:`SampleIndex` nothing is seeded.
    """

    def __init__(self, dataset: MapStyleDataset) -> None:
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        if not isinstance(index, SampleIndex):
            return self.dataset[index]
        with contextlib.nullcontext() if get_worker_info() else _generators_restored():
            seed_generators(index.seed)
            return self.dataset[index]


def seed_generators(seed: tuple[int, ...]) -> None:
    """Seed the global generators of Python, NumPy and torch (on the CPU) from a tuple of non-negative integers."""
    state = np.random.SeedSequence(seed).generate_state(5, np.uint64)
    random.seed(int(state[0]))
    np.random.seed(state[1:4].view(np.uint32))  # noqa: NPY002  (BasicSR's datasets draw from the global generator)
    torch.default_generator.manual_seed(int(state[4]))


@contextlib.contextmanager
def _generators_restored() -> Iterator[None]:
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])
