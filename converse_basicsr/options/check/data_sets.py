"""Look at the data that an option file names: are they there, whole, in pairs, and of the right sizes?"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from converse_basicsr.files import meta_info
from converse_basicsr.files.image_header import ImageHeader, read_header
from converse_basicsr.files.reading import MAX_LIST_BYTES, Unreadable, read_text, require_file
from converse_basicsr.options.check import registered
from converse_basicsr.options.check.attempt import one_line, quiet
from converse_basicsr.options.check.problem import Findings, Problem
from converse_basicsr.options.check.sections import section
from converse_basicsr.options.complete import complete_dataset
from converse_basicsr.options.keys import DATASETS

MAX_HEADERS = 1000
"""Largest number of image files of a folder that are opened, evenly spaced; names are compared for all."""

MAX_FRAMES = 10**8
"""Largest number of frames of a video data set: 38 days at 30 frames per second."""

NIQE_LEAST = 192
"""Sides in pixels below which BasicSR's NIQE fails."""

SSIM_LEAST = 11
"""Side in pixels of SSIM's window: below it the result is not a number, without a warning."""

_PAIRED = ('PairedImageDataset', 'RealESRGANPairedDataset')
_ROOTS = ('dataroot_gt', 'dataroot_lq')

Size = tuple[int, int]


def absence_problems(options: Mapping[str, Any], name: str) -> list[Problem]:
    """Name the folders and files of one data set that are missing.

    A section's own key ``prepare`` holds the command that makes its data; BasicSR ignores it.
    """
    dataset = section(options, 'datasets', name)
    remedy = dataset.get('prepare') or 'basicsr prepare --help'
    is_lmdb = section(dataset, 'io_backend').get('type') == 'lmdb'
    # What the LMDBs of plugins hold besides is not known.
    needed = ('data.mdb', meta_info.FILE_NAME) if str(dataset.get('type')) in DATASETS else ('data.mdb',)
    problems = []
    named = [(key, value) for key, value in dataset.items() if key.startswith(('dataroot', 'meta_info'))]
    kernels = dataset.get('kernels')
    named += [('kernels', value) for value in (kernels if isinstance(kernels, list) else [])]
    for key, value in named:
        if not isinstance(value, str):
            continue
        path = Path(os.path.expanduser(value))
        is_root = key.startswith('dataroot')
        if not os.path.exists(path):  # which is false, too, for names that no file can have
            reason = 'does not exist'
        elif is_root and not path.is_dir():
            reason = 'is no folder'
        elif is_root and is_lmdb and not value.endswith('.lmdb'):
            reason = 'must end in .lmdb for the lmdb backend'
        elif is_root and is_lmdb and not all((path / file).is_file() for file in needed):
            reason = f'is no complete LMDB ({" and ".join(needed)})'
        elif is_root or (key == 'kernels' and path.is_dir()):
            continue
        else:
            try:
                require_file(path, MAX_LIST_BYTES)  # whoever opens a pipe waits for ever
                continue
            except (Unreadable, OSError) as error:
                reason = str(error)
        problems.append(Problem(('datasets', name, key), f'{value} {reason}; make it with: {remedy}'))
    return problems


def content_findings(options: Mapping[str, Any], names: Iterable[str]) -> tuple[Findings, dict[str, Any]]:
    """Look into data that are there: whole LMDBs, pairs, sizes, readable images.

    Only data of BasicSR's and this package's datasets are opened: what those of plugins read is not known.

    Args:
        options: Options of the file.
        names: The sections of ``datasets``, whose keys have been checked.

    Returns:
        What is found, and the data sets that were built, by section.
    """
    findings, built = Findings(), {}
    checked: dict[str, bool] = {}
    for name in names:
        if options['datasets'][name]['type'] in DATASETS:
            survey = _Survey(options, name, findings)
            if survey.lmdbs_are_whole(checked) and survey.images_are_right() and (data := survey.build()) is not None:
                built[name] = data
    return findings, built


