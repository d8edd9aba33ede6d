"""Check whether the keys agree with each other and with this machine."""

import importlib.util
import re
from collections.abc import Iterator, Mapping
from typing import Any

from converse_basicsr.options.check.attempt import device_of
from converse_basicsr.options.check.problem import Problem
from converse_basicsr.options.check.sections import section
from converse_basicsr.options.keys import DATASETS

_ON_GPUS = ('RealESRNetModel', 'RealESRGANModel')
_VALIDATED_ON_GPUS = ('VideoRecurrentModel', 'VideoRecurrentGANModel')
_SCORED_ON_GPUS = ('VideoBaseModel', 'EDVRModel', 'VideoGANModel')
_SECTION_NAMES = {True: re.compile(r'train|val(_.*)?'), False: re.compile(r'(val|test)(_.*)?')}


def run_problems(options: Mapping[str, Any], *, is_train: bool) -> list[Problem]:
    """Name what would stop a run although every key by itself is valid.

    Args:
        options: Options of the file.
        is_train: Training (or else testing).
    """
    problems = [
        *section_name_problems(options, is_train=is_train),
        *device_problems(options),
        *_gpu_problems(options),
        *_backend_problems(options),
    ]
    if is_train:
        if (
            options.get('model_type') in (*_VALIDATED_ON_GPUS, *_SCORED_ON_GPUS)
            and section(options, 'val').get('save_img') is True
        ):
            problems.append(
                Problem(('val', 'save_img'), 'must be false: models of videos save no images while training')
            )
        problems += [*_scheduler_problems(options), *_loader_problems(options), *_logger_problems(options)]
    return [*problems, *_scale_problems(options)]


def section_name_problems(options: Mapping[str, Any], *, is_train: bool) -> Iterator[Problem]:
    """Name sections that BasicSR does not recognise as data sets, and names that two data sets share."""
    datasets = section(options, 'datasets')
    if is_train and 'datasets' in options and 'train' not in datasets:
        yield Problem(('datasets',), 'has no train section, so there is nothing to train on')
    allowed = 'train, val or val_NAME (val_2)' if is_train else 'test, test_NAME (test_2), val or val_NAME'
    seen: dict[Any, str] = {}
    for name, dataset in datasets.items():
        if not _SECTION_NAMES[is_train].fullmatch(name):
            yield Problem(('datasets', name), f'must be called {allowed} for {"training" if is_train else "testing"}')
        elif name != 'train' and isinstance(dataset, dict) and isinstance(dataset.get('name'), str):
            if dataset['name'] in seen:
                yield Problem(
                    ('datasets', name, 'name'),
                    f'{dataset["name"]!r} is the name of '
                    f'{seen[dataset["name"]]} too, so their results would mix; give each its own',
                )
            seen.setdefault(dataset['name'], name)


def device_problems(options: Mapping[str, Any]) -> Iterator[Problem]:
    """Say so if more GPUs are asked for than there are."""
    import torch

    asked, present = options.get('num_gpu', 'auto'), torch.cuda.device_count()
    if isinstance(asked, int) and not isinstance(asked, bool) and asked > present:
        yield Problem(('num_gpu',), f'asks for {asked} GPU(s), {present} are here; use auto, or 0 for the CPU')


def _gpu_problems(options: Mapping[str, Any]) -> Iterator[Problem]:
    """Name models whose code in BasicSR computes on a GPU whatever ``num_gpu`` says, where the run has none."""
    model = options.get('model_type')
    if device_of(options) == 'cuda':
        return
    if model in _ON_GPUS:
        yield Problem(('model_type',), f'{model} computes on a GPU only, and this run has none')
    elif model in _VALIDATED_ON_GPUS and section(options, 'val'):
        yield Problem(('val',), f'{model} validates on a GPU only, and this run has none; leave the section out')
    elif model in _SCORED_ON_GPUS and section(options, 'val').get('metrics'):
        yield Problem(
            ('val', 'metrics'), f'{model} collects metrics on a GPU only, and this run has none; leave the metrics out'
        )


def _backend_problems(options: Mapping[str, Any]) -> Iterator[Problem]:
    """Say so if this PyTorch cannot let processes exchange tensors as asked; ``nccl`` gives way to gloo on the CPU."""
    from torch import distributed

    if section(options, 'dist_params').get('backend') == 'mpi' and not distributed.is_mpi_available():
        yield Problem(
            ('dist_params', 'backend'), 'mpi needs a PyTorch that was built with MPI, and this one was not; use gloo'
        )


