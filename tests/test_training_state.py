import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from converse_basicsr import training_state
from converse_basicsr.compat import read_checkpoint, require_intact, write_checkpoint
from converse_basicsr.errors import UserError


def save(folder: Path, *iterations: int) -> tuple[Path, Path]:
    """Empty files of a run's checkpoints, without states for negative iterations."""
    states, models = folder / 'training_states', folder / 'models'
    for path in (states, models):
        path.mkdir(exist_ok=True)
    for number in iterations:
        for label in ('g', 'd'):
            (models / f'net_{label}_{abs(number)}.pth').touch()
        if number > 0:
            (states / f'{number}.state').touch()
    (models / 'net_g_latest.pth').touch()
    return states, models


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_the_newest_are_kept_and_networks_of_a_deletion_cut_short_are_not(tmp_path: Path) -> None:
    states, models = save(tmp_path, -50, 100, 200, 1000)
    training_state.keep_newest(2, 1000, states, models)
    assert left(states) == {'200.state', '1000.state'}
    assert left(models) == {f'net_{label}_{number}.pth' for label in 'gd' for number in (200, 1000)} | {
        'net_g_latest.pth'
    }


def test_states_of_an_earlier_course_do_not_count(tmp_path: Path) -> None:
    """State 35 was damaged, so the run has gone on from 30: 31 must not be deleted for it."""
    states, models = save(tmp_path, 30, 31, 35)
    training_state.keep_newest(1, 31, states, models)
    assert left(states) == {'31.state', '35.state'}


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 3), st.integers(0, 60), st.data())
def test_the_epoch_of_an_iteration_is_that_of_its_place(
    batches: int, batch: int, rest: int, iterations: int, data: st.DataObject
) -> None:
    size = batches * batch + min(rest, batch - 1)
    start = data.draw(st.integers(0, batches)) * batch
    progress = {'epoch': 2, 'iter': 7, 'position': start, 'epoch_size': size, 'batch_size': batch}
    epoch, place = 2, start
    for _ in range(iterations):
        if place + batch > size:
            epoch, place = epoch + 1, 0
        place += batch
    current_iter = 7 + iterations
    assert training_state.epoch_of(progress, current_iter) == epoch
    assert training_state.data_position(progress, epoch, current_iter) == place


def test_generators_go_on_where_they_were_saved(tmp_path: Path) -> None:
    def draw() -> tuple[float, ...]:
        return random.random(), np.random.rand(), np.random.randn(), float(torch.rand(()))  # noqa: NPY002

    np.random.randn()  # noqa: NPY002  (leaves half of a pair behind)
    write_checkpoint({'generators': training_state.generator_states()}, tmp_path / 'a.state')
    first = draw()
    assert draw() != first
    states = read_checkpoint(tmp_path / 'a.state')['generators']
    assert training_state.set_generator_states(states)
    assert draw() == first
    assert not training_state.set_generator_states([])


def test_best_results_load_without_code(tmp_path: Path) -> None:
    results = {'val': {'psnr': {'better': 'higher', 'val': np.float64(0.1), 'iter': np.int64(3)}}}
    write_checkpoint(training_state.plain_results(results), tmp_path / 'a.state')
    assert read_checkpoint(tmp_path / 'a.state') == results


def test_damage_that_torch_does_not_notice_is_found(tmp_path: Path) -> None:
    path = tmp_path / 'net.pth'
    write_checkpoint({'w': torch.zeros(1000)}, path)
    require_intact(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert torch.load(path)['w'].abs().sum() > 0
    with pytest.raises(UserError, match='checksum'):
        require_intact(path)


@pytest.mark.parametrize('content', [b'', b'no archive'])
def test_what_is_no_checkpoint_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'net.pth').write_bytes(content)
    with pytest.raises(UserError, match=r'net\.pth cannot be read'):
        require_intact(tmp_path / 'net.pth')
    with pytest.raises(UserError, match='cannot be read'):
        require_intact(tmp_path / 'absent.pth')


def test_unfinished_files_are_removed(tmp_path: Path) -> None:
    states, models = save(tmp_path, 1)
    (states / '.2.state.tmp').touch()
    (models / '.net_g_2.pth.tmp').touch()
    training_state.remove_unfinished([states, models, tmp_path / 'absent'])
    assert left(states) == {'1.state'}
    assert '.net_g_2.pth.tmp' not in left(models)
