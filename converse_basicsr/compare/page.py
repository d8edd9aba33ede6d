"""The page of a comparison: Markdown and plots, made from its two CSV files alone."""

import glob
import math
import os
import shlex
import statistics
import urllib.parse
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converse_basicsr.compare.comparison import Comparison
from converse_basicsr.errors import UserError
from converse_basicsr.evaluation import places, tables
from converse_basicsr.evaluation.tables import cell, markdown_table, plain, plot_text, pyplot
from converse_basicsr.files import atomic
from converse_basicsr.messages import printable

CURVE_COLUMNS = ('label', 'seed', 'iteration', 'quantity', 'value')
RUN_COLUMNS = ('label', 'seed', 'parameters', 'step_ms', 'kept_mib', 'wall_s', 'baseline', 'machine')
COUNTS = {'seed', 'iteration', 'parameters'}
TEXTS = {'label', 'quantity', 'machine'}

MADE_BY = 'Made by:\n\n```bash\nbasicsr compare '
"""In every page that this command wrote."""

# The vertical axis begins at this share of the way from the worst start to the best end, so that the ends can be told
# apart.
LOWEST_SHARE = 0.25

MAX_FIGURE = 1e30
"""No measured figure is larger, and larger ones cannot be drawn."""


@dataclass
class Network:
    """What was measured of one network.

    Attributes:
        label: Its name.
        curves: By seed, pairs of iteration and metric.
        losses: All losses logged in all its runs.
        parameters: Number of parameters.
        step_seconds: Seconds of one training iteration, measured in turns with the others.
        kept_mib: MiB that autograd keeps between forward and backward pass of a batch.
        wall_seconds: Wall-clock seconds of each run, validation and waiting for other work included.
    """

    label: str
    curves: dict[int, list[tuple[int, float]]]
    losses: list[float]
    parameters: int
    step_seconds: float
    kept_mib: float
    wall_seconds: list[float]

    @property
    def ends(self) -> list[float]:
        """The metric at the end of each run."""
        return [curve[-1][1] for curve in self.curves.values()]

    @property
    def iterations(self) -> int:
        """Length of the runs."""
        return max(curve[-1][0] for curve in self.curves.values())


def require_places(comparisons: Sequence[Comparison], output: Path, *, with_tables: bool = True) -> None:
    """Refuse an output that cannot be written, or that holds other files of the names to be written.

    Args:
        comparisons: What will be written.
        output: Where.
        with_tables: Whether the CSV files and pictures are written too; else the page is made of them, and reading them
            tells what they are.

    Raises:
        UserError: If so, or if matplotlib is missing.
    """
    pyplot()
    places.require_folder(output)
    for comparison in comparisons:
        base = output / comparison.name
        texts, others = {Path(f'{base}.md'): MADE_BY}, []
        if with_tables:
            texts |= {
                Path(f'{base}_curves.csv'): ','.join(CURVE_COLUMNS),
                Path(f'{base}_runs.csv'): ','.join(RUN_COLUMNS),
            }
            others = [
                *(Path(f'{base}_{kind}.svg') for kind in ('iterations', 'time')),
                *pictures_of(comparison.name, output),
            ]
        places.require_own(texts, others)


def write_page(comparison: Comparison, folder: Path) -> Path:
    """Write ``NAME.md``, ``NAME_iterations.svg`` and ``NAME_time.svg``.

    Args:
        comparison: Gives titles, the order of the networks, and their published figures.
        folder: Holds ``NAME_curves.csv`` and ``NAME_runs.csv``.

    Returns:
        The path of the Markdown file.

    Raises:
        UserError: If a CSV file is missing, damaged or does not fit the comparison, or matplotlib is missing.
    """
    curves = read_csv(folder / f'{comparison.name}_curves.csv', CURVE_COLUMNS)
    runs = read_csv(folder / f'{comparison.name}_runs.csv', RUN_COLUMNS)
    quantities = [row['quantity'] for row in curves if '/' in row['quantity']]
    quantity = cell(comparison.quantity)
    if quantity not in quantities:  # a table of an earlier version of the file
        quantity = next(iter(quantities), '')
    if not quantity:
        raise UserError(f'{folder / comparison.name}_curves.csv holds no metric of a test set')
    networks = [_network(label, curves, runs, quantity, folder, comparison.name) for label in comparison.labels]
    baseline, machine = runs[0]['baseline'], runs[0]['machine']
    plots = []
    for kind, axis in (('iterations', 'iterations'), ('time', 'training time of one run, s')):
        path = folder / f'{comparison.name}_{kind}.svg'
        save_plot(networks, path, kind, axis, quantity)
        plots.append((f'{quantity} over {kind}', path.name))
    pictures = sorted(path.name for path in pictures_of(comparison.name, folder))
    text = markdown(comparison, networks, quantity, baseline, machine, plots, pictures)
    path = folder / f'{comparison.name}.md'
    atomic.write_text(path, text)
    return path


