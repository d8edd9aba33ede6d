"""Images of any common kind, read and written without losing depth, transparency, orientation or colour profile."""

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic, decoding
from converse_basicsr.files.decoding import BadImage
from converse_basicsr.files.images import encode_png

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
    decoded = decoding.read(path)
    if decoded.frames > 1:
        raise BadImage(f'holds {decoded.frames} images: save the one you want by itself')
    pixels, alpha = upright(decoded.pixels, decoded.orientation)[..., ::-1], decoded.alpha
    if alpha is not None:
        alpha = np.ascontiguousarray(upright(alpha[..., None], decoded.orientation)[..., 0])
    return Picture(np.ascontiguousarray(pixels), alpha, decoded.icc_profile)


def upright(image: np.ndarray, orientation: int) -> np.ndarray:
    """Turn an image (H, W, C) as its EXIF orientation says; unknown values leave it as it is."""
    transpose, axes = _UPRIGHT.get(orientation, (False, ()))
    if transpose:
        image = image.swapaxes(0, 1)
    return np.flip(image, axes) if axes else image


def write(picture: Picture, path: Path, *, replace: bool = True) -> None:
    """Write a PNG, whole or not at all; grey with alpha becomes colour with alpha, since OpenCV writes no other.

    Args:
        picture: What to write.
        path: The file; its folder is made.
        replace: Replace a file of that name; without it such a file is an error.

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
        # A picture can be made again: nothing waits for the disk.
        atomic.write_bytes(path, data, durable=False, replace=replace)
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
