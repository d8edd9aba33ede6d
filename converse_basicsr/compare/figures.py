"""Collect what a comparison's page needs from finished runs: curves, costs, the baseline, and pictures."""

import copy
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converse_basicsr.benchmark import loader_rates, timing
from converse_basicsr.compare import held_out
from converse_basicsr.compare.comparison import Comparison, Run, slug, validation_sets
from converse_basicsr.compare.curves import Point, read_curves
from converse_basicsr.compare.networks import CURVE_COLUMNS, RUN_COLUMNS
from converse_basicsr.errors import UserError
from converse_basicsr.evaluation.evaluate import Score, evaluate, latest_weights
from converse_basicsr.evaluation.tables import csv_text
from converse_basicsr.files import atomic, images, sheet
from converse_basicsr.options.complete import complete

if TYPE_CHECKING:
    import numpy as np

STEP_REPEATS = 15
MAX_PICTURE_NAME = 40
TILE = 200
COMPRESSION = 9


def write_figures(comparison: Comparison, output: Path, *, threads: int, jobs: int = 1) -> None:
    """Write the two CSV files and the pictures of a comparison whose runs are finished.

    Args:
        comparison: The comparison.
        output: Folder that receives ``NAME_curves.csv``, ``NAME_runs.csv`` and ``NAME_IMAGE.png``.
        threads: CPU threads for the times of a step.
        jobs: How many times as many there are for scores, which are no measurements of time.
    """
    from basicsr.utils import get_root_logger

    get_root_logger(log_level=logging.WARNING)  # the first call sets the level for the process
    timing.prepare('cpu', threads * jobs)
    scored = score_held_out(comparison)
    timing.prepare('cpu', threads)
    first = {run.label: run for run in reversed(comparison.runs)}  # the first seed of each network
    costs, device = measure_costs(first.values())
    machine = timing.describe_machine(device)
    described = '{processor} ({cores} cores), threads: {threads}, torch {torch}, {device}'.format(**machine)
    baseline = score_baseline(comparison.runs[0])
    curves: list[list[Any]] = []
    rows: list[list[Any]] = []
    for run in comparison.runs:
        points, seconds = read_curves(Path('tb_logger', run.name))
        points += [Point(points[-1].iteration, quantity, value) for quantity, value in scored[run.name].items()]
        curves += [[run.label, run.seed, p.iteration, p.quantity, f'{p.value:.6g}'] for p in points]
        rows.append([run.label, run.seed, *costs[run.label], f'{seconds:.0f}', f'{baseline:.4f}', described])
    atomic.write_text(output / f'{comparison.name}_curves.csv', csv_text([CURVE_COLUMNS, *curves]))
    atomic.write_text(output / f'{comparison.name}_runs.csv', csv_text([RUN_COLUMNS, *rows]))
    if comparison.picture:
        painted = paint(comparison, first)
        for image, name in zip(painted.values(), picture_names(painted)):
            path = output / f'{comparison.name}_{name}.png'
            atomic.write_bytes(path, images.encode_png(image, COMPRESSION))


def score_held_out(comparison: Comparison) -> dict[str, dict[str, float]]:
    """Score each run on the sets that were held out; return by its name the scores by set and metric."""
    samples = {
        name: held_out.samples_digest(comparison.option_file, section) for name, section in comparison.held_out.items()
    }
    return {
        run.name: {
            f'{section["name"]}/{metric}': value
            for name, section in comparison.held_out.items()
            for metric, value in held_out.score(run, section, samples[name]).items()
        }
        for run in comparison.runs
    }


def picture_names(images: Iterable[str]) -> list[str]:
    """Turn names of images into parts of file names, of which no two are equal.

    Example:
        >>> picture_names(['Bird (1)', 'bird 1', '山'])
        ['bird_1', 'bird_1_bc9d0d38', '_4862540a']
    """
    names: list[str] = []
    for image in images:
        name = slug(image)[:MAX_PICTURE_NAME]
        if not name or name in names:
            name += f'_{hashlib.sha256(image.encode("utf-8", "surrogateescape")).hexdigest()[:8]}'
        names.append(name)
    return names


