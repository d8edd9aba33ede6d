"""Say whether a value fits a schema: a function for each keyword of JSON Schema that says something about values."""

import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from converse_basicsr.values.kinds import Schema


def fits(value: Any, schema: Schema) -> bool:
    """Say whether a value fits a schema. Keywords that are not supported are ignored here (see ``faults``).

    Args:
        value: A value as the YAML loader gives it.
        schema: What it may be.

    Example:
        >>> fits([1, 2], {'type': 'array', 'items': {'type': 'integer', 'minimum': 1}})
        True
        >>> fits(2.0, {'type': 'integer'})
        False
    """
    if isinstance(schema, bool):
        return schema
    return all(ASSERTIONS[name](value, operand, schema) for name, operand in schema.items() if name in ASSERTIONS)


def same(one: Any, other: Any) -> bool:
    """Compare as JSON Schema does: ``1`` is ``1.0`` but not ``true``, also within lists and sections."""
    return bool(_identity(one) == _identity(other))


def _identity(value: Any) -> Any:
    """Return something hashable that is equal for values that are the same."""
    if isinstance(value, bool):
        return bool, value
    if _is_list(value):
        return list, tuple(map(_identity, value))
    if isinstance(value, Mapping):
        return dict, frozenset((key, _identity(item)) for key, item in value.items())
    return value


def is_plain(value: Any) -> bool:
    """Say whether a value is made of what YAML and JSON can write."""
    if isinstance(value, Mapping):
        return all(isinstance(key, str) and is_plain(item) for key, item in value.items())
    if _is_list(value):
        return all(map(is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, (str, bytes))


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return _is_whole(value) or isinstance(value, float)


def _is_finite(value: Any) -> bool:
    return not isinstance(value, float) or math.isfinite(value)


TYPES: Mapping[str, Callable[[Any], bool]] = {
    'null': lambda value: value is None,
    'boolean': lambda value: isinstance(value, bool),
    'integer': _is_whole,
    'number': lambda value: _is_number(value) and _is_finite(value),
    'string': lambda value: isinstance(value, str),
    'array': _is_list,
    'object': lambda value: isinstance(value, Mapping),
}


def _is_multiple(value: float, step: float) -> bool:
    """Divide the decimal numbers that were written: 0.3 is a multiple of 0.1, though its binary neighbour is none."""
    if not _is_finite(value):
        return False
    written = [Fraction(repr(one)) if isinstance(one, float) else Fraction(one) for one in (value, step)]
    return (written[0] / written[1]).denominator == 1


def _are_unique(values: Sequence[Any]) -> bool:
    return len({_identity(value) for value in values}) == len(values)


def _others(value: Mapping[str, Any], schema: Mapping[str, Any]) -> list[Any]:
    return [part for key, part in value.items() if key not in schema.get('properties', {})]


def _count_fitting(value: Any, schemas: Iterable[Schema]) -> int:
    return sum(fits(value, schema) for schema in schemas)


Assertion = Callable[[Any, Any, Mapping[str, Any]], bool]


def _about(is_kind: Callable[[Any], bool], test: Assertion) -> Assertion:
    """Let a keyword say nothing about values of other kinds."""
    return lambda value, operand, schema: not is_kind(value) or test(value, operand, schema)


# keyword -> whether a value fits it: (value, the keyword's operand, the schema it is in)
ASSERTIONS: Mapping[str, Assertion] = {
    'type': lambda v, kinds, _: any(TYPES[kind](v) for kind in ([kinds] if isinstance(kinds, str) else kinds)),
    'enum': lambda v, values, _: any(same(v, value) for value in values),
    'const': lambda v, constant, _: same(v, constant),
    'minimum': _about(_is_number, lambda v, bound, _: v >= bound),
    'maximum': _about(_is_number, lambda v, bound, _: v <= bound),
    'exclusiveMinimum': _about(_is_number, lambda v, bound, _: v > bound),
    'exclusiveMaximum': _about(_is_number, lambda v, bound, _: v < bound),
    'multipleOf': _about(_is_number, lambda v, step, _: _is_multiple(v, step)),
    'pattern': _about(TYPES['string'], lambda v, pattern, _: re.search(pattern, v) is not None),
    'minLength': _about(TYPES['string'], lambda v, least, _: len(v) >= least),
    'maxLength': _about(TYPES['string'], lambda v, most, _: len(v) <= most),
    'items': _about(_is_list, lambda v, items, _: all(fits(item, items) for item in v)),
    'minItems': _about(_is_list, lambda v, least, _: len(v) >= least),
    'maxItems': _about(_is_list, lambda v, most, _: len(v) <= most),
    'uniqueItems': _about(_is_list, lambda v, asked, _: not asked or _are_unique(v)),
    'properties': _about(
        TYPES['object'], lambda v, parts, _: all(fits(v[key], part) for key, part in parts.items() if key in v)
    ),
    'required': _about(TYPES['object'], lambda v, keys, _: all(key in v for key in keys)),
    'additionalProperties': _about(
        TYPES['object'], lambda v, part, schema: all(fits(other, part) for other in _others(v, schema))
    ),
    'anyOf': lambda v, schemas, _: _count_fitting(v, schemas) > 0,
    'oneOf': lambda v, schemas, _: _count_fitting(v, schemas) == 1,
    'allOf': lambda v, schemas, _: _count_fitting(v, schemas) == len(schemas),
    'not': lambda v, schema, _: not fits(v, schema),
}
