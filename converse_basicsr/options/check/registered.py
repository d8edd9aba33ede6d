"""Look up what an option file names in BasicSR's registries, and compare what it passes with the signature there.

Without BasicSR, which holds the registries, there are this package's own networks and nothing else.
"""

import inspect
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from converse_basicsr import packages
from converse_basicsr.options.check.problem import Problem
from converse_basicsr.options.file import did_you_mean
from converse_basicsr.options.keys import ARGUMENTS, OPTIMIZER_OF_MODELS, PROVIDERS, Key
from converse_basicsr.options.networks import own_networks
from converse_basicsr.values import ANYTHING, BOOLEAN, Schema, choice, either, integer, number, optional
from converse_basicsr.values import problem as value_problem

# Arguments that BasicSR's pipelines pass themselves; an option file does not give them.
_PASSED = {'metric': {'img', 'img2'}, 'scheduler': {'optimizer', 'last_epoch'}, 'optimizer': {'params'}}

_CHOSEN_BY_MODEL = {
    'optimizer': "BasicSR's models know Adam only",
    'scheduler': "BasicSR's models know MultiStepLR and CosineAnnealingRestartLR only",
}

# Modules whose functions take **kwargs only to ignore what they do not know.
_IGNORE_UNKNOWN = ('basicsr.', 'converse_basicsr.')


def names(kind: str) -> list[str]:
    """Return the names that an option file can give for a kind (arch, model, dataset, metric, loss), sorted."""
    return sorted({name.removesuffix('_basicsr') for name in _held(kind)})


def find(kind: str, name: Any) -> Any:
    """Return the object registered under a name, as BasicSR finds it, or ``None``."""
    if not isinstance(name, str):
        return None
    if kind == 'arch' and name in own_networks():
        return own_networks()[name]
    held = _held(kind)
    return held.get(f'{name}_basicsr') if name not in held else held[name]


def _held(kind: str) -> dict[str, Any]:
    """Return what is registered of a kind."""
    if not packages.is_installed(packages.BASICSR):
        return dict(own_networks()) if kind == 'arch' else {}
    from basicsr.utils import registry

    return dict(iter(getattr(registry, f'{kind.upper()}_REGISTRY')))


def name_problem(keys: tuple[str, ...], kind: str, name: Any) -> Problem | None:
    """Say so if a name is in no registry, with the nearest one and the plugin that provides it."""
    if not isinstance(name, str) or find(kind, name) is not None:
        return None
    provider = PROVIDERS.get(name)
    remedy = f'; {provider} provides it' if provider else did_you_mean(name, names(kind))
    return Problem(keys, f'no {kind} is named {name!r}{remedy}')


def takes_ground_truth(metric: Any) -> bool:
    """Say whether a metric compares images with their ground truth, as far as is known."""
    try:
        return 'img2' in inspect.signature(find('metric', metric)).parameters
    except (TypeError, ValueError):  # not registered, or without a signature
        return False


def argument_problems(
    options: Mapping[str, Any], keys: tuple[str, ...], kind: str, ignored: Sequence[str] = ()
) -> Iterator[Problem]:
    """Compare a section ``{type: X, argument: value, ...}`` with what is registered as X.

    Args:
        options: Options of the whole file.
        keys: Where the section is.
        kind: arch, loss, metric, optimizer or scheduler.
        ignored: Keys that are no arguments.

    Yields:
        The problems.
    """
    section: Any = options
    for key in keys:
        section = section[key]
    name = section.get('type')
    if not isinstance(name, str) or not name:
        yield Problem((*keys, 'type'), f'must be the name of a registered {kind}, got {name!r}')
        return
    target = find_callable(options, kind, name)
    if target is None:
        place = (*keys, 'type')
        if kind in _CHOSEN_BY_MODEL:
            yield Problem(place, f'no {kind} is named {name!r}; {_CHOSEN_BY_MODEL[kind]}')
        elif problem := name_problem(place, kind, name):
            yield problem
        return
    known, is_all = arguments(kind, target)
    if kind == 'optimizer':
        known |= optimizer_keys(options.get('model_type'))
    for key, value in section.items():
        if key == 'type' or key in ignored:
            continue
        if key in known:
            if text := value_problem(value, known[key].schema):
                yield Problem((*keys, key), text)
        elif kind == 'optimizer' and key in OPTIMIZER_OF_MODELS:
            readers = ', '.join(model for model in names('model') if key in optimizer_keys(model))
            yield Problem((*keys, key), f'is read by model_type {readers} only; remove it or change model_type')
        elif is_all:
            yield Problem((*keys, key), f'{name} takes no such argument{did_you_mean(key, list(known))}')
    for key, definition in known.items():
        if definition.needed and key not in section:
            yield Problem((*keys, key), f'missing; {name} needs it')