def pictures_of(name: str, folder: Path) -> list[Path]:
    """Find the pictures of a comparison, and none of another one whose name begins with its name."""
    others = [path.name.removesuffix('_runs.csv') for path in folder.glob(f'{glob.escape(name)}_*_runs.csv')]
    found = folder.glob(f'{glob.escape(name)}_*.png')
    return [path for path in found if not any(path.name.startswith(f'{other}_') for other in others)]


def read_csv(path: Path, columns: Sequence[str]) -> list[dict[str, Any]]:
    """Read a table with a header, its figures as numbers.

    Raises:
        UserError: If it is missing, empty, damaged or has other columns.
    """
    try:
        head, *lines = tables.read_rows(path) or [[]]
    except FileNotFoundError:
        raise UserError(f'{path} does not exist; run the command without --report-only first') from None
    if tuple(head) != tuple(columns) or not lines:
        raise UserError(f'{path} must hold rows with the columns {", ".join(columns)}')
    rows = []
    for number, line in enumerate(lines, 2):
        try:
            rows.append({name: _value(name, text) for name, text in zip(columns, line, strict=True)})
        except ValueError:
            raise UserError(f'{path}:{number} is damaged; run the command without --report-only') from None
    return rows


def _value(column: str, text: str) -> str | int | float:
    """Read a cell; figures that are not finite stand for losses and metrics of a run that failed."""
    if column in TEXTS:
        return cell(text)
    value = int(text) if column in COUNTS else float(text)
    if math.isfinite(value) and abs(value) > MAX_FIGURE:
        raise ValueError(text)
    return value


def _network(
    label: str,
    curves: Iterable[dict[str, Any]],
    runs: Iterable[dict[str, Any]],
    quantity: str,
    folder: Path,
    name: str,
) -> Network:
    own = [row for row in runs if row['label'] == cell(label)]
    if not own:
        raise UserError(f'{folder / name}_runs.csv has no run of {label}; run the command without --report-only')
    points: dict[int, list[tuple[int, float]]] = {}
    losses = []
    for row in curves:
        if row['label'] != cell(label):
            continue
        if row['quantity'] == quantity:
            points.setdefault(row['seed'], []).append((row['iteration'], row['value']))
        elif '/' not in row['quantity']:
            losses.append(row['value'])
    if not points:
        raise UserError(
            f'{folder / name}_curves.csv has no {quantity} of {label}; run the command without --report-only'
        )
    return Network(
        label,
        {seed: sorted(curve) for seed, curve in points.items()},
        losses,
        own[0]['parameters'],
        own[0]['step_ms'] / 1e3,
        own[0]['kept_mib'],
        [row['wall_s'] for row in own],
    )


def save_plot(networks: Sequence[Network], path: Path, kind: str, axis: str, quantity: str) -> None:
    """Draw the mean over the seeds, and the range between them as a band, against iterations or time.

    Args:
        networks: What was measured.
        path: Where to save, in the format of the suffix.
        kind: ``iterations``, or ``time``: iterations times the time of a step.
        axis: Caption of the horizontal axis.
        quantity: Test set and metric.
    """
    plt = pyplot()
    figure, axes = plt.subplots(figsize=(7, 4.2), layout='constrained')
    for network in networks:
        unit = network.step_seconds if kind == 'time' else 1
        seeds = list(network.curves.values())
        common = sorted(set.intersection(*({iteration for iteration, _ in curve} for curve in seeds)))
        values = [[dict(curve)[iteration] for curve in seeds] for iteration in common]
        xs = [iteration * unit for iteration in common]
        (line,) = axes.plot(
            xs, [statistics.fmean(v) for v in values], 'o-', markersize=3, label=plot_text(network.label)
        )
        if len(seeds) > 1:
            axes.fill_between(xs, [min(v) for v in values], [max(v) for v in values], color=line.get_color(), alpha=0.2)
    ends = [end for network in networks for end in network.ends]
    starts = [curve[0][1] for network in networks for curve in network.curves.values()]
    lowest = min(starts) + LOWEST_SHARE * (max(ends) - min(starts))
    if lowest < min(ends):
        axes.set_ylim(bottom=lowest)
    axes.set_xlabel(axis)
    axes.set_ylabel(plot_text(f'{quantity.split("/")[-1].upper()} on {quantity.split("/")[0]}'))
    axes.grid(alpha=0.3)
    axes.legend(loc='lower right')
    tables.save_plot(figure, path)


