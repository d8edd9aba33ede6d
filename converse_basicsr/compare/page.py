"""The page of a comparison: Markdown and plots, made from its two CSV files alone."""

import glob
import os
import shlex
import urllib.parse
from collections.abc import Iterable, Sequence
from pathlib import Path

from converse_basicsr.compare.comparison import Comparison
from converse_basicsr.compare.networks import ANEW, CURVE_COLUMNS, RUN_COLUMNS, Network, mean, read_networks
from converse_basicsr.compare.score_table import caption, in_decibels, score_table
from converse_basicsr.errors import UserError
from converse_basicsr.evaluation import places, tables
from converse_basicsr.evaluation.tables import cell, plain, plot_text, pyplot
from converse_basicsr.files import atomic
from converse_basicsr.messages import printable

MADE_BY = 'Made by:\n\n```bash\nbasicsr compare '
"""In every page that this command wrote."""

# The vertical axis begins at this share of the way from the worst start to the best end, so that the ends can be told
# apart.
LOWEST_SHARE = 0.25


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
    base = folder / comparison.name
    networks, found, baseline, machines = read_networks(base, comparison.labels)
    held_out = [quantity for quantity in map(cell, comparison.scored_once) if quantity in found]
    validated = [quantity for quantity in map(cell, comparison.validated) if quantity in found]
    if not validated:  # tables of an earlier version of the file
        validated = [quantity for quantity in found if quantity not in held_out]
    if not validated:
        raise UserError(f'{base}_curves.csv holds no metric of a validation set')
    quantity = validated[0]
    for network in networks:
        if not network.ends(quantity):
            raise UserError(f'{base}_curves.csv has no {quantity} of {network.label}; {ANEW}')
    plots = []
    for kind, axis in (('iterations', 'iterations'), ('time', 'training time of one run, s')):
        path = folder / f'{comparison.name}_{kind}.svg'
        save_plot(networks, path, kind, axis, quantity)
        plots.append((f'{quantity} over {kind}', path.name))
    pictures = sorted(path.name for path in pictures_of(comparison.name, folder))
    text = markdown(comparison, networks, [*validated, *held_out], baseline, machines, plots, pictures)
    path = folder / f'{comparison.name}.md'
    atomic.write_text(path, text)
    return path


def pictures_of(name: str, folder: Path) -> list[Path]:
    """Find the pictures of a comparison, and none of another one whose name begins with its name."""
    others = [path.name.removesuffix('_runs.csv') for path in folder.glob(f'{glob.escape(name)}_*_runs.csv')]
    found = folder.glob(f'{glob.escape(name)}_*.png')
    return [path for path in found if not any(path.name.startswith(f'{other}_') for other in others)]


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
        curve = network.common_curve(quantity)
        xs, values = [iteration * unit for iteration, _ in curve], [of_seeds for _, of_seeds in curve]
        (line,) = axes.plot(xs, [mean(v) for v in values], 'o-', markersize=3, label=plot_text(network.label))
        if len(network.curves[quantity]) > 1:
            axes.fill_between(xs, [min(v) for v in values], [max(v) for v in values], color=line.get_color(), alpha=0.2)
    ends = [end for network in networks for end in network.ends(quantity).values()]
    starts = [curve[0][1] for network in networks for curve in network.curves[quantity].values()]
    lowest = min(starts) + LOWEST_SHARE * (max(ends) - min(starts))
    if lowest < min(ends):
        axes.set_ylim(bottom=lowest)
    axes.set_xlabel(axis)
    axes.set_ylabel(plot_text(caption(quantity)))
    axes.grid(alpha=0.3)
    axes.legend(loc='lower right')
    tables.save_plot(figure, path)


def markdown(
    comparison: Comparison,
    networks: Sequence[Network],
    quantities: Sequence[str],
    baseline: float,
    machines: Sequence[str],
    plots: Iterable[tuple[str, str]],
    pictures: Iterable[str],
) -> str:
    """Compose the page's text."""
    seeds = max(len(network.ends(quantities[0])) for network in networks)
    unit = ' dB' if in_decibels(comparison, quantities[0]) else ''
    losses = [loss for network in networks for loss in network.losses]
    finite = all(abs(loss) < float('inf') for loss in losses)  # false for nan too
    runs = sum(len(network.ends(quantities[0])) for network in networks)
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
        f'{runs} runs of {" or ".join(f"{count:,}" for count in iterations)} iterations with '
        f'{train["batch_size_per_gpu"]} {patches} from {plain(train["name"])}; '
        f'{equality if are_equal else "some differ in their data or their section train"}. '
        f'The {"enlarged " if task.options.get("scale", 1) > 1 else ""}input alone scores {baseline:.2f}{unit}. '
        + (f'All {len(losses):,} losses logged are finite.' if finite else 'NOT ALL LOSSES LOGGED ARE FINITE.'),
        '',
        score_table(comparison, networks, quantities),
        '',
        'Step: median of a training iteration, the networks in turns in one process; training: iterations times '
        'step. Wall-clock time of a run beside others on the machine, with validation: '
        + ', '.join(f'{plain(network.label)} {mean(network.wall_seconds):.0f} s' for network in networks)
        + f'. {plain("; ".join(machines))}.'
        + (' Steps were timed on different machines.' if len(machines) > 1 else ''),
        '',
    ]
    for title, name in plots:
        lines += [f'![{plain(title)}]({urllib.parse.quote(name)})', '']
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
