"""One set of definitions: the check, the JSON Schema and the document must say the same."""

import dataclasses
import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import jsonschema
import pytest
import yaml

from converse_basicsr.options import keys as definitions
from converse_basicsr.options.library import option_files
from converse_basicsr.values import problem

FILES = dict(option_files())


@pytest.fixture(scope='module')
def schema() -> dict[str, Any]:
    import converse_basicsr
    from converse_basicsr.options.json_schema import option_file_schema

    converse_basicsr.register()
    schema = option_file_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    json.dumps(schema)
    return schema


@pytest.mark.parametrize('name', FILES)
def test_our_option_files_fit_the_schema(schema: dict[str, Any], name: str) -> None:
    jsonschema.Draft202012Validator(schema).validate(yaml.safe_load(FILES[name].read_text(encoding='utf-8')))


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
        ('logger:save_format', 'onnx'),
        ('dist_params', {'backend': 'smpi'}),
    ],
)
def test_what_the_check_refuses_does_not_fit(
    schema: dict[str, Any], run_options: dict[str, Any], key_path: str, value: Any
) -> None:
    from converse_basicsr.options.check.sections import key_problems

    jsonschema.Draft202012Validator(schema).validate(run_options)
    assert key_problems(run_options, is_train=True) == []
    *sections, key = key_path.split(':')
    section = run_options
    for name in sections:
        section = section[name]
    section[key] = value
    place = (*sections, key)
    assert [one for one in key_problems(run_options, is_train=True) if one.keys[: len(place)] == place]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(schema).validate(run_options)


def test_the_keys_of_training_steps_are_those_of_the_model() -> None:
    from converse_basicsr.models.training_options import TrainingOptions

    keys = definitions.MODELS['RestorationModel'].train
    for field in dataclasses.fields(TrainingOptions):
        assert keys[field.name].schema is field.metadata['schema']
        assert yaml.safe_load(keys[field.name].default) == field.default
        assert TrainingOptions.read({field.name: field.default}) == TrainingOptions()


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
            in_words = key.default == 'drawn' or any(word in key.default for word in ("'s", ' or ', ' on '))
            if key.default and not in_words:
                assert problem(yaml.safe_load(key.default), key.schema) is None, name


def generator() -> ModuleType:
    path = Path(__file__).parents[2] / 'scripts/document_options.py'
    spec = importlib.util.spec_from_file_location('document_options', path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_document_is_in_step_with_the_definitions() -> None:
    module = generator()
    assert module.DOCUMENT.read_text(encoding='utf-8') == module.document(), 'run scripts/document_options.py'
