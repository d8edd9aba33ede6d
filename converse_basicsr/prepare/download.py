"""One request to a server for a released file or the rest of it, whatever the server or a proxy answers."""

import http.client
import itertools
import os
import re
import sys
import urllib.error
import urllib.request
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from converse_basicsr.checkpoints.released import Weights
from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic
from converse_basicsr.files.digest import sha256

CHUNK = 2**16
TIMEOUT = 30  # seconds without an answer
MAX_BYTES = 2**30
"""No released file is nearly as large: a server that sends more sends something else."""


class _BrokenOff(Exception):
    """The answer ended too early; the text says why."""


def receive(weights: Weights, partial: Path, *, ask_for_rest: bool = True) -> bool:
    """Ask the server for what a partial file lacks, and add it to the file.

    An answer that holds the whole file replaces the partial one only if it is right, or is longer before it breaks off.

    Args:
        weights: The released file.
        partial: What is there of it, if anything.
        ask_for_rest: Ask for the rest; else for the whole file.

    Returns:
        Whether the file is now the released one. If not, the server has no more to give, and the partial file is of
        no use.

    Raises:
        UserError: If the server cannot be reached, breaks off or sends something else; the partial file is kept.
    """
    have = partial.stat().st_size if partial.exists() else 0
    headers = {'Accept-Encoding': 'identity'}
    if have and ask_for_rest:
        headers['Range'] = f'bytes={have}-'
    try:
        answer = urllib.request.urlopen(urllib.request.Request(weights.url, headers=headers), timeout=TIMEOUT)
    except urllib.error.HTTPError as error:
        if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE and 'Range' in headers:
            return False
        hint = '; the proxy wants a user and password in https_proxy' if error.code == 407 else ''
        raise _refusal(weights, f'HTTP {error.code} {_first_line(error.reason)}{hint}') from None
    except (OSError, http.client.HTTPException, ValueError) as error:  # the last is for addresses of proxies
        raise _refusal(weights, _first_line(getattr(error, 'reason', error))) from None
    with answer:
        is_rest = answer.status == http.HTTPStatus.PARTIAL_CONTENT
        if is_rest and not _begins_at(answer, have):
            if not ask_for_rest:
                raise _refusal(weights, 'the server sends another part than was asked for')
            return receive(weights, partial, ask_for_rest=False)
        if (answer.length or 0) > MAX_BYTES:
            raise _refusal(weights, f'the server announces {answer.length} bytes, more than such a file has')
        try:
            return _save(weights, answer, partial, have, is_rest=is_rest)
        except OSError as error:
            raise UserError(f'{partial} cannot be written ({error.strerror}); repeat the command to go on') from None


def not_released(weights: Weights) -> UserError:
    """Say that what the server sends is another file."""
    return UserError(
        f'{weights.url}: what the server or a proxy sends is not the released {weights.file}; download it elsewhere '
        'and give its folder as --input'
    )


def _save(weights: Weights, answer: http.client.HTTPResponse, partial: Path, have: int, *, is_rest: bool) -> bool:
    """Write the body of an answer; see :func:`receive`."""
    chunks = _chunks(answer)
    try:
        first = next(chunks, b'')
    except _BrokenOff as error:
        raise _refusal(weights, str(error)) from None
    if first.lstrip()[:9].lower().startswith((b'<!doctype', b'<html')):
        raise _refusal(weights, f'{answer.url} is a web page, perhaps of a proxy or a login')
    broken_off, length = None, answer.length
    # Beside what is there, if the server begins anew: it must not be lost for less.
    is_beside = bool(have) and not is_rest
    with atomic.writing(partial) if is_beside else open(partial, 'ab' if is_rest else 'wb') as file:
        try:
            _write(file, first, chunks, weights, length, have if is_rest else 0)
        except _BrokenOff as error:
            broken_off = str(error)
        file.flush()
        os.fsync(file.fileno())
        is_right = sha256(Path(file.name)) == weights.sha256
        if not is_right and length is None and file.tell() <= MAX_BYTES:
            broken_off = broken_off or f'{file.tell()} bytes came, of an unknown number'
        if is_beside and not is_right and (broken_off is None or file.tell() <= have):
            raise not_released(weights) if broken_off is None else _refusal(weights, broken_off)
    if broken_off is not None and not is_right:
        raise _refusal(weights, broken_off)
    return is_right


def _write(
    file: BinaryIO, first: bytes, chunks: Iterable[bytes], weights: Weights, length: int | None, have: int
) -> None:
    """Write chunks to a file, with a progress bar."""
    from tqdm import tqdm

    total = None if length is None else length + len(first) + have
    with tqdm(desc=weights.file, total=total, initial=have, unit='B', unit_scale=True, file=sys.stderr) as bar:
        for chunk in itertools.chain([first], chunks):
            file.write(chunk)
            bar.update(len(chunk))
            if file.tell() > MAX_BYTES:
                return


def _chunks(answer: http.client.HTTPResponse) -> Iterator[bytes]:
    """Yield the body of an answer as it comes, decompressed.

    Raises:
        _BrokenOff: If it ends before its end.
    """
    length, received = answer.length, 0
    is_compressed = answer.headers.get('Content-Encoding', '').strip().lower() in ('gzip', 'x-gzip', 'deflate')
    decompressor = zlib.decompressobj(32 + zlib.MAX_WBITS) if is_compressed else None  # 32: either format
    try:
        while chunk := answer.read1(CHUNK):
            received += len(chunk)
            if content := decompressor.decompress(chunk) if decompressor else chunk:
                yield content
    except (OSError, http.client.HTTPException, zlib.error) as error:
        raise _BrokenOff(_first_line(error)) from None
    if length is not None and received < length:
        raise _BrokenOff(f'{received} of {length} bytes came')
    if decompressor and not decompressor.eof:
        raise _BrokenOff(f'{received} bytes came')


def _begins_at(answer: http.client.HTTPResponse, have: int) -> bool:
    """Say whether a part of a file begins where it must, and is not compressed."""
    match = re.fullmatch(r'bytes\s+(\d+)-\d+/(?:\d+|\*)', answer.headers.get('Content-Range', '').strip())
    is_plain = answer.headers.get('Content-Encoding', 'identity').strip().lower() == 'identity'
    return match is not None and int(match[1]) == have and is_plain


def _refusal(weights: Weights, reason: str) -> UserError:
    return UserError(
        f'{weights.url} cannot be downloaded ({reason}); repeat the command to go on, or download it elsewhere and '
        'give its folder as --input'
    )


def _first_line(error: object) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
