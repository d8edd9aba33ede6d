"""Lines for a terminal: the only place of the package that prints.

File names, keys of checkpoints and values of option files come from strangers. Printed as they are, an escape sequence
among them would reach the terminal, and a line break would forge a line of ours.
"""

import contextlib
import sys


def printable(text: object) -> str:
    r"""Return a text as one line, with line breaks and all other characters that do not print escaped.

    Example:
        >>> print(printable('a\x1b[2Jb\nbasicsr: error: forged'))
        a\x1b[2Jb\nbasicsr: error: forged
    """
    return ''.join(character if character.isprintable() else repr(character)[1:-1] for character in str(text))


def say(*lines: object) -> None:
    """Print lines of a command's result to standard output, each by :func:`printable`."""
    for line in lines:
        print(printable(line), flush=True)


def tell(*lines: object) -> None:
    """Print lines about the work, such as notes and errors, to standard error, each by :func:`printable`."""
    with contextlib.suppress(OSError):  # a terminal that was closed must not end the work
        for line in lines:
            print(printable(line), file=sys.stderr, flush=True)
