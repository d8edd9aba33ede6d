"""States of another optimizer, network or schedule are refused in one line, and nothing is written."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import only_log

Run = Callable[..., int]

PROMISE = 'a `resume_state` that is no training state, or that of another network, optimizer or schedule'


@pytest.fixture
def trained(basicsr: Run, run_options: dict[str, Any]) -> dict[str, Any]:
    """Options of a run that has saved 2.state and goes on from it under another name."""
    run_options['train']['total_iter'] = 2
    run_options['model_type'] = 'RestorationModel'
    assert basicsr('train', run_options) == 0
    run_options['train']['total_iter'] = 4
    run_options['name'] = 'second'
    run_options['path']['resume_state'] = 'experiments/tiny/training_states/2.state'
    return run_options


def refused(basicsr: Run, options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert basicsr('train', options) == 2
    told = capsys.readouterr().err
    assert 'Traceback' not in told
    assert not Path('experiments/second').exists()
    (line,) = [line for line in told.splitlines() if 'error' in line]
    return line


@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize('other', ['SGD', 'Adamax', 'Rprop', 'Adagrad'])
def test_a_state_of_another_optimizer(
    basicsr: Run, trained: dict[str, Any], capsys: pytest.CaptureFixture[str], other: str
) -> None:
    trained['train']['optim_g'] = {'type': other, 'lr': 1e-3}
    line = refused(basicsr, trained, capsys)
    assert f'2.state does not fit this model ({other} needs ' in line


def test_a_state_of_a_relative_of_the_optimizer_serves(basicsr: Run, trained: dict[str, Any]) -> None:
    trained['train']['optim_g']['type'] = 'AdamW'
    assert basicsr('train', trained) == 0


def change_state(change: Callable[[dict[str, Any]], Any]) -> None:
    path = Path('experiments/tiny/training_states/2.state')
    state = torch.load(path)
    replaced = change(state)
    torch.save(state if replaced is None else replaced, path)


def other_shape(state: dict[str, Any]) -> None:
    moments = state['optimizers'][0]['state'][0]
    moments['exp_avg'] = moments['exp_avg'][..., :-1].clone()


@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize(
    'change',
    [
        other_shape,
        lambda state: state['optimizers'][0]['param_groups'][0]['params'].pop() and None,
        lambda state: state['optimizers'].append(state['optimizers'][0]),
        lambda state: state['schedulers'].clear(),
        lambda state: state['optimizers'][0].clear(),
        lambda state: state['optimizers'][0].update(state=3),
        lambda state: torch.load('experiments/tiny/models/net_g_2.pth'),
        lambda state: list(state),
    ],
)
def test_states_that_do_not_fit(
    basicsr: Run, trained: dict[str, Any], capsys: pytest.CaptureFixture[str], change: Callable[[dict[str, Any]], Any]
) -> None:
    change_state(change)
    assert '2.state' in refused(basicsr, trained, capsys)


@pytest.mark.parametrize(
    'change',
    [
        lambda state: state.update(data_position=10**9, generators=[{}]),
        lambda state: state.update(best_metric_results=[1], generators=3, options=3, course='x'),
        lambda state: [state.pop(key) for key in set(state) - {'iter', 'epoch', 'optimizers', 'schedulers'}] and None,
    ],
)
def test_what_is_odd_in_a_state_besides_does_no_harm(
    basicsr: Run, trained: dict[str, Any], change: Callable[[dict[str, Any]], Any]
) -> None:
    """States of BasicSR hold little, and the data set may have become smaller since."""
    change_state(change)
    assert basicsr('train', trained) == 0
    assert Path('experiments/second/training_states/4.state').exists()


FACTORS = 'a `resume_state` of a run with other factors of the learning rate (`lam_lr_mult`, `kernel_lr_mult`)'


@pytest.mark.promise(FACTORS)
@pytest.mark.parametrize(
    ('before', 'now', 'words'),
    [
        ({}, {'lam_lr_mult': 10}, 'with neither of its factors in train:optim_g, this run has lam_lr_mult'),
        ({'lam_lr_mult': 10}, {}, 'with lam_lr_mult in train:optim_g, this run has neither of its factors'),
        ({'lam_lr_mult': 10}, {'kernel_lr_mult': 10}, 'with lam_lr_mult in train:optim_g, this run has kernel_lr_mult'),
    ],
)
def test_a_state_with_other_factors_of_the_learning_rate(
    basicsr: Run,
    run_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    before: dict[str, Any],
    now: dict[str, Any],
    words: str,
) -> None:
    run_options['train']['total_iter'] = 2
    run_options['model_type'] = 'RestorationModel'
    run_options['train']['optim_g'] = {'type': 'Adam', 'lr': 1e-3, **before}
    assert basicsr('train', run_options) == 0
    run_options['name'] = 'second'
    run_options['train']['total_iter'] = 4
    run_options['train']['optim_g'] = {'type': 'Adam', 'lr': 1e-3, **now}
    run_options['path']['resume_state'] = 'experiments/tiny/training_states/2.state'
    line = refused(basicsr, run_options, capsys)
    assert words in line


@pytest.mark.promise('options that were changed before a run goes on')
def test_a_run_with_factors_goes_on_and_keeps_their_values(basicsr: Run, run_options: dict[str, Any]) -> None:
    run_options['model_type'] = 'RestorationModel'
    run_options['train']['optim_g'] = {'type': 'Adam', 'lr': 1e-3, 'lam_lr_mult': 10}
    run_options['train']['scheduler']['milestones'] = [1]
    assert basicsr('train', run_options) == 0
    whole = torch.load('experiments/tiny/models/net_g_4.pth')['params']
    for file in Path('experiments/tiny').rglob('*_4.*'):
        file.unlink()
    Path('experiments/tiny/training_states/4.state').unlink()
    run_options['train']['optim_g']['lam_lr_mult'] = 20
    assert basicsr('train', run_options, '--auto_resume') == 0
    resumed = torch.load('experiments/tiny/models/net_g_4.pth')['params']
    assert all(torch.equal(resumed[key], value) for key, value in whole.items())
    log = only_log()
    assert 'train:optim_g:lam_lr_mult is 20 now, but the state decides (before: 10)' in log
