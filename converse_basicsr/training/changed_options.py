"""What a resumed run does otherwise than before, because its option file has changed, and what its state decides."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

KEY = 'options'
"""Under which a training state holds the options of its run."""


def as_text(options: Mapping[str, Any]) -> str:
    """Return options as a training state holds them."""
    return json.dumps(options, default=str)


def changes(state: Mapping[str, Any], options: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Compare the options in a training state with those of the run that goes on from it.

    Args:
        state: The training state; those of BasicSR and of earlier versions hold no options.
        options: What is in the option file now.

    Returns:
        Two lists of changes, each by its key: those that take effect, and those that do not, because the state or the
        run's own checkpoint decides.
    """
    try:
        before = dict(_leaves(json.loads(state[KEY])))
    except (KeyError, TypeError, ValueError, RecursionError, AttributeError):
        return [], []
    now = dict(_leaves(json.loads(as_text(options))))
    effective, overridden = [], []
    for key in sorted(before.keys() | now.keys()):
        old, new = (json.dumps(options[key]) if key in options else 'not given' for options in (before, now))
        if old != new and key not in ('name', 'path:resume_state'):
            if _state_decides(key, state):
                overridden.append(f'{key} is {new} now, but the state decides (before: {old})')
            else:
                effective.append(f'{key} is {new} from here on (before: {old})')
    return effective, overridden


def _leaves(options: Mapping[str, Any], prefix: str = '') -> Iterator[tuple[str, Any]]:
    for key, value in options.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f'{prefix}{key}:')
        else:
            yield f'{prefix}{key}', value


def _state_decides(key: str, state: Mapping[str, Any]) -> bool:
    section, _, name = key.rpartition(':')
    if key == 'manual_seed':
        return 'manual_seed' in state
    if section == 'path':
        return name.startswith(('pretrain_network', 'param_key'))
    if section.startswith('train:optim_'):
        return any(name in group for optimizer in state['optimizers'] for group in optimizer['param_groups'])
    return section == 'train:scheduler' and any(name in schedule for schedule in state['schedulers'])
