"""A data set that is to be made: its members, and the tasks that make them."""

import re
from dataclasses import dataclass, field
from pathlib import Path

from converse_basicsr.prepare.record import Parameters
from converse_basicsr.prepare.tasks import Task


@dataclass(frozen=True)
class Job:
    """A data set to be made by :func:`converse_basicsr.prepare.runner.run_job`.

    Attributes:
        output: Folder that gets the members.
        name: Name of the record in it; jobs of different names share an output folder.
        parameters: Everything besides the images that the result depends on; JSON values.
        members: The LMDBs (``*.lmdb``) and folders to be made, relative to ``output``.
        tasks: One per source image; empty where ``files`` is the whole data set.
        ignored: Names of files that are no images, for the report.
        files: Other files of the data set, relative to ``output``: name and content.
        replaces: Names of parts, as a regular expression, that other jobs of this name make. Such parts of a data set
            that is replaced are removed too.
    """

    output: Path
    name: str
    parameters: Parameters
    members: tuple[str, ...]
    tasks: list[Task]
    ignored: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    replaces: str = ''

    @property
    def record(self) -> Path:
        """The file that says what was made, written last."""
        return self.output / f'{self.name}.json'

    @property
    def work(self) -> Path:
        """The folder of unfinished work."""
        return self.output / f'{self.name}.partial'

    @property
    def final_record(self) -> Path:
        """The record inside the work folder: it is there when everything is made and only has to be moved out."""
        return self.work / self.record.name

    @property
    def parts(self) -> tuple[str, ...]:
        """Names of everything that is made: members and files."""
        return (*self.members, *self.files)

    def makes(self, name: str) -> bool:
        """Say whether a name is one of a part that this or another job of its name makes."""
        return name in self.parts or bool(name and re.fullmatch(self.replaces, name))

    @property
    def sources(self) -> dict[str, str]:
        """File names and fingerprints of the images."""
        return {task.source.path.name: task.source.fingerprint for task in self.tasks}