def _scheduler_problems(options: Mapping[str, Any]) -> Iterator[Problem]:
    train = section(options, 'train')
    scheduler = section(train, 'scheduler')
    total, periods = train.get('total_iter', 0), scheduler.get('periods', 0)
    if scheduler.get('type') == 'CosineAnnealingRestartLR' and _is_numbers(periods):
        if _is_numbers([total]) and sum(periods) < total:
            yield Problem(
                ('train', 'scheduler', 'periods'),
                f'end at iteration {sum(periods)}, before total_iter {total}; their sum must reach it',
            )
        weights = scheduler.get('restart_weights', [1])
        if isinstance(weights, list) and len(weights) != len(periods):
            yield Problem(
                ('train', 'scheduler', 'restart_weights'),
                f'must be as many as the {len(periods)} periods, got {len(weights)}',
            )
    restarts, weights = scheduler.get('restarts', [0]), scheduler.get('restart_weights', [1])
    of_steps = scheduler.get('type') in ('MultiStepLR', 'MultiStepRestartLR')
    if of_steps and isinstance(restarts, list) and isinstance(weights, list) and len(weights) != len(restarts):
        yield Problem(
            ('train', 'scheduler', 'restart_weights'),
            f'must be as many as the {len(restarts)} restarts, got {len(weights)}',
        )


def _is_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(isinstance(v, (int, float)) and not isinstance(v, bool) for v in values)


def _loader_problems(options: Mapping[str, Any]) -> Iterator[Problem]:
    import torch

    for name, dataset in section(options, 'datasets').items():
        if not isinstance(dataset, dict):
            continue
        workers = dataset.get('num_worker_per_gpu') if name == 'train' else 0
        if dataset.get('persistent_workers') is True and workers == 0:
            yield Problem(('datasets', name, 'persistent_workers'), 'needs loader processes, and this set has none')
        if name != 'train' and 'on_bad_sample' in dataset:
            yield Problem(
                ('datasets', name, 'on_bad_sample'), 'is for training only; a score must not leave out images'
            )
        if name == 'train' and dataset.get('prefetch_mode') == 'cuda':
            if dataset.get('pin_memory') is not True:
                yield Problem(('datasets', name, 'prefetch_mode'), 'cuda needs pin_memory: true beside it')
            if not torch.cuda.is_available():
                yield Problem(('datasets', name, 'prefetch_mode'), 'cuda needs a GPU, and none is here; use cpu or ~')


def _logger_problems(options: Mapping[str, Any]) -> Iterator[Problem]:
    logger = section(options, 'logger')
    if logger.get('save_format') == 'safetensors' and importlib.util.find_spec('safetensors') is None:
        yield Problem(('logger', 'save_format'), 'needs the package safetensors: pip install safetensors')
    if logger.get('use_tb_logger') is True and importlib.util.find_spec('tensorboard') is None:
        yield Problem(('logger', 'use_tb_logger'), 'needs the package tensorboard: pip install tensorboard')
    if section(logger, 'wandb').get('project') is not None:
        if logger.get('use_tb_logger') is not True:
            yield Problem(('logger', 'wandb', 'project'), 'needs use_tb_logger: true')
        if importlib.util.find_spec('wandb') is None:
            yield Problem(('logger', 'wandb', 'project'), 'needs the package wandb: pip install wandb')


def _scale_problems(options: Mapping[str, Any]) -> Iterator[Problem]:
    train = section(options, 'datasets', 'train')
    gt_size, scale, kind = train.get('gt_size'), options.get('scale'), train.get('type')
    crop = DATASETS.get(kind, {}).get('gt_size') if isinstance(kind, str) else None
    is_cropped = crop is not None and not crop.unread
    if is_cropped and isinstance(gt_size, int) and isinstance(scale, int) and scale > 0 and gt_size % scale:
        yield Problem(('datasets', 'train', 'gt_size'), f'must be a multiple of the scale {scale}, got {gt_size}')
    network = section(options, 'network_g')
    for key in ('upscale', 'scale'):
        factor = network.get(key)
        if isinstance(scale, int) and isinstance(factor, int) and factor != scale:
            yield Problem(('network_g', key), f'enlarges {factor} times, but the scale of the data is {scale}')
