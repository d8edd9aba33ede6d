"""Tables and plots of results, in which names of strangers stay names: in Markdown, in spreadsheets, in plots."""

import csv
import io
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic
from converse_basicsr.files.reading import Unreadable, read_text
from converse_basicsr.messages import printable

MAX_CSV_BYTES = 2**26
"""A comparison of dozens of runs has some megabytes of curves."""

_MARKUP = re.compile(r'[\\`*\[\]<>|]')


def plain(text: object) -> str:
    r"""Return a text as one line of Markdown that shows it as it is, without markup or HTML of its own.

    Example:
        >>> print(plain('<b>a|b</b>'))
        \<b\>a\|b\</b\>
    """
    return _MARKUP.sub(r'\\\g<0>', printable(text))


def cell(text: object) -> str:
    """Return a text as one cell of a table, which no spreadsheet takes for a formula.

    Example:
        >>> cell('=1+1'), cell('-0.5'), cell("'=1+1")
        ("'=1+1", '-0.5', "'=1+1")
    """
    shown = printable(text)
    return f"'{shown}" if shown[:1] in {'=', '+', '-', '@'} and not _is_number(shown) else shown


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Compose CSV, one line per row, whatever the cells hold (:func:`cell`)."""
    text = io.StringIO()
    csv.writer(text, lineterminator='\n').writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()


def read_rows(path: Path) -> list[list[str]]:
    """Read a CSV file that people and programs may have changed: one row per line, empty where a line is none.

    A last line without an end is none: a number in it may be cut off.

    Raises:
        UserError: If it is no file, or too large.
        OSError: If it cannot be read.
    """
    try:
        text = read_text(path, MAX_CSV_BYTES, errors='replace')
    except Unreadable as error:
        raise UserError(f'{path} {error}; move it away') from None
    return [_row(line) for line in text.removeprefix('\ufeff').splitlines(keepends=True)]


def _row(line: str) -> list[str]:
    try:
        return next(csv.reader([line[:-1]]), []) if line.endswith('\n') else []
    except csv.Error:  # a field longer than Python takes, for example
        return []


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Compose a Markdown table of plain texts; all columns but the first are aligned right."""
    lines = [[plain(text) for text in line] for line in (head, *rows)]
    lines.insert(1, ['---', *['---:'] * (len(head) - 1)])
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def pyplot() -> Any:
    """Import ``matplotlib.pyplot`` for files only, so that the same figures give the same file.

    Raises:
        UserError: If it is not installed.
    """
    try:
        import matplotlib
    except ImportError:
        raise UserError('plots need matplotlib: install it (pip install matplotlib)') from None
    matplotlib.use('agg')
    matplotlib.rcParams['svg.hashsalt'] = 'converse_basicsr'
    from matplotlib import pyplot

    return pyplot


def plot_text(text: object) -> str:
    """Return a text that matplotlib shows as it is: no formula between dollars, no underscore that hides a label."""
    shown = printable(text).replace('$', r'\$')
    return f' {shown}' if shown.startswith('_') else shown


def save_plot(figure: Any, path: Path) -> None:
    """Save a figure of matplotlib in the format of the path's suffix, and close it.

    Raises:
        ValueError: If matplotlib does not know the format.
        OSError: If it cannot be written; an older file of that name is kept.
    """
    path = path if path.suffix else path.with_name(f'{path.name}.png')
    picture, suffix = io.BytesIO(), path.suffix.lower()[1:]
    figure.savefig(picture, format=suffix, metadata={'Date': None} if suffix == 'svg' else None)
    pyplot().close(figure)
    atomic.write_bytes(path, picture.getvalue())
