r"""Read and write ``meta_info.txt``, the list of images inside an LMDB folder.

One line per image, ``KEY.png (HEIGHT,WIDTH,CHANNELS) LEVEL``: the key in the database, the size in pixels, and
the PNG compression level. BasicSR finds the images of an LMDB by this file alone.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from converse_basicsr.files import atomic

FILE_NAME = 'meta_info.txt'

# BasicSR cuts a key at the first dot.
_LINE = re.compile(r'(?P<key>[^.]+)\.png \((?P<height>\d+),(?P<width>\d+),(?P<channels>\d+)\) (?P<level>\d+)', re.ASCII)


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
        The images, each once, and the problems: phrases to follow the folder's name.

    Raises:
        OSError: If the file cannot be read.
    """
    found: dict[str, Entry] = {}
    problems = []
    with (folder / FILE_NAME).open(encoding='utf-8', errors='backslashreplace') as file:
        for number, line in enumerate(file, start=1):
            match = _LINE.fullmatch(line.rstrip('\n'))
            if match is None:
                problems.append(f'has a malformed line {number} in {FILE_NAME}: {line.rstrip()!r}')
            elif match['key'] in found:
                problems.append(f'lists {match["key"]} twice in {FILE_NAME}')
            else:
                size = (int(match[name]) for name in ('height', 'width', 'channels', 'level'))
                found[match['key']] = Entry(match['key'], *size)
    return list(found.values()), problems


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
