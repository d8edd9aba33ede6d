"""Find out how two networks differ, by the sections that build them."""

import inspect
from collections.abc import Mapping
from typing import Any

from converse_basicsr.options.check import registered
from converse_basicsr.values import same

ABSENT = object()
"""Stands for the value of an argument that one of the sections does not have, and for which there is no default."""

_STARTS = ('data_lam_init', 'kernel_init', 'lam_init', 'up_kernel_init', 'up_lam_init')
"""Arguments, of networks and of the key ``converse``, that initialise parameters, which weights replace."""


def differing_arguments(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Compare the arguments of two networks of one class, defaults included; of two classes, the names alone.

    Args:
        first: A section with a ``type``, such as ``network_g``.
        second: Another one.

    Returns:
        The arguments that differ and that matter for given weights, sorted, each with its two values.
    """
    if first.get('type') != second.get('type'):
        return {'type': (first.get('type'), second.get('type'))}
    try:
        parameters = inspect.signature(registered.find('arch', first['type'])).parameters
    except (TypeError, ValueError):  # not registered, or without a signature
        return {}
    defaults = {name: one.default for name, one in parameters.items() if one.default is not one.empty}
    # A section without exchanged parts is one with `converse: ~`.
    completed = [
        {**defaults, **{k: v for k, v in one.items() if (k, v) != ('converse', None)}} for one in (first, second)
    ]
    for arguments in completed:
        if isinstance(arguments.get('converse'), Mapping):
            arguments['converse'] = {k: v for k, v in arguments['converse'].items() if k not in _STARTS}
        if arguments.get('padding') is None and isinstance(arguments.get('kernel_size'), int):
            arguments['padding'] = arguments['kernel_size'] - 1  # what our networks make of it
    values = {
        name: (completed[0].get(name, ABSENT), completed[1].get(name, ABSENT))
        for name in sorted(completed[0].keys() | completed[1].keys())
        if name not in _STARTS
    }
    return {name: pair for name, pair in values.items() if not same(*pair)}
