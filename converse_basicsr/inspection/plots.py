"""Plots of gains and lam over the layers of networks."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from converse_basicsr.evaluation.tables import plot_text, pyplot, save_plot
from converse_basicsr.inspection.network import Layer

Network = tuple[str, Sequence[Layer]]
"""A label, and the layers."""

MOST_CHARACTERS = 40
"""Of longer names, the end is shown."""

MOST_NAMES = 60
"""Names of layers below a plot; of more, every second, third, ... is written."""

LEAST_RANGE = 2.0
"""Ratio of the ends of an axis, so that equal values do not show the noise of their rounding."""

FEW_TICKS = 20.0
"""Up to this ratio, each line of an axis is named; beyond it, powers of 10."""

LEAST = 1e-6
"""Where the logarithmic axes begin for channels that pass nothing on."""


def save_gains(networks: Sequence[Network], path: Path) -> None:
    """Draw the rms and the peak gain of the filters, the median over the channels and the range between them."""
    _save(
        networks,
        path,
        {
            'rms gain': lambda layer: None if layer.filters is None else layer.filters.rms,
            'peak gain': lambda layer: None if layer.filters is None else layer.filters.peak,
        },
    )


def save_lam(networks: Sequence[Network], path: Path) -> None:
    """Draw lam in the same way."""
    _save(networks, path, {'lam': lambda layer: layer.lam})


def _save(
    networks: Sequence[Network], path: Path, quantities: dict[str, Callable[[Layer], torch.Tensor | None]]
) -> None:
    """Draw a line per network; networks of equal layers share their axes, which stand below those of others."""
    shared: dict[tuple[str, ...], list[Network]] = {}
    for network in networks:
        shared.setdefault(tuple(layer.name for layer in network[1]), []).append(network)
    longest = max(len(_text(name)) for names in shared for name in names)
    plt = pyplot()
    figure, grid = plt.subplots(
        len(shared),
        len(quantities),
        squeeze=False,
        figsize=(11, (3.4 + 0.07 * longest) * len(shared)),
        layout='constrained',
    )
    for row, (names, group) in zip(grid, shared.items()):
        for axes, (quantity, of_layer) in zip(row, quantities.items()):
            for label, layers in group:
                _draw(axes, label, [of_layer(layer) for layer in layers])
            axes.set_yscale('log')
            low, high = axes.get_ylim()
            if low <= 0:  # nothing is drawn
                low = high = 1
            wider = max(1.0, LEAST_RANGE * low / high) ** 0.5
            axes.set_ylim(low / wider, high * wider)
            axes.yaxis.set_major_formatter('{x:g}')
            axes.yaxis.set_minor_formatter('{x:g}' if high * wider / (low / wider) < FEW_TICKS else '')
            axes.set_ylabel(quantity)
            step = math.ceil(len(names) / MOST_NAMES)
            shown = [_text(name) for name in names[::step]]
            axes.set_xticks(range(0, len(names), step), shown, rotation=90, fontsize=7)
            axes.set_xlim(-0.5, len(names) - 0.5)
            axes.grid(alpha=0.3)
        place = {'loc': 'upper left', 'bbox_to_anchor': (1, 1)}
        row[-1].legend(fontsize=8, title='median; band: all channels', title_fontsize=8, **place)
    save_plot(figure, path)


def _draw(axes: Any, label: str, values: Sequence[torch.Tensor | None]) -> None:
    summed: list[tuple[float, ...]] = []
    for value in values:
        figures = (math.nan,) * 3 if value is None else (value.min().item(), value.median().item(), value.max().item())
        summed.append(tuple(max(figure, LEAST) for figure in figures))
    low, median, high = zip(*summed)
    (line,) = axes.plot(range(len(values)), median, 'o-', markersize=3, linewidth=1.2, label=_text(label))
    axes.fill_between(range(len(values)), low, high, color=line.get_color(), alpha=0.15, linewidth=0)
    if len(values) == 1:  # a band without width
        axes.vlines([0], low, high, color=line.get_color(), alpha=0.3)


def _text(name: str) -> str:
    return plot_text(name if len(name) <= MOST_CHARACTERS else f'..{name[2 - MOST_CHARACTERS :]}')
