"""Fetch or copy the released weights and check them."""

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from converse_basicsr.checkpoints.released import MODEL_ZOO, WEIGHTS, Weights
from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic, inside
from converse_basicsr.files.digest import sha256
from converse_basicsr.files.lock import locked
from converse_basicsr.files.reading import Unreadable
from converse_basicsr.prepare.download import MAX_BYTES, not_released, receive


@dataclass(frozen=True)
class Fetched:
    """A released file that is in its place and was checked.

    Attributes:
        path: The file.
        is_new: Whether it was fetched now; otherwise it was there already.
    """

    path: Path
    is_new: bool


def prepare_weights(
    files: Sequence[str] = (), output: str | Path = MODEL_ZOO, *, input: str | Path | None = None
) -> list[Fetched]:
    """Fetch released weights and check them by SHA-256; files that are there already are only checked.

    Args:
        files: Names out of :data:`~converse_basicsr.checkpoints.released.WEIGHTS`; all where empty.
        output: Folder for the files, created where missing.
        input: Copy from this folder instead of downloading.

    Returns:
        The files, in the order of the names.

    Raises:
        UserError: If a file is unknown, cannot be fetched, or is not the released one.
        KeyboardInterrupt: After Ctrl-C; a download goes on where it stopped with the next call.
    """
    require_known(files)
    Path(output).mkdir(parents=True, exist_ok=True)
    return [_fetch(WEIGHTS[name], Path(output) / name, input) for name in files or WEIGHTS]


def require_known(files: Sequence[str]) -> None:
    """Refuse names that are no released files.

    Raises:
        UserError: If there are any.
    """
    unknown = sorted(set(files) - set(WEIGHTS))
    if unknown:
        raise UserError(f'{", ".join(unknown)}: no such released weights; known: {", ".join(WEIGHTS)}')


def partial_of(target: Path, weights: Weights) -> Path:
    """Name the file that a download grows in: after the released file's digest, so that no other file is called so."""
    return target.with_name(f'.{target.name}.{weights.sha256[:12]}.part')


def _fetch(weights: Weights, target: Path, input: str | Path | None) -> Fetched:
    """Fetch one file, unless it is there already."""
    if not os.path.lexists(target):
        with locked(target.with_name(f'.{target.name}.lock'), f'the download of {target}'):
            if not os.path.lexists(target):  # still: another command may have fetched it
                _copy(weights, Path(input) / target.name, target) if input else _download(weights, target)
                return Fetched(target, is_new=True)
    check(target, weights)
    return Fetched(target, is_new=False)


def check(path: Path, weights: Weights) -> None:
    """Compare a file's digest with the released one's.

    Raises:
        UserError: If they differ, or if it is no file.
    """
    try:
        digest = sha256(path)
    except Unreadable as error:
        raise UserError(f'{path} {error}: move it away') from None
    if digest != weights.sha256:
        raise UserError(
            f'{path} is not the released {weights.file} (SHA-256 {digest[:12]}..., expected {weights.sha256[:12]}...); '
            'delete it and repeat the command'
        )


def _copy(weights: Weights, source: Path, target: Path) -> None:
    """Copy a file that was downloaded elsewhere."""
    if not source.is_file():
        raise UserError(f'{source} does not exist; it is offered at {weights.url}')
    check(source, weights)
    try:
        with open(source, 'rb') as original, atomic.writing(target, replace=False) as copy:
            shutil.copyfileobj(original, copy)
    except OSError as error:
        raise UserError(f'{target} cannot be written ({error.strerror})') from None


def _download(weights: Weights, target: Path) -> None:
    """Download a file, going on with what is there of it.

    Raises:
        UserError: If it cannot be downloaded, or is not the released one.
    """
    partial = partial_of(target, weights)
    if partial.is_symlink() or (partial.exists() and not partial.is_file()):
        raise UserError(f'{partial} is in the way: it is no file; move it away')
    earlier = target.with_name(f'{target.name}.part')
    taken = None if partial.exists() else _take(earlier, partial)
    while not (partial.exists() and sha256(partial) == weights.sha256):
        resumed = partial.exists()
        if not receive(weights, partial):
            inside.remove(partial.parent, partial.name)
            if not resumed:
                raise not_released(weights)
    atomic.take_free_name(partial, target)
    atomic.sync_folder(target.parent)
    if taken is not None and _state(earlier) == taken and target.read_bytes().startswith(earlier.read_bytes()):
        inside.remove(earlier.parent, earlier.name)  # nothing is lost with it


def _take(earlier: Path, partial: Path) -> tuple[int, int] | None:
    """Begin with a copy of ``NAME.part``: earlier versions called their partial downloads so, and so do browsers.

    Returns:
        The state of the file that was copied, if there was one.
    """
    state = _state(earlier)
    if state is None or not 0 < state[0] <= MAX_BYTES:
        return None
    with open(earlier, 'rb') as original, atomic.writing(partial) as copy:
        shutil.copyfileobj(original, copy)
    return state


def _state(path: Path) -> tuple[int, int] | None:
    """Return size and time of change of a regular file, by which a later change is seen."""
    if path.is_symlink() or not path.is_file():
        return None
    status = path.stat()
    return status.st_size, status.st_mtime_ns
