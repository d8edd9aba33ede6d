"""Try something of BasicSR's or a plugin's: without its logs, and with the random generators as they were."""

import contextlib
import io
import logging
import random
import warnings
from collections.abc import Iterator, Mapping
from typing import Any


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silence the logs, prints and warnings of BasicSR during a check."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter('ignore')
            yield
    finally:
        logging.disable(before)


@contextlib.contextmanager
def generators_kept() -> Iterator[None]:
    """Put the random generators of Python, NumPy and PyTorch (on the CPU) back to where they were."""
    import numpy as np
    import torch

    states = random.getstate(), np.random.get_state()  # noqa: NPY002  (what BasicSR's code draws from)
    try:
        with torch.random.fork_rng(devices=[]):
            yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002


def device_of(options: Mapping[str, Any]) -> str:
    """Return the kind of device that a run computes on: ``cuda`` or ``cpu``."""
    import torch

    return 'cuda' if options.get('num_gpu') != 0 and torch.cuda.is_available() else 'cpu'


def one_line(error: BaseException) -> str:
    """Return what an exception says, on one line."""
    return ' '.join(str(error).split()) or type(error).__name__
