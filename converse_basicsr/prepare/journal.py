"""The journal of unfinished work: one line per image whose results are on the disk."""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from converse_basicsr.files import atomic, reading
from converse_basicsr.files.lmdb_folder import Shape
from converse_basicsr.prepare.job import Job
from converse_basicsr.prepare.record import MAX_BYTES, is_of
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

    @classmethod
    def parse(cls, content: Any) -> 'Line':
        """Read a line from what JSON gave.

        Raises:
            TypeError: If a field is missing, unknown, or of another type.
        """
        line = cls(**content)
        named = (line.name, line.fingerprint)
        listed = is_of(line.entries, (dict, (list, list))) and is_of(line.notes, (list, str))
        if not (listed and all(type(text) is str for text in named)):
            raise TypeError
        if any([*map(type, entry)] != [str, int, int, int] for entries in line.entries.values() for entry in entries):
            raise TypeError
        return line

    def shapes(self, member: str) -> dict[str, Shape]:
        """Return the keys written to a member, with their shapes."""
        return {key: (height, width, channels) for key, height, width, channels in self.entries.get(member, ())}


def read(path: Path) -> dict[str, Line]:
    """Read a journal; a last line that a kill left half-written is cut off.

    Returns:
        The lines by image name; none where there is no journal.

    Raises:
        ValueError: If another line is damaged.
        OSError: If it cannot be read or cut.
    """
    if not path.exists():
        return {}
    data = reading.read_bytes(path, MAX_BYTES)
    whole = data[: data.rfind(b'\n') + 1]
    if len(whole) < len(data):
        atomic.write_bytes(path, whole)
    try:
        lines = [Line.parse(json.loads(line)) for line in whole.splitlines()]
    except (ValueError, TypeError, RecursionError) as error:
        raise ValueError(f'{path.name} has a damaged line') from error
    return {line.name: line for line in lines}


def check(lines: Iterable[Line], job: Job) -> None:
    """Check that a journal gives to each image the keys that the job gives to it.

    Raises:
        ValueError: If it does not: it is no journal of this job.
    """
    keys = {task.source.path.name: re.escape(task.source.key) for task in job.tasks}
    for line in lines:
        pattern = re.compile(keys[line.name] + r'(_s\d+)?') if line.name in keys else None
        for member, entries in line.entries.items():
            if not pattern or member not in job.members or not all(pattern.fullmatch(key) for key, *_ in entries):
                raise ValueError(f'journal.jsonl has entries of {line.name} that this command does not make')


def append(path: Path, lines: Iterable[Line]) -> None:
    """Add lines to a journal; they are on the disk when this returns.

    Raises:
        OSError: If writing fails.
    """
    atomic.append(path, ''.join(json.dumps(asdict(line)) + '\n' for line in lines))


def notes(lines: Iterable[Line]) -> dict[str, list[str]]:
    """Collect the notes, each with the sorted names of its images."""
    found: dict[str, list[str]] = {}
    for line in sorted(lines, key=lambda line: line.name):
        for note in line.notes:
            found.setdefault(note, []).append(line.name)
    return found
