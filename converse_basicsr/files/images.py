"""Find the images of a folder, read them as 8-bit arrays and give them names that are safe as LMDB keys."""

import hashlib
import io
import re
import warnings
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from converse_basicsr.errors import UserError

IMAGE_SUFFIXES = frozenset({'.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp'})

GREY = 'grey'
WAS_16_BIT = '16-bit'
HAD_OPAQUE_ALPHA = 'opaque alpha channel'

PNG_COMPRESSION = 1
"""BasicSR's level for LMDBs: level 9 takes several times as long and saves little."""


class BadImage(Exception):
    """The image cannot be used. The text, a phrase to follow its name, says why and what to do."""


@dataclass(frozen=True)
class Source:
    """One input image.

    Attributes:
        path: Where it is.
        key: Name of what is made from it; without dots, ASCII only where it is to be an LMDB key.
        fingerprint: Changes when the file does.
    """

    path: Path
    key: str
    fingerprint: str


def find_images(folder: Path) -> tuple[list[Path], list[str]]:
    """List the images directly inside a folder, sorted by name.

    Hidden files (such as the ``._NAME.png`` that macOS leaves on foreign disks) are no images.

    Args:
        folder: Folder to look into; its sub-folders are not searched.

    Returns:
        The images, and the names of the other visible files.

    Raises:
        UserError: If the folder is missing, is no folder, or holds no image.
    """
    if not folder.exists():
        raise UserError(f'the folder {folder} does not exist: give the folder that holds the images')
    if not folder.is_dir():
        raise UserError(f'{folder} is a file: give the folder that holds the images')
    entries = sorted((entry for entry in folder.iterdir() if not entry.name.startswith('.')), key=lambda e: e.name)
    images = [entry for entry in entries if entry.suffix.lower() in IMAGE_SUFFIXES and entry.is_file()]
    if not images:
        subfolders = [entry.name for entry in entries if entry.is_dir()]
        hint = f'; sub-folders are not searched, give one of them: {", ".join(subfolders[:5])}' if subfolders else ''
        raise UserError(f'{folder} holds no image ({" ".join(sorted(IMAGE_SUFFIXES))}){hint}')
    return images, [entry.name for entry in entries if entry.is_file() and entry not in set(images)]


def safe_key(stem: str) -> str:
    """Turn a file name without its extension into a key that BasicSR and LMDB can hold.

    BasicSR cuts keys at the first dot and encodes them as ASCII. A name of ASCII letters, digits, ``_`` and ``-`` stays
    as it is; in any other, every other character becomes ``_`` and a digest of the name follows, so that two such names
    never meet.

    Args:
        stem: File name without extension.

    Returns:
        The key: the same for the same name, on every machine.

    Example:
        >>> safe_key('0001x4')
        '0001x4'
        >>> safe_key('img.v2')
        'img_v2-793ed476'
    """
    cleaned = re.sub(r'[^A-Za-z0-9_-]', '_', stem)
    if cleaned == stem:
        return stem
    return f'{cleaned}-{hashlib.sha1(stem.encode("utf-8", "surrogateescape")).hexdigest()[:8]}'


def list_sources(folder: Path, *, lmdb_keys: bool) -> tuple[list[Source], list[str]]:
    """List the images of a folder with their keys and fingerprints (size and modification time).

    Args:
        folder: Folder to look into.
        lmdb_keys: Make the keys fit for an LMDB (:func:`safe_key`); else a key is the file name without extension.

    Returns:
        The images, and the names of the other visible files.

    Raises:
        UserError: If there is no image, or two images differ only in their extension or in upper and lower case: one
            would replace the other.
    """
    paths, others = find_images(folder)
    first_of: dict[str, Path] = {}
    sources = []
    for path in paths:
        key = safe_key(path.stem) if lmdb_keys else path.stem
        # Folded case: the keys also become file names, on file systems that do not distinguish upper and lower case.
        other = first_of.setdefault(key.casefold(), path)
        if other is not path:
            raise UserError(
                f'{other.name} and {path.name} in {folder} have the same name without extension or case, one would '
                'replace the other: rename or remove one of them'
            )
        stat = path.stat()
        sources.append(Source(path, key, f'{stat.st_size}-{stat.st_mtime_ns}'))
    return sources, others


def read_image(path: Path) -> tuple[np.ndarray, list[str]]:
    """Read an image as 8-bit BGR or grey, without changing what it shows.

    16-bit values v become round(v / 257); an alpha channel is dropped where it is opaque everywhere; EXIF rotation is
    not applied. The returned notes say what was done.

    Args:
        path: File to read.

    Returns:
        The image as uint8 ``(H, W, 3)`` in BGR order, or ``(H, W)`` for grey, and notes out of :data:`GREY`,
        :data:`WAS_16_BIT`, :data:`HAD_OPAQUE_ALPHA`.

    Raises:
        BadImage: If it is empty, damaged, truncated, CMYK, transparent, or neither 8 nor 16 bits deep.
    """
    data = path.read_bytes()
    check_file(data)
    image = decode(data)
    notes = []
    if image.dtype == np.uint16:
        notes.append(WAS_16_BIT)
    elif image.dtype != np.uint8:
        raise BadImage(f'holds {image.dtype} values: convert it to 8 bits')
    if image.ndim == 3 and image.shape[2] == 4:
        if (image[:, :, 3] != np.iinfo(image.dtype).max).any():
            raise BadImage('has transparent pixels: put it on a background or remove its alpha channel')
        notes.append(HAD_OPAQUE_ALPHA)
        image = image[:, :, :3]
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    if image.ndim == 2:
        notes.append(GREY)
    elif image.shape[2] != 3:
        raise BadImage(f'has {image.shape[2]} channels: convert it to RGB or grey')
    if image.dtype == np.uint16:
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    return np.ascontiguousarray(image), notes


def check_file(data: bytes) -> None:
    """Find what OpenCV lets pass: it decodes CMYK without a colour profile and fills what a truncated JPEG lacks.

    Raises:
        BadImage: If the file is empty, damaged, truncated, too large or CMYK.
    """
    if not data:
        raise BadImage('is empty')
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # odd metadata and large images are no reason to refuse
            with Image.open(io.BytesIO(data)) as image:
                mode = image.mode
                if image.format == 'PNG':
                    image.verify()  # every chunk's checksum, without decoding
                else:
                    image.load()
    except Image.DecompressionBombError as error:
        raise BadImage('is too large to be opened safely: cut it into parts') from error
    except Exception as error:  # Pillow's decoders raise almost every class on damaged data
        raise BadImage(f'is damaged: {error}') from error
    if mode == 'CMYK':
        raise BadImage('is CMYK, whose colours depend on a printing profile: convert it to RGB')


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
        raise BadImage(f'cannot be decoded by OpenCV: {error.err}') from error
    if image is None:
        raise BadImage('cannot be decoded by OpenCV: save it anew, as PNG')
    return image


def encode_png(image: np.ndarray, compression: int = PNG_COMPRESSION) -> bytes:
    """Encode an image as PNG.

    Args:
        image: uint8 or uint16, ``(H, W, 3)`` or ``(H, W, 4)`` in BGR(A) order, ``(H, W, 1)`` or ``(H, W)``.
        compression: zlib level, 0 to 9.

    Returns:
        The file's bytes.

    Raises:
        ValueError: If OpenCV cannot encode it.
    """
    done, buffer = cv2.imencode('.png', image, [cv2.IMWRITE_PNG_COMPRESSION, compression])
    if not done:
        raise ValueError(f'image must be encodable as PNG, got shape {image.shape} and dtype {image.dtype}')
    return buffer.tobytes()
