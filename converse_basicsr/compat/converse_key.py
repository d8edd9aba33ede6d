"""The key ``converse`` of a network: reverse convolutions in networks that others wrote."""

import functools
from collections.abc import Iterator
from typing import Any

from converse_basicsr.compat.replacement import Replacement, everywhere
from converse_basicsr.options.networks import EXCHANGE, exchange_operators


def converse_key() -> Iterator[Replacement]:
    """Build networks with reverse convolutions in them: ``network_g: {type: EDSR, ..., converse: {upsample: true}}``.

    The key holds arguments of :func:`converse_basicsr.surgery.replace`. BasicSR hands it to the network, which refuses
    it.
    """
    from basicsr import archs

    original = archs.build_network

    @functools.wraps(original)
    def build_network(opt: dict[str, Any]) -> Any:
        net = original({key: value for key, value in opt.items() if key != EXCHANGE})
        if opt.get(EXCHANGE) is not None:
            exchange_operators(net, opt[EXCHANGE])
        return net

    yield from everywhere(original, build_network)
