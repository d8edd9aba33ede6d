"""The loader of an option file's training data: its samples a second, and how long the network waits for them."""

import copy
import logging
import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader
from tqdm import tqdm

from converse_basicsr import check
from converse_basicsr.benchmark import measure as measuring
from converse_basicsr.benchmark.storage import OTHER, Section, copy_to_other
from converse_basicsr.option_file import OptionFile

# An epoch of as many samples does not end while it is measured; what the start of its workers costs is told apart.
EPOCH = 1_000_000
# DataLoader's own number of batches that each worker prepares ahead.
PREFETCHED = 2
MIN_BATCHES = 3

Batch = dict[str, Any]


@dataclass(frozen=True)
class Rate:
    """What one pass over a loader showed.

    Attributes:
        first_batch: Seconds from the start of the workers to the first batch, as after every epoch.
        samples_per_second: Thereafter.
        waiting: Share of the time that was spent waiting for a batch.
        cpu_seconds: Processor time of this process a sample; without workers and step, the cost of making a sample.
    """

    first_batch: float
    samples_per_second: float
    waiting: float
    cpu_seconds: float


def measure(
    option_file: OptionFile, workers: list[int], *, seconds: float, images: int, repeats: int, with_network: bool
) -> dict[str, Any]:
    """Measure the loader by storage and number of workers, alone and feeding the network.

    Args:
        option_file: Its training data and, with the network, its whole training section.
        workers: Numbers of loader processes.
        seconds: Length of each of the passes.
        images: Number of images to copy to the storage that the file does not name; 0 leaves that storage out.
        repeats: Number of training steps a median is taken of.
        with_network: Whether to build the network and train it with the loader.

    Returns:
        The device, the batch size, the seconds of a training step and the cases.

    Raises:
        converse_basicsr.errors.UserError: If the options cannot work, or the data cannot be copied.
    """
    options = option_file.options
    if isinstance(options.get('datasets'), dict):  # validation data need not be there
        options['datasets'] = {name: each for name, each in options['datasets'].items() if name == 'train'}
    check.require_runnable(option_file, is_train=True)
    from basicsr.utils import get_root_logger

    get_root_logger(log_level=logging.WARNING)  # the first call sets the level for the process
    section = options['datasets']['train']
    present = torch.cuda.device_count() if options['num_gpu'] == 'auto' else options['num_gpu']
    run = {**options, 'num_gpu': min(present, 1), 'is_train': True, 'dist': False, 'rank': 0, 'world_size': 1}
    run.setdefault('manual_seed', 0)
    device = 'cuda' if run['num_gpu'] else 'cpu'
    results: dict[str, Any] = {
        'device': device,
        'option_file': str(option_file.path),
        'batch_size': section['batch_size_per_gpu'],
        'network': options['network_g']['type'],
        'step_seconds': None,
        'cases': [],
    }
    with tempfile.TemporaryDirectory(prefix='basicsr_') as folder:
        sections = {_storage(section): section}
        if images and _storage(section) in OTHER:
            sections[OTHER[_storage(section)]] = copy_to_other(section, Path(folder), images)
        step = None
        if with_network:
            step = training_step(run)
            batch = next(iter(build_loader(run, section, 0)))
            timed = measuring.interleaved_medians({'step': lambda: step(batch)}, repeats, device, warm_up=2)
            results['step_seconds'] = timed['step']
        # The storages of one number of workers follow each other, so that a busy machine meets both.
        cases = [(name, each, count) for count in workers for name, each in sections.items()]
        for name, each, count in tqdm(cases, desc=str(option_file.path), unit='case'):
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
            results['cases'].append(case)
    return results


def _storage(section: Section) -> str:
    return section['io_backend']['type']


def build_loader(run: dict[str, Any], section: Section, workers: int) -> DataLoader:
    """Build a training loader as BasicSR's training does.

    Args:
        run: The options of a run, completed.
        section: The dataset section to load from.
        workers: Number of loader processes.
    """
    from basicsr import train
    from basicsr.utils import get_root_logger

    section = {**section, 'phase': 'train', 'num_worker_per_gpu': workers}
    section.setdefault('scale', run.get('scale', 1))
    for key in [key for key in section if key.startswith('dataroot')]:
        section[key] = str(Path(section[key]).expanduser())
    images = len(train.build_dataset(section))
    section['dataset_enlarge_ratio'] = max(section.get('dataset_enlarge_ratio', 1), math.ceil(EPOCH / images))
    loader, *_ = train.create_train_val_dataloader({**run, 'datasets': {'train': section}}, get_root_logger())
    return loader


def training_step(run: dict[str, Any]) -> Callable[[Batch], None]:
    """Build the model of the run and return what one iteration of its training does with a batch."""
    from basicsr.models import build_model

    model = build_model(copy.deepcopy(run))  # takes keys out of its options

    def step(batch: Batch) -> None:
        model.feed_data(batch)
        model.optimize_parameters(1)

    return step


def pace(loader: DataLoader, workers: int, seconds: float, step: Callable[[Batch], None] | None = None) -> Rate:
    """Run through a loader for some seconds, once what its workers had prepared ahead is used up.

    Args:
        loader: The loader.
        workers: Number of its processes.
        seconds: Length of the measurement, and of the time before it at most.
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
    samples = count * loader.batch_size
    cpu = time.process_time() - cpu
    return Rate(first_batch, samples / (now - begun), waited / (now - begun), cpu / samples)
