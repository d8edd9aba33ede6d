"""What a check found, and where."""

from typing import NamedTuple

from converse_basicsr.option_file import OptionFile, printable


class Problem(NamedTuple):
    """Something that stops a run.

    Attributes:
        keys: The key it is about, e.g. ``('train', 'total_iter')``.
        text: What is wrong, and what to do.
    """

    keys: tuple[str, ...]
    text: str

    def line(self, option_file: OptionFile) -> str:
        """Return it as a line: ``file.yml:LINE key: what is wrong; what to do``.

        Line breaks and control characters of values that it repeats are written out, for the sake of terminals.
        """
        return f'{option_file.where(*self.keys)}: {printable(self.text)}'

    def is_within(self, *keys: str) -> bool:
        """Say whether it is about a section or something in it."""
        return self.keys[: len(keys)] == keys
