"""What a worker process makes of one image: pairs or the ground truth alone, as sub-images or whole."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field

import cv2
import numpy as np

from converse_basicsr.files.images import BadImage, Source, encode_png, read_image
from converse_basicsr.prepare.downsample import BICUBIC_SUPPORT, downsample

GROUND_TRUTH = 'gt.lmdb'

ANY_PART = r'(train/)?(gt|lq_x\d+)\.lmdb|val/(GTmod|LRbicx)\d+|SOURCES\.txt'
"""What the data sets with the record ``prepare.json`` are made of: one with ``--overwrite`` replaces another."""

TOO_SMALL = 'left out, smaller than the crop'
MADE_GREY = 'colour made grey'
MARGIN_CUT = 'cut at the right or bottom to a multiple of the scale'


@dataclass(frozen=True)
class Entry:
    """One encoded image on its way into a member of the data set.

    Attributes:
        member: LMDB or folder, as a path relative to the output folder.
        key: Name without extension.
        png: The encoded image.
        shape: Height, width, channels.
    """

    member: str
    key: str
    png: bytes
    shape: tuple[int, int, int]


@dataclass(frozen=True)
class Outcome:
    """What became of one source: its images and notes, or the reason why it cannot be used."""

    entries: list[Entry] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    bad: str | None = None


@dataclass(frozen=True)
class Task(ABC):
    """Work on one source; subclasses say what. A task is sent to a worker process, so it holds plain values only."""

    source: Source

    @abstractmethod
    def make(self, image: np.ndarray) -> tuple[list[Entry], list[str]]:
        """Make the entries.

        Args:
            image: uint8 ``(H, W, 3)`` in BGR order or ``(H, W)``.

        Returns:
            The entries, and notes for the report.

        Raises:
            BadImage: If nothing can be made from this image.
        """

    def __call__(self) -> Outcome:
        """Read the source and make its entries; a bad image is an outcome, not an exception."""
        try:
            image, notes = read_image(self.source.path)
            entries, more_notes = self.make(image)
        except BadImage as error:
            return Outcome(bad=str(error))
        except OSError as error:
            return Outcome(bad=f'cannot be read: {error.strerror or error}')
        return Outcome(entries, [*notes, *more_notes])


@dataclass(frozen=True)
class SubimageTask(Task):
    """Cut an image and its downsampled versions into pairs of sub-images.

    The whole image is downsampled, then both are cut: a crop's low-resolution pixels near its border come from the
    pixels that really lie beyond it, not from mirrored ones. The grid of the small images is that of the large one
    divided by the scale.

    Attributes:
        scales: Downsampling factors; one ``lq_xN.lmdb`` per scale.
        crop: Side of the sub-images, a multiple of every scale.
        step: Distance between them, a multiple of every scale.
        folder: Where the LMDBs go, relative to the output folder and ending in ``/``, or empty.
    """

    scales: tuple[int, ...]
    crop: int
    step: int
    folder: str = ''

    def make(self, image: np.ndarray) -> tuple[list[Entry], list[str]]:
        """Make the sub-images; none where the image is smaller than the crop."""
        image, notes = cut_to_multiple(image, math.lcm(*self.scales))
        if min(image.shape[:2]) < self.crop:
            return [], [*notes, TOO_SMALL]
        corners = crop_corners(image, self.crop, self.step)
        entries = []
        versions = [(GROUND_TRUTH, image, 1), *((f'lq_x{s}.lmdb', downsample(image, s), s) for s in self.scales)]
        for name, version, scale in versions:
            side = self.crop // scale
            for index, (top, left) in enumerate(corners, start=1):
                patch = version[top // scale : top // scale + side, left // scale : left // scale + side]
                entries.append(make_entry(f'{self.folder}{name}', f'{self.source.key}_s{index:03d}', patch))
        return entries, notes


@dataclass(frozen=True)
class GroundTruthTask(Task):
    """Store an image, or its sub-images, in ``gt.lmdb``: for degradations that are made while training.

    Attributes:
        gray: Store colour images as luma.
        grid: Side of the sub-images and distance between them; the whole image, of any size, where None.
    """

    gray: bool
    grid: tuple[int, int] | None

    def make(self, image: np.ndarray) -> tuple[list[Entry], list[str]]:
        """Make the entries; none where the image is smaller than the crop."""
        notes = []
        if self.gray and image.ndim == 3:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            notes.append(MADE_GREY)
        if self.grid is None:
            return [make_entry(GROUND_TRUTH, self.source.key, image)], notes
        crop, step = self.grid
        if min(image.shape[:2]) < crop:
            return [], [*notes, TOO_SMALL]
        corners = crop_corners(image, crop, step)
        return [
            make_entry(GROUND_TRUTH, f'{self.source.key}_s{index:03d}', image[top : top + crop, left : left + crop])
            for index, (top, left) in enumerate(corners, start=1)
        ], notes


@dataclass(frozen=True)
class PairTask(Task):
    """Make test pairs: for each scale the image cut to a multiple of it, and its downsampled version.

    Attributes:
        scales: Downsampling factors.
        folder: Where the folders go, relative to the output folder and ending in ``/``, or empty.
    """

    scales: tuple[int, ...]
    folder: str = ''

    def make(self, image: np.ndarray) -> tuple[list[Entry], list[str]]:
        """Make the two images of each scale."""
        entries, notes = [], []
        for scale in self.scales:
            gt_image, notes_here = cut_to_multiple(image, scale)
            notes += [note for note in notes_here if note not in notes]
            if min(gt_image.shape[:2]) < BICUBIC_SUPPORT * scale:
                raise BadImage(f'is too small for x{scale}: both sides must have {BICUBIC_SUPPORT * scale} pixels')
            gt, lq = pair_members(scale)
            entries.append(make_entry(f'{self.folder}{gt}', self.source.key, gt_image))
            entries.append(make_entry(f'{self.folder}{lq}', self.source.key, downsample(gt_image, scale)))
        return entries, notes


def pair_members(scale: int) -> tuple[str, str]:
    """Name the GT and LR folders of a test set, as they are usually called (``GTmod4``, ``LRbicx4``)."""
    return f'GTmod{scale}', f'LRbicx{scale}'


def subimage_members(scales: tuple[int, ...]) -> tuple[str, ...]:
    """Name the LMDBs of a training set: the GT shared by all scales, and one LR for each."""
    return (GROUND_TRUTH, *(f'lq_x{scale}.lmdb' for scale in scales))


def make_entry(member: str, key: str, image: np.ndarray) -> Entry:
    """Encode an image as an :class:`Entry`; its shape gets the channel count that BasicSR's meta_info.txt states."""
    height, width, channels = image.shape if image.ndim == 3 else (*image.shape, 1)
    return Entry(member, key, encode_png(np.ascontiguousarray(image)), (height, width, channels))


