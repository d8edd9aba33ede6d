"""Inspect the networks of checkpoints and of option files, and write what is found."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from converse_basicsr.errors import ArgumentError, UserError
from converse_basicsr.evaluation import places
from converse_basicsr.evaluation.tables import plain, pyplot
from converse_basicsr.files import atomic, images
from converse_basicsr.inspection import plots, sheets, tables
from converse_basicsr.inspection.filters import GRID
from converse_basicsr.inspection.network import Layer, inspect_network
from converse_basicsr.restore.checkpoint import Loaded, load, load_start
from converse_basicsr.restore.conditions import choose_conditions, probe_scale

CHANNELS = 8
"""Channels of each layer on a contact sheet."""

MADE_BY = 'Made by `basicsr inspect`'
"""In every page that this command wrote."""

START = 'start'
"""What a network is called as its training starts."""

_HEADER = ','.join(tables.CSV_COLUMNS)


@dataclass(frozen=True)
class Inspected:
    """What was measured of one network.

    Attributes:
        label: A short name for tables and plots: that of the file, or :data:`START`.
        title: One line that says which network it is, and where it comes from.
        layers: Its reverse convolutions.
    """

    label: str
    title: str
    layers: list[Layer]

    @property
    def note(self) -> str:
        """What could not be measured, in one line; empty if nothing."""
        names = [layer.name for layer in self.layers if layer.filters is None]
        return f'kernels of {", ".join(names)}: made from the blur kernel, so give one as --kernel' if names else ''


def inspect(
    checkpoints: Sequence[str | os.PathLike[str]] = (),
    *,
    opt: str | os.PathLike[str] | None = None,
    start: bool = False,
    network_g: Mapping[str, Any] | None = None,
    kernel: np.ndarray | None = None,
    scale: int | None = None,
    grid: int = GRID,
) -> list[Inspected]:
    """Measure the reverse convolutions of networks.

    Args:
        checkpoints: Files, or names of released weights. The networks are found as
            :func:`converse_basicsr.restore.checkpoint.load` finds them.
        opt: Option file of all these networks; without checkpoints, its network is measured as its training starts.
        start: Measure that too where there are checkpoints, before them.
        network_g: Arguments of the networks, which override those found.
        kernel: Blur kernel (kh, kw) for networks that are given one.
        scale: Upscaling factor for those that accept any; 1 if None.
        grid: Side of the grid of samples on which filters are measured.

    Raises:
        UserError: If a network cannot be loaded, has no reverse convolution, or holds infinity or NaN.
    """
    if not checkpoints and opt is None:
        raise ArgumentError(
            'checkpoints must be given, or opt',
            'nothing to inspect: give --checkpoint FILE, or -opt FILE for a network as its training starts',
        )
    if start and opt is None:
        raise ArgumentError(
            'start has no effect without opt: give both', '--start has no effect without -opt: give both'
        )
    if scale is not None and kernel is None:
        raise ArgumentError('scale has no effect without kernel: give both')
    paths = list(dict.fromkeys(os.fspath(checkpoint) for checkpoint in checkpoints))
    inspected: list[Inspected] = []
    takes_kernel = False
    for label, loaded in _load(paths, opt, network_g, start=start or not paths):
        call = _caller(loaded, kernel, scale)
        takes_kernel |= call is not None
        try:
            layers = inspect_network(loaded.net, grid=grid, call=call)
        except ArgumentError:
            raise
        except UserError as error:
            raise UserError(f'{loaded.path}: {error}') from error
        title = loaded.describe() + (', as its training starts' if label == START else '')
        inspected.append(Inspected(label, title, layers))
    if kernel is not None and not takes_kernel:
        raise ArgumentError('kernel is no input of this network: leave it out')
    return inspected


def _load(
    checkpoints: Sequence[str],
    opt: str | os.PathLike[str] | None,
    network_g: Mapping[str, Any] | None,
    *,
    start: bool,
) -> Iterator[tuple[str, Loaded]]:
    """Load one network after the other, each with a label: its file's name, or the path where several are called so."""
    if start and opt is not None:
        yield START, load_start(opt, network_g=network_g)
    stems = [Path(checkpoint).stem for checkpoint in checkpoints]
    labels = stems if len({START, *stems}) > len(stems) else checkpoints
    for label, checkpoint in zip(labels, checkpoints):
        yield label, load(checkpoint, opt=opt, network_g=network_g)


def _caller(loaded: Loaded, kernel: np.ndarray | None, scale: int | None) -> Callable[[], object] | None:
    """Return what runs a network with a blur kernel; None where it takes none, or none is given."""
    if kernel is None or 'kernel' not in loaded.conditions:
        return None
    conditions = choose_conditions(loaded, kernel=kernel, scale=scale)
    return lambda: probe_scale(loaded, conditions, torch.device('cpu'))


def require_place(output: Path) -> None:
    """Refuse an output that cannot be written, or that holds other files of the names to be written.

    Raises:
        UserError: If so, or if matplotlib is missing.
    """
    pyplot()
    places.require_folder(output)
    others = [output / 'gains.svg', output / 'lam.svg', *sorted(output.glob('sheet_[0-9]*.png'))]
    places.require_own({output / 'inspect.csv': _HEADER, output / 'inspect.md': MADE_BY}, others)


def write(inspected: Sequence[Inspected], output: Path, *, grid: int = GRID, channels: int = CHANNELS) -> list[Path]:
    """Write ``inspect.csv``, ``inspect.md``, ``gains.svg``, ``lam.svg`` and contact sheets, ``sheet_N.png``.

    Args:
        inspected: The networks, measured.
        output: The folder; see :func:`require_place`.
        grid: Side of the grid on which they were measured.
        channels: Channels of each layer on the contact sheets.

    Returns:
        The files.
    """
    output.mkdir(parents=True, exist_ok=True)
    networks = [(one.label, one.layers) for one in inspected]
    table, page, gains, lam = (output / name for name in ('inspect.csv', 'inspect.md', 'gains.svg', 'lam.svg'))
    atomic.write_text(table, tables.csv(networks))  # first: it says that the other files are this command's
    plots.save_gains(networks, gains)
    plots.save_lam(networks, lam)
    written = [table, gains, lam]
    lines = [
        '# Reverse convolutions',
        '',
        f'{MADE_BY} on a grid of {grid} x {grid} samples; every channel is in [inspect.csv](inspect.csv).',
        '',
        '![gains of the filters over the layers](gains.svg)',
        '',
        '![lam over the layers](lam.svg)',
        '',
    ]
    for one in inspected:
        lines += [f'## {plain(one.label)}', '', plain(one.title), '', tables.markdown(one.layers), '']
        lines += [plain(one.note), ''] if one.note else []
        for picture in sheets.contact_sheets(one.title, one.layers, grid=grid, channels=channels):
            sheet = output / f'sheet_{len(written) - 2}.png'
            atomic.write_bytes(sheet, images.encode_png(picture))
            written.append(sheet)
            lines += [f'![kernels, filters and responses]({sheet.name})', '']
    atomic.write_text(page, '\n'.join(lines))
    return [*written, page]
