"""``basicsr report``: score a trained network beside bicubic interpolation (or the input), with pictures."""

import argparse
import csv
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from converse_basicsr.errors import UserError
from converse_basicsr.option_file import OptionFile, read_option_file

if TYPE_CHECKING:
    from converse_basicsr.evaluate import Score

SUMMARY = 'compare a trained network with bicubic interpolation, in figures and pictures'
EXAMPLES = """\
Reads the newest weights of the option file's run (or --checkpoint) and scores its validation or test sets by the file's
own metrics. Writes report.csv and one picture an image (input | bicubic | network | ground truth).

examples:
  basicsr report -opt options/demo/converse_srresnet_x4.yml
  basicsr report -opt options/demo/converse_srresnet_x4.yml --checkpoint net_g_2000.pth --output report --pictures 1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr report``."""
    parser.add_argument('-opt', required=True, metavar='FILE', help='option file of the run')
    parser.add_argument('--checkpoint', metavar='FILE', help='weights (default: net_g_latest.pth of the run)')
    parser.add_argument('--output', metavar='FOLDER', help='where to write (default: results/NAME/report)')
    parser.add_argument('--pictures', type=int, default=8, metavar='N', help='pictures a data set at most (default: 8)')


def run(args: argparse.Namespace) -> int:
    """Score, print a table, write ``report.csv`` and the pictures."""
    option_file = read_option_file(args.opt)

    from converse_basicsr import check
    from converse_basicsr.evaluate import evaluate
    from converse_basicsr.register import load_plugins

    load_plugins()
    check.require_valid(option_file, is_train='train' in option_file.options)
    name = option_file.options['name']
    checkpoint = Path(args.checkpoint or f'experiments/{name}/models/net_g_latest.pth')
    if not checkpoint.is_file():
        raise UserError(
            f'{checkpoint} does not exist; train first (basicsr train -opt {args.opt}) or give --checkpoint'
        )
    output = Path(args.output or f'results/{name}/report')

    scores: list[Score] = []
    for score in evaluate(option_file, checkpoint, present_sections(option_file)):
        scores.append(score)
        if sum(other.dataset == score.dataset for other in scores) <= args.pictures:
            write_picture(score, option_file.options['network_g']['type'], output)
    scores.sort(key=lambda score: (score.dataset, score.image))  # BasicSR reads folders in the file system's order
    print_table(scores)
    write_csv(scores, output / 'report.csv')
    print(f'\nfigures and pictures are in {output}')
    return 0


def present_sections(option_file: OptionFile) -> list[str]:
    """Return the validation and test sections whose data are there, naming the others on standard error.

    Raises:
        UserError: If none is there.
    """
    from converse_basicsr.check import dataset_problems
    from converse_basicsr.evaluate import scored_sections

    present = []
    for name in scored_sections(option_file):
        problems = dataset_problems(option_file, name)
        if problems:
            print(f'skipping: {problems[0]}', file=sys.stderr)
        else:
            present.append(name)
    if not present:
        raise UserError(f'{option_file.where("datasets")}: no validation or test set is there')
    return present


def write_picture(score: 'Score', network: str, folder: Path) -> Path:
    """Write the comparison of one image as ``DATASET_IMAGE.png`` and return its path."""
    from basicsr.utils import imwrite

    from converse_basicsr import picture

    path = folder / f'{score.dataset}_{score.image}.png'
    imwrite(picture.compare(score.panels(network)), str(path))
    return path


def print_table(scores: list['Score']) -> None:
    """Print the scores an image and the mean of each data set."""
    width = max(len(f'{score.dataset} {score.image}') for score in scores)
    print(f'\n{"":<{width}}  metric    baseline  network     gain')
    for dataset in dict.fromkeys(score.dataset for score in scores):
        of_set = [score for score in scores if score.dataset == dataset]
        for metric in of_set[0].metrics:
            lines = [(f'{dataset} {score.image}', score.metrics[metric]) for score in of_set]
            means = tuple(sum(pair[side] for _, pair in lines) / len(lines) for side in (0, 1))
            for label, (baseline, result) in [*lines, (f'{dataset} mean', means)]:
                print(f'{label:<{width}}  {metric:<8} {baseline:9.4f} {result:8.4f} {result - baseline:+8.4f}')


def write_csv(scores: list['Score'], path: Path) -> None:
    """Write one line an image and metric."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['dataset', 'image', 'metric', 'baseline', 'network'])
        for score in scores:
            for metric, (baseline, result) in score.metrics.items():
                writer.writerow([score.dataset, score.image, metric, f'{baseline:.6f}', f'{result:.6f}'])
