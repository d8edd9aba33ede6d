"""``basicsr schema``: the JSON Schema of option files, for editors that complete and check YAML."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from converse_basicsr import option_definitions as definitions
from converse_basicsr.option_definitions import Keys
from converse_basicsr.option_schema import Key

SUMMARY = 'print the JSON Schema of option files, for editors'
EXAMPLES = """\
It knows every registered arch, model, dataset, metric and loss, installed plugins included. An editor with the YAML
language server finds it by a first line in the option file: # yaml-language-server: $schema=options.schema.json

examples:
  basicsr schema > options.schema.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take no arguments."""


def run(args: argparse.Namespace) -> int:
    """Print the schema."""
    from converse_basicsr.register import load_plugins

    load_plugins()
    print(json.dumps(option_file_schema(), indent=1))
    return 0


def option_file_schema() -> dict[str, Any]:
    """Make the schema of option files from the definitions and from what is registered.

    What editors cannot know is left to ``basicsr check``: files, sizes, and keys that must agree with others.
    """
    from converse_basicsr.check import registered

    models = registered.names('model')
    keys_of_models = {name: registered.model_keys(name) for name in models}
    anything = {'additionalProperties': True}
    every_model = {
        part: {key: value for keys, _ in keys_of_models.values() for key, value in getattr(keys, part).items()}
        for part in ('options', 'train', 'val')
    }
    general = {**definitions.GENERAL, **every_model['options']}
    schema = _section(general, phase='')
    sections = schema['properties']
    sections['model_type'] = {**sections['model_type'], 'enum': models}
    sections['datasets']['patternProperties'] = {'^(train|(val|test)(_.*)?)$': _dataset()}
    sections['datasets']['additionalProperties'] = False
    sections['path'] = {**sections['path'], **_section(definitions.PATH), **anything}
    sections['train'] = {**sections['train'], **_section({**definitions.TRAIN, **every_model['train']}, needed=False)}
    sections['train']['required'] = ['total_iter']
    sections['val'] = {**sections['val'], **_section({**definitions.VAL, **every_model['val']}, needed=False)}
    sections['val']['properties']['metrics'] = _or_null(
        {'type': 'object', 'additionalProperties': _registered('metric', definitions.VAL['metrics'])}
    )
    sections['logger'] = {**sections['logger'], **_section(definitions.LOGGER)}
    sections['logger']['properties']['wandb'] = _or_null(_section(definitions.WANDB))
    sections['dist_params'] = {**sections['dist_params'], **_section(definitions.DIST_PARAMS)}
    for part in ('train', 'val'):
        sections[part].update(anything)
    schema['patternProperties'] = {
        '^network_': _registered('arch', definitions.GENERAL['network_g']),
        r'^[._]': {},
    }
    schema['allOf'] = [
        _of_model(name, keys, closed) for name, (keys, closed) in keys_of_models.items() if keys.train or closed
    ]
    return {
        '$schema': 'https://json-schema.org/draft/2020-12/schema',
        'title': 'BasicSR option file',
        **schema,
        **anything,
    }


def _section(keys: Keys, *, phase: str = '', needed: bool = True) -> dict[str, Any]:
    """Return the schema of a section: its keys, which of them must be there, and that there are no others."""
    schema: dict[str, Any] = {
        'type': 'object',
        'properties': {name: _value(key) for name, key in keys.items()},
        'additionalProperties': False,
    }
    required = [name for name, key in keys.items() if key.needed and key.needed in ('always', phase)]
    if required and needed:
        schema['required'] = required
    return schema


def _value(key: Key) -> dict[str, Any]:
    text = key.meaning + (f' (default: {key.default})' if key.default else '')
    if key.registry:
        return _registered(key.registry, key)
    return {**key.schema, **({'description': text} if text else {})}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {'anyOf': [schema, {'type': 'null'}]}


def _registered(kind: str, key: Key) -> dict[str, Any]:
    """Return a reference-free schema of ``{type: X, ...}`` for everything registered of a kind."""
    from converse_basicsr.check import registered

    nullable = 'anyOf' in key.schema
    if kind in ('optimizer', 'scheduler'):
        known = definitions.ARGUMENTS[kind]
        properties = {'type': {'type': 'string'}, **{name: _value(value) for name, value in known.items()}}
        schema: dict[str, Any] = {'type': 'object', 'properties': properties, 'required': ['type']}
    else:
        schema = {
            'type': 'object',
            'properties': {'type': {'enum': registered.names(kind)}},
            'required': ['type'],
            'allOf': [_of_type(kind, name) for name in registered.names(kind)],
        }
    schema['description'] = key.meaning
    return _or_null(schema) if nullable else schema


def _of_type(kind: str, name: str) -> dict[str, Any]:
    from converse_basicsr.check import registered

    known, is_all = registered.arguments(kind, registered.find(kind, name))
    extra = definitions.NETWORK if kind == 'arch' else {}
    then = _section({**known, **extra})
    then['properties']['type'] = {}
    then['additionalProperties'] = not is_all
    return {'if': {'properties': {'type': {'const': name}}, 'required': ['type']}, 'then': then}


def _of_model(name: str, keys: definitions.ModelKeys, closed: bool) -> dict[str, Any]:
    """Return what a model's own keys add: those it needs, and that there are no others."""
    top = {**definitions.GENERAL, **keys.options}
    train = {**definitions.TRAIN, **keys.train}
    val = {**definitions.VAL, **keys.val}
    # A plugin's model may read any key; beside those of the others, a loss or an optimizer may have any name.
    train_names: dict[str, Any] = {'pattern': '.'}
    if closed:
        of_others = {key for other in definitions.MODELS.values() for key in other.train} - set(train)
        train_names = {'pattern': '_opt$|^optim_', 'not': {'enum': sorted(of_others)}}
    then: dict[str, Any] = {
        'properties': {'train': _names(train, train_names), 'val': _names(val, *([] if closed else [{'pattern': '.'}]))}
    }
    if closed:
        then['propertyNames'] = {'anyOf': [{'enum': sorted(top)}, {'pattern': '^(network_|[._])'}]}
        then['properties']['train']['required'] = [key for key, value in train.items() if value.needed == 'always']
    return {'if': {'properties': {'model_type': {'const': name}}, 'required': ['model_type']}, 'then': then}


def _names(keys: Keys, *others: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a section whose keys are named so, or fit one of the others."""
    return {'propertyNames': {'anyOf': [{'enum': sorted(keys)}, *others]}}


def _dataset() -> dict[str, Any]:
    """Return the schema of a data set: the common keys, and those of its type."""
    from converse_basicsr.check import registered

    common = _section(definitions.DATASET)
    common['properties']['type'] = {**common['properties']['type'], 'enum': registered.names('dataset')}
    common['properties']['io_backend'] = _section(definitions.IO_BACKEND)
    common['additionalProperties'] = True
    common['allOf'] = []
    for name in registered.names('dataset'):
        keys, closed = registered.dataset_keys(name)
        then = _section(keys)
        then['additionalProperties'] = True
        if closed:
            then['propertyNames'] = {'enum': sorted({*definitions.DATASET, *keys})}
        condition = {'properties': {'type': {'const': name}}, 'required': ['type']}
        common['allOf'].append({'if': condition, 'then': then})
    return common
