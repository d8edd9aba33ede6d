"""Decode image files of any origin: what they show, or a reason why not, but never a wrong image.

OpenCV decodes most of them. What it gets wrong (see :func:`_decode`) goes another way or is refused.
"""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, UnidentifiedImageError

from converse_basicsr.files import pnm, reading

FORMATS = ('BMP', 'GIF', 'JPEG', 'PNG', 'PPM', 'TIFF', 'WEBP')
"""All that Pillow may open: others of its formats start programs (EPS: Ghostscript), whatever a file is called."""

ORIENTATION = 0x0112
"""EXIF tag: how the camera was held, 1 (upright) to 8."""

_BITS_PER_SAMPLE, _PHOTOMETRIC, _PLANAR, _EXTRA_SAMPLES, _SAMPLE_FORMAT = 258, 262, 284, 338, 339
"""TIFF tags."""

_GREY_WITH_ALPHA = 4
"""PNG colour type, byte 25 of the file; byte 24 is the depth."""

_BYTES_PER_PIXEL, _METADATA = 32, 2**26
"""Bounds of a file's size: values written as text take up to 18 bytes a pixel."""


class BadImage(Exception):
    """The image cannot be used. The text, a phrase to follow its name, says why and what to do."""


@dataclass(frozen=True, eq=False)
class Decoded:
    """What a file holds.

    Attributes:
        pixels: BGR (H, W, 3) or grey (H, W, 1), uint8 or uint16, with white at the top of its type.
        alpha: Opacity (H, W) of the same dtype, or None.
        orientation: EXIF orientation that has not been applied yet, 1 for none.
        icc_profile: The colour profile, or None.
        frames: Number of images in the file, of which this is the first.
        file_format: Pillow's name of the format.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None
    orientation: int
    icc_profile: bytes | None
    frames: int
    file_format: str


def read(path: Path) -> Decoded:
    """Read an image.

    Raises:
        BadImage: If it cannot be used.
    """
    with _told():
        if not reading.require_file(path):
            raise BadImage('is empty')
        with _opened(path) as image:
            limit = _BYTES_PER_PIXEL * image.width * image.height + _METADATA
        data = reading.read_bytes(path, limit)
        with _opened(io.BytesIO(data)) as image:
            if image.format == 'PNG':
                image.verify()  # every chunk's checksum
        with _opened(io.BytesIO(data)) as image:
            return _decode(data, image)


def area(path: Path) -> int:
    """Return the number of pixels that the file's header states, 0 if it cannot be read."""
    try:
        with _told():
            reading.require_file(path)
            with _opened(path) as image:
                return image.width * image.height
    except BadImage:  # what is wrong with the file is reported when it is read
        return 0


def decode(data: bytes) -> np.ndarray:
    """Decode a file's bytes by OpenCV, depth and channels as they are; cv2.imread fails on some names on Windows.

    Returns:
        The image ``(H, W)``, or ``(H, W, C)`` in BGR(A) order.

    Raises:
        BadImage: If OpenCV cannot decode it.
    """
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as error:
        raise BadImage(f'cannot be decoded by OpenCV: {_one_line(error.err)}') from error
    if image is None:
        raise BadImage('cannot be decoded by OpenCV: save it anew, as PNG')
    return image


