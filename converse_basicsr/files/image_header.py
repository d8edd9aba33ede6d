"""Read the size of an image file, and whether it is complete, from its first and last bytes."""

import os
import struct
from dataclasses import dataclass

from converse_basicsr.files import pnm, reading

_PNG_SIGNATURE = b'\x89PNG\r\n\x1a\n'
_PNG_END = b'IEND\xaeB`\x82'
_JPEG_SIGNATURE = b'\xff\xd8\xff'
_JPEG_END = b'\xff\xd9'
_PNG_COLOURS = {0: 'grey', 2: 'colour', 3: 'colour', 4: 'grey and alpha', 6: 'colour and alpha'}
_PILLOW_COLOURS = {'1': 'grey', 'L': 'grey', 'LA': 'grey and alpha', 'RGBA': 'colour and alpha', 'CMYK': 'CMYK'}

MAX_PIXELS = 2**30
"""OpenCV reads no larger image."""
MAX_BYTES = 2**28
"""Size of a file that is decoded to learn the size of its image."""


@dataclass(frozen=True)
class ImageHeader:
    """What is known of an image without decoding it.

    Attributes:
        height: In pixels; height and width are 0 if unknown.
        width: In pixels.
        bits: Bits per channel; 8 where the format has no other depth or the depth was not read.
        colour: ``grey``, ``colour``, either ``and alpha``, or ``CMYK``.
    """

    height: int
    width: int
    bits: int = 8
    colour: str = 'colour'


def read_header(path: str | os.PathLike[str]) -> ImageHeader:
    """Read an image file's header; decode the file only if its end is not what its format ends with.

    Raises:
        ValueError: If it is empty, truncated, too large, no image, or a map that OpenCV reads too dark: a phrase to
            follow its name.
        OSError: If it cannot be read.
    """
    size = reading.require_file(path)
    if size == 0:
        raise ValueError('is empty')
    with open(path, 'rb') as file:
        start = file.read(1024)
        file.seek(max(0, size - 64))
        end = file.read(64)
    if start.startswith(_PNG_SIGNATURE) and start[12:16] == b'IHDR' and len(start) >= 26:
        width, height = struct.unpack('>II', start[16:24])
        header = ImageHeader(height, width, start[24], _PNG_COLOURS.get(start[25], 'colour'))
        is_whole = end.endswith(_PNG_END)
    else:
        header = _read_with_pillow(path)
        is_whole = not start.startswith(_JPEG_SIGNATURE) or _JPEG_END in end
    if header.height * header.width > MAX_PIXELS:
        raise ValueError(f'claims to be {header.height} x {header.width} pixels, more than OpenCV reads')
    if pnm.white(start) not in (None, 255, 65535):
        raise ValueError(f'has the white {pnm.white(start)}, which BasicSR takes for 255 or 65535: convert it to PNG')
    if not is_whole:
        _decode(path)
    return header


def _read_with_pillow(path: str | os.PathLike[str]) -> ImageHeader:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as image:
            bits = 16 if image.mode.startswith('I;16') else 8
            return ImageHeader(image.height, image.width, bits, _PILLOW_COLOURS.get(image.mode, 'colour'))
    except Image.DecompressionBombError:
        return ImageHeader(0, 0)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return _read_with_opencv(path)


def _read_with_opencv(path: str | os.PathLike[str]) -> ImageHeader:
    """Decode an image in one of the formats that OpenCV knows and Pillow does not."""
    import cv2
    import numpy as np

    try:
        image = cv2.imdecode(np.frombuffer(reading.read_bytes(path, MAX_BYTES), np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        image = None
    if image is None:
        raise ValueError('is no image that can be read')
    return ImageHeader(*image.shape[:2])


def _decode(path: str | os.PathLike[str]) -> None:
    """Refuse a file that is not whole: some versions of OpenCV fill up what is missing, and say nothing."""
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
    except Image.DecompressionBombError:
        return
    except Exception as error:  # Pillow's decoders raise almost anything on damaged files
        raise ValueError(f'is truncated or damaged ({error})') from None
