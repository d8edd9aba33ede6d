"""The JSON Schema of option files, for editors that complete and check YAML."""

from collections.abc import Mapping
from typing import Any

from converse_basicsr import packages
from converse_basicsr.errors import UserError
from converse_basicsr.options import keys as definitions
from converse_basicsr.options.check import declared, registered
from converse_basicsr.options.keys import Key, Keys
from converse_basicsr.values import fits


def option_file_schema() -> dict[str, Any]:
    """Make the schema of option files from the definitions and from what is registered.

    What editors cannot know is left to ``basicsr check``: files, sizes, and keys that must agree with others. Without
    BasicSR it cannot be known what is registered: any name is allowed then, beside those that the definitions have.

    Raises:
        UserError: If a plugin declares keys with keywords of JSON Schema that are not supported.
    """
    faults = [
        text
        for kind in ('model', 'dataset')
        for name in _known(kind)
        for text in declared.declaration_faults(kind, name)
    ]
    if faults:
        raise UserError(*faults)
    keys_of_models = {name: declared.model_keys(name) for name in _known('model')}
    anything = {'additionalProperties': True}
    every_model = {
        part: {key: value for keys, _ in keys_of_models.values() for key, value in getattr(keys, part).items()}
        for part in ('options', 'train', 'val')
    }
    general = {**definitions.GENERAL, **every_model['options']}
    schema = _section(general, phase='')
    sections = schema['properties']
    sections['model_type'] = {**sections['model_type'], **_name_of('model')}
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


def _known(kind: str) -> list[str]:
    """Return the names of a kind that something is known of."""
    defined: dict[str, Keys | Mapping[str, Any]] = {'model': definitions.MODELS, 'dataset': definitions.DATASETS}
    if kind in defined and not packages.is_installed(packages.BASICSR):
        return sorted(defined[kind])
    return registered.names(kind)


def _name_of(kind: str) -> dict[str, Any]:
    """Return the schema of a name of a kind."""
    if packages.is_installed(packages.BASICSR):
        return {'enum': _known(kind)}
    # Editors complete the names of the first one, and accept those of the second.
    return {'anyOf': [{'enum': names}, {'type': 'string'}]} if (names := _known(kind)) else {'type': 'string'}


def _section(keys: Keys, *, phase: str = '', needed: bool = True) -> dict[str, Any]:
    """Return the schema of a section: its keys, which of them are needed, and that no others are allowed."""
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
    if isinstance(key.schema, bool):
        schema: dict[str, Any] = {} if key.schema else {'not': {}}
    else:
        schema = dict(key.schema)
    return {**schema, **({'description': text} if text else {})}


def _or_null(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {'anyOf': [schema, {'type': 'null'}]}


def _registered(kind: str, key: Key) -> dict[str, Any]:
    """Return a reference-free schema of ``{type: X, ...}`` for everything registered of a kind."""
    nullable = fits(None, key.schema)
    if kind in ('optimizer', 'scheduler'):
        known = definitions.ARGUMENTS[kind]
        properties = {'type': {'type': 'string'}, **{name: _value(value) for name, value in known.items()}}
        schema: dict[str, Any] = {'type': 'object', 'properties': properties, 'required': ['type']}
    else:
        schema = {
            'type': 'object',
            'properties': {'type': _name_of(kind)},
            'required': ['type'],
        }
        if of_types := [_of_type(kind, name) for name in _known(kind)]:
            schema['allOf'] = of_types
    schema['description'] = key.meaning
    return _or_null(schema) if nullable else schema


def _of_type(kind: str, name: str) -> dict[str, Any]:
    known, is_all = registered.arguments(kind, registered.find(kind, name))
    extra = definitions.NETWORK if kind == 'arch' else {}
    then = _section({**known, **extra})
    then['properties']['type'] = {}
    then['additionalProperties'] = not is_all
    return {'if': {'properties': {'type': {'const': name}}, 'required': ['type']}, 'then': then}


def _of_model(name: str, keys: definitions.ModelKeys, closed: bool) -> dict[str, Any]:
    """Return the schema that a model's own keys add: which are needed, and that no others are allowed."""
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
    foreign = sorted(definitions.OPTIMIZER_OF_MODELS.keys() - registered.optimizer_keys(name).keys())
    if foreign and packages.is_installed(packages.BASICSR):
        then['properties']['train']['patternProperties'] = {'^optim_': {'properties': dict.fromkeys(foreign, False)}}
    if closed:
        then['propertyNames'] = {'anyOf': [{'enum': sorted(top)}, {'pattern': '^(network_|[._])'}]}
        then['properties']['train']['required'] = [key for key, value in train.items() if value.needed == 'always']
    return {'if': {'properties': {'model_type': {'const': name}}, 'required': ['model_type']}, 'then': then}


def _names(keys: Keys, *others: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a section whose keys have these names, or fit one of the other schemas."""
    return {'propertyNames': {'anyOf': [{'enum': sorted(keys)}, *others]}}


def _dataset() -> dict[str, Any]:
    """Return the schema of a data set: the common keys, and those of its type."""
    common = _section(definitions.DATASET)
    common['properties']['type'] = {**common['properties']['type'], **_name_of('dataset')}
    common['properties']['io_backend'] = _section(definitions.IO_BACKEND)
    common['additionalProperties'] = True
    common['allOf'] = []
    for name in _known('dataset'):
        keys, closed = declared.dataset_keys(name)
        then = _section(keys)
        then['additionalProperties'] = True
        if closed:
            then['propertyNames'] = {'enum': sorted({*definitions.DATASET, *keys})}
        condition = {'properties': {'type': {'const': name}}, 'required': ['type']}
        common['allOf'].append({'if': condition, 'then': then})
    return common
