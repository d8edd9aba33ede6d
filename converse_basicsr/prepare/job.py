"""A data set that is to be made: its members, and the tasks that make them."""

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
    """

    output: Path
    name: str
    parameters: Parameters
    members: tuple[str, ...]
    tasks: list[Task]
    ignored: list[str] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)

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

    @property
    def sources(self) -> dict[str, str]:
        """File names and fingerprints of the images."""
        return {task.source.path.name: task.source.fingerprint for task in self.tasks}
