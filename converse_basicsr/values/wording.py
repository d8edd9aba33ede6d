"""Put schemas, values, and what is wrong with a value into words."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from converse_basicsr.values.fitting import fits
from converse_basicsr.values.kinds import FILE_NAME_PART, NAME_TEMPLATE, TEXT, Schema

_WORDS = {
    'null': '~',
    'boolean': 'true or false',
    'integer': 'a whole number',
    'number': 'a number',
    'string': 'text',
    'array': 'a list',
    'object': 'a section with keys of its own',
}

# kind -> the words for values of other kinds, and the keywords that restrict this kind
_OF_KIND = {
    'number': ('no number', ('minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf')),
    'string': ('no text', ('pattern', 'minLength', 'maxLength')),
    'array': ('no list', ('items', 'minItems', 'maxItems', 'uniqueItems')),
    'object': ('no section', ('properties', 'required', 'additionalProperties')),
}

_LONGEST = 60
"""Characters of a value that a message shows."""


def problem(value: Any, schema: Schema) -> str | None:
    """Say what a value must be, and is not.

    Args:
        value: A value as the YAML loader gives it.
        schema: What it may be.

    Returns:
        A phrase such as ``must be a whole number from 1 up, got 'x'``, or ``None`` where all is well.

    Example:
        >>> problem(0, {'type': 'integer', 'minimum': 1})
        'must be a whole number from 1 up, got 0'
        >>> problem([1, 2], {'type': 'array', 'minItems': 2}) is None
        True
        >>> problem({'p': 2}, {'type': 'object', 'properties': {'p': {'maximum': 1, 'type': 'number'}}})
        'has p, which must be a number to 1, got 2'
    """
    if fits(value, schema):
        return None
    within = _problem_within(value, schema)
    return within or f'must be {describe(schema)}, got {shown(value)}'


def shown(value: Any) -> str:
    """Write a value on one short line, much as YAML would."""
    if value is None:
        return '~'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return 'a section'
    text = repr(value)
    return text if len(text) <= _LONGEST else f'{text[: _LONGEST - 3]}...'


def describe(schema: Schema) -> str:
    """Put a schema into words, to follow ``must be``.

    Example:
        >>> describe({'anyOf': [{'enum': ['auto']}, {'type': 'integer', 'minimum': 0}]})
        'auto or a whole number from 0 up'
    """
    if isinstance(schema, bool):
        return 'anything' if schema else 'left out'
    for name in ('const', 'enum'):
        if name in schema:
            rest = {other: operand for other, operand in schema.items() if other != name}
            listed = [schema[name]] if name == 'const' else schema[name]
            return _one_of([value for value in listed if fits(value, rest)])
    parts = list(_of_kinds(schema))
    if 'anyOf' in schema:
        parts.append(' or '.join(describe(part) for part in schema['anyOf']))
    if 'oneOf' in schema:
        parts.append(f'exactly one of these: {", or ".join(describe(part) for part in schema["oneOf"])}')
    if 'allOf' in schema:
        parts += [describe(part) for part in schema['allOf']]
    if 'not' in schema:
        parts.append(f'not {_enclosed(describe(schema["not"]))}')
    parts = [part for part in dict.fromkeys(parts) if part != 'anything'] or ['anything']
    return parts[0] if len(parts) == 1 else ' and '.join(map(_enclosed, parts))


def _enclosed(text: str) -> str:
    return f'({text})' if ' or ' in text or ' and ' in text or ': ' in text else text


def _one_of(values: Iterable[Any]) -> str:
    words = [value if isinstance(value, str) and value else shown(value) for value in values]
    if not words:
        return 'left out'
    return words[0] if len(words) == 1 else f'one of {", ".join(words)}'


def _of_kinds(schema: Mapping[str, Any]) -> Iterator[str]:
    """Describe what the type and the keywords about values of a type ask for."""
    kinds = schema.get('type')
    if kinds is not None:
        kinds = [kinds] if isinstance(kinds, str) else kinds
        yield ' or '.join(_of_kind(kind, schema) for kind in kinds)
        return
    for kind, (others, names) in _OF_KIND.items():
        if any(name in schema for name in names):
            yield f'{_of_kind(kind, schema)} or {others}'


def _of_kind(kind: str, schema: Mapping[str, Any]) -> str:
    if kind in ('integer', 'number'):
        return _number(kind, schema)
    if kind == 'string':
        return _text(schema)
    if kind == 'array':
        return _list(schema)
    if kind == 'object':
        return _section(schema)
    return _WORDS[kind]


def _number(kind: str, schema: Mapping[str, Any]) -> str:
    step = schema.get('multipleOf')
    words = 'a whole number' if step == 1 else _WORDS[kind]
    lower = [
        f'{word} {schema[name]}'
        for name, word in (('minimum', 'from'), ('exclusiveMinimum', 'above'))
        if name in schema
    ]
    upper = [
        f'{word} {schema[name]}' for name, word in (('maximum', 'to'), ('exclusiveMaximum', 'below')) if name in schema
    ]
    bounds = lower + (upper or (['up'] if 'minimum' in schema else []))
    return ' '.join([words, *bounds]) + (f' that is a multiple of {step}' if step not in (None, 1) else '')


def _text(schema: Mapping[str, Any]) -> str:
    pattern = schema.get('pattern')
    length = _length(schema.get('minLength'), schema.get('maxLength'), ' characters')
    if pattern == FILE_NAME_PART['pattern']:
        return f'text without slashes{length}, as it becomes part of a file name'
    if pattern == NAME_TEMPLATE['pattern']:
        return "text with one pair of braces, such as '{}x4' or '{:0>4}'"
    if pattern == TEXT['pattern']:
        return f'text{length}' if length else 'text that is not empty'
    return f'text{length}' + (f' like {pattern}' if pattern is not None else '')


def _list(schema: Mapping[str, Any]) -> str:
    items = schema.get('items', True)
    least, most = schema.get('minItems'), schema.get('maxItems')
    length = ' that is not empty' if (least, most) == (1, None) else _length(least, most, '')
    each = '' if describe(items) == 'anything' else f', each {describe(items)}'
    return f'a list{length}{each}' + (', none twice' if schema.get('uniqueItems') else '')


def _length(least: int | None, most: int | None, unit: str) -> str:
    if not least and most is None:
        return ''
    if least == most:
        return f' of {most}{unit}'
    if most is None:
        return f' of at least {least}{unit}'
    return f' of {least} to {most}{unit}' if least else f' of at most {most}{unit}'


def _section(schema: Mapping[str, Any]) -> str:
    parts = [f'{key}: {describe(part)}' for key, part in schema.get('properties', {}).items()]
    if schema.get('required'):
        parts.append(f'needed: {", ".join(schema["required"])}')
    others = schema.get('additionalProperties', True)
    if others is False:
        parts.append('no others')
    elif describe(others) != 'anything':
        parts.append(f'others: {describe(others)}')
    return _WORDS['object'] + (f' ({"; ".join(parts)})' if parts else '')


def _problem_within(value: Any, schema: Schema) -> str | None:
    """Say which key of a section is wrong, where nothing else is wrong with the section."""
    names = _OF_KIND['object'][1]
    if isinstance(schema, bool) or not isinstance(value, Mapping):
        return None
    if not fits(value, {name: operand for name, operand in schema.items() if name not in names}):
        return None
    for key in schema.get('required', []):
        if key not in value:
            return f'lacks {key}, which it needs'
    parts, others = schema.get('properties', {}), schema.get('additionalProperties', True)
    for key, item in value.items():
        if key not in parts and others is False:
            return f'has {key}, which is none of its keys ({", ".join(parts)})'
        if text := problem(item, parts.get(key, others)):
            return f'has {key}, which {text}'
    return None
