"""One set of definitions: the check, the JSON Schema and the document must say the same."""

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

from converse_basicsr import option_definitions as definitions
from converse_basicsr.option_library import option_files
from converse_basicsr.option_schema import choice, count, either, integer, list_of, number, optional, problem

FILES = dict(option_files())


@pytest.fixture(scope='module')
def schema() -> dict[str, Any]:
    import converse_basicsr
    from converse_basicsr.schema import option_file_schema

    converse_basicsr.register()
    schema = option_file_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    json.dumps(schema)
    return schema


@pytest.mark.parametrize('name', FILES)
def test_our_option_files_fit_the_schema(schema: dict[str, Any], name: str) -> None:
    jsonschema.validate(yaml.safe_load(FILES[name].read_text(encoding='utf-8')), schema)


@pytest.mark.parametrize(
    ('key_path', 'value'),
    [
        ('nmae', 'x'),
        ('model_type', 'SRModle'),
        ('num_gpu', 'two'),
        ('network_g:type', 'ConverseSRResnet'),
        ('network_g:num_fet', 4),
        ('network_g:num_feat', '4'),
        ('datasets:valid', {}),
        ('datasets:train:gt_sise', 16),
        ('datasets:train:io_backend:type', 'zip'),
        ('train:total_iters', 3),
        ('train:optim_g:lr', '2e-4x'),
        ('train:pixel_opt:reduction', 'average'),
        ('train:gan_opt', {'type': 'GANLoss', 'gan_type': 'vanilla'}),
        ('val:metrics:psnr:test_y', True),
        ('val:self_ensemble', True),
        ('logger:print_frequency', 1),
    ],
)
def test_what_the_check_refuses_does_not_fit(
    schema: dict[str, Any], run_options: dict[str, Any], key_path: str, value: Any
) -> None:
    from converse_basicsr.check.keys import key_problems

    jsonschema.validate(run_options, schema)
    assert key_problems(run_options, is_train=True) == []
    *sections, key = key_path.split(':')
    section = run_options
    for name in sections:
        section = section[name]
    section[key] = value
    assert [problem for problem in key_problems(run_options, is_train=True) if problem.is_within(*sections, key)]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(run_options, schema)


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


def test_every_key_says_what_it_means() -> None:
    tables = [
        definitions.GENERAL,
        definitions.DATASET,
        *definitions.DATASETS.values(),
        *(getattr(keys, part) for keys in definitions.MODELS.values() for part in ('options', 'train', 'val')),
    ]
    for table in tables:
        for name, key in table.items():
            assert key.meaning, name
            in_words = key.default == 'drawn' or "'s" in key.default or ' or ' in key.default
            if key.default and not in_words:
                assert problem(yaml.safe_load(key.default), key.schema) is None, name


def generator() -> ModuleType:
    path = Path(__file__).parents[1] / 'scripts/document_options.py'
    spec = importlib.util.spec_from_file_location('document_options', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_is_in_step_with_the_definitions() -> None:
    module = generator()
    assert module.DOCUMENT.read_text(encoding='utf-8') == module.document(), 'run scripts/document_options.py'