def markdown(
    comparison: Comparison,
    networks: Sequence[Network],
    quantity: str,
    baseline: float,
    machine: str,
    plots: Iterable[tuple[str, str]],
    pictures: Iterable[str],
) -> str:
    """Compose the page's text."""
    test_set, metric = quantity.split('/')[0], quantity.split('/')[-1].upper()
    seeds = max(len(network.curves) for network in networks)
    head = ['network', 'parameters', f'{metric} on {test_set}, dB']
    head += ['step, ms', 'training, s', 'kept for backward, MiB']
    published = {run.label: run.published for run in comparison.runs}
    if any(published.values()):
        head += ['published full-size, dB', 'its parameters']
    rows = [_row(network, published[network.label], test_set, len(head)) for network in networks]
    losses = [loss for network in networks for loss in network.losses]
    finite = all(abs(loss) < float('inf') for loss in losses)  # false for nan too
    iterations = sorted({network.iterations for network in networks})
    task = comparison.option_file
    train = task.options['datasets']['train']
    size = train.get('gt_size')
    patches = f'patches of {size} x {size} pixels' if size else 'samples'
    all_options = [run.option_file.options for run in comparison.runs]
    are_equal = all(
        options['datasets']['train'] == train and options['train'] == task.options['train'] for options in all_options
    )
    equality = 'all see the same samples in the same order, under the same schedule, for equal seeds'
    lines = [
        f'# {plain(comparison.title)}',
        '',
        f'{len(comparison.runs)} runs of {" or ".join(f"{count:,}" for count in iterations)} iterations with '
        f'{train["batch_size_per_gpu"]} {patches} from {plain(train["name"])}; '
        f'{equality if are_equal else "some differ in their data or their section train"}. '
        f'The {"enlarged " if task.options.get("scale", 1) > 1 else ""}input alone scores {baseline:.2f} dB. '
        + (f'All {len(losses):,} losses logged are finite.' if finite else 'NOT ALL LOSSES LOGGED ARE FINITE.'),
        '',
        markdown_table(head, rows),
        '',
        f'{plain(metric)}: mean'
        + (f' and standard deviation over {seeds} seeds.' if seeds > 1 else ' of one seed.')
        + ' Step: median of a training iteration, the networks in turns in one process; training: iterations times '
        'step. Wall-clock time of a run beside others on the machine, with validation: '
        + ', '.join(f'{plain(network.label)} {statistics.fmean(network.wall_seconds):.0f} s' for network in networks)
        + f'. {plain(machine)}.',
        '',
    ]
    for caption, name in plots:
        lines += [f'![{plain(caption)}]({urllib.parse.quote(name)})', '']
    if seeds > 1:
        lines += ['Lines: means over the seeds; bands: from the worst seed to the best.', '']
    for name in pictures:
        lines += [f'![a restored photograph]({urllib.parse.quote(name)})', '']
    file = shlex.quote(printable(_relative(task.path)))
    lines += [f'{MADE_BY}{file}', f'basicsr compare {file} --report-only  # this page and the plots, from the CSV']
    lines += ['```', '']
    return '\n'.join(lines)


def _relative(path: Path) -> str:
    """Return the option file's path as a user types it in the current directory."""
    relative = os.path.relpath(path)
    return path.name if relative.startswith('..') else Path(relative).as_posix()


def _row(network: Network, published: Any, test_set: str, columns: int) -> list[str]:
    end = f'{statistics.fmean(network.ends):.2f}'
    if len(network.ends) > 1 and all(map(math.isfinite, network.ends)):
        end += f' ± {statistics.stdev(network.ends):.2f}'
    row = [network.label, f'{network.parameters:,}', end, f'{1e3 * network.step_seconds:.0f}']
    row += [f'{network.iterations * network.step_seconds:.0f}', f'{network.kept_mib:.1f}']
    if columns > len(row):
        psnr, parameters = published.get('psnr'), published.get('parameters')
        where = published.get('test_set', test_set)
        row.append('' if psnr is None else f'{psnr:.2f}' + (f' ({where})' if where != test_set else ''))
        row.append('' if parameters is None else f'{parameters:,}')
    return row
