r"""Read and write ``meta_info.txt``, the list of images inside an LMDB folder.

One line per image, ``KEY.png (HEIGHT,WIDTH,CHANNELS) LEVEL``: the key in the database, the size in pixels, and
the PNG compression level. BasicSR finds the images of an LMDB by this file alone.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from converse_basicsr.files import atomic
from converse_basicsr.files.reading import MAX_LIST_BYTES, Unreadable, require_file

FILE_NAME = 'meta_info.txt'

MAX_LINE = 600
"""Characters; the longest key of an LMDB has 511."""

# BasicSR cuts a key at the first dot.
_LINE = re.compile(
    r'(?P<key>[^.]+)\.png \((?P<height>\d{1,9}),(?P<width>\d{1,9}),(?P<channels>\d{1,9})\) (?P<level>\d{1,9})', re.ASCII
)


class Entry(NamedTuple):
    """One image of an LMDB.

    Attributes:
        key: Its name in the database.
        height: In pixels.
        width: In pixels.
        channels: 1 or 3.
        level: PNG compression level, 0 to 9.
    """

    key: str
    height: int
    width: int
    channels: int
    level: int


def entries(folder: Path) -> list[Entry]:
    r"""Read the list of an LMDB folder, in the order of its lines.

    Args:
        folder: The LMDB folder.

    Returns:
        The images; none for an empty file.

    Raises:
        ValueError: If a line is malformed (its number and content are named) or an image is listed twice.
        OSError: If the file cannot be read.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / FILE_NAME).write_text('0001.png (480,320,3) 1\n')
        >>> entries(folder)
        [Entry(key='0001', height=480, width=320, channels=3, level=1)]
    """
    found, problems = survey(folder)
    if problems:
        raise ValueError(f'{folder} {problems[0]}')
    return found


def survey(folder: Path) -> tuple[list[Entry], list[str]]:
    """Read the well-formed lines of the list, and name what is wrong with the others.

    Args:
        folder: The LMDB folder.

    Returns:
        The images, each once, and the problems: phrases to follow the folder's name, at most one of each kind.

    Raises:
        OSError: If the file cannot be read.
    """
    try:
        require_file(folder / FILE_NAME, MAX_LIST_BYTES)
    except Unreadable as error:
        return [], [f'has a {FILE_NAME} that {error}']
    found: dict[str, Entry] = {}
    problems: dict[str, list[Any]] = {}
    with (folder / FILE_NAME).open(encoding='utf-8', errors='backslashreplace') as file:
        for number, line in enumerate(iter(lambda: file.readline(MAX_LINE), ''), start=1):
            match = _LINE.fullmatch(line.rstrip('\n'))
            if match is None:
                text = f'has a malformed line {number} in {FILE_NAME}: {line.rstrip()!r:.200}'
            elif match['key'] in found:
                text = f'lists {match["key"]} twice in {FILE_NAME}'
            else:
                size = (int(match[name]) for name in ('height', 'width', 'channels', 'level'))
                found[match['key']] = Entry(match['key'], *size)
                continue
            problems.setdefault(text.split()[0], [text, 0])[1] += 1
            if len(line) == MAX_LINE:
                break  # no list; the rest may be one line without end
    return list(found.values()), [
        text + (f' and {count - 1} more' if count > 1 else '') for text, count in problems.values()
    ]


def write(folder: Path, images: Iterable[Entry]) -> None:
    """Write the list, sorted by key; the file appears whole or not at all.

    Args:
        folder: The LMDB folder.
        images: What the database holds.

    Raises:
        OSError: If writing fails.
    """
    lines = [
        f'{key}.png ({height},{width},{channels}) {level}\n' for key, height, width, channels, level in sorted(images)
    ]
    atomic.write_bytes(folder / FILE_NAME, ''.join(lines).encode('ascii'))
