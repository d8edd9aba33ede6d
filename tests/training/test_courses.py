"""Going back to an earlier state, and on from there: the course that was given up stays out of the way."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import only_log

Run = Callable[..., int]


def names(folder: str) -> set[str]:
    return {path.name for path in Path('experiments/tiny', folder).iterdir()}


def roll_back(basicsr: Run, options: dict[str, Any], number: int, total: int) -> None:
    options['path']['resume_state'] = f'experiments/tiny/training_states/{number}.state'
    options['train']['total_iter'] = total
    assert basicsr('train', options) == 0
    options['path']['resume_state'] = None


@pytest.mark.promise(
    'training that went on from an earlier state (`resume_state`), with newer ones of the course given up'
)
@pytest.mark.parametrize('earlier', [False, True])
def test_the_new_course_is_resumed_and_kept(
    basicsr: Run, run_options: dict[str, Any], earlier: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    run_options['train']['total_iter'] = 8
    assert basicsr('train', run_options) == 0
    if earlier:  # states as versions wrote them that knew of no courses
        for path in Path('experiments/tiny/training_states').iterdir():
            state = torch.load(path)
            del state['course'], state['options']
            torch.save(state, path)
    old = Path('experiments/tiny/models/net_g_8.pth').read_bytes()
    run_options['logger'].update(save_checkpoint_freq=1, keep_last=2)
    roll_back(basicsr, run_options, 4, total=5)
    told = only_log()
    assert 'these are of another course, which was given up: 6.state, 8.state. They are not resumed' in told
    run_options['train']['total_iter'] = 7
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert 'Resuming training from epoch: 0, iter: 5.' in only_log()
    assert names('training_states') == {'6.state', '7.state', '8.state'}
    assert names('models') == {f'net_g_{number}.pth' for number in (6, 7, 8, 'latest')}
    assert Path('experiments/tiny/models/net_g_8.pth').read_bytes() == old
    assert 'Traceback' not in capsys.readouterr().err


def test_a_new_course_that_has_saved_nothing_yet_is_resumed_too(basicsr: Run, run_options: dict[str, Any]) -> None:
    assert basicsr('train', run_options) == 0
    run_options['logger']['save_checkpoint_freq'] = 100  # as if it had been killed
    roll_back(basicsr, run_options, 2, total=3)
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert 'iter: 2.' in only_log()


@pytest.mark.promise('a `resume_state` of another run')
def test_the_networks_of_another_runs_state_are_taken_from_beside_it(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert basicsr('train', run_options) == 0
    run_options['name'] = 'second'
    run_options['path']['resume_state'] = 'experiments/tiny/training_states/2.state'
    assert basicsr('train', run_options) == 0
    told = capsys.readouterr().err
    assert re.search(r'note: the state .*tiny/training_states/2\.state is not of this run; .* from .*tiny/models', told)
    assert 'iter: 2.' in only_log('second')
    assert {path.name for path in Path('experiments/second/training_states').iterdir()} == {'4.state'}
    networks = [torch.load(f'experiments/{run}/models/net_g_4.pth')['params'] for run in ('tiny', 'second')]
    assert all(torch.equal(value, networks[1][name]) for name, value in networks[0].items())


@pytest.mark.promise('a `resume_state` of another run')
def test_a_state_without_its_networks_is_refused(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert basicsr('train', run_options) == 0
    Path('2.state').write_bytes(Path('experiments/tiny/training_states/2.state').read_bytes())
    run_options['name'] = 'second'
    run_options['path']['resume_state'] = '2.state'
    assert basicsr('train', run_options) == 2
    assert 'the networks of the state 2.state are missing: net_g_2.pth' in capsys.readouterr().err
    assert not Path('experiments/second').exists()


def test_auto_resume_starts_from_a_given_state_where_there_is_no_checkpoint(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert basicsr('train', run_options) == 0
    run_options['name'] = 'second'
    run_options['path']['resume_state'] = given = 'experiments/tiny/training_states/2.state'
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert f'starting from {given}' in capsys.readouterr().out
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert f'path:resume_state {given} is left out' in capsys.readouterr().err
    assert 'iter: 4.' in only_log('second')
