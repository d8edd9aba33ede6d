"""Whether optimizers can go on from the states they have loaded: ``load_state_dict`` looks at their number only."""

from collections.abc import Iterable
from typing import Any

import torch


def require_fit(optimizers: Iterable[torch.optim.Optimizer]) -> None:
    """Refuse optimizers whose loaded states are of another optimizer or of parameters of other shapes.

    Raises:
        ValueError: If one is.
    """
    for optimizer in optimizers:
        kind = type(optimizer).__name__
        for group in optimizer.param_groups:
            absent = sorted(set(optimizer.defaults) - set(group))
            if absent:
                raise ValueError(f'{kind} needs {", ".join(absent)}, which its state lacks')
            for parameter in group['params']:
                for key, value in optimizer.state.get(parameter, {}).items():
                    if isinstance(value, torch.Tensor) and not _suits(value, parameter):
                        raise ValueError(f'{key} is {tuple(value.shape)} for a parameter of {tuple(parameter.shape)}')
            used = next((optimizer.state[one] for one in group['params'] if optimizer.state.get(one)), None)
            absent = sorted(_state_of_first_step(optimizer, group) - set(used)) if used else []
            if absent:
                raise ValueError(f'{kind} needs {", ".join(absent)} of each parameter, which its state lacks')


def _suits(value: torch.Tensor, parameter: torch.Tensor) -> bool:
    """Say whether a tensor may belong to a parameter: statistics of rows and columns have sizes of 1."""
    return value.ndim != parameter.ndim or all(a in (1, b) for a, b in zip(value.shape, parameter.shape))


def _state_of_first_step(optimizer: torch.optim.Optimizer, group: dict[str, Any]) -> set[str]:
    """Return what an optimizer of this kind keeps of a parameter, found out on one of a single number."""
    parameter = torch.nn.Parameter(torch.zeros(1, 1))
    parameter.grad = torch.zeros(1, 1)
    try:
        trial: Any = type(optimizer)([parameter], **{name: group[name] for name in optimizer.defaults})
        trial.step()
    except Exception:  # an optimizer that cannot work on that
        return set()
    return set(trial.state.get(parameter, {}))
