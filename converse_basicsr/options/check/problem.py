"""What a check found, and where."""

from dataclasses import dataclass, field
from typing import NamedTuple

from converse_basicsr.messages import printable
from converse_basicsr.options.file import OptionFile


class Problem(NamedTuple):
    """Something that stops a run, or that a user may not expect.

    Attributes:
        keys: The key it is about, e.g. ``('train', 'total_iter')``.
        text: What is wrong, and what to do.
    """

    keys: tuple[str, ...]
    text: str

    def line(self, option_file: OptionFile) -> str:
        """Return it as a line: ``file.yml:LINE key: what is wrong; what to do``.

        Line breaks and control characters of the values it shows are escaped, to protect terminals.
        """
        return f'{option_file.where(*self.keys)}: {printable(self.text)}'


@dataclass
class Findings:
    """What was found.

    Attributes:
        problems: What stops a run.
        notes: What a user may not expect.
    """

    problems: list[Problem] = field(default_factory=list)
    notes: list[Problem] = field(default_factory=list)
