"""The key ``converse`` of a network: reverse convolutions in networks that others wrote."""

import functools
import inspect
from collections.abc import Iterator
from typing import Any

from converse_basicsr.compat.replacement import Replacement, everywhere
from converse_basicsr.errors import UserError


def converse_key() -> Iterator[Replacement]:
    """Build networks with reverse convolutions in them: ``network_g: {type: EDSR, ..., converse: {upsample: true}}``.

    The key holds arguments of :func:`converse_basicsr.surgery.replace`. BasicSR hands it to the network, which refuses
    it.
    """
    from basicsr import archs

    original = archs.build_network

    @functools.wraps(original)
    def build_network(opt: dict[str, Any]) -> Any:
        net = original({key: value for key, value in opt.items() if key != 'converse'})
        if opt.get('converse') is not None:
            _exchange(net, opt['converse'])
        return net

    yield from everywhere(original, build_network)


def _exchange(net: Any, options: Any) -> None:
    from converse_basicsr.surgery import exchange

    known = sorted(inspect.signature(exchange).parameters.keys() - {'net'})
    if not isinstance(options, dict) or not options.keys() <= set(known):
        raise UserError(
            f'converse, in the options of {type(net).__name__}, must be a section of {known}, got {options}'
        )
    try:
        exchange(net, **options)
    except ValueError as error:
        raise UserError(f'converse, in the options of {type(net).__name__}: {error}') from error
