"""Data loaders of a run, built by BasicSR, with a sample order that the seed alone decides."""

import logging
import multiprocessing
from collections.abc import Callable, Iterator
from typing import Any

import torch
from basicsr.data import build_dataloader, build_dataset
from basicsr.data.prefetch_dataloader import CPUPrefetcher, CUDAPrefetcher
from basicsr.utils import get_root_logger
from basicsr.utils.registry import MODEL_REGISTRY
from torch.utils.data import DataLoader

from converse_basicsr.compat.spawning import make_registered_spawn_safe
from converse_basicsr.data.bad_samples import GuardedDataset
from converse_basicsr.data.sample_order import SampleOrder
from converse_basicsr.data.sample_seed import SeededDataset
from converse_basicsr.errors import UserError
from converse_basicsr.training.lost_workers import deaths_held_back, described_or_raised
from converse_basicsr.training.place import DataPlace

Options = dict[str, Any]

_OF_LOADERS = (RuntimeError, OSError, EOFError)
"""What reading from a loader process raises when that process is gone."""


def build_training_loader(run: Options, section: Options) -> tuple[DataLoader[Any], SampleOrder]:
    """Build the loader of the training data.

    Batches hold ``batch_size_per_gpu`` samples per GPU, or ``accum_iter`` times as many where the model splits batches:
    an iteration stays one optimizer step.

    Args:
        run: The completed options.
        section: The data set's section, usually ``run['datasets']['train']``.

    Returns:
        The loader, and its sampler, which can be set to any place of any epoch.

    Raises:
        UserError: If the data do not fill one batch.
    """
    make_registered_spawn_safe()  # also the datasets that plugins registered after this package's register()
    images = build_dataset(section)
    if len(images) == 0:
        raise UserError('datasets:train holds no image; see its dataroot_gt and meta_info')
    dataset = SeededDataset(
        GuardedDataset(images, section.get('name', 'train'), skip=section.get('on_bad_sample') == 'skip')
    )
    ratio = section.get('dataset_enlarge_ratio', 1)
    sampler = SampleOrder(images, run['world_size'], run['rank'], ratio)
    per_gpu = section['batch_size_per_gpu'] * accumulated_batches(run)
    loader = build_dataloader(
        dataset,
        {**_without_thread(section), 'batch_size_per_gpu': per_gpu},
        num_gpu=run['num_gpu'],
        dist=run['dist'],
        sampler=sampler,
        seed=run['manual_seed'],
    )
    if len(loader) == 0:
        raise UserError(
            f'datasets:train: {len(images)} images x dataset_enlarge_ratio {ratio} on {run["world_size"]} process(es) '
            f'fill no batch of {loader.batch_size}; lower batch_size_per_gpu or raise dataset_enlarge_ratio'
        )
    sampler.seed, sampler.batch_size = run['manual_seed'], loader.batch_size * run['world_size']
    _give_generator(loader, run)
    return loader, sampler


def build_scoring_loaders(run: Options) -> list[DataLoader[Any]]:
    """Build the loaders of all validation and test sets, in the order of the file."""
    loaders = []
    for section in run['datasets'].values():
        if section['phase'] == 'train':
            continue
        dataset = GuardedDataset(build_dataset(section), section['name'])
        loader = build_dataloader(
            dataset,
            _without_thread({**section, 'num_worker_per_gpu': 0}),  # what BasicSR scores with
            num_gpu=run['num_gpu'],
            dist=run['dist'],
            sampler=None,
            seed=run['manual_seed'],
        )
        get_root_logger().info(f'Number of {section["phase"]} images/folders in {section["name"]}: {len(dataset)}')
        _give_generator(loader, run)
        loaders.append(loader)
    return loaders


def accumulated_batches(run: Options) -> int:
    """Return ``train: accum_iter`` for models that split batches (``splits_batches``), else 1."""
    splits = getattr(MODEL_REGISTRY.get(run['model_type']), 'splits_batches', False)
    return run['train'].get('accum_iter', 1) if splits else 1


def start_place(
    loader: DataLoader[Any], sampler: SampleOrder, *, epoch: int, iteration: int, position: int
) -> DataPlace:
    """Set loader and sampler to where a run starts or goes on, and return that place."""
    position = min(position, sampler.total_size)  # the data set may have become smaller
    sampler.resume(epoch, position)
    if loader.generator is not None:
        loader.generator.manual_seed(loader.generator.initial_seed() + iteration)
    return DataPlace(epoch, iteration, position, sampler.total_size, sampler.batch_size)


