"""What was measured of the networks of a comparison, read from its two CSV files."""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converse_basicsr.errors import UserError
from converse_basicsr.evaluation import tables
from converse_basicsr.evaluation.tables import cell

CURVE_COLUMNS = ('label', 'seed', 'iteration', 'quantity', 'value')
RUN_COLUMNS = ('label', 'seed', 'parameters', 'step_ms', 'kept_mib', 'wall_s', 'baseline', 'machine')
COUNTS = {'seed', 'iteration', 'parameters'}
TEXTS = {'label', 'quantity', 'machine'}

MAX_FIGURE = 1e30
"""No measured figure is larger, and larger ones cannot be drawn."""


ANEW = 'the command writes it anew without --report-only and --merge'
"""What to do about a table that cannot be used."""


@dataclass
class Network:
    """What was measured of one network.

    Attributes:
        label: Its name.
        curves: By test set and metric (``Set12/psnr``) and by seed, pairs of iteration and value.
        losses: All losses logged in all its runs.
        parameters: Number of parameters.
        step_seconds: Seconds of one training iteration, measured in turns with the others.
        kept_mib: MiB that autograd keeps between forward and backward pass of a batch.
        wall_seconds: Wall-clock seconds of each run, validation and waiting for other work included.
    """

    label: str
    curves: dict[str, dict[int, list[tuple[int, float]]]]
    losses: list[float]
    parameters: int
    step_seconds: float
    kept_mib: float
    wall_seconds: list[float]

    def ends(self, quantity: str) -> dict[int, float]:
        """Return the value at the end of each run, by seed."""
        return {seed: curve[-1][1] for seed, curve in self.curves.get(quantity, {}).items()}

    def mean_end(self, quantity: str) -> float:
        """Return the mean of :meth:`ends`; NaN where there is none."""
        return mean(self.ends(quantity).values())

    def common_curve(self, quantity: str) -> list[tuple[int, list[float]]]:
        """Return the values of all seeds at each iteration that all of them have."""
        curves = [dict(curve) for curve in self.curves[quantity].values()]
        return [
            (iteration, [curve[iteration] for curve in curves])
            for iteration in sorted(set.intersection(*map(set, curves)))
        ]

    @property
    def iterations(self) -> int:
        """Length of the runs."""
        return max(curve[-1][0] for of_seeds in self.curves.values() for curve in of_seeds.values())


def mean(values: Iterable[float]) -> float:
    """Return the mean; NaN where there is none, as of no value or of infinite ones of both signs."""
    try:
        return statistics.fmean(values)
    except ValueError:  # statistics.StatisticsError is one
        return math.nan


def read_networks(base: Path, labels: Sequence[str]) -> tuple[list[Network], list[str], float, list[str]]:
    """Read ``NAME_curves.csv`` and ``NAME_runs.csv``.

    Args:
        base: Their folder and ``NAME``.
        labels: The networks that are looked for.

    Returns:
        The networks; the quantities found, in the order of the file; the score of the input alone; the machines on
        which steps were timed.

    Raises:
        UserError: If a file is missing or damaged, or lacks a network or every metric.
    """
    curves = read_csv(Path(f'{base}_curves.csv'), CURVE_COLUMNS)
    runs = read_csv(Path(f'{base}_runs.csv'), RUN_COLUMNS)
    quantities = list(dict.fromkeys(row['quantity'] for row in curves if '/' in row['quantity']))
    if not quantities:
        raise UserError(f'{base}_curves.csv holds no metric of a test set')
    networks, machines = [], []
    for label in labels:
        own = [row for row in runs if row['label'] == cell(label)]
        if not own:
            raise UserError(f'{base}_runs.csv has no run of {label}; {ANEW}')
        machines.append(own[0]['machine'])
        of_label = [row for row in curves if row['label'] == cell(label)]
        networks.append(
            Network(
                label,
                {quantity: _curves(of_label, quantity) for quantity in quantities},
                [row['value'] for row in of_label if '/' not in row['quantity']],
                own[0]['parameters'],
                own[0]['step_ms'] / 1e3,
                own[0]['kept_mib'],
                [row['wall_s'] for row in own],
            )
        )
    return networks, quantities, runs[0]['baseline'], list(dict.fromkeys(machines))


def _curves(rows: list[dict[str, Any]], quantity: str) -> dict[int, list[tuple[int, float]]]:
    curves: dict[int, list[tuple[int, float]]] = {}
    for row in rows:
        if row['quantity'] == quantity:
            curves.setdefault(row['seed'], []).append((row['iteration'], row['value']))
    return {seed: sorted(curve) for seed, curve in curves.items()}


def read_csv(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Read a table with a header, its figures as numbers.

    Raises:
        UserError: If it is missing, empty, damaged or has other columns.
    """
    try:
        head, *lines = tables.read_rows(path) or [[]]
    except FileNotFoundError:
        raise UserError(f'{path} does not exist; {ANEW}') from None
    if tuple(head) != tuple(columns) or not lines:
        raise UserError(f'{path} must hold rows with the columns {", ".join(columns)}')
    rows = []
    for number, line in enumerate(lines, 2):
        try:
            rows.append({name: _value(name, text) for name, text in zip(columns, line, strict=True)})
        except ValueError:
            raise UserError(f'{path}:{number} is damaged; {ANEW}') from None
    return rows


def _value(column: str, text: str) -> str | int | float:
    """Read a cell; figures that are not finite stand for losses and metrics of a run that failed."""
    if column in TEXTS:
        return cell(text)
    value = int(text) if column in COUNTS else float(text)
    if math.isfinite(value) and abs(value) > MAX_FIGURE:
        raise ValueError(text)
    return value