def cut_to_multiple(image: np.ndarray, multiple: int) -> tuple[np.ndarray, list[str]]:
    """Cut an image at the right and bottom so that both sides are multiples of a number.

    Args:
        image: ``(H, W, C)`` or ``(H, W)``.
        multiple: The number.

    Returns:
        The cut image, and :data:`MARGIN_CUT` as a note where something was cut off.
    """
    height, width = (side - side % multiple for side in image.shape[:2])
    return image[:height, :width], [MARGIN_CUT] if (height, width) != image.shape[:2] else []


def crop_corners(image: np.ndarray, crop: int, step: int) -> list[tuple[int, int]]:
    """List the top left corners of an image's sub-images, row by row (:func:`crop_starts` along both sides)."""
    height, width = image.shape[:2]
    return [(top, left) for top in crop_starts(height, crop, step) for left in crop_starts(width, crop, step)]


def crop_starts(length: int, crop: int, step: int) -> list[int]:
    """Place crops along one side: every ``step`` pixels, and one at the end where pixels are left over.

    Args:
        length: Length of the side, at least ``crop``.
        crop: Length of a crop.
        step: Distance between starts.

    Returns:
        The starts, increasing.

    Reference:
        BasicSR's extract_subimages with thresh_size 0; the 800 DIV2K images give 32,592 sub-images of 480 at step 240.

    Example:
        >>> crop_starts(1404, 480, 240)
        [0, 240, 480, 720, 924]
    """
    starts = list(range(0, length - crop + 1, step))
    if starts[-1] + crop < length:
        starts.append(length - crop)
    return starts
