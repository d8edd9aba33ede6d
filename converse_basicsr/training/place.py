"""Where a run stands in its data: epochs, and samples of an epoch, counted over all processes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class DataPlace:
    """Where a run started, and how large its epochs and batches are; from this every later place follows.

    Attributes:
        epoch: The epoch in which it started.
        iteration: Number of iterations done before.
        position: Number of samples of that epoch used before.
        epoch_size: Samples of an epoch.
        batch_size: Samples of a batch.

    Example:
        >>> place = DataPlace(epoch=0, iteration=0, position=0, epoch_size=20, batch_size=8)
        >>> place.epoch_of(2), place.epoch_of(3), place.position_after(1, 3)
        (0, 1, 8)
    """

    epoch: int
    iteration: int
    position: int
    epoch_size: int
    batch_size: int

    def epoch_of(self, iteration: int) -> int:
        """Return the epoch to which an iteration belongs; an incomplete batch at the end of an epoch is left out."""
        batches = iteration - self.iteration - (self.epoch_size - self.position) // self.batch_size
        return self.epoch + max(0, -(-batches // (self.epoch_size // self.batch_size)))

    def position_after(self, epoch: int, iteration: int) -> int:
        """Return how many samples of ``epoch`` are used up after an iteration that belongs to it."""
        batches, position = iteration - self.iteration, self.position
        if epoch > self.epoch:
            per_epoch = self.epoch_size // self.batch_size
            first = (self.epoch_size - position) // self.batch_size
            batches -= first + (epoch - self.epoch - 1) * per_epoch
            position = 0
        return position + batches * self.batch_size
