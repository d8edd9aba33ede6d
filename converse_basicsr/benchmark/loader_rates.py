"""Measure the loader of an option file's training data: samples per second, and how long the network waits for it."""

import copy
import logging
import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch.utils.data import DataLoader
from tqdm import tqdm

from converse_basicsr.benchmark import timing
from converse_basicsr.benchmark.storage import OTHER, Section, copy_to_other
from converse_basicsr.options import check
from converse_basicsr.options.complete import complete
from converse_basicsr.options.file import OptionFile

# An epoch of so many samples does not end during a measurement. Starting its workers is measured separately.
EPOCH = 1_000_000
# Batches that each worker prepares ahead: DataLoader's default.
PREFETCHED = 2
MIN_BATCHES = 3

Batch = dict[str, Any]


@dataclass(frozen=True)
class Rate:
    """What was measured in one pass over a loader.

    Attributes:
        first_batch: Seconds from the start of the workers to the first batch; every epoch begins with this wait.
        samples_per_second: After the first batches.
        waiting: Share of the time that was spent waiting for batches, 0 to 1.
        cpu_seconds: Processor time of this process per sample; without workers and step, the cost of making a sample.
    """

    first_batch: float
    samples_per_second: float
    waiting: float
    cpu_seconds: float


def measure(
    option_file: OptionFile,
    workers: Sequence[int] = (0, 1, 2, 4),
    *,
    seconds: float = 5,
    images: int = 200,
    repeats: int = 5,
    threads: int | None = None,
    with_network: bool = True,
) -> dict[str, Any]:
    """Measure the loader by storage and number of workers, alone and feeding the network.

    Args:
        option_file: Its training data and, with the network, its whole training section.
        workers: Numbers of loader processes.
        seconds: Length of each pass.
        images: Number of images to copy to the storage that the file does not use; 0 leaves that storage out.
        repeats: Number of training steps that the median is taken of.
        threads: CPU threads; torch's choice if not given.
        with_network: Whether to build the network and train it with the loader.

    Returns:
        The machine, the batch size, the seconds of a training step and the cases.

    Raises:
        converse_basicsr.errors.UserError: If the options cannot work, or the data cannot be copied.
    """
    from converse_basicsr.register import load_plugins

    load_plugins()
    timing.prepare('cpu', threads)
    require_trainable(option_file)
    run = complete(option_file.options, is_train=True, most_gpus=1)
    section = run['datasets']['train']
    device = 'cuda' if run['num_gpu'] else 'cpu'
    step_seconds: float | None = None
    cases: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory(prefix='basicsr_') as folder:
        sections = {_storage(section): section}
        if images and _storage(section) in OTHER:
            sections[OTHER[_storage(section)]] = copy_to_other(section, Path(folder), images)
        step = None
        if with_network:
            step = _training_step(run)
            batch = next(iter(build_loader(run, section, 0)))
            timed = timing.interleaved_medians({'step': lambda: step(batch)}, repeats, device, warm_up=2)
            step_seconds = timed['step']
        # For each number of workers, the storages follow each other: other load on the machine then affects both.
        combinations = [(name, each, count) for count in workers for name, each in sections.items()]
        for name, each, count in tqdm(combinations, desc=str(option_file.path), unit='case'):
            alone = pace(build_loader(run, each, count), count, seconds)
            case = {
                'storage': name if each is section else f'{name}, copy',
                'workers': count,
                'first_batch_seconds': alone.first_batch,
                'samples_per_second': alone.samples_per_second,
            }
            if count == 0:
                case['cpu_seconds'] = alone.cpu_seconds
            if step is not None:
                training = pace(build_loader(run, each, count), count, seconds, step)
                case |= {'training_samples_per_second': training.samples_per_second, 'waiting': training.waiting}
            cases.append(case)
    return {
        'machine': timing.describe_machine(device),
        'benchmark': 'data',
        'option_file': str(option_file.path),
        'batch_size': section['batch_size_per_gpu'],
        'network': run['network_g']['type'],
        'step_seconds': step_seconds,
        'cases': cases,
    }


def require_trainable(option_file: OptionFile) -> None:
    """Drop the validation sets from the options, whose data need not be there, and check the rest; log warnings only.

    Raises:
        converse_basicsr.errors.UserError: If the options cannot work.
    """
    from basicsr.utils import get_root_logger

    datasets = option_file.options.get('datasets')
    if isinstance(datasets, dict):
        option_file.options['datasets'] = {name: section for name, section in datasets.items() if name == 'train'}
    check.require_runnable(option_file, is_train=True)
    get_root_logger(log_level=logging.WARNING)  # the first call sets the level for the process


def build_loader(run: dict[str, Any], section: Section, workers: int) -> 'DataLoader[Any]':
    """Build the loader of a training, with an epoch so long that it does not end while it is measured.

    Args:
        run: The options of a run, completed.
        section: The dataset section to load from, completed.
        workers: Number of loader processes.
    """
    from basicsr.data import build_dataset

    from converse_basicsr.training.loaders import build_training_loader

    ratio = max(section.get('dataset_enlarge_ratio', 1), math.ceil(EPOCH / len(build_dataset(section))))
    changes = {'num_worker_per_gpu': workers, 'dataset_enlarge_ratio': ratio}
    loader, _ = build_training_loader(run, {**section, **changes})
    return loader


def _storage(section: Section) -> str:
    return section['io_backend']['type']


def _training_step(run: dict[str, Any]) -> Callable[[Batch], None]:
    """Build the model of the run and return what one iteration of its training does with a batch."""
    from basicsr.models import build_model

    model = build_model(copy.deepcopy(run))  # takes keys out of its options

    def step(batch: Batch) -> None:
        model.feed_data(batch)
        model.optimize_parameters(1)

    return step


def pace(loader: 'DataLoader[Any]', workers: int, seconds: float, step: Callable[[Batch], None] | None = None) -> Rate:
    """Measure a loader for some seconds, after the batches that its workers had prepared ahead are used up.

    Args:
        loader: The loader.
        workers: Number of its processes.
        seconds: Length of the measurement, and the most that the time before it may take.
        step: What to do with each batch; nothing if not given.
    """
    started = time.perf_counter()
    batches = iter(loader)
    batch = next(batches)
    begun = time.perf_counter()
    first_batch = begun - started
    for _ in range(1 + PREFETCHED * workers):
        if step is not None:
            step(batch)
        batch = next(batches)
        if time.perf_counter() - begun > seconds:
            break
    count, waited = 0, 0.0
    cpu = time.process_time()
    begun = now = time.perf_counter()
    while now - begun < seconds or count < MIN_BATCHES:
        before = now
        batch = next(batches)
        waited += time.perf_counter() - before
        if step is not None:
            step(batch)
        count += 1
        now = time.perf_counter()
    samples = count * (loader.batch_size or 1)
    cpu = time.process_time() - cpu
    return Rate(first_batch, samples / (now - begun), waited / (now - begun), cpu / samples)
