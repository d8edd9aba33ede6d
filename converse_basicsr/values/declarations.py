"""Find what is wrong with a schema itself: keywords that are not supported, and operands that they cannot have."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from converse_basicsr.values.fitting import ASSERTIONS, TYPES, is_plain
from converse_basicsr.values.kinds import ANYTHING, BOOLEAN, choice, either, integer, list_of, number
from converse_basicsr.values.wording import problem, shown

ANNOTATIONS = ('$comment', 'title', 'description', 'default', 'examples', 'deprecated')

KEYWORDS = (*ASSERTIONS, *ANNOTATIONS)
"""The supported keywords of JSON Schema: those that restrict values, then annotations."""

MAX_DEPTH = 32
"""Levels of schemas within schemas; a schema that contains itself has no end."""

_STRING = {'type': 'string'}

# Keywords whose operand is a schema, or a list of them.
_ONE_SCHEMA = ('items', 'additionalProperties', 'not')
_SCHEMAS = ('anyOf', 'oneOf', 'allOf')
# What operands may be; those of the other keywords are schemas, or any values.
_OPERANDS = {
    'type': either(choice(*TYPES), list_of(choice(*TYPES), least=1)),
    'enum': list_of(ANYTHING, least=1),
    **dict.fromkeys(('minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum'), number()),
    'multipleOf': number(above=0),
    'pattern': _STRING,
    **dict.fromkeys(('minLength', 'maxLength', 'minItems', 'maxItems'), integer(0)),
    'uniqueItems': BOOLEAN,
    'required': list_of(_STRING),
    **dict.fromkeys(('$comment', 'title', 'description'), _STRING),
    'examples': list_of(ANYTHING),
    'deprecated': BOOLEAN,
    **dict.fromkeys(_SCHEMAS, list_of(ANYTHING, least=1)),
    'properties': {'type': 'object'},
}


def faults(schema: Any) -> Iterator[tuple[str, str]]:
    """Find what is wrong with a schema, in it and in the schemas within.

    Args:
        schema: What somebody declared.

    Yields:
        The keyword with those that enclose it (``items: format``; empty where there is no schema at all), and a phrase
        that continues it.

    Example:
        >>> list(faults({'type': 'array', 'items': {'minimum': 'one'}}))
        [('items: minimum', "must be a number, got 'one'")]
    """
    yield from _faults(schema, ())


def _faults(schema: Any, within: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    if isinstance(schema, bool):
        return
    if not isinstance(schema, Mapping):
        yield ': '.join(within), f'must be a JSON Schema: keywords and values, true or false; got {shown(schema)}'
        return
    if len(within) > MAX_DEPTH:
        yield ': '.join(within[:3]), f'has schemas within schemas, more than {MAX_DEPTH} deep'
        return
    for name, operand in schema.items():
        place = (*within, str(name))
        if name not in KEYWORDS:
            yield ': '.join(place), 'is not understood'
        elif text := problem(operand, _OPERANDS.get(name, True)):
            yield ': '.join(place), text
        elif name in ('const', 'enum', 'default', 'examples') and not is_plain(operand):
            yield ': '.join(place), f'must be made of what YAML can write, got {shown(operand)}'
        elif name == 'pattern':
            try:
                re.compile(operand)
            except (re.error, OverflowError) as error:
                yield ': '.join(place), f'must be a regular expression, got {shown(operand)} ({error})'
        elif name in _ONE_SCHEMA:
            yield from _faults(operand, place)
        elif name in _SCHEMAS:
            for part in operand:
                yield from _faults(part, place)
        elif name == 'properties':
            for key, part in operand.items():
                yield from _faults(part, (*place, str(key)))
