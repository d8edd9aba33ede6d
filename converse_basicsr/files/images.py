"""Find the images of a folder, read them as 8-bit arrays and give them names that are safe as LMDB keys."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from converse_basicsr.errors import UserError
from converse_basicsr.files import decoding
from converse_basicsr.files.decoding import BadImage

IMAGE_SUFFIXES = frozenset({'.bmp', '.jpeg', '.jpg', '.pgm', '.png', '.ppm', '.tif', '.tiff', '.webp'})

GREY = 'grey'
WAS_16_BIT = '16-bit'
HAD_OPAQUE_ALPHA = 'opaque alpha channel'
HAD_MORE_IMAGES = 'further images in the file left out'

PNG_COMPRESSION = 1
"""BasicSR's level for LMDBs: level 9 takes several times as long and saves little."""


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
    known = set(images)
    return images, [entry.name for entry in entries if entry not in known and entry.is_file()]


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

    16-bit values v become round(v / 257); an alpha channel is dropped where it is opaque everywhere; of the photographs
    of a camera's MPO file the first is taken; EXIF rotation is not applied. The returned notes say what was done.

    Args:
        path: File to read.

    Returns:
        The image as uint8 ``(H, W, 3)`` in BGR order, or ``(H, W)`` for grey, and notes out of :data:`GREY`,
        :data:`WAS_16_BIT`, :data:`HAD_OPAQUE_ALPHA`, :data:`HAD_MORE_IMAGES`.

    Raises:
        BadImage: If it is empty, damaged, truncated, CMYK, transparent, several images, or neither 8 nor 16 bits deep.
    """
    decoded = decoding.read(path)
    image, alpha, notes = decoded.pixels, decoded.alpha, []
    if decoded.frames > 1:
        if decoded.file_format != 'MPO':
            raise BadImage(f'holds {decoded.frames} images: save the one you want by itself')
        notes.append(HAD_MORE_IMAGES)
    if alpha is not None:
        if (alpha != np.iinfo(alpha.dtype).max).any():
            raise BadImage('has transparent pixels: put it on a background or remove its alpha channel')
        notes.append(HAD_OPAQUE_ALPHA)
    if image.dtype == np.uint16:
        notes.append(WAS_16_BIT)
        image = ((image.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if image.shape[2] == 1:
        notes.append(GREY)
        image = image[..., 0]
    return np.ascontiguousarray(image), notes


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
