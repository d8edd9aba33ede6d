from pathlib import Path

import cv2
import pytest
from prepare_commands import photograph


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Five images of several sizes, one of them no multiple of the scales."""
    folder = tmp_path / 'photographs'
    folder.mkdir()
    for index, (height, width) in enumerate([(48, 60), (50, 49), (24, 24), (36, 72), (60, 48)]):
        cv2.imwrite(str(folder / f'{index:04d}.png'), photograph(height, width, index))
    return folder
