"""Samples that cannot be read: named with their files, and, if the option file says so, skipped and counted."""

import traceback
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import Dataset

from converse_basicsr.data.sample_seed import MapStyleDataset, SampleIndex
from converse_basicsr.errors import UserError
from converse_basicsr.messages import tell

MAX_SUCCESSIVE = 100
"""After so many bad samples in succession it is not the samples: the disk is gone, or the options are wrong."""

# Name and bad samples of each data set that skips: when a run has ended, its data sets are gone.
_skipping: list[tuple[str, torch.Tensor]] = []


class BadSampleError(UserError):
    """A sample that cannot be read.

    A loader process hands an error on as the text of its traceback, whose last line is the message.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text.rpartition(f'{type(self).__name__}: ')[2].strip())


class GuardedDataset(Dataset[Any]):
    """A dataset whose errors name the data set and the file, and which can do without bad samples.

    A skipped sample is replaced by the next one that can be read, so a batch keeps its size, and the same samples are
    bad in every process and run. Everything else of the dataset can be reached through this one.

    Args:
        dataset: Any map-style dataset; its ``paths``, or those of its ``reader``, name the files.
        name: The data set, for messages.
        skip: Skip and count bad samples, naming each once on standard error.

    Raises:
        BadSampleError: From ``__getitem__``, for a bad sample, or for :data:`MAX_SUCCESSIVE` in succession if they are
            skipped.
    """

    def __init__(self, dataset: MapStyleDataset, name: str, *, skip: bool = False) -> None:
        self.dataset = dataset
        self.name = name
        # Shared by all loader processes.
        self.bad: torch.Tensor | None = None
        if skip:
            self.bad = torch.zeros(len(dataset), dtype=torch.bool).share_memory_()
            _skipping.append((name, self.bad))

    def __len__(self) -> int:
        return len(self.dataset)

    def __getattr__(self, attribute: str) -> Any:
        if attribute.startswith('__') or attribute == 'dataset':
            raise AttributeError(attribute)
        return getattr(self.dataset, attribute)

    def __getitem__(self, index: int) -> Any:
        for step in range(1 if self.bad is None else min(MAX_SUCCESSIVE, len(self))):
            place = index if step == 0 else _with_seeds_of(index, (index + step) % len(self))
            try:
                return self.dataset[place]
            except Exception as error:  # whatever a dataset of BasicSR or a plugin raises on what it cannot read
                problem = f'data set {self.name}: {self._describe(int(place), error)}'
                if self.bad is None:
                    # Scores must not leave out images, so skipping is for training only.
                    is_scored = getattr(self.dataset, 'opt', {}).get('phase') in ('val', 'test')
                    remedy = 'replace or remove it' + ('' if is_scored else ', or train with on_bad_sample: skip')
                    raise BadSampleError(f'{problem}; {remedy}') from error
                if not self.bad[place]:
                    self.bad[place] = True
                    tell(f'skipping a sample: {problem}')
        raise BadSampleError(f'{problem}, as the {step} samples before it')

    def _describe(self, index: int, error: Exception) -> str:
        paths = getattr(self.dataset, 'paths', None) or getattr(getattr(self.dataset, 'reader', None), 'paths', None)
        files = f'sample {index}'
        if paths is not None:
            files = ', '.join(paths[index].values()) if isinstance(paths[index], dict) else str(paths[index])
        reason = ' '.join(str(error).split()) or 'no reason given'
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f'{type(error).__name__} in {Path(where.filename).name}:{where.lineno}'
        return f'{files} cannot be used: {reason} ({place})'


def _with_seeds_of(index: int, other: int) -> int:
    """Let another sample take the place of one: what belongs to the batch must stay the same."""
    return SampleIndex(other, index.seed, index.batch_seed) if isinstance(index, SampleIndex) else other


def skipped_samples() -> list[str]:
    """Say for each data set of this process since the last call how many samples were skipped, if any."""
    lines = [
        f'data set {name}: {count} of {len(bad)} samples could not be used and were skipped'
        for name, bad in _skipping
        if (count := int(bad.sum()))
    ]
    _skipping.clear()
    return lines
