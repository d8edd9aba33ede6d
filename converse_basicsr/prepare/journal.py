"""The journal of unfinished work: one line per image whose results are on the disk."""

import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.files.lmdb_folder import Shape
from converse_basicsr.prepare.tasks import Outcome, Task


@dataclass(frozen=True)
class Line:
    """What was made of one image.

    Attributes:
        name: File name of the image.
        fingerprint: Changes when the file does.
        entries: For each member of the data set the keys written there, each followed by height, width and channels.
        notes: For the report.
    """

    name: str
    fingerprint: str
    entries: dict[str, list[tuple[str, int, int, int]]]
    notes: list[str]

    @classmethod
    def of(cls, task: Task, outcome: Outcome) -> 'Line':
        """Describe the outcome of a task."""
        entries: dict[str, list[tuple[str, int, int, int]]] = {}
        for entry in outcome.entries:
            entries.setdefault(entry.member, []).append((entry.key, *entry.shape))
        return cls(task.source.path.name, task.source.fingerprint, entries, outcome.notes)

    def shapes(self, member: str) -> dict[str, Shape]:
        """Return the keys written to a member, with their shapes."""
        return {key: (height, width, channels) for key, height, width, channels in self.entries.get(member, ())}


def read(path: Path) -> dict[str, Line]:
    """Read a journal, and cut off a last line that a kill left half-written.

    Returns:
        The lines by image name; none where there is no journal.

    Raises:
        UserError: If another line is damaged.
    """
    if not path.exists():
        return {}
    data = path.read_bytes()
    whole = data[: data.rfind(b'\n') + 1]
    if len(whole) < len(data):
        with path.open('r+b') as file:
            file.truncate(len(whole))
    try:
        lines = [Line(**json.loads(line)) for line in whole.splitlines()]
    except (ValueError, TypeError) as error:
        raise UserError(f'{path} is damaged: delete its folder and repeat the command') from error
    return {line.name: line for line in lines}


def append(path: Path, lines: Iterable[Line]) -> None:
    """Add lines to a journal; they are on the disk when this returns.

    Raises:
        OSError: If writing fails.
    """
    with path.open('a', encoding='utf-8') as file:
        file.writelines(json.dumps(asdict(line)) + '\n' for line in lines)
        file.flush()
        os.fsync(file.fileno())


def notes(lines: Iterable[Line]) -> dict[str, list[str]]:
    """Collect the notes, each with the sorted names of its images."""
    found: dict[str, list[str]] = {}
    for line in sorted(lines, key=lambda line: line.name):
        for note in line.notes:
            found.setdefault(note, []).append(line.name)
    return found
