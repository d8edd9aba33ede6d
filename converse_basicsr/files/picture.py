"""Images of any common kind, read and written without losing depth, transparency, orientation or colour profile."""

import io
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic
from converse_basicsr.files.images import BadImage, check_file, decode, encode_png

ORIENTATION = 0x0112
"""EXIF tag: how the camera was held, 1 (upright) to 8."""

# Orientation -> whether to transpose first, and which axes to flip then.
_UPRIGHT = {
    2: (False, (1,)),
    3: (False, (0, 1)),
    4: (False, (0,)),
    5: (True, ()),
    6: (True, (1,)),
    7: (True, (0, 1)),
    8: (True, (0,)),
}


@dataclass(eq=False)
class Picture:
    """An image in memory.

    Attributes:
        pixels: RGB (H, W, 3) or grey (H, W, 1), uint8 or uint16.
        alpha: Opacity (H, W) of the same dtype, or None.
        icc_profile: The colour profile of the file, or None.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    icc_profile: bytes | None = None

    @property
    def peak(self) -> int:
        """The value of white."""
        return int(np.iinfo(self.pixels.dtype).max)


def read(path: Path) -> Picture:
    """Read an image: 8 or 16 bits, grey or colour, with or without alpha, turned upright by its EXIF orientation.

    Raises:
        BadImage: If it cannot be used; the text is a phrase to follow the name of the file.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadImage(f'cannot be read: {error.strerror}') from error
    check_file(data)
    with Image.open(io.BytesIO(data)) as header:
        if getattr(header, 'n_frames', 1) > 1:
            raise BadImage(f'holds {header.n_frames} images: save the one you want by itself')
        mode, file_format = header.mode, header.format
        orientation = header.getexif().get(ORIENTATION, 1)
        icc_profile = header.info.get('icc_profile')
        keyed = 'transparency' in header.info
    image = decode(data)
    if image.dtype not in (np.uint8, np.uint16):
        raise BadImage(f'holds {image.dtype} values: convert it to 8 or 16 bits')
    if image.ndim == 2:
        image = image[..., None]
    channels = image.shape[2]
    if channels not in (1, 3, 4):
        raise BadImage(f'has {channels} channels: convert it to RGB or grey')
    if keyed and channels != 4:
        raise BadImage('marks a colour as transparent: save it with an alpha channel')
    if file_format != 'TIFF':  # OpenCV turns TIFF files itself
        image = upright(image, orientation)
    alpha = np.ascontiguousarray(image[..., 3]) if channels == 4 else None
    grey = channels == 1 or mode == 'LA'  # which OpenCV spreads over three channels
    pixels = image[..., :1] if grey else image[..., 2::-1]
    return Picture(np.ascontiguousarray(pixels), alpha, icc_profile)


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image (H, W, C) as its EXIF orientation says; unknown values leave it as it is."""
    transpose, axes = _UPRIGHT.get(orientation, (False, ()))
    if transpose:
        image = image.swapaxes(0, 1)
    return np.flip(image, axes) if axes else image


def area(path: Path) -> int:
    """Return the number of pixels that the file's header states, 0 if it cannot be read."""
    try:
        with Image.open(path) as image:
            return image.width * image.height
    except Exception:  # what is wrong with the file is reported when it is read
        return 0


def write(picture: Picture, path: Path) -> None:
    """Write a PNG, whole or not at all; grey with alpha becomes colour with alpha, since OpenCV writes no other.

    Raises:
        UserError: If it cannot be written.
    """
    pixels = picture.pixels
    if picture.alpha is not None:
        colour = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
        content = np.dstack([colour[..., ::-1], picture.alpha])
    else:
        content = pixels[..., ::-1] if pixels.shape[2] == 3 else pixels
    try:
        data = encode_png(np.ascontiguousarray(content))
    except ValueError as error:
        raise UserError(f'{path} cannot be written: {error}') from error
    if picture.icc_profile and _describes(picture.icc_profile, content.shape):
        data = insert_profile(data, picture.icc_profile)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_bytes(path, data, durable=False)  # a picture can be made again: nothing waits for the disk
    except OSError as error:
        raise UserError(f'{path} cannot be written: {error.strerror}') from error


def _describes(profile: bytes, shape: tuple[int, ...]) -> bool:
    """Say whether a colour profile is for as many colours as the image has (bytes 16 to 19 name its colour space)."""
    return profile[16:20] == (b'GRAY' if len(shape) == 2 or shape[2] == 1 else b'RGB ')


def insert_profile(png: bytes, profile: bytes) -> bytes:
    """Put a colour profile behind the header chunk of a PNG (PNG specification, chunk iCCP)."""
    body = b'iCCP' + b'ICC profile\0\0' + zlib.compress(profile)
    chunk = struct.pack('>I', len(body) - 4) + body + struct.pack('>I', zlib.crc32(body))
    end_of_header = 8 + 25  # signature; length, name, 13 bytes and checksum of IHDR
    return png[:end_of_header] + chunk + png[end_of_header:]
