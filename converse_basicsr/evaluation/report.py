"""Score the network of one run beside bicubic interpolation (or the input), with pictures."""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.evaluation import places
from converse_basicsr.evaluation.evaluate import Score, evaluate, latest_weights, scored_sections, state_device
from converse_basicsr.evaluation.tables import csv_text
from converse_basicsr.files import atomic
from converse_basicsr.messages import printable, tell
from converse_basicsr.options import check
from converse_basicsr.options.check.data_sets import content_findings
from converse_basicsr.options.file import OptionFile

HEADER = csv_text([('dataset', 'image', 'metric', 'baseline', 'network')])


@dataclass(frozen=True)
class Report:
    """What :func:`report` measured and wrote.

    Attributes:
        scores: One per image, sorted by test set and image.
        folder: Holds ``report.csv`` and the pictures.
    """

    scores: list[Score]
    folder: Path


def report(
    option_file: OptionFile,
    *,
    checkpoint: Path | None = None,
    output: Path | None = None,
    pictures: int = 8,
    device: str | None = None,
) -> Report:
    """Score a network on those test sets of its option file that are there.

    Args:
        option_file: The option file of the run.
        checkpoint: Weights; the newest ``net_g_latest`` of the run if not given.
        output: Folder that receives ``report.csv`` and the pictures; ``results/NAME/report`` if not given.
        pictures: Largest number of pictures per test set.
        device: Where the network computes, see :func:`converse_basicsr.devices.choose`; as ``num_gpu`` of the option
            file says if None.

    Raises:
        UserError: If the device cannot be used, the options or the data cannot work, the weights or all test sets are
            absent, or the folder cannot be written or holds what no report has written.
    """
    from converse_basicsr import devices
    from converse_basicsr.register import load_plugins

    where = None if device is None else devices.choose(device)
    state_device(option_file, where)
    load_plugins()
    check.require_valid(option_file, is_train='train' in option_file.options)
    name = option_file.options['name']
    checkpoint = checkpoint or latest_weights(name)
    output = output or Path('results', name, 'report')
    table = output / 'report.csv'
    if not checkpoint.is_file():
        raise UserError(
            f'{checkpoint} does not exist; train first (basicsr train -opt {option_file.path}) or give --checkpoint'
        )
    places.require_folder(output)
    places.require_own({table: HEADER.strip()})
    sections = present_sections(option_file)
    problems = content_problems(option_file, sections)
    if problems:
        raise UserError(*problems)
    scores: list[Score] = []
    written: set[Path] = set()
    was_here = table.exists()  # it says that the pictures beside it are a report's
    for score in evaluate(option_file, checkpoint, sections, device=where):
        scores.append(score)
        if sum(other.dataset == score.dataset for other in scores) <= pictures:
            if not was_here:
                places.require_own({}, {picture_path(score, output)} - written)
                if not written:  # should this one not get further
                    write_csv([], table)
            written.add(write_picture(score, score.network, output))
    scores.sort(key=lambda score: (score.dataset, score.image))  # BasicSR reads folders in the file system's order
    write_csv(scores, table)
    return Report(scores, output)


def present_sections(option_file: OptionFile) -> list[str]:
    """Return the validation and test sections whose data are there, naming the others on standard error.

    Raises:
        UserError: If none is there.
    """
    present = []
    for name in scored_sections(option_file):
        problems = check.dataset_problems(option_file, name)
        if problems:
            tell(f'skipping: {problems[0]}')
        else:
            present.append(name)
    if not present:
        raise UserError(f'{option_file.where("datasets")}: no validation or test set is there')
    return present


def content_problems(option_file: OptionFile, names: Iterable[str]) -> list[str]:
    """Look into the data of sections that are there; print notes and return one line for each problem."""
    findings, _ = content_findings(option_file.options, names)
    tell(*(f'note: {note.line(option_file)}' for note in findings.notes))
    return [problem.line(option_file) for problem in findings.problems]


def picture_path(score: Score, folder: Path) -> Path:
    """Return the path of an image's picture: ``DATASET_IMAGE.png``, shortened where no file can be called so."""
    name = printable(f'{score.dataset}_{score.image}').replace('/', '_')
    if len(os.fsencode(name)) > places.MAX_NAME_BYTES:
        digest = hashlib.sha256(name.encode()).hexdigest()[:12]
        name = f'{os.fsencode(name)[: places.MAX_NAME_BYTES].decode("utf-8", "ignore")}-{digest}'
    return folder / f'{name}.png'


def write_picture(score: Score, network: str, folder: Path) -> Path:
    """Write the comparison of one image as ``DATASET_IMAGE.png`` and return its path.

    Args:
        score: The image.
        network: What the caption calls the network.
        folder: Receives the picture.
    """
    from converse_basicsr.files import images, sheet

    folder.mkdir(parents=True, exist_ok=True)
    path = picture_path(score, folder)
    atomic.write_bytes(path, images.encode_png(sheet.compare(score.panels(network))))
    return path


def score_table(scores: list[Score]) -> str:
    """Compose a table in plain text of the scores of each image and the mean of each test set."""
    width = max(len(printable(f'{score.dataset} {score.image}')) for score in scores)
    lines = [f'{"":<{width}}  metric    baseline  network     gain']
    for dataset in dict.fromkeys(score.dataset for score in scores):
        of_set = [score for score in scores if score.dataset == dataset]
        for metric in of_set[0].metrics:
            rows = [(f'{dataset} {score.image}', score.metrics[metric]) for score in of_set]
            baselines, results = zip(*(pair for _, pair in rows))
            means = (sum(baselines) / len(rows), sum(results) / len(rows))
            for label, (baseline, result) in [*rows, (f'{dataset} mean', means)]:
                figures = f'{printable(metric):<8} {baseline:9.4f} {result:8.4f} {result - baseline:+8.4f}'
                lines.append(f'{printable(label):<{width}}  {figures}')
    return '\n'.join(lines)


def write_csv(scores: list[Score], path: Path) -> None:
    """Write one line per image and metric."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = (
        (score.dataset, score.image, metric, f'{baseline:.6f}', f'{result:.6f}')
        for score in scores
        for metric, (baseline, result) in score.metrics.items()
    )
    atomic.write_text(path, HEADER + csv_text(rows))
