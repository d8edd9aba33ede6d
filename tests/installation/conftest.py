import sys
from collections.abc import Callable
from pathlib import Path

import pytest


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Make packages that this process and those it starts import before all others; returns their folder."""
    folder = tmp_path / 'packages'
    monkeypatch.setenv('PYTHONPATH', str(folder))
    monkeypatch.syspath_prepend(str(folder))

    def make(**codes: str) -> Path:
        for name, code in codes.items():
            assert name not in sys.modules
            (folder / name).mkdir(parents=True, exist_ok=True)
            (folder / name / '__init__.py').write_text(code)
        return folder

    return make


@pytest.fixture
def distribution(tmp_path: Path, packages: Callable[..., Path]) -> Callable[..., Path]:
    """Make metadata of an installed distribution; returns their folder."""

    def make(name: str, version: str, *, package: str = '', **files: str) -> Path:
        info = packages() / f'{name.replace("-", "_")}-{version}.dist-info'
        info.mkdir(parents=True)
        (info / 'METADATA').write_text(f'Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n')
        (info / 'top_level.txt').write_text(f'{package or name}\n')
        for file, text in files.items():
            (info / file.replace('__', '.')).write_text(text)
        return info

    return make
