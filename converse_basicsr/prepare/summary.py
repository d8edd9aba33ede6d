"""Describe a finished data set in a few lines."""

from collections.abc import Sequence

from converse_basicsr.prepare.record import Prepared

NAMES_SHOWN = 5


def summary(prepared: Prepared) -> list[str]:
    """Describe a data set: its members with their sizes on the disk, and what was special about the images.

    Args:
        prepared: What was made, or found complete.

    Returns:
        The lines.
    """
    from converse_basicsr.files.images import GREY

    output, record = prepared.output, prepared.record
    if not prepared.is_new:
        images = 'from these images ' if record.sources else ''
        return [f'{output} is complete and was made {images}with these parameters: nothing to do']
    sources = len(record.sources) - len(record.left_out)
    lines = [f'{output}: made' + (f' from {count(sources, "image")}' if sources else '')]
    for name, number in record.members.items():
        size = sum(file.stat().st_size for file in (output / name).rglob('*') if file.is_file())
        lines.append(f'  {name}: {count(number, "image")}, {size_text(size)}')
    if record.files:
        lines.append(f'  {listing(record.files)}')
    for note, names in record.notes.items():
        # A grey set is grey by intention; grey images among colour ones deserve a line.
        if note != GREY or len(names) < len(record.sources):
            lines.append(f'  {note}: {count(len(names), "image")} ({listing(names)})')
    if record.left_out:
        reasons = [f'{name} {why}' for name, why in record.left_out.items()]
        lines.append(f'  left out: {count(len(reasons), "image")} ({listing(reasons)})')
    if record.ignored:
        lines.append(f'  no images: {count(len(record.ignored), "file")} ({listing(record.ignored)})')
    return lines


def count(number: int, noun: str) -> str:
    """Write a number of things, as ``1 image`` or ``2 images``."""
    return f'{number} {noun}' + ('' if number == 1 else 's')


def listing(texts: Sequence[str]) -> str:
    """Write the first few of several texts, and how many more there are."""
    more = len(texts) - NAMES_SHOWN
    return ', '.join(texts[:NAMES_SHOWN]) + (f' and {more} more' if more > 0 else '')


def size_text(size: float) -> str:
    """Write a size, given in bytes, in the unit that suits it."""
    for unit in ('KiB', 'MiB'):
        size /= 1024
        if size < 1024:
            return f'{size:.1f} {unit}'
    return f'{size / 1024:.1f} GiB'
