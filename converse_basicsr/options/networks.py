"""Build the network of a section of an option file: this package's own on torch alone, all others by BasicSR."""

import copy
import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from converse_basicsr.errors import UserError

if TYPE_CHECKING:
    from torch import nn

EXCHANGE = 'converse'
"""Key of a section with the arguments of :func:`converse_basicsr.surgery.exchange`."""


def own_networks() -> 'dict[str, type[nn.Module]]':
    """Return this package's networks by name: they need no BasicSR."""
    from torch import nn

    from converse_basicsr import archs

    exported = ((name, getattr(archs, name)) for name in archs.__all__)
    return {name: value for name, value in exported if inspect.isclass(value) and issubclass(value, nn.Module)}


def build_network(section: Mapping[str, Any]) -> 'nn.Module':
    """Build a network.

    Args:
        section: Its ``type`` and arguments, and ``converse`` where operators are exchanged. BasicSR, which builds the
            networks that are not this package's own, must have been patched (:mod:`converse_basicsr.compat`).

    Raises:
        UserError: If ``converse`` asks for what cannot be done.
    """
    options = copy.deepcopy(dict(section))
    if options['type'] not in own_networks():
        from basicsr import archs

        others: nn.Module = archs.build_network(options)
        return others
    exchanged = options.pop(EXCHANGE, None)
    net = own_networks()[options.pop('type')](**options)
    if exchanged is not None:
        exchange_operators(net, exchanged)
    return net


def exchange_operators(net: 'nn.Module', options: Any) -> None:
    """Put reverse convolutions into a network as its section's key ``converse`` says.

    Args:
        net: The network, which is changed.
        options: What the key holds: arguments of :func:`converse_basicsr.surgery.exchange`.

    Raises:
        UserError: If these are no such arguments, or the network has nothing to exchange.
    """
    from converse_basicsr.surgery import exchange

    known = sorted(inspect.signature(exchange).parameters.keys() - {'net'})
    if not isinstance(options, dict) or not options.keys() <= set(known):
        raise UserError(
            f'{EXCHANGE}, in the options of {type(net).__name__}, must be a section of {known}, got {options}'
        )
    try:
        exchange(net, **options)
    except ValueError as error:
        raise UserError(f'{EXCHANGE}, in the options of {type(net).__name__}: {error}') from error
