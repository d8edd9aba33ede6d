"""Contact sheets: kernel, filter and response of some channels of every reverse convolution of a network."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont

from converse_basicsr.inspection.filters import Filters, gain, response
from converse_basicsr.inspection.network import Layer
from converse_basicsr.inspection.tables import kernel_size, short, short_lam
from converse_basicsr.messages import printable

SIDE, GAP, SPACE, MARGIN = 80, 4, 16, 14
"""Pixels: side of a picture, between those of a channel, between channels, around the sheet."""

LEAST_WIDTH = 1200
"""Room for the legend."""

MOST_ROWS = 40
"""Layers on a sheet; more are on further sheets."""

TITLE, CAPTION = 16, 12
"""Sizes of the fonts; lines are 5 and 3 pixels higher."""

GAINS = (0.1, 1.0, 10.0, 100.0)
"""What the colour bar of the gains, a logarithmic scale, is marked with; its ends are the darkest and lightest."""

WINDOW = 40
"""Samples of a response that are shown."""

_BLUE, _WHITE, _RED = (59, 76, 192), (255, 255, 255), (180, 4, 38)

_LEGEND = (
    'Of each channel: kernel, gain over the frequencies of the input (zero frequency in the centre), response to a '
    f'sample (up to {WINDOW} samples around it).',
    'Kernel and response: red above 0, white 0, blue below 0, up to the largest magnitude of each; the response by its '
    'square root. Channels from the smallest rms gain to the largest.',
)


def contact_sheets(title: str, layers: Sequence[Layer], *, grid: int, channels: int) -> Iterator[np.ndarray]:
    """Draw sheets with a row for each layer.

    Args:
        title: Of what network.
        layers: Its layers; those whose kernels are not known are left out.
        grid: Side of the grid of samples.
        channels: Number of channels of each layer, evenly from the smallest to the largest rms gain.

    Yields:
        The pictures, 8-bit BGR.
    """
    rows = [(layer, layer.filters, _choose(layer.filters, channels)) for layer in layers if layer.filters is not None]
    for start in range(0, len(rows), MOST_ROWS):
        yield _draw(title, rows[start : start + MOST_ROWS], grid)


def _draw(title: str, rows: Sequence[tuple[Layer, Filters, torch.Tensor]], grid: int) -> np.ndarray:
    """Draw one sheet of layers, their filters, and the channels that are shown."""
    column = 3 * SIDE + 2 * GAP + SPACE
    width = max(LEAST_WIDTH, 2 * MARGIN + max(len(chosen) for _, _, chosen in rows) * column)
    title_height, caption_height = TITLE + 5, CAPTION + 3
    head = MARGIN + 2 * title_height + (len(_LEGEND) + 2) * caption_height
    row_height = title_height + SIDE + 2 * caption_height + SPACE
    sheet = Image.new('RGB', (width, head + len(rows) * row_height + MARGIN), 'white')
    draw = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(TITLE), ImageFont.load_default(CAPTION)
    draw.text((MARGIN, MARGIN), printable(title), fill='black', font=large)
    for number, line in enumerate(_LEGEND):
        draw.text((MARGIN, MARGIN + title_height + number * caption_height), line, fill='black', font=small)
    _draw_bar(sheet, draw, small, MARGIN + title_height + (len(_LEGEND) + 0.5) * caption_height)
    for number, (layer, filters, chosen) in enumerate(rows):
        top = head + number * row_height
        name = f'{printable(layer.name)}: {len(layer.lam)} channels, kernels {kernel_size(layer)}, scale {layer.scale}'
        draw.text((MARGIN, top), name, fill='black', font=large)
        h = response(filters.kernel[chosen], layer.lam[chosen], layer.scale, grid)
        for place, channel in enumerate(chosen.tolist()):
            left = MARGIN + place * column
            pictures = (
                _signed(filters.kernel[channel]),
                _logarithmic(gain(h[place][None], layer.scale)[0]),
                _signed(_window(h[place], layer.scale), root=True),
            )
            for n, picture in enumerate(pictures):
                at = (left + n * (SIDE + GAP), top + title_height)
                sheet.paste(Image.fromarray(picture), at)
                draw.rectangle((at[0] - 1, at[1] - 1, at[0] + SIDE, at[1] + SIDE), outline=(160, 160, 160))
            captions = (
                f'channel {channel}, lam {short_lam(layer.lam[channel].item())}',
                f'rms gain {short(filters.rms[channel].item())}, peak {short(filters.peak[channel].item())}',
            )
            for n, caption in enumerate(captions):
                at = (left, top + title_height + SIDE + 3 + n * caption_height)
                draw.text(at, caption, fill='black', font=small)
    return cv2.cvtColor(np.asarray(sheet), cv2.COLOR_RGB2BGR)


def _choose(filters: Filters, count: int) -> torch.Tensor:
    """Choose channels, evenly from the smallest rms gain to the largest."""
    order = filters.rms.argsort(stable=True)
    return order[torch.linspace(0, len(order) - 1, min(count, len(order))).round().long()]


def _draw_bar(
    sheet: Image.Image, draw: ImageDraw.ImageDraw, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, top: float
) -> None:
    """Draw the colour bar of the gains, with its marks."""
    left, right, y = MARGIN + 45, MARGIN + 345, int(top)
    bar = torch.logspace(np.log10(GAINS[0]), np.log10(GAINS[-1]), right - left, dtype=torch.float64)
    sheet.paste(Image.fromarray(_colours(bar.expand(CAPTION, -1))), (left, y))
    draw.text((MARGIN, y), 'gain', fill='black', font=font)
    for value in GAINS:
        x = left + (right - left) * np.log(value / GAINS[0]) / np.log(GAINS[-1] / GAINS[0])
        draw.text((x, y + CAPTION + 1), f'{value:g}', fill='black', font=font, anchor='ma')


def _window(h: torch.Tensor, scale: int) -> torch.Tensor:
    side = min(WINDOW * scale, len(h))
    start = max(0, scale * (len(h) // scale // 2) - side // 2)
    return h[start : start + side, start : start + side]


def _enlarged(picture: np.ndarray) -> np.ndarray:
    rows, columns = (np.arange(SIDE) * size // SIDE for size in picture.shape[:2])
    return picture[rows[:, None], columns]


def _signed(values: torch.Tensor, *, root: bool = False) -> np.ndarray:
    shares = values.numpy() / max(values.abs().max().item(), 1e-30)
    shares = np.sign(shares) * np.sqrt(np.abs(shares)) if root else shares
    rgb = [np.interp(shares, (-1, 0, 1), colours) for colours in zip(_BLUE, _WHITE, _RED)]
    return _enlarged(np.stack(rgb, -1).round().astype(np.uint8))


def _logarithmic(gains: torch.Tensor) -> np.ndarray:
    return _enlarged(_colours(torch.fft.fftshift(gains)))


def _colours(gains: torch.Tensor) -> np.ndarray:
    share = (gains.clamp(min=1e-30) / GAINS[0]).log() / np.log(GAINS[-1] / GAINS[0])
    levels = (share.clamp(0, 1) * 255).round().to(torch.uint8).numpy()
    return cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB)
