"""Find what would stop a run before anything is built or written."""

import sys
from pathlib import Path
from typing import Any

from converse_basicsr.errors import UserError
from converse_basicsr.option_file import OptionFile, did_you_mean

REQUIRED = {
    True: ('name', 'model_type', 'num_gpu', 'datasets', 'network_g', 'path', 'train', 'logger'),
    False: ('name', 'model_type', 'num_gpu', 'datasets', 'network_g', 'path', 'val'),
}
REQUIRED_SECTIONS = ('datasets', 'network_g', 'path', 'train', 'logger', 'val')


def require_files(option_file: OptionFile, *, is_train: bool) -> None:
    """Refuse a run whose sections or files are not there: the part of the check that answers before torch is imported.

    Args:
        option_file: The options.
        is_train: Training (or else testing, where absent test sets are no error yet).

    Raises:
        UserError: With one line a problem.
    """
    problems = structure_problems(option_file, is_train=is_train)
    if not problems:
        problems = path_problems(option_file, is_train) + (data_problems(option_file) if is_train else [])
    if problems:
        raise UserError('\n'.join(problems))


def require_runnable(option_file: OptionFile, *, is_train: bool) -> None:
    """Refuse a run that cannot work; drop test sets that are absent, saying so.

    Args:
        option_file: The options; when testing, absent test sets are removed from them.
        is_train: Training (or else testing).

    Raises:
        UserError: With one line a problem.
    """
    require_files(option_file, is_train=is_train)
    problems = [*name_problems(option_file), *device_problems(option_file)]
    if not is_train:
        problems += skip_absent_test_sets(option_file)
    if problems:
        raise UserError('\n'.join(problems))


def structure_problems(option_file: OptionFile, *, is_train: bool) -> list[str]:
    """Name the keys that BasicSR's pipeline reads and the file lacks."""
    options = option_file.options
    problems = [
        f'{option_file.path} {key}: missing; {"training" if is_train else "testing"} needs it'
        for key in REQUIRED[is_train]
        if key not in options
    ]
    problems += [
        f'{option_file.where(key)}: must be a section with keys of its own, got {options[key]!r}'
        for key in REQUIRED_SECTIONS
        if key in options and not isinstance(options[key], dict)
    ]
    if problems:
        return problems
    for name, dataset in options['datasets'].items():
        if not isinstance(dataset, dict):
            problems.append(
                f'{option_file.where("datasets", name)}: must be a section with keys of its own, got {dataset!r}'
            )
            continue
        problems += [
            f'{option_file.where("datasets", name)}: needs {key}' for key in ('name', 'type') if not dataset.get(key)
        ]
    if is_train and 'train' not in options['datasets']:
        problems.append(f'{option_file.where("datasets")}: has no train section, so there is nothing to train on')
    if is_train and not isinstance(options['train'].get('total_iter'), (int, float)):
        problems.append(f'{option_file.where("train", "total_iter")}: must be a number of iterations')
    return problems


def name_problems(option_file: OptionFile) -> list[str]:
    """Name the types that are in no registry of BasicSR."""
    from basicsr.utils import registry

    options = option_file.options
    given: list[tuple[Any, tuple[str, ...], Any]] = [
        (registry.MODEL_REGISTRY, ('model_type',), options['model_type']),
    ]
    given += [
        (registry.ARCH_REGISTRY, (key, 'type'), network.get('type'))
        for key, network in options.items()
        if key.startswith('network_') and isinstance(network, dict)
    ]
    given += [
        (registry.DATASET_REGISTRY, ('datasets', name, 'type'), dataset['type'])
        for name, dataset in options['datasets'].items()
    ]
    metrics = (options.get('val') or {}).get('metrics') or {}
    given += [
        (registry.METRIC_REGISTRY, ('val', 'metrics', name, 'type'), metric.get('type'))
        for name, metric in metrics.items()
        if isinstance(metric, dict)
    ]
    return [
        f'{option_file.where(*keys)}: no {known._name} is named {value!r}{did_you_mean(value, list(known.keys()))}'
        for known, keys, value in given
        if value not in known and f'{value}_basicsr' not in known
    ]


def device_problems(option_file: OptionFile) -> list[str]:
    """Say so if more GPUs are asked for than there are."""
    import torch

    asked, present = option_file.options['num_gpu'], torch.cuda.device_count()
    if asked == 'auto':
        return []
    if not isinstance(asked, int) or asked < 0:
        return [f'{option_file.where("num_gpu")}: must be auto or a number of GPUs, got {asked!r}']
    if asked > present:
        return [
            f'{option_file.where("num_gpu")}: asks for {asked} GPU(s), {present} are here; use auto, or 0 for the CPU'
        ]
    return []


def path_problems(option_file: OptionFile, is_train: bool) -> list[str]:
    """Name weights and states that are not where the file says."""
    paths = option_file.options['path']
    problems = [
        f'{option_file.where("path", key)}: {value} does not exist'
        for key, value in paths.items()
        if key.startswith(('pretrain_network', 'resume_state')) and value and not Path(value).expanduser().is_file()
    ]
    if not is_train and not any(value for key, value in paths.items() if key.startswith('pretrain_network')):
        problems.append(
            f'{option_file.where("path", "pretrain_network_g")}: testing needs weights; without them it would score '
            'a network of random numbers'
        )
    return problems


def data_problems(option_file: OptionFile) -> list[str]:
    """Name the data of every dataset that is not where the file says, and the command that makes it."""
    return [problem for name in option_file.options['datasets'] for problem in dataset_problems(option_file, name)]


def dataset_problems(option_file: OptionFile, name: str) -> list[str]:
    """Name the folders and files of one dataset section that are missing.

    A section's own key ``prepare`` holds the command that makes its data; BasicSR ignores it.
    """
    dataset = option_file.options['datasets'][name]
    remedy = dataset.get('prepare') or 'basicsr prepare --help'
    is_lmdb = (dataset.get('io_backend') or {}).get('type') == 'lmdb'
    problems = []
    named = [(key, value) for key, value in dataset.items() if key.startswith(('dataroot', 'meta_info'))]
    named += [('kernels', value) for value in dataset.get('kernels') or []]
    for key, value in named:
        if not isinstance(value, str):
            continue
        path = Path(value).expanduser()
        if not path.exists():
            reason = 'does not exist'
        elif is_lmdb and key.startswith('dataroot') and not value.endswith('.lmdb'):
            reason = 'must end in .lmdb for the lmdb backend'
        elif (
            is_lmdb
            and key.startswith('dataroot')
            and not all((path / f).is_file() for f in ('data.mdb', 'meta_info.txt'))
        ):
            reason = 'is no complete LMDB (data.mdb and meta_info.txt)'
        else:
            continue
        problems.append(f'{option_file.where("datasets", name, key)}: {value} {reason}; make it with: {remedy}')
    return problems


def skip_absent_test_sets(option_file: OptionFile) -> list[str]:
    """Drop the test sets whose data are missing, naming each on standard error.

    Returns:
        A problem only if none is left.
    """
    datasets = option_file.options['datasets']
    absent = {name: problems for name in datasets if (problems := dataset_problems(option_file, name))}
    if len(absent) == len(datasets):
        return [
            f'{option_file.where("datasets")}: none of the test sets is there',
            *(problem for problems in absent.values() for problem in problems),
        ]
    for name, problems in absent.items():
        print(f'skipping test set {datasets[name]["name"]}: {problems[0]}', file=sys.stderr, flush=True)
        del datasets[name]
    return []
