"""Cases of rows of docs/robustness.md that no table of the other tests has."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

Run = Callable[..., int]


@pytest.mark.promise('two validation sets of one `name`')
def test_validation_sets_of_one_name_are_refused(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run_options['datasets']['val_2'] = copy.deepcopy(run_options['datasets']['val'])
    assert basicsr('check', run_options) == 2
    assert 'datasets:val_2:name: ' in capsys.readouterr().err


@pytest.mark.promise(
    'more GPUs than there are; `prefetch_mode: cuda` without one; a package or `backend: mpi` that is missing'
)
def test_prefetching_on_a_gpu_without_one_is_refused(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run_options.update(num_gpu=0)
    run_options['datasets']['train'].update(prefetch_mode='cuda', pin_memory=True)
    assert basicsr('check', run_options) == 2
    assert 'prefetch_mode' in capsys.readouterr().err


@pytest.mark.promise('a checkpoint that is truncated, no checkpoint, or a pickle that would run code')
@pytest.mark.parametrize('share', [0, 0.1, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(
    basicsr: Run, run_options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str], share: float
) -> None:
    path = tmp_path / 'net.pth'
    torch.save({'params': {'weight': torch.zeros(1000)}}, path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    run_options['path']['pretrain_network_g'] = 'net.pth'
    assert basicsr('train', run_options) == 2
    (error,) = capsys.readouterr().err.splitlines()
    assert 'net.pth' in error
    assert not Path('experiments').exists()