class _Survey:
    """The check of the content of one data set.

    Args:
        options: Options of the file.
        name: The section of ``datasets``.
        findings: Receives what is found.
    """

    def __init__(self, options: Mapping[str, Any], name: str, findings: Findings) -> None:
        self.options = options
        self.name = name
        self.findings = findings
        self.dataset: dict[str, Any] = options['datasets'][name]
        self.phase = name.split('_')[0]
        self.is_lmdb = section(self.dataset, 'io_backend').get('type') == 'lmdb'
        self.scale: int = options.get('scale', 1)

    def add(self, key: str, text: str) -> None:
        """Record a problem of a key."""
        self.findings.problems.append(Problem(('datasets', self.name, key), text))

    def root(self, key: str) -> str:
        """Return a folder that the section names, ``~`` expanded."""
        return os.path.expanduser(str(self.dataset[key]))

    def lmdbs_are_whole(self, checked: dict[str, bool]) -> bool:
        """Check the section's LMDBs, each once for the whole file.

        Args:
            checked: Receives whether the LMDB of a path is whole.
        """
        if not self.is_lmdb:
            return True
        from converse_basicsr.files.lmdb_folder import check_lmdb

        paths = []
        for key in [key for key in self.dataset if key.startswith('dataroot') and self.dataset[key]]:
            path = os.path.realpath(self.root(key))
            paths.append(path)
            if path in checked:
                continue
            found = check_lmdb(Path(self.root(key)))
            checked[path] = not found
            for problem in found:
                self.add(key, f'{self.dataset[key]} {problem}')
        return all(checked[path] for path in paths)

    def images_are_right(self) -> bool:
        """Compare names, numbers and sizes of images with each other and with what the options ask of them."""
        before, kind = len(self.findings.problems), self.dataset['type']
        try:
            if kind in _PAIRED:
                pairs = self._pairs()
            elif kind in (
                'SingleImageDataset',
                'BicubicSRDataset',
                'BlurDataset',
                'GaussianNoiseDataset',
                'FFHQDataset',
            ):
                key = 'dataroot_lq' if kind == 'SingleImageDataset' else 'dataroot_gt'
                if kind == 'FFHQDataset' and not self.is_lmdb:
                    return True  # its 70,000 names are BasicSR's own
                pairs = [(name, '') if key == 'dataroot_gt' else ('', name) for name in self._images(key)]
            else:
                pairs = []
                self._look_at_clips()
        except (OSError, ValueError) as error:  # an open LMDB whose list has been changed
            self.add('type', f'the data cannot be read: {error}')
            return False
        if pairs:
            self._compare_sizes(pairs)
        return len(self.findings.problems) == before

    def _images(self, key: str) -> list[str]:
        """List the images of a root: the keys of an LMDB, the lines of a meta file, or the files of a folder."""
        meta = self.dataset.get('meta_info_file')
        if self.is_lmdb:
            return sorted(self._lmdb_sizes(key))
        if meta:
            return self._listed('meta_info_file', [(line.split(' ')[0],) for line in _lines(meta)])
        with os.scandir(self.root(key)) as entries:
            names = sorted(entry.name for entry in entries if not entry.name.startswith('.') and entry.is_file())
        if not names:
            self.add(key, f'{self.dataset[key]} holds no image')
        return names

    def _listed(self, key: str, rows: Sequence[tuple[str, ...]]) -> list[str]:
        """Return the first names of the rows of a meta file; refuse an empty one and names that lead elsewhere."""
        if not rows:
            self.add(key, f'{self.dataset[key]} lists no image')
        for row in rows:
            for name in row:
                if os.path.isabs(name) or '..' in Path(name).parts:
                    self.add(key, f'{self.dataset[key]} lists {name!r}, which is outside of the data set')
                    return []
        return [row[0] for row in rows]

    def _look_at_clips(self) -> None:
        """Look at the list of a video data set: BasicSR makes a name for each frame that it claims to have."""
        if not self.dataset.get('meta_info_file'):
            return
        rows = [line.split(' ') for line in _lines(self.dataset['meta_info_file'])]
        self._listed('meta_info_file', [(row[0],) for row in rows])
        frames = sum(int(row[1]) for row in rows if len(row) > 1 and row[1].isdecimal())
        if frames > MAX_FRAMES:
            self.add(
                'meta_info_file', f'{self.dataset["meta_info_file"]} claims {frames} frames, more than {MAX_FRAMES}'
            )

    def _lmdb_sizes(self, key: str) -> dict[str, Size]:
        return {entry.key: (entry.height, entry.width) for entry in meta_info.entries(Path(self.root(key)))}

    def _pairs(self) -> list[tuple[str, str]]:
        """List the images of a paired data set as (ground truth, input)."""
        if self.is_lmdb:
            of_gt, of_lq = (self._lmdb_sizes(key).keys() for key in _ROOTS)
            lonely = sorted(of_gt ^ of_lq)
            if lonely:
                self.add('dataroot_lq', f'its images and those of dataroot_gt differ: {_some(lonely)} are in one only')
            return [(name, name) for name in sorted(of_gt & of_lq)]
        if self.dataset['type'] == 'RealESRGANPairedDataset' and self.dataset.get('meta_info'):
            rows = [tuple(line.split(', ')) for line in _lines(self.dataset['meta_info'])]
            if any(len(row) != 2 for row in rows):
                self.add('meta_info', f'{self.dataset["meta_info"]} must hold two names per line, `GT, LQ`')
                return []
            return [(row[0], row[1]) for row in rows] if self._listed('meta_info', rows) else []
        gts = self._images('dataroot_gt')
        try:
            template = str(self.dataset.get('filename_tmpl', '{}'))
            pairs = [(gt, template.format(Path(gt).stem) + Path(gt).suffix) for gt in gts]
        except (IndexError, KeyError, ValueError, AttributeError):
            self.add('filename_tmpl', f"must have one pair of braces, as in '{{}}x4', got {template!r}")
            return []
        if self.dataset.get('meta_info_file'):
            return pairs
        lqs = set(self._images('dataroot_lq'))
        if gts and lqs and len(gts) != len(lqs):
            self.add('dataroot_lq', f'holds {len(lqs)} images, dataroot_gt {len(gts)}; they must be pairs')
        elif lonely := [lq for _, lq in pairs if lq not in lqs]:
            self.add('dataroot_lq', f'lacks {_some(lonely)}, which the names in dataroot_gt and filename_tmpl ask for')
        return [pair for pair in pairs if pair[1] in lqs]

    def _compare_sizes(self, pairs: list[tuple[str, str]]) -> None:
        sizes: list[tuple[str, Size | None, Size | None]] = []
        if self.is_lmdb:
            tables = [self._lmdb_sizes(key) if self.dataset.get(key) else {} for key in _ROOTS]
            sizes = [(gt or lq, tables[0].get(gt), tables[1].get(lq)) for gt, lq in pairs]
        else:
            step = max(1, len(pairs) / MAX_HEADERS)
            chosen = [pairs[int(index * step)] for index in range(min(len(pairs), MAX_HEADERS))]
            sizes = list(self._sizes_of_files(chosen))
        self._refuse_mismatched(sizes)
        self._refuse_small(sizes)

    def _sizes_of_files(self, pairs: list[tuple[str, str]]) -> Iterator[tuple[str, Size | None, Size | None]]:
        unusual: dict[str, list[str]] = {}
        broken: dict[str, list[str]] = {key: [] for key in _ROOTS}
        for pair in pairs:
            found: list[Size | None] = []
            for key, name in zip(_ROOTS, pair):
                header = None
                if name:
                    try:
                        header = read_header(Path(self.root(key), name))
                    except (ValueError, OSError) as error:
                        text = error.strerror if isinstance(error, OSError) else error
                        broken[key].append(f'{name} {text}')
                    else:
                        for kind in self._unusual(header):
                            unusual.setdefault(kind, []).append(name)
                found.append((header.height, header.width) if header and header.height else None)
            yield pair[0] or pair[1], found[0], found[1]
        for key, texts in broken.items():
            if texts:
                others = f' (and {len(texts) - 1} more)' if len(texts) > 1 else ''
                self.add(key, f'{self.dataset[key]}: {texts[0]}{others}; replace or remove it')
        for kind, names in unusual.items():
            self.findings.notes.append(Problem(('datasets', self.name), f'{_some(names)}: {kind}'))

    def _unusual(self, header: ImageHeader) -> Iterator[str]:
        if header.bits > 8:
            yield '16 bits per channel, of which 8 are used'
        if header.colour.endswith('alpha'):
            yield 'an alpha channel, which is left out'
        if header.colour == 'CMYK':
            yield 'CMYK, converted to RGB without its profile'
        if header.colour.startswith('grey') and self.dataset.get('color') not in ('gray', 'y'):
            yield 'grey, read as three equal channels'

    def _refuse_mismatched(self, sizes: list[tuple[str, Size | None, Size | None]]) -> None:
        """The ground truth must be the input times the scale; when scoring, BasicSR crops a larger ground truth."""
        if self.dataset['type'] not in _PAIRED:
            return
        slack = 0 if self.phase == 'train' else self.scale - 1
        wrong = [
            (name, gt, lq)
            for name, gt, lq in sizes
            if gt and lq and not all(0 <= g - s * self.scale <= slack for g, s in zip(gt, lq))
        ]
        if wrong:
            name, gt, lq = wrong[0]
            self.add(
                'dataroot_lq',
                f'{len(wrong)} images do not fit scale {self.scale}: the first, {name}, is {gt[0]} x {gt[1]} in '
                f'dataroot_gt and {lq[0]} x {lq[1]} here',
            )

    def _refuse_small(self, sizes: list[tuple[str, Size | None, Size | None]]) -> None:
        """Images must hold the crops of training, or the windows of the metrics."""
        scored: list[tuple[str, Size]] = []
        for name, gt, lq in sizes:
            if gt is not None:
                scored.append((name, gt))
            elif lq is not None:
                scored.append((name, (lq[0] * self.scale, lq[1] * self.scale)))
        if self.phase == 'train':
            self._refuse_below(scored, self.dataset.get('gt_size'), 'gt_size', 'gt_size')
            return
        for name, metric in section(self.options, 'val', 'metrics').items():
            kind, border = (metric.get('type'), metric.get('crop_border', 0)) if isinstance(metric, dict) else (None, 0)
            if not isinstance(kind, str) or not isinstance(border, int):
                continue
            least = NIQE_LEAST if 'niqe' in kind else SSIM_LEAST if 'ssim' in kind else 1
            self._refuse_below(scored, least + 2 * border, 'type', f'what the metric {name} needs with its crop_border')

    def _refuse_below(self, sizes: Sequence[tuple[str, Size]], least: Any, key: str, asks: str) -> None:
        small = [(name, size) for name, size in sizes if isinstance(least, int) and min(size) < least]
        if small:
            name, (height, width) = small[0]
            self.add(
                key,
                f'{len(small)} images have fewer than {least} pixels on a side, {asks}: the first, {name}, is '
                f'{height} x {width}',
            )

    def build(self) -> Any:
        """Build the dataset as the run would: its constructor makes checks of its own; ``None`` if it fails."""
        if self.dataset.get('cache_data') is True:
            return None  # it would read all images
        try:
            return build_dataset(self.options, self.name)
        except Exception as error:  # whatever the constructor of a registered class raises
            self.add('type', f'{self.dataset["type"]} cannot be built: {one_line(error)}')
            return None


def build_dataset(options: Mapping[str, Any], name: str, **changes: Any) -> Any:
    """Build a dataset as a run would.

    Args:
        options: Options of the file.
        name: The section of ``datasets``.
        changes: Keys of the section with other values.
    """
    dataset = {**deepcopy(options['datasets'][name]), **changes}
    complete_dataset(dataset, name, options)
    with quiet():
        return registered.find('dataset', dataset['type'])(dataset)


def _lines(path: str | os.PathLike[str]) -> list[str]:
    text = read_text(os.path.expanduser(path), MAX_LIST_BYTES, errors='backslashreplace')
    return [line.strip() for line in text.splitlines() if line.strip()]


def _some(names: Sequence[str]) -> str:
    """Name one of several images."""
    return names[0] if len(names) == 1 else f'{names[0]} and {len(names) - 1} more'
