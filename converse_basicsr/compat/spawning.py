"""Datasets that travel to spawned loader workers, which import BasicSR before any line of a plugin has run there."""

import copyreg
import importlib
from collections.abc import Iterator
from typing import Any

from converse_basicsr.compat.replacement import Replacement


def spawned_datasets() -> Iterator[Replacement]:
    """Let spawned loader workers unpickle every dataset that is registered now.

    Datasets that are registered later are made ready by :func:`make_registered_spawn_safe`. Can go with
    :func:`converse_basicsr.compat.imports.functional_tensor`.
    """
    from basicsr.utils.registry import DATASET_REGISTRY

    for _, dataset_class in DATASET_REGISTRY:
        if _needs_help(dataset_class):
            yield Replacement(copyreg.dispatch_table, dataset_class, _reduce)


def make_registered_spawn_safe() -> None:
    """Let spawned loader workers unpickle the datasets, too, that were registered after the patch was applied."""
    from basicsr.utils.registry import DATASET_REGISTRY

    for _, dataset_class in DATASET_REGISTRY:
        make_spawn_safe(dataset_class)


def make_spawn_safe(dataset_class: type) -> None:
    """Pickle instances of ``dataset_class`` so that a spawned worker patches BasicSR before it imports the class."""
    if _needs_help(dataset_class):
        copyreg.pickle(dataset_class, _reduce)


def _needs_help(dataset_class: type) -> bool:
    return '<locals>' not in dataset_class.__qualname__ and '__reduce__' not in vars(dataset_class)


def _reduce(dataset: Any) -> tuple[Any, ...]:
    state = dataset.__getstate__() if hasattr(dataset, '__getstate__') else dataset.__dict__
    return _rebuild, (type(dataset).__module__, type(dataset).__qualname__), state


def _rebuild(module: str, qualname: str) -> object:
    """Make an empty dataset in a process that may not have imported BasicSR yet (its state follows in the pickle)."""
    from converse_basicsr.compat import apply

    apply()
    cls: Any = importlib.import_module(module)
    for name in qualname.split('.'):
        cls = getattr(cls, name)
    return cls.__new__(cls)
