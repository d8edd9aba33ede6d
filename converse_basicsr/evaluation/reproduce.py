"""Measure a whole table of the paper and show it with the published figures."""

import platform
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from converse_basicsr.checkpoints.released import WEIGHTS
from converse_basicsr.errors import UserError
from converse_basicsr.evaluation import places, published
from converse_basicsr.evaluation.evaluate import evaluate, scored_sections, state_device
from converse_basicsr.evaluation.measurements import FIELDS, HEADER, Line, Record
from converse_basicsr.evaluation.report import content_problems, write_picture
from converse_basicsr.evaluation.tables import plain
from converse_basicsr.files import atomic
from converse_basicsr.files.digest import sha256
from converse_basicsr.messages import say, tell
from converse_basicsr.options import check
from converse_basicsr.options.file import read_option_file
from converse_basicsr.options.library import folder as folder_of_option_files

if TYPE_CHECKING:
    import torch

MARK = 'PSNR in dB: measured (number of images) / published. Measured by `basicsr reproduce'
"""Every page begins so."""


@dataclass(frozen=True)
class Reproduction:
    """What :func:`reproduce` measured and wrote.

    Attributes:
        markdown: The table.
        page: The file that holds the table.
        record: The CSV file with the score of each image.
        sheet: One picture that stacks all pictures; ``None`` where there are none.
        pictures: The folder of the pictures.
    """

    markdown: str
    page: Path
    record: Path
    sheet: Path | None
    pictures: Path


def reproduce(
    table: str,
    *,
    rows: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    output: Path = Path('results'),
    overrides: Sequence[str] = (),
    device: str | None = None,
) -> Reproduction:
    """Measure what is not measured yet, where weights and test set are present, and write the table.

    Args:
        table: Key of :data:`converse_basicsr.evaluation.published.TABLES`.
        rows: Names of rows to measure; all if not given.
        sets: Names of test sets; all if not given.
        output: Folder that receives ``TABLE.md``, ``TABLE.csv``, ``TABLE.png`` and the pictures.
        overrides: ``section:key=value``, applied to every option file used.
        device: Where the networks compute, see :func:`converse_basicsr.devices.choose`; as ``num_gpu`` of the option
            files says if None.

    Raises:
        UserError: If the device cannot be used, a row is unknown, ``TABLE.csv`` or another file of these names is
            something else, the folder cannot be written, or nothing could be measured.
    """
    known = published.TABLES[table]
    unknown = sorted(set(rows or ()) - set(known))
    if unknown:
        raise UserError(f'--rows must be some of {", ".join(known)}, got {", ".join(unknown)}')

    from converse_basicsr import devices
    from converse_basicsr.register import load_plugins

    where = None if device is None else devices.choose(device)
    load_plugins()
    pictures, page = output / table, output / f'{table}.md'
    places.require_folder(output)
    record = Record(output / f'{table}.csv')
    places.require_own({record.path: HEADER[:3], page: MARK}, [output / f'{table}.png'])
    missing: dict[str, None] = {}
    for row in rows or known:
        title, into = known[row].title, pictures / row
        for problem in _measure_row(row, title, record, into, sets=sets, overrides=overrides, device=where):
            missing[problem] = None
    for problem in missing:
        tell(f'missing: {problem}')
    if not record.lines:
        raise UserError('nothing was measured: no row has both its weights and a test set (see the lines above)')
    markdown = to_markdown(table, record.lines)
    atomic.write_text(page, markdown)
    return Reproduction(markdown, page, record.path, write_contact_sheet(pictures, list(known)), pictures)


def _measure_row(
    row: str,
    title: str,
    record: Record,
    pictures: Path,
    *,
    sets: Sequence[str] | None,
    overrides: Sequence[str],
    device: 'torch.device | None',
) -> Iterator[str]:
    """Measure the images of a row that are not in the record yet; append each to it at once.

    Yields:
        What is missing, and how to get it.
    """
    option_file = read_option_file(folder_of_option_files() / 'test' / f'{row}.yml', list(overrides))
    state_device(option_file, device)
    check.require_valid(option_file, is_train=False)
    present = []
    for name, section in scored_sections(option_file).items():
        if sets and section['name'] not in sets:
            continue
        problems = check.dataset_problems(option_file, name) or content_problems(option_file, [name])
        if problems:
            yield problems[0]
        else:
            present.append(name)
    checkpoint = Path(option_file.options['path'].get('pretrain_network_g') or '').expanduser()
    if not checkpoint.is_file():
        yield missing_weights(row, checkpoint)
        return
    digest = sha256(checkpoint)
    for score in evaluate(option_file, checkpoint, present, done=record.measured(row, digest), device=device):
        baseline, psnr = next(iter(score.metrics.values()))
        record.add(dict(zip(FIELDS, (row, digest, score.dataset, score.image, f'{psnr:.6f}', f'{baseline:.6f}'))))
        say(f'{row} {score.dataset} {score.image}: {psnr:.4f} dB')
        if not any(pictures.glob(f'{score.dataset}_*.png')):
            write_picture(score, title, pictures)


def write_contact_sheet(folder: Path, rows: Sequence[str]) -> Path | None:
    """Stack the pictures of a table, those of one test set together, as ``TABLE.png``.

    Returns:
        Its path; ``None`` if there are no pictures.
    """
    from converse_basicsr.files import images, sheet

    found = [path for row in rows for path in sorted((folder / row).glob('*.png'))]
    found.sort(key=lambda path: path.name)  # stable: within an image the rows keep their order
    pictures = []
    for path in found:
        try:
            pictures.append(images.read_image(path)[0])
        except (images.BadImage, OSError) as error:
            tell(f'note: {path} {error}; it is left out of the sheet')
    if not pictures:
        return None
    target = folder.with_suffix('.png')
    atomic.write_bytes(target, images.encode_png(sheet.stack(pictures)))
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
        f'{MARK} {table}` with torch '
        f'{torch.__version__.split("+")[0]} on {platform.machine()}; published in {published.REFERENCE}.',
        '',
        '| network | ' + ' | '.join(map(plain, sets)) + ' |',
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
