"""The definition of a key."""

from collections.abc import Mapping
from dataclasses import dataclass

from converse_basicsr.values import Schema


@dataclass(frozen=True)
class Key:
    """A key of a section.

    Attributes:
        meaning: What it does, with its unit: a phrase for messages and documents.
        schema: What its value may be.
        default: The value that holds where the key is absent, written as in YAML; empty where there is no such value.
        needed: When it must be there: ``always``, ``train``, ``test`` or, empty, never.
        unread: Nothing reads it; it is accepted because older files have it.
        registry: The kind of registered object (``arch``, ``loss``, ...) whose arguments this section holds.
    """

    meaning: str
    schema: Schema
    default: str = ''
    needed: str = ''
    unread: bool = False
    registry: str = ''


Keys = Mapping[str, Key]
