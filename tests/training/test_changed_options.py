import copy
from typing import Any

import pytest

from converse_basicsr.training import changed_options

BEFORE: dict[str, Any] = {
    'name': 'x',
    'manual_seed': 0,
    'datasets': {'train': {'batch_size_per_gpu': 2}},
    'path': {'pretrain_network_g': None, 'resume_state': None},
    'train': {
        'total_iter': 4,
        'optim_g': {'type': 'Adam', 'lr': 1e-3, 'betas': [0.9, 0.99]},
        'scheduler': {'type': 'MultiStepLR', 'milestones': [1000], 'gamma': 0.5},
    },
}
STATE = {
    'manual_seed': 0,
    'optimizers': [{'state': {}, 'param_groups': [{'lr': 1e-3, 'betas': (0.9, 0.99), 'params': [0]}]}],
    'schedulers': [{'milestones': {1000: 1}, 'gamma': 0.5, 'base_lrs': [1e-3]}],
    'options': changed_options.as_text(BEFORE),
}


def changed(**values: Any) -> tuple[list[str], list[str]]:
    now = copy.deepcopy(BEFORE)
    for key, value in values.items():
        *sections, name = key.split('__')
        section = now
        for part in sections:
            section = section[part]
        if value is ...:
            del section[name]
        else:
            section[name] = value
    return changed_options.changes(STATE, now)


@pytest.mark.promise('options that were changed before a run goes on')
@pytest.mark.parametrize(
    ('key', 'value', 'line'),
    [
        ('train__total_iter', 8, 'train:total_iter is 8 from here on (before: 4)'),
        ('train__grad_clip', 1.0, 'train:grad_clip is 1.0 from here on (before: not given)'),
        ('train__ema_decay', {}, 'train:ema_decay is {} from here on (before: not given)'),
        ('datasets__train', {}, None),
        ('train__scheduler__type', 'CosineAnnealingRestartLR', 'train:scheduler:type is "CosineAnnealingRestartLR" '),
    ],
)
def test_what_takes_effect(key: str, value: Any, line: str | None) -> None:
    effective, overridden = changed(**{key: value})
    assert effective
    assert not overridden
    if line:
        assert effective[0].startswith(line)


@pytest.mark.promise('options that were changed before a run goes on')
@pytest.mark.parametrize(
    ('key', 'value', 'line'),
    [
        ('train__optim_g__lr', 1e-4, 'train:optim_g:lr is 0.0001 now, but the state decides (before: 0.001)'),
        ('train__optim_g__betas', ..., 'train:optim_g:betas is not given now, but the state decides (before: [0.9, '),
        ('train__scheduler__gamma', 0.1, 'train:scheduler:gamma is 0.1 now'),
        ('train__scheduler__milestones', [5], 'train:scheduler:milestones is [5] now'),
        ('manual_seed', 1, 'manual_seed is 1 now'),
        ('path__pretrain_network_g', 'a.pth', 'path:pretrain_network_g is "a.pth" now'),
    ],
)
def test_what_the_state_decides(key: str, value: Any, line: str) -> None:
    effective, overridden = changed(**{key: value})
    assert not effective
    assert len(overridden) == 1
    assert overridden[0].startswith(line)


def test_nothing_is_said_of_what_is_the_same_or_unknown() -> None:
    assert changed() == changed(name='y', path__resume_state='a.state') == ([], [])
    for text in (None, 3, '{', '[]', '[' * 100_000):
        assert changed_options.changes({**STATE, 'options': text}, {'a': 1}) == ([], [])
    assert changed_options.changes({'optimizers': [], 'schedulers': []}, {'a': 1}) == ([], [])
