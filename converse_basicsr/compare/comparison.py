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

KEYS = ('title', 'picture', 'held_out', 'reference', 'seeds', 'runs')
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
        option_file: Its options, without the section ``compare``.
        title: Heading of the report.
        runs: The runs, seed by seed, so that every network has one run before any has two.
        picture: The dataset section whose images are shown, if any.
        held_out: By name, the dataset sections that are scored once, by the final weights.
        reference: Labels of the networks with the best of which the others are compared.
    """

    option_file: OptionFile
    title: str
    runs: tuple[Run, ...]
    picture: Mapping[str, Any] | None
    held_out: Mapping[str, Mapping[str, Any]]
    reference: tuple[str, ...]

    @property
    def name(self) -> str:
        """Name of the comparison, and of its report."""
        return self.option_file.options['name']

    @property
    def metrics(self) -> Mapping[str, Any]:
        """The section ``val: metrics``."""
        metrics = self.option_file.options['val'].get('metrics')
        return metrics if isinstance(metrics, Mapping) else {}

    @property
    def validated(self) -> list[str]:
        """Each validation set with each metric, as ``Set12/psnr``; by the first one the networks are compared."""
        names = [section.get('name') for section in validation_sets(self.option_file).values()]
        return [f'{name}/{metric}' for name in names if name for metric in self.metrics]

    @property
    def scored_once(self) -> list[str]:
        """Each set that is held out with each metric."""
        return [f'{section["name"]}/{metric}' for section in self.held_out.values() for metric in self.metrics]

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
        picture = {'name': 'picture', **picture}
    title = printable(section.get('title') or options['name'])
    held_out, reference = _held_out(option_file, section), _reference(option_file, section, labels)
    return Comparison(option_file, title, tuple(runs), picture, held_out, reference)


def _held_out(option_file: OptionFile, section: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    given = section.get('held_out') or {}
    _require_section(option_file, given, ('compare', 'held_out'))
    for name, held_out in given.items():
        _require_section(option_file, held_out, ('compare', 'held_out', name))
    sections = {name: {'name': name, **held_out} for name, held_out in given.items()}
    names = [dataset.get('name') for dataset in (*validation_sets(option_file).values(), *sections.values())]
    for name, held_out in sections.items():
        where = option_file.where('compare', 'held_out', name)
        require_name(held_out['name'], where)
        if names.count(held_out['name']) > 1:
            raise UserError(f'{where}: there is another set with the name {held_out["name"]}; give it one of its own')
    return sections


def _reference(option_file: OptionFile, section: Mapping[str, Any], labels: list[str]) -> tuple[str, ...]:
    given = section.get('reference') or []
    reference = [printable(label) for label in (given if isinstance(given, list) else [given])]
    for label in reference:
        if label not in labels:
            place = option_file.where('compare', 'reference')
            raise UserError(f'{place}: must be labels of runs, got {label!r}{did_you_mean(label, labels)}')
    return tuple(dict.fromkeys(reference))


def validation_sets(option_file: OptionFile) -> dict[str, dict[str, Any]]:
    """Return the sections of ``datasets`` that are scored while a network is trained, in the file's order."""
    datasets = option_file.options['datasets']
    return {
        key: section for key, section in datasets.items() if key.split('_')[0] == 'val' and isinstance(section, dict)
    }


def _options_of_run(base: OptionFile, entry: Mapping[str, Any], label: str, seed: int) -> OptionFile:
    options = copy.deepcopy(base.options)
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
