"""What a data set was made of: the JSON file beside it, and how two of them differ."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic, reading

MAX_BYTES = 2**28
"""Size of a record or journal: a million images have about a third of it."""

Parameters = dict[str, Any]
"""What the result depends on besides the images, as JSON values."""


@dataclass(frozen=True)
class Record:
    """What a data set was made from, and how; the content of ``OUTPUT/NAME.json``.

    Attributes:
        parameters: Everything besides the images that the result depends on.
        members: The LMDBs and folders, relative to the output folder, with their numbers of images.
        files: Other files of the data set, relative to the output folder.
        sources: The images it was made from: file name and fingerprint.
        left_out: Those of them that could not be used, with the reason.
        notes: What was done to some images, with their names.
        ignored: Files of the input folder that are no images.
    """

    parameters: Parameters
    members: dict[str, int] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)
    notes: dict[str, list[str]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, path: Path) -> 'Record':
        """Read a record, also of an earlier version that knew fewer fields.

        Raises:
            UserError: If it is no record, or one whose content is not of the kinds that :meth:`write` writes.
            OSError: If it cannot be read.
        """
        try:
            content = json.loads(reading.read_text(path, MAX_BYTES))
            known = {name: content[name] for name in (part.name for part in fields(cls)) if name in content}
            if not all(is_of(value, _KINDS[name]) for name, value in known.items()):
                raise TypeError
            return cls(**known)
        except (ValueError, TypeError, RecursionError) as error:
            raise UserError(
                f'{path} is damaged: delete it and repeat the command with --overwrite, or choose another --output if '
                'it is no record of this command'
            ) from error

    @property
    def parts(self) -> set[str]:
        """The names of its members and files, which for a record of a stranger may be anything."""
        return {*self.members, *self.files}

    def write(self, path: Path) -> None:
        """Write the record, whole or not at all."""
        atomic.write_bytes(path, json.dumps(asdict(self), indent=1).encode('utf-8'))


@dataclass(frozen=True)
class Prepared:
    """A finished data set.

    Attributes:
        output: Its folder.
        record: What was made from what.
        is_new: Whether it was made now; otherwise it was complete already, and nothing was done.
    """

    output: Path
    record: Record
    is_new: bool


Kind = type | tuple[type, Any]
"""A class of JSON values, or one with the kind of what its values hold."""

_KINDS: dict[str, Kind] = {
    'parameters': dict,
    'members': (dict, int),
    'files': (list, str),
    'sources': (dict, str),
    'left_out': (dict, str),
    'notes': (dict, (list, str)),
    'ignored': (list, str),
}


def is_of(value: Any, kind: Kind) -> bool:
    """Say whether a value that JSON gave is of a kind.

    Example:
        >>> is_of({'a': [1, 2]}, (dict, (list, int))), is_of({'a': [1, '2']}, (dict, (list, int)))
        (True, False)
    """
    if isinstance(kind, type):
        return type(value) is kind
    outer, inner = kind
    content: Any = value.values() if isinstance(value, dict) else value
    return type(value) is outer and all(is_of(one, inner) for one in content)


def parameter_difference(old: Parameters, new: Parameters) -> str:
    """Say in words which parameters differ; empty where none does."""
    changed = [
        f'{name} {json.dumps(old.get(name))} there, {json.dumps(new.get(name))} now'
        for name in sorted({*old, *new})
        if old.get(name) != new.get(name)
    ]
    return f'with other parameters ({"; ".join(changed)})' if changed else ''


def source_difference(old: Mapping[str, str], new: Mapping[str, str]) -> str:
    """Say in words which images differ, given names and fingerprints; empty where none does."""
    for names, text in (
        (old.keys() - new.keys(), 'images are gone'),
        (new.keys() - old.keys(), 'images are new'),
        ({name for name in old.keys() & new.keys() if old[name] != new[name]}, 'images have changed'),
    ):
        if names:
            return f'{len(names)} of its {text} since (the first is {min(names)})'
    return ''