def log_statistics(run: Options, loader: DataLoader[Any], place: DataPlace, logger: logging.Logger) -> None:
    """Write into a log what an iteration and an epoch are."""
    section, accum_iter = run['datasets']['train'], accumulated_batches(run)
    replicas = place.batch_size // (section['batch_size_per_gpu'] * accum_iter)
    total = int(run['train']['total_iter'])
    logger.info(
        'Training statistics:'
        f'\n\tNumber of train images: {len(loader.dataset)}'  # type: ignore[arg-type]
        f'\n\tDataset enlarge ratio: {section.get("dataset_enlarge_ratio", 1)}'
        f'\n\tBatch size per gpu: {section["batch_size_per_gpu"]}'
        f'\n\tWorld size (gpu number): {run["world_size"]}'
        f'\n\tRequire iter number per epoch: {len(loader)}'
        f'\n\tTotal epochs: {place.epoch_of(total) + 1}; iters: {total}.'
    )
    logger.info(
        f'Global batch: an iteration is one optimizer step on {place.batch_size} samples: {replicas} processes or GPUs '
        f'x batch_size_per_gpu {section["batch_size_per_gpu"]} x accum_iter {accum_iter}.'
    )
    logger.info(f'Full batches per epoch: {len(loader)}; epochs for {total} iterations: {place.epoch_of(total) + 1}.')


def batches(run: Options, loader: DataLoader[Any], on_loss: Callable[[str], None]) -> Iterator[Any]:
    """Yield the batches of an epoch, read ahead as ``prefetch_mode`` says.

    When a loader process is killed, the others may be, too: the rest of the batches is made in this process.

    Args:
        run: The completed options.
        loader: The loader of the training data.
        on_loss: Called before that, between two batches, with what happened; sets the sampler to the next batch.
    """
    on_gpu, deaths = run['datasets']['train'].get('prefetch_mode') == 'cuda', list[str]()
    prefetcher = None
    try:
        prefetcher = CUDAPrefetcher(loader, run) if on_gpu else CPUPrefetcher(loader)
    except _OF_LOADERS as error:
        deaths.append(described_or_raised(error))
    processes = multiprocessing.active_children()
    with deaths_held_back(deaths):
        try:
            while prefetcher is not None and not deaths and (batch := prefetcher.next()) is not None:
                yield batch
        except _OF_LOADERS as error:
            deaths.append(described_or_raised(error, processes))
        if deaths:
            on_loss(deaths[0])
            yield from _batches_without_workers(loader)


def _batches_without_workers(loader: DataLoader[Any]) -> Iterator[Any]:
    """Yield what a loader would yield, made in this process."""
    yield from DataLoader(
        loader.dataset,
        loader.batch_size,
        sampler=loader.sampler,
        drop_last=True,
        collate_fn=loader.collate_fn,
        pin_memory=loader.pin_memory,
        generator=loader.generator,
    )


def create_train_val_dataloader(
    run: Options, logger: logging.Logger
) -> tuple[DataLoader[Any], SampleOrder, list[DataLoader[Any]], int, int]:
    """Replace BasicSR's function of this name, and its arguments, for training loops outside of this package.

    BasicSR counts the incomplete last batch that its loader drops, so that a run does fewer iterations than asked for.
    """
    loader, sampler = build_training_loader(run, run['datasets']['train'])
    place = start_place(loader, sampler, epoch=0, iteration=0, position=0)
    log_statistics(run, loader, place, logger)
    total = int(run['train']['total_iter'])
    return loader, sampler, build_scoring_loaders(run), place.epoch_of(total), total


def _without_thread(section: Options) -> Options:
    """Let no thread make samples beside the training, which draws from the same random generators.

    With ``prefetch_mode: cpu`` a thread reads ahead; without loader processes it makes the samples itself.
    """
    if section.get('prefetch_mode') == 'cpu' and section.get('num_worker_per_gpu', 0) == 0:
        return {**section, 'prefetch_mode': None}
    return section


def _give_generator(loader: DataLoader[Any], run: Options) -> None:
    """Give the loader a generator of its own: starting it must not advance the one that networks draw from."""
    loader.generator = torch.Generator().manual_seed(run['manual_seed'] + run['rank'])