@contextmanager
def _told() -> Iterator[None]:
    """Turn whatever reading raises into a phrase."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # odd metadata and large images are no reason to refuse
            yield
    except BadImage:
        raise
    except reading.Unreadable as error:
        raise BadImage(str(error)) from error
    except UnidentifiedImageError as error:
        raise BadImage(f'is damaged, or none of {", ".join(FORMATS)}: save it as PNG') from error
    except Image.DecompressionBombError as error:
        raise BadImage('is too large to be opened safely: cut it into parts') from error
    except MemoryError as error:
        raise BadImage('needs more memory than there is: cut it into parts') from error
    except OSError as error:
        if error.errno is not None:
            raise BadImage(f'cannot be read: {error.strerror}') from error
        raise BadImage(f'is damaged: {_one_line(error)}') from error
    except Exception as error:  # Pillow's decoders raise almost every class on damaged data
        raise BadImage(f'is damaged: {_one_line(error) or type(error).__name__}') from error


def _one_line(error: object) -> str:
    return ' '.join(str(error).split())[:200]


def _opened(source: Path | io.BytesIO) -> Image.Image:
    return Image.open(source, formats=FORMATS)


def _decode(data: bytes, image: Image.Image) -> Decoded:
    """Decode by what suits the format.

    - PGM and PPM: OpenCV takes any white for 255 or 65535.
    - BMP: OpenCV does not stretch the 5 and 6 bits of 16-bit files to 8, and takes unused bytes for transparency.
    - TIFF of 8 bits and less: OpenCV multiplies colours by alpha, and loses the alpha of grey images. Of 16 bits: it
      ignores photometric interpretation and planes.
    """
    frames, file_format, mode = getattr(image, 'n_frames', 1), str(image.format), image.mode
    if mode == 'CMYK':
        raise BadImage('is CMYK, whose colours depend on a printing profile: convert it to RGB')
    orientation, icc_profile = 1, image.info.get('icc_profile')
    if file_format == 'PPM' and pnm.white(data) is not None:
        pixels = pnm.read(data)
    elif file_format == 'BMP' or (file_format == 'TIFF' and _is_plain_tiff(image)):
        pixels = _by_pillow(image)
    else:
        if file_format == 'TIFF':  # which both decoders turn themselves
            _require_known_tiff(image)
        else:
            orientation = image.getexif().get(ORIENTATION, 1)
        image.load()  # OpenCV fills up what a truncated JPEG lacks
        pixels = decode(data)
        if file_format == 'TIFF' and _tags(image, _BITS_PER_SAMPLE, ()) == (12,):
            pixels = pixels | (pixels >> 12)  # OpenCV shifts by 4 bits, which leaves white at 65520
    if pixels.dtype not in (np.uint8, np.uint16):
        raise BadImage(f'holds {pixels.dtype} values: convert it to 8 or 16 bits')
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    channels = pixels.shape[2]
    if channels not in (1, 3, 4):
        raise BadImage(f'has {channels} channels: convert it to RGB or grey')
    alpha = pixels[..., 3] if channels == 4 else _keyed_alpha(data, image, pixels)
    if channels == 4:
        grey = mode == 'LA' or (file_format == 'PNG' and data[25] == _GREY_WITH_ALPHA)
        pixels = pixels[..., : 1 if grey else 3]  # OpenCV spreads grey with alpha over three channels
    return Decoded(pixels, alpha, orientation, icc_profile, frames, file_format)


def _tags(image: Image.Image, tag: int, default: Any) -> Any:
    """Return what a TIFF file states."""
    return image.tag_v2.get(tag, default)  # type: ignore[attr-defined]


def _is_plain_tiff(image: Image.Image) -> bool:
    """Whether Pillow decodes a TIFF file without loss."""
    bits = _tags(image, _BITS_PER_SAMPLE, (1,))
    as_stated = len(bits) == len(image.getbands()) and set(_tags(image, _SAMPLE_FORMAT, (1,))) == {1}
    return max(bits) <= 8 and as_stated and image.mode in ('1', 'L', 'LA', 'P', 'RGB', 'RGBA')


def _require_known_tiff(image: Image.Image) -> None:
    """Refuse what OpenCV would decode wrongly.

    Raises:
        BadImage: If it would.
    """
    if max(_tags(image, _BITS_PER_SAMPLE, (1,))) <= 8:
        return
    if _tags(image, _PHOTOMETRIC, 1) not in (1, 2):
        raise BadImage('is a TIFF file that counts grey from white to black: convert it to PNG')
    if _tags(image, _PLANAR, 1) != 1:
        raise BadImage('is a TIFF file that holds one channel after the other: convert it to PNG')
    if 1 in _tags(image, _EXTRA_SAMPLES, ()):
        raise BadImage('is a TIFF file whose colours are multiplied by its transparency: convert it to PNG')


def _by_pillow(image: Image.Image) -> np.ndarray:
    """Decode an image of 8 bits and less; BGR(A) or grey."""
    has_alpha = image.mode in ('LA', 'RGBA')
    image = image.convert('RGBA' if has_alpha else 'L' if image.mode in ('1', 'L') else 'RGB')
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 2 else pixels[..., [2, 1, 0, 3][: pixels.shape[2]]]


def _keyed_alpha(data: bytes, image: Image.Image, pixels: np.ndarray) -> np.ndarray | None:
    """Return the opacity of an image that marks one value as transparent, where OpenCV leaves that out: in grey PNGs.

    Raises:
        BadImage: If another format does.
    """
    key = image.info.get('transparency')
    if key is None:
        return None
    if image.format != 'PNG' or not isinstance(key, int) or pixels.shape[2] != 1:
        raise BadImage('marks a colour as transparent: save it with an alpha channel')
    depth = data[24]
    if 1 < depth < 8:  # Pillow stretches the key of 1 bit itself
        key *= 255 // (2**depth - 1)
    return np.where(pixels[..., 0] == key, 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)
