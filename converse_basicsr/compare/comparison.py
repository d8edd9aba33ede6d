"""Comparison files: runs of one option file that differ in what is compared, and in the seed."""

import copy
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from converse_basicsr.errors import UserError
from converse_basicsr.evaluation.places import require_name
from converse_basicsr.messages import printable
from converse_basicsr.options.file import OptionFile, did_you_mean, read_option_file

KEYS = ('title', 'picture', 'seeds', 'runs')
RUN_KEYS = ('label', 'experiment', 'published', 'network_g', 'train', 'datasets')
PUBLISHED_KEYS = {'psnr': (int, float), 'parameters': int, 'test_set': str}
MAX_SEED = 2**32 - 1


@dataclass(frozen=True)
class Run:
    """One network trained with one seed.

    Attributes:
        label: What the report calls the network.
        seed: The run's ``manual_seed``.
        option_file: The complete options of the run.
        published: Published figures of the full-size network: ``psnr`` in dB, ``parameters``, ``test_set``.
    """

    label: str
    seed: int
    option_file: OptionFile
    published: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The experiment's name: its folder below ``experiments/``."""
        return self.option_file.options['name']


@dataclass(frozen=True)
class Comparison:
    """A comparison file.

    Attributes:
        option_file: Its options, with the section ``picture`` of ``compare`` among its ``datasets``.
        title: Heading of the report.
        runs: The runs, seed by seed, so that every network has one run before any has two.
        picture: Whether there is a section ``picture``.
    """

    option_file: OptionFile
    title: str
    runs: tuple[Run, ...]
    picture: bool

    @property
    def name(self) -> str:
        """Name of the comparison, and of its report."""
        return self.option_file.options['name']

    @property
    def quantity(self) -> str | None:
        """First metric of the first validation set, by which the networks are compared: ``Set12/psnr``."""
        datasets = self.option_file.options['datasets']
        sections = (section for key, section in datasets.items() if key.startswith('val') and isinstance(section, dict))
        name, metrics = next(sections, {}).get('name'), self.option_file.options['val'].get('metrics')
        metric = next(iter(metrics or ()), None)
        return f'{name}/{metric}' if name and metric else None

    @property
    def labels(self) -> list[str]:
        """The networks, in the file's order."""
        return list(dict.fromkeys(run.label for run in self.runs))


def read_comparisons(paths: Sequence[str], overrides: Sequence[str] = ()) -> list[Comparison]:
    """Read several comparison files, which write to one folder.

    Raises:
        UserError: If one cannot be read (:func:`read_comparison`), or two have the same name.
    """
    comparisons = [read_comparison(path, overrides) for path in paths]
    names = [comparison.name for comparison in comparisons]
    if len(set(names)) < len(names):
        raise UserError(f'two of the comparison files have the same name: {", ".join(sorted(names))}')
    return comparisons


def read_comparison(path: str, overrides: Sequence[str] = ()) -> Comparison:
    """Read a comparison file.

    Args:
        path: An option file with a section ``compare``.
        overrides: ``section:key=value``, for all runs.

    Raises:
        UserError: If the file cannot be read, or ``compare`` is missing or wrong.
    """
    option_file = read_option_file(path, list(overrides))
    options = option_file.options
    section = options.pop('compare', None)
    if not isinstance(section, dict):
        raise UserError(f'{path} compare: missing; a comparison file has a section of that name with a list of runs')
    _require_known(option_file, section, KEYS, ('compare',))
    entries, seeds = section.get('runs'), section.get('seeds', [0])
    if not isinstance(entries, list) or not entries or not all(isinstance(entry, dict) for entry in entries):
        raise UserError(f'{option_file.where("compare", "runs")}: must be a list of runs, each with a label')
    if (
        not isinstance(seeds, list)
        or not seeds
        or not all(type(seed) is int and 0 <= seed <= MAX_SEED for seed in seeds)
    ):
        raise UserError(
            f'{option_file.where("compare", "seeds")}: must be a list of numbers from 0 up to {MAX_SEED}, got {seeds!r}'
        )
    for key in ('name', 'datasets', 'network_g', 'train', 'val', 'logger'):
        if key not in options:
            raise UserError(f'{path} {key}: missing; a comparison file is a complete option file for training')
        if key != 'name' and not isinstance(options[key], dict):
            raise UserError(f'{option_file.where(key)}: must be a section with keys of its own, got {options[key]!r}')
    require_name(options['name'], option_file.where('name'))
    labels = [printable(entry.get('label') or '') for entry in entries]
    if not all(labels) or len(set(labels)) < len(labels):
        raise UserError(f'{option_file.where("compare", "runs")}: every run needs a label of its own, got {labels}')
    runs = []
    for seed in seeds:
        for entry, label in zip(entries, labels):
            _require_known(option_file, entry, RUN_KEYS, ('compare', 'runs', label))
            published = entry.get('published') or {}
            _require_known(option_file, published, tuple(PUBLISHED_KEYS), ('compare', 'runs', label, 'published'))
            for key, value in published.items():
                if not isinstance(value, PUBLISHED_KEYS[key]):  # type: ignore[arg-type]
                    place = option_file.where('compare', 'runs', label, 'published')
                    raise UserError(
                        f'{place}: {key} must be {"text" if key == "test_set" else "a number"}, got {value!r}'
                    )
            runs.append(Run(label, seed, _options_of_run(option_file, entry, label, seed), published))
    picture = section.get('picture')
    if picture is not None:
        _require_section(option_file, picture, ('compare', 'picture'))
        options['datasets']['picture'] = {'name': 'picture', **picture}
    title = printable(section.get('title') or options['name'])
    return Comparison(option_file, title, tuple(runs), picture is not None)


def _options_of_run(base: OptionFile, entry: Mapping[str, Any], label: str, seed: int) -> OptionFile:
    options = copy.deepcopy(base.options)
    options['datasets'].pop('picture', None)
    for key in ('network_g', 'train', 'datasets'):
        change = entry.get(key) or {}
        _require_section(base, change, ('compare', 'runs', label, key))
        if key == 'network_g' and 'type' in change:
            options[key] = copy.deepcopy(change)  # a class of its own, with other arguments
        else:
            _merge(options[key], change)
    experiment = entry.get('experiment') or f'{options["name"]}_{slug(label)}'
    options['name'] = f'{experiment}_s{seed}'
    require_name(options['name'], f'{base.where("compare", "runs")}: the run {label}')
    options['manual_seed'] = seed
    # The lines are the base's: a message points at the nearest key that is there.
    return OptionFile(base.path, options, base.lines, base.overrides)


def _merge(options: dict[str, Any], change: Mapping[str, Any]) -> None:
    for key, value in change.items():
        if isinstance(value, Mapping) and isinstance(options.get(key), dict):
            _merge(options[key], value)
        else:
            options[key] = copy.deepcopy(value)


def slug(label: str) -> str:
    """Turn a label into a part of a file name."""
    return re.sub(r'[^a-z0-9]+', '_', label.lower()).strip('_')


def _require_section(option_file: OptionFile, given: object, keys: tuple[str, ...]) -> None:
    if not isinstance(given, Mapping):
        raise UserError(f'{option_file.where(*keys)}: must be a section with keys of its own, got {given!r}')


def _require_known(
    option_file: OptionFile, given: Mapping[str, Any], known: Sequence[str], keys: tuple[str, ...]
) -> None:
    _require_section(option_file, given, keys)
    for key in given:
        if key not in known:
            raise UserError(f'{option_file.where(*keys, str(key))}: unknown key{did_you_mean(str(key), list(known))}')
