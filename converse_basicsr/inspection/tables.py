"""Figures of reverse convolutions as lines for a terminal, as Markdown, and as CSV with a line per channel."""

from collections.abc import Iterator, Sequence

import torch

from converse_basicsr.evaluation.tables import csv_text, markdown_table
from converse_basicsr.inspection.filters import SHARES
from converse_basicsr.inspection.network import Layer
from converse_basicsr.messages import printable

WIDTH = 120
"""Columns of a terminal."""

_NOT_KNOWN = '-'

_SHARES = tuple(f'{share:.0%}' for share in SHARES)

_GROUPS = (
    ('', ('layer',)),
    ('', ('kernel', 'scale')),
    ('lam', ('min', 'median', 'max')),
    ('rms gain', ('median', 'max')),
    ('peak gain', ('median', 'max')),
    ('reach', _SHARES),
    ('channels', ('all', 'dead', 'idle', 'sat.')),
)
"""Columns of the tables, in groups of one title."""

CSV_COLUMNS = (
    *('network', 'layer', 'channel', 'kernel', 'scale', 'lam', 'rms_gain', 'peak_gain'),
    *(f'reach_{share.rstrip("%")}' for share in _SHARES),
    *('dead', 'idle', 'saturated'),
)


def terminal_lines(layers: Sequence[Layer]) -> list[str]:
    """Compose a table for a terminal; names of layers are cut where the room ends."""
    rows = [[title for _, titles in _GROUPS for title in titles]]
    rows += [list(map(printable, row)) for row in _rows(layers)]
    widths = [max(map(len, column)) for column in zip(*rows)]
    blocks = []
    start = 1
    for group, titles in _GROUPS[1:]:
        columns = range(start, start + len(titles))
        start += len(titles)
        lines = [' '.join(row[n].rjust(widths[n]) for n in columns) for row in rows]
        blocks.append([group.ljust(len(lines[0])), *(line.rjust(len(group)) for line in lines)])
    room = WIDTH - sum(2 + len(block[0]) for block in blocks)
    names = ['', *(row[0] if len(row[0]) <= room else f'..{row[0][2 - room :]}' for row in rows)]
    width = max(map(len, names))
    return ['  '.join([name.ljust(width), *cells]).rstrip() for name, *cells in zip(names, *blocks)]


def markdown(layers: Sequence[Layer]) -> str:
    """Compose the same table in Markdown."""
    head = [f'{group} {title}'.strip() for group, titles in _GROUPS for title in titles]
    return markdown_table(head, _rows(layers))


def csv(networks: Sequence[tuple[str, Sequence[Layer]]]) -> str:
    """Compose a line per channel of every layer of every network, each of which has a label."""
    return csv_text([CSV_COLUMNS, *(row for label, layers in networks for row in _channels(label, layers))])


def kernel_size(layer: Layer) -> str:
    """Return the size of a layer's kernels, ``5x5``."""
    return _NOT_KNOWN if layer.filters is None else 'x'.join(map(str, layer.filters.kernel.shape[-2:]))


def short(value: float) -> str:
    """Return a gain in three digits."""
    return f'{value:.3g}'


def short_lam(value: float) -> str:
    """Return a lam in two digits.

    Example:
        >>> short_lam(1.334e-4)
        '1.3e-4'
    """
    return f'{value:.1e}'.replace('e-0', 'e-').replace('e+0', 'e+')


def _rows(layers: Sequence[Layer]) -> list[list[str]]:
    rows = [_row(layer.name, [layer]) for layer in layers]
    return [*rows, _row('all layers', layers)] if len(rows) > 1 else rows


def _row(name: str, layers: Sequence[Layer]) -> list[str]:
    lam, saturated = (torch.cat(values) for values in zip(*((layer.lam, layer.saturated) for layer in layers)))
    row = [name, '', '']
    if len(layers) == 1:
        row[1:] = kernel_size(layers[0]), _NOT_KNOWN if layers[0].filters is None else str(layers[0].scale)
    row += map(short_lam, (lam.min().item(), lam.median().item(), lam.max().item()))
    filters = [layer.filters for layer in layers if layer.filters is not None]
    if filters:
        for gains in (torch.cat([one.rms for one in filters]), torch.cat([one.peak for one in filters])):
            row += map(short, (gains.median().item(), gains.max().item()))
        row += map(str, torch.cat([one.reach for one in filters]).median(0).values.tolist())
        counts = [str(sum(int(one.dead.sum()) for one in filters)), str(sum(int(one.idle.sum()) for one in filters))]
    else:
        row += [_NOT_KNOWN] * (4 + len(SHARES))
        counts = [_NOT_KNOWN] * 2
    return [*row, str(len(lam)), *counts, str(int(saturated.sum()))]


def _channels(label: str, layers: Sequence[Layer]) -> Iterator[list[object]]:
    for layer in layers:
        filters = layer.filters
        for n in range(len(layer.lam)):
            line: list[object] = [label, layer.name, n]
            lam, saturated = f'{layer.lam[n].item():.6g}', int(layer.saturated[n])
            if filters is None:
                yield [*line, '', '', lam, *[''] * (4 + len(SHARES)), saturated]
            else:
                gains = (f'{gain[n].item():.6g}' for gain in (filters.rms, filters.peak))
                states = (int(state[n]) for state in (filters.dead, filters.idle))
                yield [
                    *(*line, kernel_size(layer), layer.scale, lam, *gains),
                    *(*filters.reach[n].tolist(), *states, saturated),
                ]
