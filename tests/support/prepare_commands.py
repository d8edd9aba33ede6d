"""What the tests of data preparation share: the command as a function, images, and what is in an LMDB."""

import argparse
from pathlib import Path

import cv2
import lmdb
import numpy as np

from converse_basicsr.commands.prepare import group


def parser() -> argparse.ArgumentParser:
    """The parser of ``basicsr prepare``."""
    parser = argparse.ArgumentParser(prog='basicsr prepare')
    group.add_arguments(parser)
    return parser


def command(*argv: object) -> int:
    """Run ``basicsr prepare`` in this process."""
    return group.run(parser().parse_args([str(word) for word in argv]))


def sr_command(source: Path, output: Path, *argv: object) -> int:
    """Run ``basicsr prepare sr`` with small sub-images, without worker processes."""
    return command('sr', '--input', source, '--output', output, '--crop', 24, '--step', 12, '--workers', 1, *argv)


def photograph(height: int, width: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    """Make a smooth image with some noise: neither PNG nor bicubic has a trivial case on it."""
    rng = np.random.default_rng(seed)
    shape = (height, width) if channels == 1 else (height, width, channels)
    return cv2.GaussianBlur(rng.integers(0, 256, shape, dtype=np.uint8), (0, 0), 1.5)


def read_lmdb(path: Path) -> dict[str, np.ndarray]:
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return {
            key.decode(): cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_UNCHANGED)
            for key, value in transaction.cursor()
        }


def raw_lmdb(path: Path) -> tuple[dict[bytes, bytes], str]:
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return dict(transaction.cursor()), (path / 'meta_info.txt').read_text()
