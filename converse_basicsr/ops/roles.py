"""Find what reverse convolutions learn, in any network: the logits of lam and the kernels."""

from collections.abc import Iterator
from typing import Literal

from torch import nn
from torch.nn.utils import parametrize

Role = Literal['kernel', 'lam']


def parameters_of(net: nn.Module, role: Role) -> list[nn.Parameter]:
    """Return the parameters of a role in a network, wrapped or not, each once.

    A module tells them by its attribute ``roles``, ``{role: name of a parameter}``.

    Args:
        net: The network.
        role: ``kernel``, or ``lam`` for the logits of lam.

    Example:
        >>> from converse_basicsr.ops import Converse2D
        >>> [tuple(p.shape) for p in parameters_of(nn.Sequential(nn.Conv2d(3, 8, 1), Converse2D(8, 8, 5)), 'lam')]
        [(1, 8, 1, 1)]
    """
    return list(dict.fromkeys(_in_role(net, role)))


def _in_role(net: nn.Module, role: Role) -> Iterator[nn.Parameter]:
    for module in net.modules():
        name = getattr(module, 'roles', {}).get(role)
        if name is not None and parametrize.is_parametrized(module, name):
            yield from module.parametrizations[name].parameters()  # type: ignore[index, union-attr]
        elif name is not None:
            yield module.get_parameter(name)
