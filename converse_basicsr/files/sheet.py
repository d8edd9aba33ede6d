"""Pictures that compare restorations of one image: the whole image, then the same detail of each, enlarged."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

MARGIN = 10
CONTOUR_SIGMA = 3.0  # pixels
MAX_ASPECT = 4
"""Width of the whole image at most, in heights of the sheet; a wider one is shown lower."""
CAPTION_SIZE = 18
CAPTION_LINES = 2
"""Room for as many, at least."""
FRAME_COLOUR = (230, 60, 40)  # RGB


class Window(NamedTuple):
    """A detail of an image, in pixels."""

    top: int
    left: int
    size: int


def most_contoured_window(image: np.ndarray, size: int) -> Window:
    """Find the square with the most energy in its contours.

    The choice looks at the truth only, so it favours no restoration. The image is smoothed first, or fine texture,
    which no restoration brings back, would always win.

    Args:
        image: Ground truth, 8-bit BGR or grey, :math:`(H, W, 3)` or :math:`(H, W)`.
        size: Side of the square in pixels; cut to the image's smaller side.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) if image.ndim == 3 else image
    size = min(size, *grey.shape)
    smooth = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), CONTOUR_SIGMA)
    energy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0) ** 2 + cv2.Sobel(smooth, cv2.CV_32F, 0, 1) ** 2
    sums = cv2.integral(energy)
    means = sums[size:, size:] - sums[:-size, size:] - sums[size:, :-size] + sums[:-size, :-size]
    top, left = np.unravel_index(int(means.argmax()), means.shape)
    return Window(int(top), int(left), size)


def compare(panels: Sequence[tuple[str, np.ndarray]], *, window: Window | None = None, side: int = 300) -> np.ndarray:
    """Lay out the whole of the last panel with a framed detail, then that detail of every panel, with captions.

    Args:
        panels: Pairs of caption and image, all of one size, 8-bit BGR or grey; the last is the ground truth. Lines of
            a caption that are wider than its panel are broken between words.
        window: The detail; the one with the strongest contours, a quarter of the image's smaller side wide, if not
            given.
        side: Height of the picture's panels in pixels.

    Returns:
        The picture, 8-bit BGR.

    Raises:
        ValueError: If the images differ in size.
    """
    images = [cv2.cvtColor(image, cv2.COLOR_GRAY2BGR) if image.ndim == 2 else image for _, image in panels]
    sizes = {image.shape[:2] for image in images}
    if len(sizes) != 1:
        raise ValueError(f'panels must be of one size, got {sorted(sizes)}')
    (height, width) = sizes.pop()
    truth = images[-1]
    window = window or most_contoured_window(truth, max(32, min(height, width) // 4))

    factor = min(side / height, MAX_ASPECT * side / width)
    whole_size = max(1, round(width * factor)), max(1, round(height * factor))
    whole = cv2.resize(truth, whole_size, interpolation=cv2.INTER_AREA)
    corners = [
        round(v * factor) for v in (window.left, window.top, window.left + window.size, window.top + window.size)
    ]
    tiles = [('', whole)]
    for (caption, _), image in zip(panels, images):
        detail = image[window.top : window.top + window.size, window.left : window.left + window.size]
        tiles.append((caption, cv2.resize(detail, (side, side), interpolation=cv2.INTER_NEAREST)))

    line_height = CAPTION_SIZE + 4
    font = ImageFont.load_default(CAPTION_SIZE)
    captions = [_fitting_lines(caption, tile.shape[1], font) for caption, tile in tiles]
    sheet = Image.new(
        'RGB',
        (
            sum(tile.shape[1] + MARGIN for _, tile in tiles) + MARGIN,
            side + 2 * MARGIN + max(CAPTION_LINES, *map(len, captions)) * line_height + MARGIN // 2,
        ),
        'white',
    )
    draw = ImageDraw.Draw(sheet)
    left = MARGIN
    for lines, (_, tile) in zip(captions, tiles):
        sheet.paste(Image.fromarray(cv2.cvtColor(tile, cv2.COLOR_BGR2RGB)), (left, MARGIN))
        for number, line in enumerate(lines):
            at = (left + tile.shape[1] // 2, side + MARGIN + MARGIN // 2 + number * line_height)
            draw.text(at, line, fill='black', font=font, anchor='ma')
        left += tile.shape[1] + MARGIN
    x0, y0, x1, y1 = corners
    draw.rectangle((MARGIN + x0, MARGIN + y0, MARGIN + x1, MARGIN + y1), outline=FRAME_COLOUR, width=3)
    return cv2.cvtColor(np.asarray(sheet), cv2.COLOR_RGB2BGR)


def _fitting_lines(caption: str, width: int, font: 'ImageFont.FreeTypeFont | ImageFont.ImageFont') -> list[str]:
    """Break the lines of a caption between words so that each is at most ``width`` pixels wide, words allowing."""
    lines: list[str] = []
    for line in caption.split('\n'):
        fitting, *words = line.split(' ')
        for word in words:
            if font.getlength(f'{fitting} {word}') > width:
                lines.append(fitting)
                fitting = word
            else:
                fitting = f'{fitting} {word}'
        lines.append(fitting)
    return lines


def stack(pictures: Sequence[np.ndarray]) -> np.ndarray:
    """Put pictures below each other on white, flush left.

    Args:
        pictures: 8-bit BGR pictures, at least one.

    Returns:
        A picture as wide as the widest.
    """
    width = max(picture.shape[1] for picture in pictures)
    padded = [
        cv2.copyMakeBorder(p, 0, 0, 0, width - p.shape[1], cv2.BORDER_CONSTANT, value=(255, 255, 255)) for p in pictures
    ]
    return np.concatenate(padded)
