"""What the tests of whole runs share: tiny data in BasicSR's formats, and the log of a run."""

from pathlib import Path

import cv2
import lmdb
import numpy as np


def smooth_image(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A colour image with structure: enlarged noise."""
    noise = rng.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3)).astype(np.uint8)
    return cv2.resize(noise, (width, height), interpolation=cv2.INTER_CUBIC)


def write_lmdb(path: Path, images: dict[str, np.ndarray]) -> None:
    """Write an LMDB as BasicSR's tools do."""
    environment = lmdb.open(str(path), map_size=2**24)
    with environment.begin(write=True) as transaction:
        for name, image in images.items():
            transaction.put(name.encode(), cv2.imencode('.png', image)[1].tobytes())
    environment.close()
    lines = [f'{name}.png ({image.shape[0]},{image.shape[1]},3) 1\n' for name, image in images.items()]
    (path / 'meta_info.txt').write_text(''.join(lines))


def only_log(run: str = 'tiny', results: bool = False) -> str:
    """The text of the newest log file of a run in the current directory."""
    folder = Path('results' if results else 'experiments', run)
    return max(folder.glob('*.log'), key=lambda path: path.stat().st_mtime_ns).read_text()
