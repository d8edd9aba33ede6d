import logging
import random
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from converse_basicsr.checkpoints import training_state
from converse_basicsr.checkpoints.course import states_in
from converse_basicsr.checkpoints.files import read, require_intact, write
from converse_basicsr.errors import UserError

LABELS = ('net_g', 'net_d')


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
    assert training_state.keep_newest(2, [50, 100, 200, 1000], LABELS, states, models) == [200, 1000]
    assert left(states) == {'200.state', '1000.state'}
    assert left(models) == {f'net_{label}_{number}.pth' for label in 'gd' for number in (200, 1000)} | {
        'net_g_latest.pth'
    }


def test_what_the_run_has_not_saved_is_not_counted_and_not_deleted(tmp_path: Path) -> None:
    states, models = save(tmp_path, 20, 30, 31, 35)
    assert training_state.keep_newest(1, [30, 31], LABELS, states, models) == [31]
    assert left(states) == {'20.state', '31.state', '35.state'}


COPIES = ['ours_2.state', '2.state.bak', '02.state', '+2.state', '\u0662.state', ' 2.state', '2_000.state']
COPIES_OF_NETWORKS = ['net_g_best_2.pth', 'net_g_1e3.pth', 'net_g_2.pth.part', 'net_x_2.pth', 'net_g_02.pth']


@pytest.mark.promise(
    'files beside the checkpoints that the run has not written: copies (`net_g_best_2.pth`), links, folders'
)
def test_copies_of_the_user_stay(tmp_path: Path) -> None:
    states, models = save(tmp_path, 2, 1000, 2000)
    for name in COPIES:
        (states / name).touch()
    for name in COPIES_OF_NETWORKS:
        (models / name).touch()
    (states / '3.state').mkdir()
    (states / '4.state').symlink_to(states / '2000.state')
    (models / 'net_g_3.pth').mkdir()
    assert list(states_in(states)) == [2, 3, 4, 1000, 2000]
    assert training_state.keep_newest(1, [2, 3, 4, 1000, 2000], LABELS, states, models) == [2000]
    assert left(states) == {*COPIES, '2000.state', '3.state', '4.state'}
    assert left(models) == {*COPIES_OF_NETWORKS, 'net_g_2000.pth', 'net_d_2000.pth', 'net_g_3.pth', 'net_g_latest.pth'}


def test_a_file_that_cannot_be_deleted_does_not_end_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    states, models = save(tmp_path, 1, 2, 3)

    def refuse(folder: Path, name: str) -> None:
        raise PermissionError(13, 'Permission denied')

    monkeypatch.setattr(logging.getLogger('basicsr'), 'propagate', True)
    with monkeypatch.context() as patched:
        patched.setattr(training_state.inside, 'remove', refuse)
        assert training_state.keep_newest(2, [1, 2, 3], LABELS, states, models) == [1, 2, 3]
    assert '1.state cannot be deleted: Permission denied' in caplog.text
    assert training_state.keep_newest(2, [1, 2, 3], LABELS, states, models) == [2, 3]


def test_generators_go_on_where_they_were_saved(tmp_path: Path) -> None:
    def draw() -> tuple[float, ...]:
        return random.random(), np.random.rand(), np.random.randn(), float(torch.rand(()))  # noqa: NPY002

    np.random.randn()  # noqa: NPY002  (leaves half of a pair behind)
    write({'generators': training_state.generator_states()}, tmp_path / 'a.state')
    first = draw()
    assert draw() != first
    states = read(tmp_path / 'a.state')['generators']
    assert training_state.set_generator_states(states)
    assert draw() == first
    assert not training_state.set_generator_states([])


def test_best_results_load_without_code(tmp_path: Path) -> None:
    results = {'val': {'psnr': {'better': 'higher', 'val': np.float64(0.1), 'iter': np.int64(3)}}}
    write(training_state.plain_results(results), tmp_path / 'a.state')
    assert read(tmp_path / 'a.state') == results


def test_damage_that_torch_does_not_notice_is_found(tmp_path: Path) -> None:
    path = tmp_path / 'net.pth'
    write({'w': torch.zeros(1000)}, path)
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


def test_the_format_of_a_network_is_the_one_that_is_there(tmp_path: Path) -> None:
    _, models = save(tmp_path, 1)
    assert training_state.network_file(models, 'g', 1).suffix == '.pth'
    (models / 'net_g_1.pth').rename(models / 'net_g_1.safetensors')
    assert training_state.network_file(models, 'g', 1).suffix == '.safetensors'
    assert training_state.network_file(models, 'g', 2).name == 'net_g_2.pth'


def test_the_newest_state_whose_networks_are_whole_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    states, models = tmp_path / 'training_states', tmp_path / 'models'
    states.mkdir()
    models.mkdir()
    for number, suffix in ((1, 'pth'), (2, 'safetensors'), (3, 'pth'), (4, 'pth'), (5, 'pth')):
        write({'params': {'w': torch.zeros(100)}}, models / f'net_g_{number}.{suffix}')
        content = {'iter': min(number, 4), 'epoch': 0, 'optimizers': [], 'schedulers': []}
        write(content if number != 4 else {'iter': 4}, states / f'{number}.state')
    damaged = models / 'net_g_3.pth'
    damaged.write_bytes(damaged.read_bytes()[:50])
    assert training_state.newest_intact(states) == states / '2.state'
    told = capsys.readouterr().err
    assert re.search('skipping 5.state: .* was saved after iteration 4: it is a copy of another state', told)
    assert 'skipping 4.state' in told
    assert 'is not a training state' in told
    assert 'skipping 3.state' in told
    assert training_state.newest_intact(tmp_path / 'absent') is None


STATE = {'iter': 3, 'epoch': 0, 'optimizers': [], 'schedulers': []}


@pytest.mark.promise('a `resume_state` that is no training state, or that of another network, optimizer or schedule')
@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ({'params': {'w': torch.zeros(1)}}, 'holds the weights of a network: name it as path:pretrain_network_g'),
        ([1, 2], 'holds no state'),
        ({}, 'holds no state'),
        (torch.zeros(3), 'holds no state'),
        ({**STATE, 'iter': True}, 'is odd'),
        ({**STATE, 'iter': -1}, 'is odd'),
        ({**STATE, 'iter': '3'}, 'is odd'),
        ({**STATE, 'epoch': 0.5}, 'is odd'),
        ({**STATE, 'optimizers': {}}, 'is odd'),
        ({**STATE, 'schedulers': [None]}, 'is odd'),
    ],
)
def test_what_is_no_training_state_is_named(content: object, message: str) -> None:
    with pytest.raises(UserError, match=f'x.state is not a training state.*{message}'):
        training_state.require_state(content, 'x.state')
