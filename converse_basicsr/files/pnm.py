"""Read PGM and PPM files whatever their white is; OpenCV takes its value for one of 255 or 65535."""

import re

import numpy as np

_SPACE = rb'(?:\s|#[^\r\n]*[\r\n])+'
_HEADER = re.compile(rb'P([2356])' + (_SPACE + rb'(\d{1,9})') * 3 + rb'\s')
"""Kind, width, height, and the value of white; one white space ends it."""


def white(data: bytes) -> int | None:
    """Return the value of white that the beginning of a file states; None where it is no grey or colour map.

    Example:
        >>> white(b'P5 640 480 1023 ')
        1023
        >>> white(b'P4 640 480 ')
    """
    header = _HEADER.match(data)
    return int(header[4]) if header else None


def read(data: bytes) -> np.ndarray:
    """Decode a file with the header of :func:`white`.

    Returns:
        uint8 up to a white of 255, else uint16, stretched so that white is the largest value of the type; ``(H, W)``,
        or ``(H, W, 3)`` in BGR order.

    Raises:
        ValueError: If it is not whole, or a value is above white: a phrase to follow its name.
    """
    header = _HEADER.match(data)
    if header is None:
        raise ValueError('is no grey or colour map')
    kind = int(header[1])
    width, height, peak = (int(number) for number in header.groups()[1:])
    if not 0 < peak <= 65535:
        raise ValueError(f'has the impossible white {peak}')
    count = width * height * (3 if kind in (3, 6) else 1)
    if kind in (2, 3):
        text = re.sub(rb'#[^\r\n]*', b'', data[header.end() :]).split(maxsplit=count)[:count]
        values = np.array(text, dtype='S7').astype(np.uint32) if text else np.zeros(0, np.uint32)
    else:
        sample = np.dtype('u1' if peak < 256 else '>u2')
        whole = min(count, (len(data) - header.end()) // sample.itemsize)
        values = np.frombuffer(data, sample, whole, header.end()).astype(np.uint32)
    if len(values) < count:
        raise ValueError(f'ends after {len(values)} of {count} values')
    if count and values.max() > peak:
        raise ValueError(f'holds {values.max()}, but states {peak} as its white')
    full = 255 if peak < 256 else 65535
    if peak != full:
        values = (values * full + peak // 2) // peak  # below 2**32: 65535 * 65535 + 32767
    image = values.astype(np.uint8 if full == 255 else np.uint16)
    return image.reshape(height, width, 3)[..., ::-1] if kind in (3, 6) else image.reshape(height, width)
