"""What a patch replaces, recorded so that it can be taken back."""

import sys
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple


class Replacement(NamedTuple):
    """One attribute of a class or module, or one item of a mapping, and its new value.

    Attributes:
        owner: The class, module or mapping.
        name: Name of the attribute, or key of the item.
        value: What takes its place.
    """

    owner: Any
    name: str
    value: Any


_ABSENT = object()


def put(replacements: Iterable[Replacement]) -> list[Replacement]:
    """Carry out replacements.

    Returns:
        Those that take them back.
    """
    replacements = list(replacements)
    undo = [Replacement(owner, name, _get(owner, name)) for owner, name, _ in replacements]
    for replacement in replacements:
        _set(*replacement)
    return undo


def take_back(undo: Iterable[Replacement]) -> None:
    """Take back what :func:`put` has done."""
    for replacement in undo:
        _set(*replacement)


def everywhere(original: object, value: object) -> Iterator[Replacement]:
    """Replace an object under every module-level name of BasicSR: its modules import functions by name."""
    import basicsr.test
    import basicsr.train  # noqa: F401  (with all of its modules, so that none is missed)

    for module_name, module in list(sys.modules.items()):
        if module_name == 'basicsr' or module_name.startswith('basicsr.'):
            for name, held in list(vars(module).items()):
                if held is original:
                    yield Replacement(module, name, value)


def _get(owner: Any, name: str) -> Any:
    return owner.get(name, _ABSENT) if hasattr(owner, 'keys') else vars(owner).get(name, _ABSENT)


def _set(owner: Any, name: str, value: Any) -> None:
    if hasattr(owner, 'keys'):
        if value is _ABSENT:
            owner.pop(name, None)
        else:
            owner[name] = value
    elif value is _ABSENT:
        delattr(owner, name)
    else:
        setattr(owner, name, value)
