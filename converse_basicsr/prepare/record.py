"""What a data set was made of: the JSON file beside it, and how two of them differ."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic

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
            UserError: If it is damaged.
        """
        try:
            content = json.loads(path.read_text(encoding='utf-8'))
            return cls(**{name: content[name] for name in (part.name for part in fields(cls)) if name in content})
        except (ValueError, TypeError) as error:
            raise UserError(f'{path} is damaged: delete it and repeat the command with --overwrite') from error

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
