"""Collect what a report needs from finished runs: curves, costs, the baseline, and pictures."""

import copy
import csv
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import torch

from converse_basicsr import picture
from converse_basicsr.benchmark import data as loading
from converse_basicsr.benchmark import measure as measuring
from converse_basicsr.compare.curves import read_curves
from converse_basicsr.compare.plan import Comparison, Run, slug
from converse_basicsr.compare.report import CURVE_COLUMNS, RUN_COLUMNS
from converse_basicsr.evaluate import Score, evaluate
from converse_basicsr.option_file import OptionFile

STEP_REPEATS = 15
TILE = 200


def write_figures(comparison: Comparison, output: Path, *, threads: int) -> None:
    """Write the two CSV files and the pictures of a comparison whose runs are finished.

    Args:
        comparison: The comparison.
        output: Folder that receives ``NAME_curves.csv``, ``NAME_runs.csv`` and ``NAME_IMAGE.png``.
        threads: CPU threads for the times of a step.
    """
    from basicsr.utils import get_root_logger

    get_root_logger(log_level=logging.WARNING)  # the first call sets the level for the process
    measuring.prepare('cpu', threads)
    first = {run.label: run for run in reversed(comparison.runs)}  # the first seed of each network
    costs, device = measure_costs(first.values())
    machine = measuring.describe_machine(device)
    described = '{processor} ({cores} cores), threads: {threads}, torch {torch}, {device}'.format(**machine)
    baseline = score_baseline(comparison.runs[0])
    curves, rows = [], []
    for run in comparison.runs:
        points, seconds = read_curves(Path('tb_logger', run.name))
        curves += [[run.label, run.seed, p.iteration, p.quantity, f'{p.value:.6g}'] for p in points]
        rows.append([run.label, run.seed, *costs[run.label], f'{seconds:.0f}', f'{baseline:.4f}', described])
    write_csv(output / f'{comparison.name}_curves.csv', CURVE_COLUMNS, curves)
    write_csv(output / f'{comparison.name}_runs.csv', RUN_COLUMNS, rows)
    if comparison.picture:
        for name, image in paint(comparison, first).items():
            _save_png(output / f'{comparison.name}_{slug(name)}.png', image)


def write_csv(path: Path, columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> None:
    """Write a table with a header."""
    with open(path, 'w', encoding='utf-8', newline='') as file:
        writer = csv.writer(file, lineterminator='\n')
        writer.writerow(columns)
        writer.writerows(rows)


def measure_costs(runs: Iterable[Run]) -> tuple[dict[str, tuple[int, str, str]], str]:
    """Measure a training step of each network, in turns, on one batch of its own data.

    Returns:
        By label: parameters, median milliseconds of a step, MiB that autograd keeps between forward and backward; and
        the device.
    """
    from basicsr.models import build_model

    steps, kept, parameters, device = {}, {}, {}, 'cpu'
    for run in runs:
        options = _completed(run.option_file)
        device = 'cuda' if options['num_gpu'] else 'cpu'
        model = build_model(copy.deepcopy(options))  # takes keys out of its options
        batch = next(iter(loading.build_loader(options, options['datasets']['train'], 0)))
        net = model.get_bare_model(model.net_g)
        parameters[run.label] = sum(parameter.numel() for parameter in net.parameters())
        model.feed_data(batch)
        weights = [*net.parameters(), *net.buffers(), model.lq, model.gt]
        kept[run.label] = measuring.saved_bytes(lambda model=model: model.net_g(model.lq), weights)

        def step(model: Any = model, batch: Mapping[str, Any] = batch) -> None:
            model.feed_data(batch)
            model.optimize_parameters(1)

        steps[run.label] = step
    seconds = measuring.interleaved_medians(steps, STEP_REPEATS, device)
    costs = {label: (parameters[label], f'{1e3 * seconds[label]:.1f}', f'{kept[label] / 2**20:.2f}') for label in steps}
    return costs, device


def score_baseline(run: Run) -> float:
    """Mean of the first metric over the first validation set, for the input (enlarged by bicubic interpolation)."""
    section = next(name for name in run.option_file.options['datasets'] if name.startswith('val'))
    scores = [next(iter(score.metrics.values()))[0] for score in evaluate(run.option_file, weights(run), {section})]
    return sum(scores) / len(scores)


def paint(comparison: Comparison, runs: Mapping[str, Run]) -> dict[str, Any]:
    """Restore the images of the section ``picture`` by every network.

    Returns:
        By image name: a picture of the input, the restorations and the truth, 8-bit BGR.
    """
    scores: dict[str, list[tuple[str, Score]]] = {}
    section = comparison.option_file.options['datasets']['picture']
    for label in comparison.labels:
        option_file = copy.deepcopy(runs[label].option_file)
        option_file.options['datasets'] = {'val_picture': section}
        for score in evaluate(option_file, weights(runs[label]), {'val_picture'}):
            scores.setdefault(score.image, []).append((label, score))
    pictures = {}
    for image, of_image in scores.items():
        _, first = of_image[0]
        *before, _, truth = first.panels('')  # the input, bicubic interpolation if any, the network, the truth
        metric = next(iter(first.metrics))
        results = [(f'{label}\n{metric} {score.metrics[metric][1]:.2f}', score.result) for label, score in of_image]
        pictures[image] = picture.compare([*before, *results, truth], side=TILE)
    return pictures


def weights(run: Run) -> Path:
    """The final weights of a run."""
    return Path('experiments', run.name, 'models/net_g_latest.pth')


def _completed(option_file: OptionFile) -> dict[str, Any]:
    """Complete the options for training in this process, without validation sets."""
    options = copy.deepcopy(option_file.options)
    options['datasets'] = {'train': options['datasets']['train']}
    present = torch.cuda.device_count() if options['num_gpu'] == 'auto' else options['num_gpu']
    return {**options, 'num_gpu': min(present, 1), 'is_train': True, 'dist': False, 'rank': 0, 'world_size': 1}


def _save_png(path: Path, image: Any) -> None:
    import cv2

    path.write_bytes(cv2.imencode('.png', image, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1].tobytes())
