"""Write images as PNG files into a folder, with the interface of ``LmdbWriter``."""

from collections.abc import Mapping
from pathlib import Path

from converse_basicsr.files import atomic
from converse_basicsr.files.lmdb_folder import Shape


class FolderWriter:
    """Write images into a folder, or go on with one that an earlier writer left unfinished.

    Args:
        path: The folder; created where missing.
        committed: Names and shapes that an earlier writer committed and that are to stay; every other file found in the
            folder is dropped by ``finish``.

    Raises:
        ValueError: If a committed file is missing.
    """

    def __init__(self, path: Path, *, committed: Mapping[str, Shape] | None = None) -> None:
        path.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._names = set(committed or ())
        self._pending: dict[str, bytes] = {}
        missing = [name for name in sorted(self._names) if not self._file(name).is_file()]
        if missing:
            raise ValueError(f'committed must be files of {path}, got {missing[0]!r} ({len(missing)} are missing)')

    def put(self, key: str, value: bytes, shape: Shape) -> None:
        """Collect an image for the next :meth:`commit`.

        Args:
            key: Name without extension.
            value: The encoded PNG.
            shape: Height, width, channels; the file itself states them.

        Raises:
            ValueError: If the key is taken.
        """
        if key in self._names:
            raise ValueError(f'key must be new, got {key!r} again')
        self._names.add(key)
        self._pending[key] = value

    def commit(self) -> None:
        """Write what was collected; each file appears complete or not at all.

        Raises:
            OSError: If the disk is full or writing fails.
        """
        for key, value in self._pending.items():
            atomic.write_bytes(self._file(key), value)
        self._pending.clear()

    def finish(self) -> None:
        """Commit, and remove the files that are not listed (half-written ones of an earlier writer)."""
        self.commit()
        for file in self.path.iterdir():
            if file.suffix != '.png' or file.stem not in self._names:
                file.unlink()

    def close(self) -> None:
        """Drop what was not committed."""
        self._pending.clear()

    def _file(self, key: str) -> Path:
        return self.path / f'{key}.png'
