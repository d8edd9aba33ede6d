"""Compare every key and value of an option file with the definitions."""

from collections.abc import Iterator, Mapping
from typing import Any

from converse_basicsr.options import keys as definitions
from converse_basicsr.options.check import declared, registered
from converse_basicsr.options.check.problem import Problem
from converse_basicsr.options.file import did_you_mean
from converse_basicsr.options.keys import Keys
from converse_basicsr.values import FILE_NAME_PART, Schema
from converse_basicsr.values import problem as value_problem

KeyPath = tuple[str, ...]


def key_problems(options: Mapping[str, Any], *, is_train: bool) -> list[Problem]:
    """Name the keys that are unknown, missing or hold what they cannot hold, in the whole file.

    Args:
        options: Options of the file.
        is_train: Training (or else testing).
    """
    return list(_problems(options, 'train' if is_train else 'test'))


def _problems(options: Mapping[str, Any], phase: str) -> Iterator[Problem]:
    model_type = options.get('model_type')
    if problem := registered.name_problem(('model_type',), 'model', model_type):
        yield problem
    yield from (Problem(('model_type',), text) for text in declared.declaration_faults('model', model_type))
    model, closed = declared.model_keys(model_type)

    top = {**definitions.GENERAL, **model.options, **_networks(options)}
    yield from section_problems(options, (), top, phase, closed=closed, of_others=_of_other_models('options'))
    yield from section_problems(options, ('path',), _path_keys(options), phase)
    if phase == 'train':
        train = {**definitions.TRAIN, **model.train, **_open_sections(section(options, 'train'))}
        yield from section_problems(
            options, ('train',), train, phase, closed=closed, of_others=_of_other_models('train')
        )
        yield from _loss_problems(options, model.one_loss_of)
        yield from section_problems(options, ('logger',), definitions.LOGGER, phase)
        yield from section_problems(options, ('logger', 'wandb'), definitions.WANDB, phase)
    yield from section_problems(options, ('dist_params',), definitions.DIST_PARAMS, phase)
    val = {**definitions.VAL, **model.val}
    yield from section_problems(options, ('val',), val, phase, closed=closed, of_others=_of_other_models('val'))
    for name, metric in section(options, 'val', 'metrics').items():
        if isinstance(metric, dict):
            yield from registered.argument_problems(options, ('val', 'metrics', name), 'metric')
        else:
            yield Problem(('val', 'metrics', name), 'must be a section with keys of its own')
    for name in section(options, 'datasets'):
        yield from _dataset_problems(options, name)


def section(options: Mapping[str, Any], *keys: str) -> dict[str, Any]:
    """Return a section of the options; an empty one where it is absent or no section."""
    value: Any = options
    for key in keys:
        value = value.get(key) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else {}


def section_problems(
    options: Mapping[str, Any],
    keys: KeyPath,
    known: Keys,
    phase: str,
    *,
    closed: bool = True,
    of_others: Mapping[str, list[str]] | None = None,
) -> Iterator[Problem]:
    """Compare a section with the keys it may have.

    Args:
        options: Options of the whole file.
        keys: Where the section is; nothing is said where there is none.
        known: Its keys.
        phase: ``train``, ``val`` or ``test``: decides what is needed.
        closed: No other key is allowed.
        of_others: Keys that only some models read, with their names.

    Yields:
        The problems.
    """
    content = section(options, *keys)
    if not content and not isinstance(section(options, *keys[:-1]).get(keys[-1]), dict):
        return
    for key, value in content.items():
        definition = known.get(key)
        if definition is None:
            # Keys that start with a dot or an underscore are a place for YAML anchors.
            if closed and not (not keys and key.startswith(('.', '_'))):
                yield Problem((*keys, key), _unknown(key, known, of_others or {}))
        elif not definition.unread:
            if text := value_problem(value, definition.schema) or _length_problem(value, definition.schema):
                yield Problem((*keys, key), text)
            elif definition.registry and isinstance(value, dict):
                ignored = definitions.NETWORK if definition.registry == 'arch' else ()
                yield from registered.argument_problems(options, (*keys, key), definition.registry, list(ignored))
    renamed = {definitions.RENAMED.get(key) for key in content}
    for key, definition in known.items():
        if definition.needed in ('always', phase) and key not in content and key not in renamed:
            yield Problem((*keys, key), f'missing; {definition.meaning}')


