"""Digests of files, read piece by piece."""

import hashlib
from pathlib import Path

from converse_basicsr.files.reading import require_file

CHUNK = 2**20


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal.

    Raises:
        converse_basicsr.files.reading.Unreadable: If it is a folder, pipe, socket or device.
        OSError: If it cannot be read.
    """
    require_file(path)
    digest = hashlib.sha256()
    with open(path, 'rb') as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return digest.hexdigest()
