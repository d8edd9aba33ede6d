"""``basicsr reproduce``: a whole table of the paper, measured beside published."""

import argparse
import csv
import hashlib
import platform
import sys
from collections.abc import Iterator
from pathlib import Path

from converse_basicsr import published
from converse_basicsr.errors import UserError
from converse_basicsr.option_file import read_option_file

SUMMARY = 'measure a table of the paper on the weights and test sets that are there, beside the published figures'
EXAMPLES = """\
Each row of a table is an option file of options/test/; its weights and test sets are looked for where the file says,
under the current directory. Writes results/TABLE.md, results/TABLE.csv (an image a line) and results/TABLE.png (a
picture a row and test set). Interrupted, it goes on where it stopped; a row whose weights have changed is measured
anew.

examples:
  basicsr prepare weights
  basicsr reproduce srresnet
  basicsr reproduce dncnn --rows dncnn_gray25 converse_dncnn_gray25
  basicsr reproduce usrnet --force_yml path:pretrain_network_g=my.pth --rows converse_usrnet
"""
FIELDS = ('row', 'weights', 'dataset', 'image', 'psnr', 'baseline')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr reproduce``."""
    parser.add_argument(
        'table', choices=sorted(published.TABLES), help='dncnn: denoising, srresnet: x4, usrnet: deblurring'
    )
    parser.add_argument('--rows', nargs='+', metavar='ROW', help='only these rows (names of files in options/test/)')
    parser.add_argument('--sets', nargs='+', metavar='SET', help='only these test sets')
    parser.add_argument('--output', default='results', metavar='FOLDER', help='where to write (default: results)')
    parser.add_argument(
        '--force_yml',
        nargs='+',
        default=[],
        metavar='SECTION:KEY=VALUE',
        help='override values of every option file used',
    )


def run(args: argparse.Namespace) -> int:
    """Measure, then write the table."""
    rows = published.TABLES[args.table]
    unknown = sorted(set(args.rows or ()) - set(rows))
    if unknown:
        raise UserError(f'--rows must be some of {", ".join(rows)}, got {", ".join(unknown)}')

    from converse_basicsr.register import load_plugins

    load_plugins()
    output = Path(args.output)
    record = output / f'{args.table}.csv'
    measured = read_record(record)
    missing: dict[str, None] = {}
    for row in args.rows or rows:
        for problem in measure_row(row, args, record, measured, output / args.table):
            missing[problem] = None
    for problem in missing:
        print(f'missing: {problem}', file=sys.stderr)
    if not measured:
        raise UserError('nothing was measured: no row has both its weights and a test set (see the lines above)')
    table = to_markdown(args.table, measured)
    (output / f'{args.table}.md').write_text(table, encoding='utf-8')
    print(table)
    sheet = write_contact_sheet(output / args.table, list(rows))
    print(f'written: {output / args.table}.md, {record}, {sheet} and its pictures in {output / args.table}/')
    return 0


def measure_row(
    row: str, args: argparse.Namespace, record: Path, measured: list[dict[str, str]], pictures: Path
) -> Iterator[str]:
    """Measure the images of a row that are not in the record yet; append each to it at once.

    Yields:
        What is missing, and how to get it.
    """
    from converse_basicsr import check
    from converse_basicsr.evaluate import evaluate, scored_sections
    from converse_basicsr.option_library import folder
    from converse_basicsr.report import write_picture

    option_file = read_option_file(folder() / 'test' / f'{row}.yml', args.force_yml)
    check.require_valid(option_file, is_train=False)
    sections = scored_sections(option_file)
    if args.sets:
        sections = {name: section for name, section in sections.items() if section['name'] in args.sets}
    present = {}
    for name, section in sections.items():
        absent = check.dataset_problems(option_file, name)
        if absent:
            yield absent[0]
        else:
            present[name] = section
    checkpoint = Path(option_file.options['path']['pretrain_network_g']).expanduser()
    if not checkpoint.is_file():
        yield missing_weights(row, checkpoint)
        return
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    done = {(line['dataset'], line['image']) for line in measured if (line['row'], line['weights']) == (row, digest)}
    metric = next(iter(option_file.options['val']['metrics']))
    for score in evaluate(option_file, checkpoint, present, done=done):
        baseline, psnr = score.metrics[metric]
        line = dict(zip(FIELDS, (row, digest, score.dataset, score.image, f'{psnr:.6f}', f'{baseline:.6f}')))
        measured[:] = [other for other in measured if not same_place(other, line)] + [line]
        append_record(record, line)
        print(f'{row} {score.dataset} {score.image}: {psnr:.4f} dB', flush=True)
        if not any(pictures.glob(f'{row}/{score.dataset}_*.png')):
            write_picture(score, published.TABLES[args.table][row][0], pictures / row)


def write_contact_sheet(folder: Path, rows: list[str]) -> Path:
    """Stack the pictures of a table, those of one test set together, as ``TABLE.png`` and return its path."""
    import cv2
    from basicsr.utils import imwrite

    from converse_basicsr import picture

    found = [path for row in rows for path in sorted((folder / row).glob('*.png'))]
    found.sort(key=lambda path: path.name)  # stable: within an image the rows keep their order
    sheet = folder.with_suffix('.png')
    imwrite(picture.stack([cv2.imread(str(path)) for path in found]), str(sheet))
    return sheet


def missing_weights(row: str, checkpoint: Path) -> str:
    """Say how a row's weights are got."""
    if checkpoint.name in published.WEIGHTS:
        return f'{row}: {checkpoint} does not exist; get it with: basicsr prepare weights'
    return (
        f'{row}: {checkpoint} does not exist; no weights are released, train them: basicsr train -opt options/{row}.yml'
    )


