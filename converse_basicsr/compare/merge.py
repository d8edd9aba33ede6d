"""Put the tables of one comparison together whose runs were trained on several machines."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from converse_basicsr.compare.comparison import Comparison
from converse_basicsr.compare.networks import CURVE_COLUMNS, RUN_COLUMNS, read_csv
from converse_basicsr.compare.page import pictures_of
from converse_basicsr.errors import UserError
from converse_basicsr.evaluation.tables import cell, csv_text, read_rows
from converse_basicsr.files import atomic

Key = tuple[str, int]
"""Label and seed of a run."""
Lines = list[list[str]]


@dataclass
class _Run:
    """What the tables of one folder hold of a run: the lines as they are, and what all runs of a network share."""

    table: Path
    line: list[str]
    shared: dict[str, Any]
    curves: Lines = field(default_factory=list)


def merge_tables(comparison: Comparison, folders: Sequence[Path], output: Path) -> None:
    """Write ``NAME_curves.csv`` and ``NAME_runs.csv`` with the runs of several folders, and the first one's pictures.

    Args:
        comparison: Gives the order of the runs.
        folders: Each holds both tables; ``output`` may be among them.
        output: Folder that receives the result; it is made if it is absent.

    Raises:
        UserError: If a table is missing or damaged, two folders hold the same run, or the runs cannot be of one
            comparison: they differ in the score of the input or, for one network, in length, size or metrics.
    """
    runs: dict[Key, _Run] = {}
    for folder in folders:
        for key, run in _runs_of(folder / comparison.name).items():
            if key in runs:
                raise UserError(
                    f'{runs[key].table} and {run.table} both hold {_named(key)}; remove it from one of them'
                )
            runs[key] = run
    _require_one_comparison(runs)
    keys = sorted(runs, key=_place(comparison))
    output.mkdir(parents=True, exist_ok=True)
    for path in next(filter(None, (pictures_of(comparison.name, folder) for folder in folders)), []):
        if path.resolve().parent != output.resolve():
            atomic.write_bytes(output / path.name, path.read_bytes())
    curves = [line for key in keys for line in runs[key].curves]
    atomic.write_text(output / f'{comparison.name}_curves.csv', csv_text([CURVE_COLUMNS, *curves]))
    lines = [runs[key].line for key in keys]
    atomic.write_text(output / f'{comparison.name}_runs.csv', csv_text([RUN_COLUMNS, *lines]))


def _runs_of(base: Path) -> dict[Key, _Run]:
    """Read both tables of a folder."""
    table, points = Path(f'{base}_runs.csv'), Path(f'{base}_curves.csv')
    runs: dict[Key, _Run] = {}
    # The lines are kept as text, so that merging changes no figure.
    for row, line in zip(read_csv(table, RUN_COLUMNS), read_rows(table)[1:]):
        shared = {
            'the input scores': row['baseline'],
            'parameters': row['parameters'],
            'iterations': 0,
            'metrics': set(),
        }
        key = row['label'], row['seed']
        if key in runs:
            raise UserError(f'{table} holds {_named(key)} twice; remove one of them')
        runs[key] = _Run(table, line, shared)
    for row, line in zip(read_csv(points, CURVE_COLUMNS), read_rows(points)[1:]):
        key = row['label'], row['seed']
        if key not in runs:
            raise UserError(f'{points} holds {_named(key)}, and {table.name} does not')
        runs[key].curves.append(line)
        shared = runs[key].shared
        shared['iterations'] = max(shared['iterations'], row['iteration'])
        if '/' in row['quantity']:
            shared['metrics'].add(row['quantity'])
    return runs


def _require_one_comparison(runs: dict[Key, _Run]) -> None:
    """Refuse runs that cannot be of one comparison file."""
    expected: dict[tuple[str, str], tuple[Key, Any]] = {}
    for key, run in runs.items():
        for what, value in run.shared.items():
            network = '' if what == 'the input scores' else key[0]
            other, of_other = expected.setdefault((what, network), (key, value))
            if value != of_other:
                one, two = (', '.join(sorted(v)) or 'none' if isinstance(v, set) else v for v in (value, of_other))
                raise UserError(
                    f'{run.table}: {_named(key)} is of another comparison than {_named(other)}: '
                    f'{what}: {one}, not {two}'
                )


def _named(key: Key) -> str:
    return f'the run of {key[0]} with seed {key[1]}'


def _place(comparison: Comparison) -> Callable[[Key], tuple[int, int, str]]:
    """Return the order of a comparison's own tables: seed by seed, the networks as in the file."""
    labels = [cell(label) for label in comparison.labels]
    return lambda key: (key[1], labels.index(key[0]) if key[0] in labels else len(labels), key[0])
