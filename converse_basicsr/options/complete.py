"""Complete the options of a file to those of a run, as BasicSR's models, datasets and loaders expect them."""

import copy
import os
from collections.abc import Mapping
from typing import Any

from converse_basicsr.options.keys import DATASETS

# What --debug sets, so that a run of a minute validates and saves.
DEBUG_FREQUENCY = 8

_DATASET_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    'REDSDataset': {'dataroot_flow': None},
    'VideoTestDataset': {'padding': 'replicate'},
    'VideoTestDUFDataset': {'padding': 'replicate'},
}
"""What BasicSR's datasets read, given or not."""


def complete(
    options: Mapping[str, Any],
    *,
    is_train: bool,
    dist: bool = False,
    rank: int = 0,
    world_size: int = 1,
    most_gpus: int | None = None,
) -> dict[str, Any]:
    """Add what every process of a run needs, except for the folders (:func:`add_folders`).

    Args:
        options: Options of the file.
        is_train: Training (or else testing).
        dist: Whether several processes share the run.
        rank: Number of this process.
        world_size: Number of processes.
        most_gpus: Upper limit of ``num_gpu``: 1 for work on a single device, None for no limit.

    Returns:
        A deep copy with ``num_gpu`` a number, ``manual_seed`` (0 unless given), data sets by :func:`complete_dataset`,
        and ``~`` expanded in paths.
    """
    import torch

    run = copy.deepcopy(dict(options))
    if run.setdefault('num_gpu', 'auto') == 'auto':
        run['num_gpu'] = torch.cuda.device_count()
    if most_gpus is not None:
        run['num_gpu'] = min(run['num_gpu'], most_gpus)
    if run.get('manual_seed') is None:
        run['manual_seed'] = 0
    run.update(is_train=is_train, dist=dist, rank=rank, world_size=world_size)
    for name, dataset in run['datasets'].items():
        complete_dataset(dataset, name, run)
    for key, value in run['path'].items():
        if value is not None and key.startswith(('resume_state', 'pretrain_network')):
            run['path'][key] = os.path.expanduser(value)
    return run


def complete_dataset(dataset: dict[str, Any], name: str, options: Mapping[str, Any]) -> None:
    """Add to a section of ``datasets``, in place, what a dataset reads of the rest of the file.

    Args:
        dataset: The section.
        name: Its key.
        options: The file.
    """
    dataset['phase'] = name.split('_')[0]
    if 'scale' in options:
        dataset['scale'] = options['scale']
    if dataset['type'] in DATASETS:  # those of plugins may have other defaults
        for key, definition in DATASETS[dataset['type']].items():
            if definition.default == '~' and dataset.get(key, '') is None:
                del dataset[key]  # some datasets of BasicSR take any value for a path
        for key, default in {'scale': 1, **_DATASET_DEFAULTS.get(dataset['type'], {})}.items():
            dataset.setdefault(key, default)
    for key in ('dataroot_gt', 'dataroot_lq'):
        if dataset.get(key) is not None:
            dataset[key] = os.path.expanduser(dataset[key])


def add_folders(run: dict[str, Any], root_path: str, *, debug: bool = False) -> None:
    """Add the folders of a run, as BasicSR lays them out, in place.

    Args:
        run: What :func:`complete` returned.
        root_path: Folder that receives ``experiments/``, ``results/`` and ``tb_logger/``.
        debug: Call the run ``debug_NAME``, and let it validate, log and save often.
    """
    if debug and not run['name'].startswith('debug'):
        run['name'] = f'debug_{run["name"]}'
    run['root_path'] = root_path
    kind = 'experiments' if run['is_train'] else 'results'
    root = os.path.join(root_path, kind, run['name'])
    run['path'].update({f'{kind}_root': root, 'log': root, 'visualization': os.path.join(root, 'visualization')})
    if run.get('val') is not None:
        run['val'].setdefault('metrics', None)  # models of videos read it, given or not
    if not run['is_train']:
        # BasicSR's models read both when they test, whether they are given or not.
        run['val'] = {'save_img': False, 'suffix': None, **run['val']}
        return
    run['path'].update(models=os.path.join(root, 'models'), training_states=os.path.join(root, 'training_states'))
    run['logger'].setdefault('use_tb_logger', False)  # BasicSR's message logger reads it, given or not
    if 'debug' in run['name']:  # BasicSR's own rule
        if run.get('val') is not None:
            run['val']['val_freq'] = DEBUG_FREQUENCY
        run['logger'].update(print_freq=1, save_checkpoint_freq=DEBUG_FREQUENCY)