def measure_costs(runs: Iterable[Run]) -> tuple[dict[str, tuple[int, str, str]], str]:
    """Measure a training step of each network, in turns, on one batch of its own data.

    Returns:
        By label: parameters, median milliseconds of a step, MiB that autograd keeps between forward and backward; and
        the device.
    """
    steps: dict[str, Callable[[], None]] = {}
    kept: dict[str, int] = {}
    parameters: dict[str, int] = {}
    device = 'cpu'
    for run in runs:
        completed = _completed(run)
        device = 'cuda' if completed['num_gpu'] else 'cpu'
        steps[run.label], parameters[run.label], kept[run.label] = _step(completed)
    seconds = timing.interleaved_medians(steps, STEP_REPEATS, device)
    costs = {label: (parameters[label], f'{1e3 * seconds[label]:.1f}', f'{kept[label] / 2**20:.2f}') for label in steps}
    return costs, device


def require_measurable(run: Run) -> None:
    """Try what :func:`measure_costs` does, before a training that would be in vain.

    Raises:
        UserError: If it fails.
    """
    try:
        step, *_ = _step(_completed(run))
        step()
    except (UserError, MemoryError):
        raise
    except Exception as error:  # models differ
        reason = ' '.join(str(error).split()) or type(error).__name__
        place = run.option_file.where('model_type')
        raise UserError(
            f'{place}: a step of this model cannot be measured, so it cannot be compared ({reason})'
        ) from error


def _completed(run: Run) -> dict[str, Any]:
    datasets = run.option_file.options['datasets']
    options = {**run.option_file.options, 'datasets': {'train': datasets['train']}}
    return complete(options, is_train=True, most_gpus=1)


def _step(run: dict[str, Any]) -> tuple[Callable[[], None], int, int]:
    """Build the model of a run; return a training step on one batch, the parameters, and the bytes autograd keeps."""
    from basicsr.models import build_model

    model = build_model(copy.deepcopy(run))  # takes keys out of its options
    batch = next(iter(loader_rates.build_loader(run, run['datasets']['train'], 0)))
    net = model.get_bare_model(model.net_g)
    model.feed_data(batch)
    weights = [*net.parameters(), *net.buffers(), model.lq, model.gt]
    kept = timing.saved_bytes(lambda: model.net_g(model.lq), weights)

    def step() -> None:
        model.feed_data(batch)
        model.optimize_parameters(1)

    return step, sum(parameter.numel() for parameter in net.parameters()), kept


def score_baseline(run: Run) -> float:
    """Return the mean first metric of the first validation set for the input, enlarged by bicubic interpolation."""
    section = next(iter(validation_sets(run.option_file)))
    scores = [
        next(iter(score.metrics.values()))[0]
        for score in evaluate(run.option_file, latest_weights(run.name), {section})
    ]
    return sum(scores) / len(scores)


def paint(comparison: Comparison, runs: Mapping[str, Run]) -> 'dict[str, np.ndarray]':
    """Restore the images of the section ``picture`` by every network.

    Args:
        comparison: The comparison.
        runs: By label, the run whose network is shown.

    Returns:
        By image name: a picture of the input, the restorations and the truth, 8-bit BGR.
    """
    scores: dict[str, list[tuple[str, Score]]] = {}
    section = dict(comparison.picture or {})
    for label in comparison.labels:
        option_file = copy.deepcopy(runs[label].option_file)
        option_file.options['datasets'] = {'val_picture': section}
        for score in evaluate(option_file, latest_weights(runs[label].name), {'val_picture'}):
            scores.setdefault(score.image, []).append((label, score))
    pictures = {}
    for image, of_image in scores.items():
        _, first = of_image[0]
        *before, _, truth = first.panels('')  # the input, bicubic interpolation if any, the network, the truth
        metric = next(iter(first.metrics))
        results = [(f'{label}\n{metric} {score.metrics[metric][1]:.2f}', score.result) for label, score in of_image]
        pictures[image] = sheet.compare([*before, *results, truth], side=TILE)
    return pictures