def same_place(first: dict[str, str], second: dict[str, str]) -> bool:
    """Whether two lines of the record are about one image of one row."""
    return all(first[name] == second[name] for name in ('row', 'dataset', 'image'))


def read_record(path: Path) -> list[dict[str, str]]:
    """Read what has been measured; of lines about one image the last counts, a half-written last line does not.

    Raises:
        UserError: If the file is something else.
    """
    if not path.exists():
        return []
    with open(path, newline='', encoding='utf-8') as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != FIELDS:
            raise UserError(f'{path} is no record of this command (columns {reader.fieldnames}); move it away')
        latest: dict[tuple[str, ...], dict[str, str]] = {}
        for line in reader:
            if all(line[name] for name in FIELDS) and None not in line:
                latest[line['row'], line['dataset'], line['image']] = line
    return list(latest.values())


def append_record(path: Path, line: dict[str, str]) -> None:
    """Append a line: after a header in a new file, on a line of its own where the last one was cut short."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.read_bytes() if path.exists() else b''
    with open(path, 'a', newline='', encoding='utf-8') as file:
        if before and not before.endswith(b'\n'):
            file.write('\n')
        writer = csv.DictWriter(file, FIELDS, lineterminator='\n')
        if not before:
            writer.writeheader()
        writer.writerow(line)


def to_markdown(table: str, measured: list[dict[str, str]]) -> str:
    """Write a table of means, measured beside published, in dB."""
    import torch

    rows = published.TABLES[table]
    sets = dict.fromkeys(name for _, figures in rows.values() for name in figures)
    sets.update(dict.fromkeys(line['dataset'] for line in measured))
    means: dict[tuple[str, str], str] = {}
    for row in rows:
        for name in sets:
            values = [float(line['psnr']) for line in measured if (line['row'], line['dataset']) == (row, name)]
            if values:
                means[row, name] = f'{sum(values) / len(values):.2f} ({len(values)})'
    sets = {name: None for name in sets if any((row, name) in means for row in rows)}
    lines = [
        f'PSNR in dB: measured (number of images) / published. Measured by `basicsr reproduce {table}` with torch '
        f'{torch.__version__.split("+")[0]} on {platform.machine()}; published in arXiv 2508.09824.',
        '',
        '| network | ' + ' | '.join(sets) + ' |',
        '|---|' + '---|' * len(sets),
    ]
    for row, (title, figures) in rows.items():
        cells = []
        for name in sets:
            stated = f'{figures[name]:.2f}' if name in figures else '-'
            cells.append(f'{means.get((row, name), "-")} / {stated}')
        if any(cell != '- / -' for cell in cells):
            lines.append(f'| {title} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'
