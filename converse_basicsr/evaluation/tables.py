"""Helpers for tables and plots of results."""

from collections.abc import Iterable, Sequence
from typing import Any


def markdown_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Compose a Markdown table; all columns but the first are aligned right."""
    lines = [head, ['---', *['---:'] * (len(head) - 1)], *rows]
    return '\n'.join('| ' + ' | '.join(line) + ' |' for line in lines)


def pyplot() -> Any:
    """Import ``matplotlib.pyplot`` for files only, so that the same figures give the same file."""
    import matplotlib

    matplotlib.use('agg')
    matplotlib.rcParams['svg.hashsalt'] = 'converse_basicsr'
    from matplotlib import pyplot

    return pyplot
