"""Measure a whole table of the paper and show it with the published figures."""

import hashlib
import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from converse_basicsr.checkpoints.released import WEIGHTS
from converse_basicsr.errors import UserError
from converse_basicsr.evaluation import published
from converse_basicsr.evaluation.evaluate import evaluate, scored_sections
from converse_basicsr.evaluation.measurements import FIELDS, Line, Record
from converse_basicsr.evaluation.report import write_picture
from converse_basicsr.messages import say, tell
from converse_basicsr.options import check
from converse_basicsr.options.file import read_option_file
from converse_basicsr.options.library import folder as folder_of_option_files


@dataclass(frozen=True)
class Reproduction:
    """What :func:`reproduce` measured and wrote.

    Attributes:
        markdown: The table.
        page: The file that holds the table.
        record: The CSV file with the score of each image.
        sheet: One picture that stacks all pictures.
        pictures: The folder of the pictures.
    """

    markdown: str
    page: Path
    record: Path
    sheet: Path
    pictures: Path


def reproduce(
    table: str,
    *,
    rows: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    output: Path = Path('results'),
    overrides: Sequence[str] = (),
) -> Reproduction:
    """Measure what is not measured yet, where weights and test set are present, and write the table.

    Args:
        table: Key of :data:`converse_basicsr.evaluation.published.TABLES`.
        rows: Names of rows to measure; all if not given.
        sets: Names of test sets; all if not given.
        output: Folder that receives ``TABLE.md``, ``TABLE.csv``, ``TABLE.png`` and the pictures.
        overrides: ``section:key=value``, applied to every option file used.

    Raises:
        UserError: If a row is unknown, ``TABLE.csv`` is something else, or nothing could be measured.
    """
    known = published.TABLES[table]
    unknown = sorted(set(rows or ()) - set(known))
    if unknown:
        raise UserError(f'--rows must be some of {", ".join(known)}, got {", ".join(unknown)}')

    from converse_basicsr.register import load_plugins

    load_plugins()
    pictures, page = output / table, output / f'{table}.md'
    record = Record(output / f'{table}.csv')
    missing: dict[str, None] = {}
    for row in rows or known:
        for problem in _measure_row(row, known[row].title, record, pictures / row, sets=sets, overrides=overrides):
            missing[problem] = None
    for problem in missing:
        tell(f'missing: {problem}')
    if not record.lines:
        raise UserError('nothing was measured: no row has both its weights and a test set (see the lines above)')
    markdown = to_markdown(table, record.lines)
    page.write_text(markdown, encoding='utf-8')
    return Reproduction(markdown, page, record.path, write_contact_sheet(pictures, list(known)), pictures)


def _measure_row(
    row: str,
    title: str,
    record: Record,
    pictures: Path,
    *,
    sets: Sequence[str] | None,
    overrides: Sequence[str],
) -> Iterator[str]:
    """Measure the images of a row that are not in the record yet; append each to it at once.

    Yields:
        What is missing, and how to get it.
    """
    option_file = read_option_file(folder_of_option_files() / 'test' / f'{row}.yml', list(overrides))
    check.require_valid(option_file, is_train=False)
    present = []
    for name, section in scored_sections(option_file).items():
        if sets and section['name'] not in sets:
            continue
        absent = check.dataset_problems(option_file, name)
        if absent:
            yield absent[0]
        else:
            present.append(name)
    checkpoint = Path(option_file.options['path']['pretrain_network_g']).expanduser()
    if not checkpoint.is_file():
        yield missing_weights(row, checkpoint)
        return
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    done = {
        (line['dataset'], line['image']) for line in record.lines if (line['row'], line['weights']) == (row, digest)
    }
    metric = next(iter(option_file.options['val']['metrics']))
    for score in evaluate(option_file, checkpoint, present, done=done):
        baseline, psnr = score.metrics[metric]
        record.add(dict(zip(FIELDS, (row, digest, score.dataset, score.image, f'{psnr:.6f}', f'{baseline:.6f}'))))
        say(f'{row} {score.dataset} {score.image}: {psnr:.4f} dB')
        if not any(pictures.glob(f'{score.dataset}_*.png')):
            write_picture(score, title, pictures)


def write_contact_sheet(folder: Path, rows: Sequence[str]) -> Path:
    """Stack the pictures of a table, those of one test set together, as ``TABLE.png`` and return its path."""
    from basicsr.utils import imwrite

    from converse_basicsr.files import images, sheet

    found = [path for row in rows for path in sorted((folder / row).glob('*.png'))]
    found.sort(key=lambda path: path.name)  # stable: within an image the rows keep their order
    target = folder.with_suffix('.png')
    imwrite(sheet.stack([images.decode(path.read_bytes()) for path in found]), str(target))
    return target


def missing_weights(row: str, checkpoint: Path) -> str:
    """Say how to get the weights of a row."""
    if checkpoint.name in WEIGHTS:
        return f'{row}: {checkpoint} does not exist; get it with: basicsr prepare weights'
    return (
        f'{row}: {checkpoint} does not exist; no weights are released, train them: basicsr train -opt options/{row}.yml'
    )


def to_markdown(table: str, measured: Sequence[Line]) -> str:
    """Write a table of means, measured beside published, in dB."""
    import torch

    rows = published.TABLES[table]
    sets = dict.fromkeys(name for row in rows.values() for name in row.psnr)
    sets.update(dict.fromkeys(line['dataset'] for line in measured))
    means: dict[tuple[str, str], str] = {}
    for name in rows:
        for test_set in sets:
            values = [float(line['psnr']) for line in measured if (line['row'], line['dataset']) == (name, test_set)]
            if values:
                means[name, test_set] = f'{sum(values) / len(values):.2f} ({len(values)})'
    sets = {test_set: None for test_set in sets if any((name, test_set) in means for name in rows)}
    lines = [
        f'PSNR in dB: measured (number of images) / published. Measured by `basicsr reproduce {table}` with torch '
        f'{torch.__version__.split("+")[0]} on {platform.machine()}; published in {published.REFERENCE}.',
        '',
        '| network | ' + ' | '.join(sets) + ' |',
        '|---|' + '---|' * len(sets),
    ]
    for name, row in rows.items():
        cells = []
        for test_set in sets:
            stated = f'{row.psnr[test_set]:.2f}' if test_set in row.psnr else '-'
            cells.append(f'{means.get((name, test_set), "-")} / {stated}')
        if any(cell != '- / -' for cell in cells):
            lines.append(f'| {row.title} | ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines) + '\n'
