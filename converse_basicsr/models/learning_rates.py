"""Learning rates of their own for what reverse convolutions learn: groups of an optimizer."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from torch import nn

from converse_basicsr.errors import UserError
from converse_basicsr.models.training_options import FACTOR
from converse_basicsr.ops.roles import Role, parameters_of
from converse_basicsr.values import describe, fits

ROLES: Mapping[str, Role] = {'kernel_lr_mult': 'kernel', 'lam_lr_mult': 'lam'}
"""What each factor of the learning rate is for."""

WITHOUT_EFFECT = 'has no effect: no reverse convolution of the network learns what it is for; remove it, or set it to 1'


def grouped(
    networks: Iterable[nn.Module], params: Sequence[nn.Parameter], lr: float, factors: Mapping[str, float]
) -> list[Any]:
    """Put the parameters whose learning rate has a factor into groups of their own.

    Args:
        networks: Where the parameters are from.
        params: The parameters.
        lr: The learning rate of all others.
        factors: Factors by their names, those of ``ROLES``. A factor of 1 makes no group.

    Returns:
        The parameters themselves if there is no factor; else the group of all others, which comes first, and one for
        each factor, which holds the factor under its name.

    Raises:
        UserError: If a factor is no number above 0, or is for none of the parameters.
    """
    others, groups = list(params), []
    for name, factor in factors.items():
        if not fits(factor, FACTOR):
            raise UserError(f'train:optim_g:{name} must be {describe(FACTOR)}, got {factor!r}')
        if factor == 1:
            continue
        wanted = {parameter for net in networks for parameter in parameters_of(net, ROLES[name])}
        own = [parameter for parameter in others if parameter in wanted]
        if not own:
            raise UserError(f'train:optim_g:{name} {WITHOUT_EFFECT}')
        others = [parameter for parameter in others if parameter not in wanted]
        groups.append({'params': own, 'lr': factor * lr, name: factor})
    return [{'params': others}, *groups] if groups else others


def require_same_groups(groups: Sequence[Mapping[str, Any]], states: Sequence[Mapping[str, Any]]) -> None:
    """Refuse the state of an optimizer whose parameters were grouped by other factors.

    Args:
        groups: Of the optimizer.
        states: Of its state.

    Raises:
        ValueError: If they differ.
    """
    here, there = ([name for group in given for name in ROLES if name in group] for given in (groups, states))
    if here != there:
        words = [' and '.join(names) or 'neither of its factors' for names in (there, here)]
        raise ValueError(f'it was trained with {words[0]} in train:optim_g, this run has {words[1]}')
