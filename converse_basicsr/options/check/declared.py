"""The keys that models and datasets read: those of the definitions, and those that plugins declare."""

from collections.abc import Iterator, Mapping
from typing import Any

from converse_basicsr.options.check.registered import find
from converse_basicsr.options.file import did_you_mean
from converse_basicsr.options.keys import DATASETS, MODELS, Key, Keys, ModelKeys
from converse_basicsr.values import ANYTHING, KEYWORDS, Schema, faults, shown

_SECTIONS = ('options', 'train', 'val')


def model_keys(model_type: Any) -> tuple[ModelKeys, bool]:
    """Return the keys that a model reads, and whether these are all.

    A plugin's model is known by its attribute ``option_keys``, ``{'train': {KEY: SCHEMA}, 'val': ..., 'options':
    ...}``, and by the model it derives from; without the attribute it may read keys that cannot be known.
    """
    if isinstance(model_type, str) and model_type in MODELS:
        return MODELS[model_type], True
    model = find('model', model_type)
    parents = [cls.__name__ for cls in getattr(model, '__mro__', ())[1:] if cls.__name__ in MODELS]
    parent = MODELS[parents[0]] if parents else ModelKeys()
    declared = _declaration('model', model_type)
    if declared is None:
        return parent, False
    own = {name: _keys(declared.get(name)) for name in _SECTIONS} if isinstance(declared, Mapping) else {}
    sections = {name: {**getattr(parent, name), **own.get(name, {})} for name in _SECTIONS}
    return ModelKeys(**sections, one_loss_of=parent.one_loss_of), True


def dataset_keys(dataset_type: Any) -> tuple[Keys, bool]:
    """Return the keys that a dataset reads besides those of every dataset, and whether these are all.

    A plugin's dataset is known by its attribute ``option_keys``, ``{KEY: SCHEMA}``.
    """
    if isinstance(dataset_type, str) and dataset_type in DATASETS:
        return DATASETS[dataset_type], True
    declared = _declaration('dataset', dataset_type)
    return ({}, False) if declared is None else (_keys(declared), True)


def declaration_faults(kind: str, name: Any) -> Iterator[str]:
    """Name what is wrong in the ``option_keys`` that a plugin declares.

    Args:
        kind: ``model`` or ``dataset``.
        name: What the option file calls it.

    Yields:
        Sentences that name the class, the key and the keyword of JSON Schema.
    """
    declared = _declaration(kind, name)
    if declared is None:
        return
    cls = find(kind, name)
    plugin = f'the plugin class {cls.__module__}.{cls.__qualname__}'
    if kind == 'model' and isinstance(declared, Mapping):
        tables = {f'{section}: ': keys for section, keys in declared.items() if section in _SECTIONS}
        for section in declared:
            if section not in _SECTIONS:
                yield f'{plugin} declares option_keys for {section!r}{did_you_mean(section, list(_SECTIONS))}'
    else:
        tables = {'': declared}
    for prefix, keys in tables.items():
        if not isinstance(keys, Mapping):
            yield f'{plugin} declares {prefix}option_keys, which must be a mapping of keys, got {shown(keys)}'
            continue
        for key, value in keys.items():
            for keyword, text in faults(_schema(value)):
                within = f' with the JSON Schema keyword {keyword!r}' if keyword else ''
                known = did_you_mean(keyword.split(': ')[-1], list(KEYWORDS)) if text == 'is not understood' else ''
                yield f'{plugin} declares the key {prefix}{key}{within}, which {text}{known}'


def _declaration(kind: str, name: Any) -> Any:
    """Return the attribute ``option_keys`` of a plugin's class; ``None`` where it has none."""
    if isinstance(name, str) and name in (MODELS if kind == 'model' else DATASETS):
        return None
    cls = find(kind, name)
    # A model may read more keys than the one it derives from.
    return vars(cls).get('option_keys') if kind == 'model' and cls is not None else getattr(cls, 'option_keys', None)


def _keys(declared: Any) -> dict[str, Key]:
    """Return the keys of a declaration; those that cannot be checked may hold anything."""
    found = {}
    for name, value in declared.items() if isinstance(declared, Mapping) else ():
        schema = _schema(value)
        if isinstance(value, Key):
            found[name] = value
        elif isinstance(schema, bool) or any(faults(schema)):
            found[name] = Key('', schema if isinstance(schema, bool) else ANYTHING)
        else:
            found[name] = Key(schema.get('description', ''), schema)
    return found


def _schema(value: Key | Schema) -> Schema:
    return value.schema if isinstance(value, Key) else value
