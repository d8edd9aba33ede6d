"""Decide which input file becomes which result file, and restore them all."""

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2

from converse_basicsr.errors import UserError
from converse_basicsr.files import inside, sheet
from converse_basicsr.files import picture as image_file
from converse_basicsr.files.decoding import BadImage, area
from converse_basicsr.files.images import IMAGE_SUFFIXES, find_images
from converse_basicsr.files.picture import Picture

if TYPE_CHECKING:
    from converse_basicsr.restore.restorer import Restorer


class Plan(NamedTuple):
    """What is to be done.

    Attributes:
        jobs: Image -> result, in the order given.
        notes: One line per folder in which files were left out because they are no images.
    """

    jobs: dict[Path, Path]
    notes: list[str]


def plan(
    inputs: Sequence[Path],
    output: Path,
    *,
    overwrite: bool = False,
    skip_existing: bool = False,
    comparisons: Path | None = None,
) -> Plan:
    """Decide which input becomes which result, before anything is computed.

    Args:
        inputs: Images, and folders of images.
        output: Folder of the results.
        overwrite: Replace results, and pictures beside them, that exist.
        skip_existing: Leave out images whose results exist.
        comparisons: Folder for pictures of input and result side by side, if there are to be any.

    Raises:
        UserError: If an input is no image, two images would have one result, a result would replace its input, a folder
            cannot be written into, or results exist and neither flag is given.
    """
    sources, notes = _find(inputs)
    jobs = {source: output / f'{source.stem}.png' for source in sources}
    by_target: dict[str, list[Path]] = {}
    for source, target in jobs.items():
        # Folded case: some file systems do not distinguish upper and lower case.
        by_target.setdefault(target.name.casefold(), []).append(source)
    problems = [
        f'{", ".join(map(str, sources))} would all become {jobs[sources[0]]}: restore them into different folders'
        for sources in by_target.values()
        if len(sources) > 1
    ]
    kept = {target for target in jobs.values() if skip_existing and os.path.lexists(target)}
    jobs = {source: target for source, target in jobs.items() if target not in kept}
    pictures = [comparisons / target.name for target in jobs.values()] if comparisons else []
    there = [target for target in (*jobs.values(), *pictures) if os.path.lexists(target)]
    files = {_identity(source) for source in sources}
    problems += [
        f'{target} would replace an input: choose another --output'
        for target in (*kept, *there)
        if _identity(target) in files
    ]
    if not problems and there and not overwrite:
        more = f' and {len(there) - 1} more' if len(there) > 1 else ''
        others = 'another --output' if skip_existing else 'another --output, --skip-existing'
        problems = [f'{there[0]}{more} exist already: choose {others} or --overwrite']
    problems = problems or [
        f'{text}: choose another --output'
        for folder in (output, comparisons)
        if folder and (text := inside.obstacle(folder))
    ]
    if problems:
        raise UserError(*problems)
    return Plan(jobs, notes)


def _identity(path: Path) -> tuple[int, int] | None:
    """Tell files apart, whatever names and links lead to them; None for a link to nothing."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _find(inputs: Sequence[Path]) -> tuple[list[Path], list[str]]:
    """Return the images among the inputs, each once, and notes on what was left out."""
    found: list[Path] = []
    notes: list[str] = []
    for path in inputs:
        if path.is_dir():
            images, others = find_images(path)
            found += images
            if others:
                notes.append(f'{path}: left out {", ".join(others)}: no images by their names')
        elif not path.exists():
            raise UserError(f'{path} does not exist: give an image or a folder of images')
        elif path.suffix.lower() not in IMAGE_SUFFIXES:
            raise UserError(f'{path} is no image by its name ({" ".join(sorted(IMAGE_SUFFIXES))})')
        else:
            found.append(path)
    return list(dict.fromkeys(found)), notes


def carry_out(
    jobs: Mapping[Path, Path],
    restorer: 'Restorer',
    *,
    overwrite: bool = False,
    comparisons: Path | None = None,
    caption: str = 'restored',
    progress: Callable[[Path, int], object] = lambda source, pixels: None,
) -> list[str]:
    """Restore files.

    Args:
        jobs: Image -> result.
        restorer: What restores.
        overwrite: Replace files that exist; without it, one that has appeared since :func:`plan` looked is kept.
        comparisons: Folder for pictures of input and result side by side; none are written if None.
        caption: What these pictures call the result.
        progress: Called with an image and a number of newly completed pixels: 0 when it is begun, those of a tile after
            every tile, and all that its header states when it cannot be used.

    Returns:
        One line per image that cannot be used; the others are restored.

    Raises:
        UserError: If a result cannot be written.
    """
    bad = []
    for source, target in jobs.items():
        progress(source, 0)
        try:
            before = image_file.read(source)
            after = restorer(before, partial(progress, source))
            picture = compare(before, after, caption) if comparisons else None
        except BadImage as error:
            bad.append(f'{source} {error}')
        except Exception as error:  # whatever a network raises for this image must not take the others with it
            bad.append(f'{source} cannot be restored: {_reason(error)}')
        else:
            image_file.write(after, target, replace=overwrite)
            if comparisons and picture:
                image_file.write(picture, comparisons / target.name, replace=overwrite)
            continue
        progress(source, area(source))
    return bad


def _reason(error: Exception) -> str:
    """Return the first line of an exception, or what to do where memory was short, of the CPU or a GPU."""
    from converse_basicsr.devices import is_short_of_memory

    if is_short_of_memory(error):
        return 'the memory is used up; give a smaller --tile'
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def compare(before: Picture, after: Picture, caption: str) -> Picture:
    """Show input and result side by side: the whole result, then a detail of each, without transparency."""
    shown = [image.pixels if image.peak == 255 else (image.pixels // 257).astype('uint8') for image in (before, after)]
    height, width = shown[1].shape[:2]
    enlarged = height != shown[0].shape[0]
    shown[0] = cv2.resize(shown[0], (width, height), interpolation=cv2.INTER_CUBIC).reshape(shown[1].shape)
    colours = [image[..., ::-1] if image.shape[2] == 3 else image[..., 0] for image in shown]
    captions = ('bicubic' if enlarged else 'input', caption)
    panels = [(text, image.copy()) for text, image in zip(captions, colours)]
    return Picture(sheet.compare(panels)[..., ::-1])
