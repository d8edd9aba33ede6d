"""Decide which input file becomes which result file, and restore them all."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2

from converse_basicsr.errors import UserError
from converse_basicsr.files import picture as image_file
from converse_basicsr.files import sheet
from converse_basicsr.files.images import IMAGE_SUFFIXES, BadImage, find_images
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


def plan(inputs: Sequence[Path], output: Path, *, overwrite: bool = False, skip_existing: bool = False) -> Plan:
    """Decide which input becomes which result, before anything is computed.

    Args:
        inputs: Images, and folders of images.
        output: Folder of the results.
        overwrite: Replace results that exist.
        skip_existing: Leave out images whose results exist.

    Raises:
        UserError: If an input is no image, two images would have one result, a result would replace its input, or
            results exist and neither flag is given.
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
    files = {source.resolve() for source in jobs}
    problems += [
        f'{target} would replace an input: choose another --output'
        for target in jobs.values()
        if target.resolve() in files
    ]
    if not problems and skip_existing:
        jobs = {source: target for source, target in jobs.items() if not target.exists()}
    elif not problems and not overwrite:
        there = [target for target in jobs.values() if target.exists()]
        if there:
            more = f' and {len(there) - 1} more' if len(there) > 1 else ''
            problems = [f'{there[0]}{more} exist already: choose another --output, --skip-existing or --overwrite']
    if problems:
        raise UserError(*problems)
    return Plan(jobs, notes)


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
    comparisons: Path | None = None,
    caption: str = 'restored',
    progress: Callable[[Path, int], object] = lambda source, pixels: None,
) -> list[str]:
    """Restore files.

    Args:
        jobs: Image -> result.
        restorer: What restores.
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
        except BadImage as error:
            bad.append(f'{source} {error}')
            progress(source, image_file.area(source))
            continue
        image_file.write(after, target)
        if comparisons is not None:
            write_comparison(before, after, caption, comparisons / target.name)
    return bad


def write_comparison(before: Picture, after: Picture, caption: str, path: Path) -> None:
    """Write input and result side by side: the whole result, then a detail of each, without transparency."""
    shown = [image.pixels if image.peak == 255 else (image.pixels // 257).astype('uint8') for image in (before, after)]
    height, width = shown[1].shape[:2]
    enlarged = height != shown[0].shape[0]
    shown[0] = cv2.resize(shown[0], (width, height), interpolation=cv2.INTER_CUBIC).reshape(shown[1].shape)
    colours = [image[..., ::-1] if image.shape[2] == 3 else image[..., 0] for image in shown]
    captions = ('bicubic' if enlarged else 'input', caption)
    panels = [(text, image.copy()) for text, image in zip(captions, colours)]
    comparison = sheet.compare(panels)
    image_file.write(Picture(comparison[..., ::-1]), path)