def find_callable(options: Mapping[str, Any], kind: str, name: str) -> Callable[..., Any] | None:
    """Return the class or function that a ``type`` stands for, as the model of the file chooses it."""
    if kind not in _CHOSEN_BY_MODEL:
        found: Callable[..., Any] | None = find(kind, name)
        return found
    from basicsr.models import lr_scheduler
    from basicsr.models.base_model import BaseModel
    from torch import optim

    model = find('model', options.get('model_type'))
    if kind == 'optimizer':
        if name == 'Adam':
            return optim.Adam
        own = getattr(model, 'get_optimizer', None) not in (None, BaseModel.get_optimizer)
        return getattr(optim, name, None) if own and name[:1].isupper() else None
    schedulers = {
        'MultiStepLR': lr_scheduler.MultiStepRestartLR,
        'MultiStepRestartLR': lr_scheduler.MultiStepRestartLR,
        'CosineAnnealingRestartLR': lr_scheduler.CosineAnnealingRestartLR,
    }
    own = getattr(model, 'setup_schedulers', None) not in (None, BaseModel.setup_schedulers)
    return schedulers.get(name) or (getattr(optim.lr_scheduler, name, None) if own and name[:1].isupper() else None)


def optimizer_keys(model_type: Any) -> dict[str, Key]:
    """Return what a model takes in the section of an optimizer beside the optimizer's own arguments."""
    make = getattr(find('model', model_type), 'get_optimizer', None)
    taken = inspect.signature(make).parameters if make else ()
    return {name: key for name, key in OPTIMIZER_OF_MODELS.items() if name in taken}


def arguments(kind: str, target: Callable[..., Any]) -> tuple[dict[str, Key], bool]:
    """Return the arguments that an option file can pass to a class or function, and whether these are all.

    Their schemas come from :data:`~converse_basicsr.options.keys.ARGUMENTS`, else from the annotations, else from
    the defaults.
    """
    try:
        parameters = inspect.signature(target).parameters
        hints = typing.get_type_hints(target.__init__ if inspect.isclass(target) else target)
    except (TypeError, ValueError, NameError):  # no signature, or annotations that cannot be resolved
        return {}, False
    closer, passed = ARGUMENTS[kind], _PASSED.get(kind, set())
    known = {}
    is_all = True
    for name, parameter in parameters.items():
        if name in passed or parameter.kind in (parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            continue
        if parameter.kind is parameter.VAR_KEYWORD:
            is_all = target.__module__.startswith(_IGNORE_UNKNOWN)
            continue
        required = parameter.default is parameter.empty
        if name in closer:
            schema, required = closer[name].schema, required or (kind == 'optimizer' and bool(closer[name].needed))
        else:
            schema = _from_annotation(hints[name]) if name in hints else _from_default(parameter.default)
        default = '' if required else str(parameter.default)
        known[name] = Key(closer[name].meaning if name in closer else '', schema, default, 'always' if required else '')
    if kind == 'metric':
        known['better'] = closer['better']
    return known, is_all


def _from_annotation(hint: Any) -> Schema:
    simple = {bool: BOOLEAN, int: integer(), float: number(), str: {'type': 'string'}, types.NoneType: {'type': 'null'}}
    if hint in simple:
        return simple[hint]
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return choice(*parts)
    if origin in (typing.Union, types.UnionType):
        # YAML cannot write a tensor or a module: what remains decides.
        schemas = [schema for schema in map(_from_annotation, parts) if schema != ANYTHING]
        return either(*schemas) if schemas else ANYTHING
    if hint in (list, tuple) or origin in (list, tuple, Sequence):
        return {'type': 'array'}
    return ANYTHING


def _from_default(default: Any) -> Schema:
    if isinstance(default, bool):
        return optional(BOOLEAN)
    if isinstance(default, (int, float)):
        return optional(number())
    if isinstance(default, str):
        return optional({'type': 'string'})
    if isinstance(default, (list, tuple)):
        return optional({'type': 'array'})
    return ANYTHING
