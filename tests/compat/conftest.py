import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import converse_basicsr

RunPython = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(autouse=True)
def _registered() -> None:
    converse_basicsr.register()


@pytest.fixture
def run_python(tmp_path: Path) -> RunPython:
    """Run a script in a process of its own: ``run_python(code, *arguments)``."""

    def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        script = tmp_path / 'script.py'
        script.write_text(textwrap.dedent(code))
        command = [sys.executable, str(script), *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=120)

    return run


@pytest.fixture
def open_dataset(pairs: Path) -> Callable[..., Any]:
    """Open BasicSR's paired dataset on the LMDBs of ``pairs``, with keys changed: ``open_dataset(scale=1)``."""
    from basicsr.data import build_dataset

    def open_it(**changes: Any) -> Any:
        options = {
            'name': 'x',
            'type': 'PairedImageDataset',
            'phase': 'train',
            'scale': 4,
            'gt_size': 16,
            'use_hflip': True,
            'use_rot': True,
            'io_backend': {'type': 'lmdb'},
            'dataroot_gt': str(pairs / 'gt.lmdb'),
            'dataroot_lq': str(pairs / 'lq.lmdb'),
            'num_worker_per_gpu': 2,
            'batch_size_per_gpu': 5,
            **changes,
        }
        return build_dataset(options)

    return open_it
