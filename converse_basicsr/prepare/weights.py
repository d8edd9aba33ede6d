"""Fetch or copy the released weights and check them."""

import hashlib
import os
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from converse_basicsr.checkpoints.released import MODEL_ZOO, WEIGHTS, Weights
from converse_basicsr.errors import UserError

CHUNK = 2**16
TIMEOUT = 30  # seconds without an answer


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


def _fetch(weights: Weights, target: Path, input: str | Path | None) -> Fetched:
    """Fetch one file, unless it is there already."""
    if target.exists():
        check(target, weights)
        return Fetched(target, is_new=False)
    partial = target.with_name(f'{target.name}.part')  # not a temporary file: the next download goes on with it
    if input is None:
        download(weights, partial)
    else:
        source = Path(input) / target.name
        if not source.is_file():
            raise UserError(f'{source} does not exist; it is offered at {weights.url}')
        shutil.copyfile(source, partial)
    try:
        check(partial, weights)
    except UserError:
        partial.unlink()
        raise
    os.replace(partial, target)
    return Fetched(target, is_new=True)


def check(path: Path, weights: Weights) -> None:
    """Compare a file's digest with the released one's.

    Raises:
        UserError: If they differ.
    """
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != weights.sha256:
        raise UserError(
            f'{path} is not the released {weights.file} (SHA-256 {digest[:12]}..., expected {weights.sha256[:12]}...); '
            'delete it and repeat the command'
        )


def download(weights: Weights, partial: Path) -> None:
    """Download a file to ``partial``, going on with what is there.

    Raises:
        UserError: If the server cannot be reached or breaks off.
    """
    from tqdm import tqdm

    have = partial.stat().st_size if partial.exists() else 0
    request = urllib.request.Request(weights.url, headers={'Range': f'bytes={have}-'} if have else {})
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:
            resumed = answer.status == 206  # partial content; else the server sends the whole file
            have = have if resumed else 0
            total = int(answer.headers.get('Content-Length', 0)) + have or None
            with (
                open(partial, 'ab' if resumed else 'wb') as file,
                tqdm(desc=weights.file, total=total, initial=have, unit='B', unit_scale=True, file=sys.stderr) as bar,
            ):
                while chunk := answer.read(CHUNK):
                    file.write(chunk)
                    bar.update(len(chunk))
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, 'reason', error)
        raise UserError(
            f'{weights.url} cannot be downloaded ({reason}); repeat the command to go on, or download it elsewhere and '
            'give its folder as --input'
        ) from None