def _length_problem(value: Any, schema: Schema) -> str | None:
    """Say so if a part of a file's name is too long: a schema counts characters, file systems count bytes."""
    kinds = [] if isinstance(schema, bool) else [schema, *schema.get('anyOf', ())]
    if not isinstance(value, str) or FILE_NAME_PART not in kinds or len(value.encode()) <= FILE_NAME_PART['maxLength']:
        return None
    return f'must have at most {FILE_NAME_PART["maxLength"]} bytes in UTF-8, as it becomes part of a file name'


def _unknown(key: str, known: Keys, of_others: Mapping[str, list[str]]) -> str:
    if key in definitions.RENAMED:
        return f'is called {definitions.RENAMED[key]} today; BasicSR ignores the old name'
    if key in of_others:
        return f'is read by model_type {", ".join(of_others[key])} only; remove it or change model_type'
    return f'unknown key{did_you_mean(key, list(known))}'


def _of_other_models(part: str) -> dict[str, list[str]]:
    """Return the keys that some models read in a section, with these models."""
    readers: dict[str, list[str]] = {}
    for model, keys in definitions.MODELS.items():
        for key in getattr(keys, part):
            readers.setdefault(key, []).append(model)
    return readers


def _networks(options: Mapping[str, Any]) -> Keys:
    """Return the definitions of further networks that the file has."""
    network = definitions.GENERAL['network_g']
    return {key: network for key in options if key.startswith('network_') and key not in definitions.GENERAL}


def _open_sections(train: Mapping[str, Any]) -> Keys:
    """Return the definitions of losses and optimisers with names of a plugin's own: they are registered like others."""
    models = {key for keys in definitions.MODELS.values() for key in keys.train}
    own = {}
    for key, value in train.items():
        if isinstance(value, dict) and key not in models:
            if key.startswith('optim_'):
                own[key] = definitions.MODELS['SRModel'].train['optim_g']
            elif key.endswith('_opt'):
                own[key] = definitions.MODELS['SRModel'].train['pixel_opt']
    return own


def _path_keys(options: Mapping[str, Any]) -> Keys:
    """Return the keys of ``path``: those of each network of the file among them."""
    networks = {'g', *(key.removeprefix('network_') for key in options if key.startswith('network_'))}
    return {
        **definitions.PATH,
        **{f'{key}{network}': value for key, value in definitions.NETWORK_PATH.items() for network in sorted(networks)},
    }


def _loss_problems(options: Mapping[str, Any], one_of: tuple[str, ...]) -> Iterator[Problem]:
    train = section(options, 'train')
    if train and one_of and not any(train.get(key) for key in one_of):
        yield Problem(('train',), f'needs a loss, one of {", ".join(one_of)} or several')


def _dataset_problems(options: Mapping[str, Any], name: str) -> Iterator[Problem]:
    keys = ('datasets', name)
    content = options['datasets'][name]
    if not isinstance(content, dict):
        yield Problem(keys, f'must be a section with keys of its own, got {content!r}')
        return
    dataset_type = content.get('type')
    if problem := registered.name_problem((*keys, 'type'), 'dataset', dataset_type):
        yield problem
    yield from (Problem((*keys, 'type'), text) for text in declared.declaration_faults('dataset', dataset_type))
    of_type, closed = declared.dataset_keys(dataset_type)
    phase = name.split('_')[0]
    known = {**definitions.DATASET, **of_type}
    if not content:
        yield Problem(keys, 'must be a section with keys of its own, got an empty one')
    yield from section_problems(options, keys, known, phase, closed=closed)
    yield from section_problems(options, (*keys, 'io_backend'), definitions.IO_BACKEND, phase)
    if section(options, *keys, 'io_backend').get('sys_path') is not None:
        text = 'names a folder whose modules would be run, which an option file cannot do; put it on PYTHONPATH instead'
        yield Problem((*keys, 'io_backend', 'sys_path'), text)
