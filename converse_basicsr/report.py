"""``basicsr report``: score a trained network beside doing nothing clever (bicubic, or the input), with pictures."""

import argparse
import csv
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converse_basicsr.errors import UserError
from converse_basicsr.option_file import OptionFile, read_option_file

if TYPE_CHECKING:
    import numpy as np

SUMMARY = 'compare a trained network with bicubic interpolation, in figures and pictures'
EXAMPLES = """\
Reads the newest weights of the option file's run (or --checkpoint) and scores its validation or test sets by the file's
own metrics. Writes report.csv and one picture an image (input | bicubic | network | ground truth).

examples:
  basicsr report -opt options/demo/converse_srresnet_x4.yml
  basicsr report -opt options/demo/converse_srresnet_x4.yml --checkpoint net_g_2000.pth --output report --pictures 1
"""


@dataclass
class Row:
    """One image's scores, metric name to (baseline, network)."""

    dataset: str
    image: str
    scores: dict[str, tuple[float, float]]


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
    from converse_basicsr.register import load_plugins

    load_plugins()
    problems = check.structure_problems(option_file, is_train='train' in option_file.options)
    if not problems:
        problems = check.name_problems(option_file) + check.device_problems(option_file)
    if problems:
        raise UserError('\n'.join(problems))
    name = option_file.options['name']
    checkpoint = Path(args.checkpoint or f'experiments/{name}/models/net_g_latest.pth')
    if not checkpoint.is_file():
        raise UserError(
            f'{checkpoint} does not exist; train first (basicsr train -opt {args.opt}) or give --checkpoint'
        )
    output = Path(args.output or f'results/{name}/report')
    rows = score(option_file, checkpoint, output, max_pictures=args.pictures)
    rows.sort(key=lambda row: (row.dataset, row.image))  # BasicSR reads folders in the file system's order
    print_table(rows)
    write_csv(rows, output / 'report.csv')
    print(f'\nfigures and pictures are in {output}')
    return 0


def score(option_file: OptionFile, checkpoint: Path, output: Path, *, max_pictures: int) -> list[Row]:
    """Run the network over the validation and test sets of an option file.

    Args:
        option_file: Its sections ``datasets``, ``network_g`` and ``val:metrics`` are used.
        checkpoint: Weights; ``params_ema`` is taken where present.
        output: Folder for the pictures.
        max_pictures: Pictures a data set at most.

    Returns:
        A row an image.

    Raises:
        UserError: If there is no data set to score, or the weights do not fit.
    """
    import torch
    from basicsr.data import build_dataloader, build_dataset
    from basicsr.metrics import calculate_metric
    from basicsr.models import build_model
    from basicsr.utils import imwrite, tensor2img

    from converse_basicsr import picture
    from converse_basicsr.check import dataset_problems

    options = option_file.options
    metrics = (options.get('val') or {}).get('metrics')
    if not metrics:
        raise UserError(f'{option_file.where("val", "metrics")}: a report needs at least one metric')
    sets = {
        name: dict(section) for name, section in options['datasets'].items() if name.split('_')[0] in ('val', 'test')
    }
    present = {name: section for name, section in sets.items() if not dataset_problems(option_file, name)}
    for name in sets.keys() - present.keys():
        print(f'skipping: {dataset_problems(option_file, name)[0]}', file=sys.stderr)
    if not present:
        raise UserError(f'{option_file.where("datasets")}: no validation or test set is there')

    num_gpu = torch.cuda.device_count() if options['num_gpu'] == 'auto' else options['num_gpu']
    scale = options.get('scale', 1)
    path = {**options['path'], 'pretrain_network_g': str(checkpoint), 'param_key_g': 'params_ema'}
    common = {'is_train': False, 'dist': False, 'rank': 0, 'world_size': 1, 'num_gpu': min(num_gpu, 1), 'path': path}
    model = build_model({**options, **common})

    rows = []
    for name, section in present.items():
        dataset = build_dataset({**section, 'phase': name.split('_')[0], 'scale': scale})
        for number, sample in enumerate(build_dataloader(dataset, dataset.opt, num_gpu=common['num_gpu'])):
            model.feed_data(sample)
            model.test()
            shown = model.get_current_visuals()
            lq, result, gt = (tensor2img([shown[key].clone()]) for key in ('lq', 'result', 'gt'))
            baseline = upsample(sample['lq'], result)
            scores = {
                metric: tuple(float(calculate_metric({'img': i, 'img2': gt}, how)) for i in (baseline, result))
                for metric, how in metrics.items()
            }
            image = Path(sample['lq_path'][0]).stem
            rows.append(Row(section['name'], image, scores))
            if number < max_pictures:
                panels = caption_panels(
                    lq, baseline, result, gt, rows[-1], type(model.get_bare_model(model.net_g)).__name__
                )
                imwrite(picture.compare(panels), str(output / f'{section["name"]}_{image}.png'))
    return rows


def upsample(lq: Any, result: 'np.ndarray') -> 'np.ndarray':
    """Enlarge the input to the result's size by MATLAB-style bicubic interpolation, as an 8-bit image.

    Args:
        lq: Input tensor, :math:`(1, C, H, W)`.
        result: The network's output, whose size is a multiple of the input's.
    """
    from basicsr.utils import tensor2img
    from basicsr.utils.matlab_functions import imresize

    scale = result.shape[0] / lq.shape[-2]
    return tensor2img([imresize(lq[0].float().cpu(), scale) if scale != 1 else lq[0].clone()])


def caption_panels(
    lq: 'np.ndarray', baseline: 'np.ndarray', result: 'np.ndarray', gt: 'np.ndarray', row: Row, network: str
) -> list[tuple[str, 'np.ndarray']]:
    """Pair the images of one sample with captions that hold the first metric."""
    import cv2

    metric, (of_baseline, of_result) = next(iter(row.scores.items()))
    size = gt.shape[1::-1]
    panels = [(f'{network}\n{metric} {of_result:.2f}', result), ('ground truth', gt)]
    if lq.shape == gt.shape:
        return [(f'input\n{metric} {of_baseline:.2f}', lq), *panels]
    enlarged = cv2.resize(lq, size, interpolation=cv2.INTER_NEAREST)
    return [('input', enlarged), (f'bicubic\n{metric} {of_baseline:.2f}', baseline), *panels]


def print_table(rows: list[Row]) -> None:
    """Print the scores an image and the mean of each data set."""
    width = max(len(f'{row.dataset} {row.image}') for row in rows)
    print(f'\n{"":<{width}}  metric    baseline  network     gain')
    for dataset in dict.fromkeys(row.dataset for row in rows):
        of_set = [row for row in rows if row.dataset == dataset]
        for metric in of_set[0].scores:
            lines = [(f'{dataset} {row.image}', row.scores[metric]) for row in of_set]
            means = tuple(sum(pair[side] for _, pair in lines) / len(lines) for side in (0, 1))
            for label, (baseline, result) in [*lines, (f'{dataset} mean', means)]:
                print(f'{label:<{width}}  {metric:<8} {baseline:9.4f} {result:8.4f} {result - baseline:+8.4f}')


def write_csv(rows: list[Row], path: Path) -> None:
    """Write one line an image and metric."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.writer(file)
        writer.writerow(['dataset', 'image', 'metric', 'baseline', 'network'])
        for row in rows:
            for metric, (baseline, result) in row.scores.items():
                writer.writerow([row.dataset, row.image, metric, f'{baseline:.6f}', f'{result:.6f}'])
