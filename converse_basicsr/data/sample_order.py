"""The order of training samples: the same for any number of processes, and resumable in the middle of an epoch."""

from collections.abc import Iterator, Sized

import torch
from basicsr.data.data_sampler import EnlargedSampler

from converse_basicsr.data.sample_seed import SampleIndex


class SampleOrder(EnlargedSampler):
    """BasicSR's sampler, with an order that depends on the seed and the epoch alone.

    The samples of an epoch are a permutation of the enlarged dataset; process ``rank`` of ``num_replicas`` takes every
    ``num_replicas``-th. So the batches of N processes with B samples each are together those of one process with N B
    samples. The remainder of a division by the number of processes is left out, where BasicSR would repeat samples.

    Args:
        dataset: The dataset.
        num_replicas: Number of processes.
        rank: Number of this process.
        ratio: How many times an epoch takes every image.

    Attributes:
        seed: The run's seed; 0 unless set.
        batch_size: Samples per batch over all processes, for what is drawn once per batch; 1 unless set.
    """

    seed = 0
    batch_size = 1

    def __init__(self, dataset: Sized, num_replicas: int, rank: int, ratio: int = 1) -> None:
        super().__init__(dataset, num_replicas, rank, ratio)
        self.enlarged_size = int(len(dataset) * ratio)
        self.num_samples = self.enlarged_size // num_replicas
        self.total_size = self.num_samples * num_replicas
        self._resumed: tuple[int, int] | None = None

    def resume(self, epoch: int, position: int) -> None:
        """Leave out the first ``position`` samples (over all processes) of that epoch: they have been trained on."""
        self._resumed = (epoch, position)

    def __iter__(self) -> Iterator[SampleIndex]:
        generator = torch.Generator()
        # torch takes one number as seed: a large odd factor keeps the pairs (seed, epoch) apart.
        generator.manual_seed((self.epoch + self.seed * 1_000_003) % 2**63)
        order = torch.randperm(self.enlarged_size, generator=generator)
        start = self._resumed[1] if self._resumed and self._resumed[0] == self.epoch else 0
        first = start // self.num_replicas * self.num_replicas + self.rank
        # BasicSR's loop changes `epoch` only after this iterator has ended, but a prefetcher may be ahead of it.
        seed, epoch, batch_size, size = self.seed, self.epoch, self.batch_size, len(self.dataset)
        for position in range(first, self.total_size, self.num_replicas):
            sample = int(order[position])
            yield SampleIndex(sample % size, (seed, epoch, sample), (seed, epoch, position // batch_size))
