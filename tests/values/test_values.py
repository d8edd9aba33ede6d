"""What a value may be: JSON Schema as the package jsonschema understands it, in plain words."""

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from converse_basicsr.values import (
    FILE_NAME_PART,
    KEYWORDS,
    choice,
    count,
    describe,
    either,
    faults,
    fits,
    integer,
    list_of,
    number,
    optional,
    problem,
    same,
)

PLAIN = jsonschema.Draft202012Validator

# In one thing we differ on purpose: 2.0 is no integer.
OURS = jsonschema.validators.extend(
    PLAIN,
    type_checker=PLAIN.TYPE_CHECKER.redefine('integer', lambda _, v: isinstance(v, int) and not isinstance(v, bool)),
)

KEYS = st.sampled_from(['a', 'b', 'c'])
NUMBERS = st.one_of(st.integers(-4, 4), st.sampled_from([-2.5, -1.0, 0.0, 0.5, 1.0, 1.25, 2.0, 3.0, 1e15]))
SCALARS = st.one_of(st.none(), st.booleans(), NUMBERS, st.text('ab1', max_size=4))
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)
TYPES = st.sampled_from(['null', 'boolean', 'integer', 'number', 'string', 'array', 'object'])
LENGTHS = st.integers(0, 3)

ABOUT_VALUES = {
    'type': st.one_of(TYPES, st.lists(TYPES, min_size=1, max_size=3, unique=True)),
    'enum': st.lists(VALUES, min_size=1, max_size=4),
    'const': VALUES,
    'minimum': NUMBERS,
    'maximum': NUMBERS,
    'exclusiveMinimum': NUMBERS,
    'exclusiveMaximum': NUMBERS,
    # No tenths: jsonschema divides in floating point, we what was written.
    'multipleOf': st.sampled_from([1, 2, 3, 0.5, 0.25, 1.0]),
    'pattern': st.sampled_from(['a', '^a', 'b$', '^[ab]*$', '.', '']),
    'minLength': LENGTHS,
    'maxLength': LENGTHS,
    'minItems': LENGTHS,
    'maxItems': LENGTHS,
    'uniqueItems': st.booleans(),
    'required': st.lists(KEYS, max_size=2, unique=True),
    '$comment': st.just('c'),
    'title': st.just('t'),
    'description': st.just('d'),
    'default': VALUES,
    'examples': st.lists(VALUES, max_size=2),
    'deprecated': st.booleans(),
}


def operands(inner: st.SearchStrategy[Any]) -> dict[str, st.SearchStrategy[Any]]:
    """What each keyword may have; schemas in it come from ``inner``."""
    several = st.lists(inner, min_size=1, max_size=3)
    keywords = {
        **ABOUT_VALUES,
        **dict.fromkeys(('anyOf', 'oneOf', 'allOf'), several),
        **dict.fromkeys(('items', 'additionalProperties', 'not'), inner),
        'properties': st.dictionaries(KEYS, inner, max_size=3),
    }
    assert keywords.keys() == set(KEYWORDS)
    return keywords


