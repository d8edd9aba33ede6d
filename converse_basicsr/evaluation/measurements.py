"""The record of what has been measured: a CSV file to which one line per image is added as soon as it is measured."""

import math
from collections.abc import Container
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.evaluation.tables import cell, csv_text, read_rows
from converse_basicsr.files import atomic

FIELDS = ('row', 'weights', 'dataset', 'image', 'psnr', 'baseline')
HEADER = csv_text([FIELDS])

Line = dict[str, str]


class Measured(frozenset[tuple[str, str]]):
    """Pairs of data set and image, found by their names as they are outside of the record."""

    def __contains__(self, pair: object) -> bool:
        return isinstance(pair, tuple) and super().__contains__(tuple(cell(name) for name in pair))


class Record:
    """The scores of the images of a table, in memory and in their file.

    Where several lines are about the same image of the same row, the last one counts. What is no measurement (a line
    that a kill cut off, or that something else has damaged) is ignored, so that the image is measured again.

    Args:
        path: The file, which need not exist.

    Raises:
        UserError: If the file is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[tuple[str, ...], Line] = {}
        rows = read_rows(path) if path.exists() else []
        if rows and tuple(rows[0]) != FIELDS and not self._is_begun():
            raise UserError(f'{path} is no record of this command (columns {rows[0]}); move it away')
        for row in rows[1:]:
            if len(row) == len(FIELDS) and all(row) and all(map(_is_score, row[-2:])):
                self._keep(dict(zip(FIELDS, map(cell, row))))

    @property
    def lines(self) -> list[Line]:
        """The lines that count, as dicts with the keys :data:`FIELDS`."""
        return list(self._lines.values())

    def measured(self, row: str, weights: str) -> Container[tuple[str, str]]:
        """Return the pairs of data set and image that are measured of a row with these weights."""
        of_row = (line for line in self.lines if (line['row'], line['weights']) == (row, weights))
        return Measured((line['dataset'], line['image']) for line in of_row)

    def add(self, line: Line) -> None:
        """Add a line, also to the file: below a header in a new file, and never in the same line as a truncated one."""
        line = {name: cell(line[name]) for name in FIELDS}
        self._keep(line)
        text = csv_text([line.values()])
        if not self.path.exists() or self._is_begun():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            atomic.write_text(self.path, HEADER + text)
            return
        with open(self.path, 'rb') as file:
            file.seek(-1, 2)
            is_cut_off = file.read() != b'\n'
        atomic.append(self.path, f'\n{text}' if is_cut_off else text)

    def _is_begun(self) -> bool:
        """Say whether a kill has left no more than a part of the header."""
        return self.path.stat().st_size < len(HEADER) and HEADER.encode().startswith(self.path.read_bytes())

    def _keep(self, line: Line) -> None:
        self._lines[line['row'], line['dataset'], line['image']] = line


def _is_score(text: str) -> bool:
    try:
        return float(text) > -math.inf  # not for nan
    except ValueError:
        return False
