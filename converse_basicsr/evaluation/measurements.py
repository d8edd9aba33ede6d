"""The record of what has been measured: a CSV file to which one line per image is added as soon as it is measured."""

import csv
from pathlib import Path

from converse_basicsr.errors import UserError

FIELDS = ('row', 'weights', 'dataset', 'image', 'psnr', 'baseline')

Line = dict[str, str]


class Record:
    """The scores of the images of a table, in memory and in their file.

    Where several lines are about the same image of the same row, the last one counts. A truncated last line is ignored.

    Args:
        path: The file, which need not exist.

    Raises:
        UserError: If the file is something else.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines: dict[tuple[str, ...], Line] = {}
        if not path.exists():
            return
        with open(path, newline='', encoding='utf-8') as file:
            reader = csv.DictReader(file)
            if tuple(reader.fieldnames or ()) != FIELDS:
                raise UserError(f'{path} is no record of this command (columns {reader.fieldnames}); move it away')
            for line in reader:
                if all(line[name] for name in FIELDS) and None not in line:
                    self._keep(line)

    @property
    def lines(self) -> list[Line]:
        """The lines that count, as dicts with the keys :data:`FIELDS`."""
        return list(self._lines.values())

    def add(self, line: Line) -> None:
        """Add a line, also to the file: below a header in a new file, and never in the same line as a truncated one."""
        self._keep(line)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        before = self.path.read_bytes() if self.path.exists() else b''
        with open(self.path, 'a', newline='', encoding='utf-8') as file:
            if before and not before.endswith(b'\n'):
                file.write('\n')
            writer = csv.DictWriter(file, FIELDS, lineterminator='\n')
            if not before:
                writer.writeheader()
            writer.writerow(line)

    def _keep(self, line: Line) -> None:
        self._lines[line['row'], line['dataset'], line['image']] = line
