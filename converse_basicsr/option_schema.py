"""What a value of an option file may be: JSON Schema fragments, how they are written, checked and put into words.

The part of JSON Schema that option files need: ``type``, ``enum``, ``minimum``, ``maximum``, ``exclusiveMinimum``,
``exclusiveMaximum``, ``multipleOf``, ``pattern``, ``items``, ``minItems``, ``maxItems`` and ``anyOf``. A plugin can
write its fragments by hand; the functions here are short for them.
"""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Schema = Mapping[str, Any]

_WORDS = {
    'null': '~',
    'boolean': 'true or false',
    'integer': 'a whole number',
    'number': 'a number',
    'string': 'text',
    'array': 'a list',
    'object': 'a section with keys of its own',
}


@dataclass(frozen=True)
class Key:
    """A key of a section.

    Attributes:
        meaning: What it does, with its unit: a phrase for messages and documents.
        schema: What its value may be.
        default: What holds where the key is absent, as it would be written in YAML; empty where there is no one value.
        needed: When it must be there: ``always``, ``train``, ``test`` or, empty, never.
        unread: Nothing reads it; files of earlier times have it, so it is no mistake.
        registry: The kind of registered object (``arch``, ``loss``, ...) whose arguments this section holds.
    """

    meaning: str
    schema: Schema
    default: str = ''
    needed: str = ''
    unread: bool = False
    registry: str = ''


ANYTHING: Schema = {}
BOOLEAN: Schema = {'type': 'boolean'}
SECTION: Schema = {'type': 'object'}
TEXT: Schema = {'type': 'string', 'pattern': '.'}
FILE_NAME_PART: Schema = {'type': 'string', 'pattern': r'^(?!\.{1,2}$)[^/\\\x00-\x1f]+$'}
"""Becomes part of the names of files and folders, which must stay where they belong."""


def integer(least: int | None = None, most: int | None = None) -> Schema:
    """Return the schema of a whole number between bounds, both included."""
    return _bounded('integer', minimum=least, maximum=most)


def count(least: int = 0) -> Schema:
    """Return the schema of a whole number that may be written as ``5e3``: BasicSR passes it through ``int``."""
    return {**_bounded('number', minimum=least), 'multipleOf': 1}


def number(
    least: float | None = None, most: float | None = None, *, above: float | None = None, below: float | None = None
) -> Schema:
    """Return the schema of a finite number between bounds: included, or not (``above``, ``below``)."""
    return _bounded('number', minimum=least, maximum=most, exclusiveMinimum=above, exclusiveMaximum=below)


def choice(*values: Any) -> Schema:
    """Return the schema of one of some values."""
    return {'enum': list(values)}


def list_of(item: Schema, length: int | None = None, *, least: int = 0) -> Schema:
    """Return the schema of a list, of any length or a given one."""
    bounds = {'minItems': least} if length is None else {'minItems': length, 'maxItems': length}
    return {'type': 'array', 'items': item, **{name: value for name, value in bounds.items() if value}}


def either(*schemas: Schema) -> Schema:
    """Return the schema of what fits one of some schemas."""
    return {'anyOf': list(schemas)}


def optional(schema: Schema) -> Schema:
    """Return the schema of a value that may be ``~``."""
    return either(schema, {'type': 'null'})


def _bounded(kind: str, **bounds: float | None) -> Schema:
    return {'type': kind, **{name: bound for name, bound in bounds.items() if bound is not None}}


def problem(value: Any, schema: Schema) -> str | None:
    """Say what a value must be, and is not.

    Args:
        value: A value as the YAML loader gives it.
        schema: What it may be.

    Returns:
        A phrase such as ``must be a whole number from 1 up, got 'x'``, or ``None`` where all is well.

    Example:
        >>> problem(0, integer(1))
        'must be a whole number from 1 up, got 0'
        >>> problem([1, 2], list_of(number(), 2)) is None
        True
    """
    if _fits(value, schema):
        return None
    return f'must be {describe(schema)}, got {shown(value)}'


def shown(value: Any) -> str:
    """Write a value on one short line, much as YAML would."""
    if value is None:
        return '~'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return 'a section'
    text = repr(value)
    return text if len(text) <= 60 else f'{text[:57]}...'


def describe(schema: Schema) -> str:
    """Put a schema into words, to follow ``must be``."""
    if 'anyOf' in schema:
        return ' or '.join(describe(part) for part in schema['anyOf'])
    if 'enum' in schema:
        values = [shown(value) if not isinstance(value, str) else value for value in schema['enum']]
        return values[0] if len(values) == 1 else f'one of {", ".join(values)}'
    kind = schema.get('type')
    if kind is None:
        return 'anything'
    if isinstance(kind, list):
        return ' or '.join(describe({**schema, 'type': one}) for one in kind)
    if kind == 'array':
        length = f' of {schema["minItems"]}' if 'maxItems' in schema else ''
        least = ' that is not empty' if not length and schema.get('minItems') else ''
        items = schema.get('items') or {}
        return f'a list{length}{least}' + (f', each {describe(items)}' if items else '')
    if schema.get('pattern') == FILE_NAME_PART['pattern']:
        return 'text without slashes, as it becomes part of a file name'
    if schema.get('pattern') == TEXT['pattern']:
        return 'text that is not empty'
    words = 'a whole number' if schema.get('multipleOf') == 1 else _WORDS[kind]
    lower = [
        f'{word} {schema[name]}'
        for name, word in (('minimum', 'from'), ('exclusiveMinimum', 'above'))
        if name in schema
    ]
    upper = [
        f'{word} {schema[name]}' for name, word in (('maximum', 'to'), ('exclusiveMaximum', 'below')) if name in schema
    ]
    bounds = ' '.join(lower + (upper or (['up'] if 'minimum' in schema else [])))
    pattern = f' like {schema["pattern"]}' if 'pattern' in schema else ''
    return f'{words} {bounds}'.rstrip() + pattern


def _fits(value: Any, schema: Schema) -> bool:
    if 'anyOf' in schema:
        return any(_fits(value, part) for part in schema['anyOf'])
    if 'enum' in schema:
        return any(type(value) is type(known) and value == known for known in schema['enum'])
    kind = schema.get('type')
    if kind is None:
        return True
    if isinstance(kind, list):
        return any(_fits(value, {**schema, 'type': one}) for one in kind)
    if kind == 'null':
        return value is None
    if kind == 'boolean':
        return isinstance(value, bool)
    if kind == 'object':
        return isinstance(value, dict)
    if kind == 'string':
        return isinstance(value, str) and re.search(schema.get('pattern', ''), value) is not None
    if kind == 'array':
        return _list_fits(value, schema)
    return _number_fits(value, schema)


def _list_fits(value: Any, schema: Schema) -> bool:
    if not isinstance(value, Sequence) or isinstance(value, str):
        return False
    if not schema.get('minItems', 0) <= len(value) <= schema.get('maxItems', math.inf):
        return False
    return all(_fits(item, schema.get('items') or {}) for item in value)


def _number_fits(value: Any, schema: Schema) -> bool:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return False
    if isinstance(value, float) and not math.isfinite(value):
        return False
    if (schema['type'] == 'integer' or schema.get('multipleOf') == 1) and value != int(value):
        return False
    if schema['type'] == 'integer' and not isinstance(value, int):
        return False
    return schema.get('minimum', -math.inf) <= value <= schema.get('maximum', math.inf) and schema.get(
        'exclusiveMinimum', -math.inf
    ) < value < schema.get('exclusiveMaximum', math.inf)
