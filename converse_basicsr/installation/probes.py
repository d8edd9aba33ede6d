"""What is tried in a process of its own, as imports may crash or hang it; run by :mod:`.probing`."""

import contextlib
import importlib
import json
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any

from converse_basicsr.errors import UserError

Facts = dict[str, str]

GIB = 2**30


def torch() -> Facts:
    """Import torch, and hand an array to NumPy, which a torch built for another NumPy cannot."""
    import torch

    torch.ones(1).numpy()
    build = f'CUDA {torch.version.cuda}' if torch.version.cuda else ''
    build = build or (f'ROCm {torch.version.hip}' if torch.version.hip else 'no CUDA, no ROCm')
    return {'version': torch.__version__, 'built for': build, 'threads': str(torch.get_num_threads())}


def devices() -> Facts:
    """Name the accelerators that torch can use."""
    found: Facts = {}
    for kind in (_cuda, _xpu, _mps):
        try:
            found.update(kind())
        except Exception as error:
            found[kind.__name__.strip('_')] = f'fails: {one_line(error)}'
    return found


def basicsr() -> Facts:
    """Import BasicSR with the patches of this package."""
    import converse_basicsr

    try:
        converse_basicsr.register()
    except UserError as error:  # it names the command that this is run by
        raise error.__cause__ or error from None
    importlib.import_module('basicsr')
    return {}


PROBES: dict[str, Callable[[], Facts]] = {'torch': torch, 'devices': devices, 'basicsr': basicsr}
"""Probes that do more than an import."""


def one_line(error: BaseException) -> str:
    r"""Write an error on one line.

    Example:
        >>> one_line(ImportError('libGL.so.1: cannot open shared object file\n\nSee the guide.'))
        'ImportError: libGL.so.1: cannot open shared object file'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f'{type(error).__name__}: {lines[0]}' if lines else type(error).__name__


def _cuda() -> Iterator[tuple[str, str]]:
    import torch

    for number in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(number)
        yield f'cuda:{number}', f'{properties.name}, {properties.total_memory / GIB:.1f} GiB'


def _xpu() -> Iterator[tuple[str, str]]:
    import torch

    if hasattr(torch, 'xpu'):
        for number in range(torch.xpu.device_count()):
            properties = torch.xpu.get_device_properties(number)
            yield f'xpu:{number}', f'{properties.name}, {properties.total_memory / GIB:.1f} GiB'


def _mps() -> Iterator[tuple[str, str]]:
    import torch

    if torch.backends.mps.is_available():
        memory = ''
        with contextlib.suppress(AttributeError, RuntimeError):  # older versions do not tell
            memory = f', {torch.mps.recommended_max_memory() / GIB:.1f} GiB'
        yield 'mps', f'Apple GPU{memory}'


def main(names: list[str]) -> None:
    """Try each probe, or import the package of that name; write a line of JSON about each to standard output.

    What libraries write goes to standard error.
    """
    with os.fdopen(os.dup(sys.stdout.fileno()), 'w', encoding='utf-8') as answers:
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
        for name in names:
            answer: dict[str, Any] = {'name': name}
            try:
                answer['facts'] = PROBES[name]() if name in PROBES else _imported(name)
            except (Exception, SystemExit) as error:
                answer['error'] = one_line(error)
            answers.write(json.dumps(answer) + '\n')
            answers.flush()
        answers.flush()
        os._exit(0)  # libraries that crash when the interpreter ends have done their work


def _imported(name: str) -> Facts:
    importlib.import_module(name)
    return {}


if __name__ == '__main__':
    main(sys.argv[1:])