def schemas_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Schemas whose parts come from ``inner``."""
    keywords = operands(inner)
    chosen = st.lists(st.sampled_from(sorted(keywords)), max_size=4, unique=True)
    return chosen.flatmap(lambda names: st.fixed_dictionaries({name: keywords[name] for name in names}))


SCHEMAS = st.recursive(st.one_of(st.booleans(), schemas_of(st.booleans())), schemas_of, max_leaves=8)


def has_nested_booleans(value: Any) -> bool:
    """Whether jsonschema may miss equal items: it sorts them, and Python sorts ``True`` in lists beside ``1``."""
    if isinstance(value, dict):
        return any(map(has_nested_booleans, value.values()))
    return isinstance(value, list) and any(
        'true' in json.dumps(item) or 'false' in json.dumps(item) or has_nested_booleans(item)
        for item in value
        if isinstance(item, (list, dict))
    )


def compare(schema: Any, value: Any) -> None:
    PLAIN.check_schema(schema)
    assert not list(faults(schema))
    if 'uniqueItems' in json.dumps(schema) and has_nested_booleans(value):
        return
    assert fits(value, schema) == OURS(schema).is_valid(value)


@settings(max_examples=1000, deadline=None, database=None)
@given(schema=SCHEMAS, value=VALUES)
def test_our_verdict_is_that_of_jsonschema(schema: Any, value: Any) -> None:
    compare(schema, value)


@pytest.mark.slow
@pytest.mark.parametrize('keyword', KEYWORDS)
@settings(max_examples=100, deadline=None, database=None)
@given(data=st.data())
def test_each_keyword_means_what_jsonschema_says(keyword: str, data: st.DataObject) -> None:
    inner = st.one_of(st.booleans(), schemas_of(st.booleans()))
    schema = {keyword: data.draw(operands(inner)[keyword])}
    values = (
        VALUES,
        NUMBERS,
        st.text('ab1', max_size=4),
        st.lists(SCALARS, max_size=4),
        st.dictionaries(KEYS, SCALARS),
    )
    compare(schema, data.draw(st.one_of(*values)))


@settings(max_examples=500, deadline=None, database=None)
@given(schema=SCHEMAS, value=VALUES)
def test_what_is_wrong_is_said_in_one_line_and_nothing_else_is(schema: Any, value: Any) -> None:
    text = problem(value, schema)
    assert (text is None) == fits(value, schema)
    assert text is None or (text.splitlines() == [text] and text.startswith(('must be ', 'has ', 'lacks ')))
    assert describe(schema)


def test_we_differ_from_json_schema_in_whole_numbers_alone() -> None:
    assert PLAIN({'type': 'integer'}).is_valid(2.0)
    assert not fits(2.0, {'type': 'integer'})
    assert fits(2.0, {'type': 'number', 'multipleOf': 1})
    assert fits(2.0, {'const': 2})
    assert not fits(2.0, choice(1, 2))


@pytest.mark.parametrize(
    'fragment',
    [
        integer(1),
        integer(0, 3),
        count(1),
        number(0, below=1),
        number(above=0),
        choice('auto', 'no', False),
        list_of(number(0), 2),
        list_of(integer(1), least=1),
        optional(number()),
        either(choice('auto'), integer(0)),
        {'type': ['string', 'null']},
        {'type': 'object'},
    ],
    ids=str,
)
def test_a_fragment_means_what_json_schema_says(fragment: dict[str, Any]) -> None:
    validator = jsonschema.Draft202012Validator(fragment)
    values = [None, True, False, 0, 1, 3, 4, -1, 0.5, 1.5, 'auto', 'no', '', [], [1], [1, 2], [0.5, -1], [1, 'x'], {}]
    for value in values:
        assert (problem(value, fragment) is None) == validator.is_valid(value), value


@pytest.mark.parametrize('value', [float('nan'), float('inf'), 10**400])
def test_numbers_are_finite_or_whole(value: float) -> None:
    assert (problem(value, number()) is None) == isinstance(value, int)
    assert (problem(value, count()) is None) == isinstance(value, int)


def test_multiples_are_those_of_the_numbers_as_written() -> None:
    assert fits(0.3, {'multipleOf': 0.1})
    assert not fits(0.35, {'multipleOf': 0.1})


def test_many_items_are_compared_quickly() -> None:
    assert fits(list(range(100_000)), {'uniqueItems': True})
    assert not fits([*range(100_000), 7.0], {'uniqueItems': True})


def test_equality_is_that_of_json() -> None:
    assert same([1, {'a': None}], [1.0, {'a': None}])
    assert not same(1, True)
    assert not same([0], [False])
    assert not same({'a': 1}, {'a': 1, 'b': 1})


@pytest.mark.parametrize(
    ('schema', 'words'),
    [
        ({}, 'anything'),
        (False, 'left out'),
        (integer(1), 'a whole number from 1 up'),
        (number(0, below=1), 'a number from 0 below 1'),
        (count(1), 'a whole number from 1 up'),
        ({'type': 'integer', 'minimum': 8, 'multipleOf': 8}, 'a whole number from 8 up that is a multiple of 8'),
        ({'minimum': 0}, 'a number from 0 up or no number'),
        (choice('cpu', 'cuda'), 'one of cpu, cuda'),
        (choice(1, 2, 4), 'one of 1, 2, 4'),
        ({'enum': [1, 2, 'x'], 'minimum': 2}, 'one of 2, x'),
        ({'const': None}, '~'),
        ({'const': ''}, "''"),
        (optional(choice('a', 'b')), 'one of a, b or ~'),
        (FILE_NAME_PART, 'text without slashes of at most 229 characters, as it becomes part of a file name'),
        ({'type': 'string', 'minLength': 2, 'maxLength': 4, 'pattern': '^x'}, 'text of 2 to 4 characters like ^x'),
        ({'type': 'string', 'minLength': 2}, 'text of at least 2 characters'),
        (list_of(number(above=0), 2), 'a list of 2, each a number above 0'),
        (list_of(True, least=1), 'a list that is not empty'),
        ({'type': 'array', 'minItems': 2, 'uniqueItems': True}, 'a list of at least 2, none twice'),
        ({'type': 'array', 'maxItems': 2}, 'a list of at most 2'),
        ({'type': 'number', 'not': {'const': 0}}, 'a number and not 0'),
        ({'type': ['string', 'null'], 'not': {'enum': ['a', 'b']}}, '(text or ~) and not one of a, b'),
        ({'oneOf': [integer(0), {'const': 'x'}]}, 'exactly one of these: a whole number from 0 up, or x'),
        ({'allOf': [{'type': 'number'}, {'type': 'number', 'minimum': 1}]}, 'a number and a number from 1 up'),
        (
            {'type': 'object', 'properties': {'p': number()}, 'required': ['p'], 'additionalProperties': False},
            'a section with keys of its own (p: a number; needed: p; no others)',
        ),
    ],
    ids=str,
)
def test_schemas_are_put_into_plain_words(schema: Any, words: str) -> None:
    assert describe(schema) == words


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        ({}, 'lacks p, which it needs'),
        ({'p': 'x'}, "has p, which must be a number to 1, got 'x'"),
        ({'p': 0, 'r': 1}, 'has r, which is none of its keys (p, q)'),
        ({'p': 0, 'q': {'s': 3}}, 'has q, which has s, which must be text, got 3'),
        ([], 'must be a section with keys of its own'),
    ],
)
def test_the_wrong_key_of_a_section_is_named(value: Any, text: str) -> None:
    inner = {'type': 'object', 'additionalProperties': {'type': 'string'}}
    schema = {
        'type': 'object',
        'properties': {'p': number(None, 1), 'q': inner},
        'required': ['p'],
        'additionalProperties': False,
    }
    assert problem(value, schema).startswith(text)


CIRCULAR: dict[str, Any] = {}
CIRCULAR['not'] = CIRCULAR


@pytest.mark.parametrize(
    ('schema', 'expected'),
    [
        ({'format': 'uri'}, ('format', 'is not understood')),
        ({'items': {'if': {}}}, ('items: if', 'is not understood')),
        ({'properties': {'a': {'patternProperties': {}}}}, ('properties: a: patternProperties', 'is not understood')),
        ({'anyOf': [{}, {'$ref': '#'}]}, ('anyOf: $ref', 'is not understood')),
        ({'type': 'int'}, ('type', 'must be one of null, boolean, integer, number, string, array, object or a list')),
        ({'minimum': '3'}, ('minimum', "must be a number, got '3'")),
        ({'exclusiveMinimum': True}, ('exclusiveMinimum', 'must be a number, got true')),
        ({'multipleOf': 0}, ('multipleOf', 'must be a number above 0, got 0')),
        ({'pattern': '('}, ('pattern', "must be a regular expression, got '('")),
        ({'minLength': -1}, ('minLength', 'must be a whole number from 0 up')),
        ({'enum': 'ab'}, ('enum', 'must be a list that is not empty')),
        ({'enum': [{1, 2}]}, ('enum', 'must be made of what YAML can write')),
        ({'default': object}, ('default', 'must be made of what YAML can write')),
        ({'required': True}, ('required', 'must be a list, each text')),
        ({'items': [{}]}, ('items', 'must be a JSON Schema')),
        ({'anyOf': []}, ('anyOf', 'must be a list that is not empty')),
        ({'properties': []}, ('properties', 'must be a section')),
        ({'description': 3}, ('description', 'must be text')),
        ('number', ('', 'must be a JSON Schema')),
        (CIRCULAR, ('not: not: not', 'has schemas within schemas, more than 32 deep')),
    ],
)
def test_what_a_schema_cannot_say_is_named(schema: Any, expected: tuple[str, str]) -> None:
    (keyword, text), *others = faults(schema)
    assert not others
    assert (keyword, text[: len(expected[1])]) == expected
