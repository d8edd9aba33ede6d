import shutil
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def held_out(comparison: dict[str, Any], pairs: Path) -> dict[str, Any]:
    """The comparison with a test set of its own that is held out, in the current directory."""
    for folder in ('val_gt', 'val_lq'):
        shutil.copytree(pairs / folder, f'held_out/{folder}')
    section = {**comparison['datasets']['val'], 'dataroot_gt': 'held_out/val_gt', 'dataroot_lq': 'held_out/val_lq'}
    section.pop('name')
    comparison['compare']['held_out'] = {'Kodak': section}
    return comparison


@pytest.fixture
def comparison(run_options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """A comparison of two networks with two seeds each, in an empty current directory."""
    monkeypatch.chdir(tmp_path)
    run_options['logger']['use_tb_logger'] = True
    run_options['val']['val_freq'] = 2
    picture = {**run_options['datasets']['val']}
    picture.pop('name')
    run_options['compare'] = {
        'title': 'Two tiny networks',
        'seeds': [0, 1],
        'picture': picture,
        'runs': [
            {'label': 'Converse', 'published': {'psnr': 32.25, 'parameters': 694208}},
            {'label': 'Conv (twin)', 'network_g': {'operator': 'conv'}, 'published': {'psnr': 30, 'test_set': 'Set9'}},
        ],
    }
    return run_options
