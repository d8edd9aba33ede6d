"""Short ways to write the schemas that option files need."""

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any] | bool
"""A JSON Schema: keywords and their operands; ``True`` allows every value, ``False`` none."""

Keywords = dict[str, Any]

ANYTHING: Keywords = {}
BOOLEAN: Keywords = {'type': 'boolean'}
SECTION: Keywords = {'type': 'object'}
TEXT: Keywords = {'type': 'string', 'pattern': '.'}
FILE_NAME_PART: Keywords = {
    'type': 'string',
    'pattern': r'^(?!\.{1,2}$)[^/\\\x00-\x1f\x7f-\x9f]+$(?!\n)',
    'maxLength': 229,
}
"""Becomes part of the names of files and folders, which must stay where they belong.

File systems allow 255 bytes, of which ``train_NAME_20261231_235959.log`` takes 26.
"""

NAME_TEMPLATE: Keywords = {
    'type': 'string',
    'pattern': r'^(?!.*\.\./)([^{}\x00-\x1f\x7f-\x9f]|\{\{|\}\}|'
    r'\{0?(![rsa])?(:([^{}\x00-\x1f]?[<>^=])?0?\d{0,3}(\.\d{1,3})?s?)?\})+$(?!\n)',
}
"""A ``str.format`` template for names of files: no attributes, which reach code, no width that fills the memory."""


def integer(least: int | None = None, most: int | None = None) -> Keywords:
    """Return the schema of a whole number between bounds, both included."""
    return _bounded('integer', minimum=least, maximum=most)


def count(least: int = 0) -> Keywords:
    """Return the schema of a whole number that may be written as ``5e3``: BasicSR passes it through ``int``."""
    return {**_bounded('number', minimum=least), 'multipleOf': 1}


def number(
    least: float | None = None, most: float | None = None, *, above: float | None = None, below: float | None = None
) -> Keywords:
    """Return the schema of a finite number between bounds: included, or not (``above``, ``below``)."""
    return _bounded('number', minimum=least, maximum=most, exclusiveMinimum=above, exclusiveMaximum=below)


def choice(*values: Any) -> Keywords:
    """Return the schema of one of some values; where all are whole numbers, ``2.0`` is not ``2``."""
    is_whole = all(isinstance(value, int) and not isinstance(value, bool) for value in values)
    return {**({'type': 'integer'} if is_whole else {}), 'enum': list(values)}


def list_of(item: Schema, length: int | None = None, *, least: int = 0) -> Keywords:
    """Return the schema of a list, of any length or a given one."""
    bounds = {'minItems': least} if length is None else {'minItems': length, 'maxItems': length}
    return {'type': 'array', 'items': item, **{name: value for name, value in bounds.items() if value}}


def either(*schemas: Schema) -> Keywords:
    """Return the schema of what fits one of some schemas."""
    return {'anyOf': list(schemas)}


def optional(schema: Schema) -> Keywords:
    """Return the schema of a value that may be ``~``."""
    return either(schema, {'type': 'null'})


def _bounded(kind: str, **bounds: float | None) -> Keywords:
    return {'type': kind, **{name: bound for name, bound in bounds.items() if bound is not None}}
