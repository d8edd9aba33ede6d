"""Plug this package, and other plugins, into BasicSR's registries (the one file that knows them)."""

import importlib
import sys
import threading
import warnings
from collections.abc import Callable
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

PLUGIN_GROUP = 'basicsr.plugins'

# registry -> module -> what is registered there from it, under its own name
REGISTERED: dict[str, dict[str, tuple[str, ...]]] = {
    'arch': {
        'converse_basicsr.archs': (
            'ConverseDnCNN',
            'ConverseNet',
            'ConverseSRResNet',
            'ConverseUSRNet',
            'ConverseUpSRResNet',
            'DnCNN',
            'USRNet',
        ),
    },
    'dataset': {
        'converse_basicsr.data.bicubic_sr_dataset': ('BicubicSRDataset',),
        'converse_basicsr.data.blur_dataset': ('BlurDataset',),
        'converse_basicsr.data.gaussian_noise_dataset': ('GaussianNoiseDataset',),
    },
    'model': {
        'converse_basicsr.models.restoration_model': ('RestorationModel',),
    },
    'metric': {
        'converse_basicsr.data.metrics': ('calculate_psnr_uint8', 'calculate_ssim_uint8'),
    },
}

_lock = threading.Lock()


def register() -> None:
    """Patch BasicSR (:mod:`converse_basicsr.compat`) and register what this package offers; idempotent.

    Raises:
        ValueError: If another object holds one of the names; nothing is registered then.
        converse_basicsr.errors.UserError: If BasicSR is not installed, or its import fails.

    Example:
        >>> import converse_basicsr
        >>> converse_basicsr.register()
        >>> from basicsr.archs import build_network
        >>> net = build_network({'type': 'ConverseSRResNet', 'upscale': 4})
    """
    from converse_basicsr import compat
    from converse_basicsr.compat.spawning import make_registered_spawn_safe

    with _lock:
        compat.apply()
        from converse_basicsr.training.scripts import rebind

        rebind()
        new = []
        for registry, name, entry in _entries():
            # BasicSR's __contains__ and keys() are all its registries offer besides get(), which prints.
            held = dict(iter(registry)).get(name)
            if held is None:
                new.append((registry, entry))
            elif held is not entry:
                raise ValueError(
                    f'{registry._name} {name!r} must be free in BasicSR, got one from {held.__module__}; '
                    'two plugins claim this name: uninstall or rename one'
                )
        for registry, entry in new:
            registry.register(entry)
        make_registered_spawn_safe()


def _entries() -> list[tuple[Any, str, Any]]:
    """Import what :data:`REGISTERED` names: (BasicSR's registry, name, object)."""
    from basicsr.utils import registry

    return [
        (getattr(registry, f'{kind.upper()}_REGISTRY'), name, getattr(importlib.import_module(module), name))
        for kind, modules in REGISTERED.items()
        for module, names in modules.items()
        for name in names
    ]


def load_plugins(found: list[EntryPoint] | None = None) -> dict[str, Callable[[], None]]:
    """Register every installed plugin of the entry-point group ``basicsr.plugins``, this package first.

    A plugin is a function without arguments. One that fails, or that has the name of an earlier one, is named in a
    warning and left out, so that it cannot stop the others.

    Args:
        found: The entry points; those of installed distributions if not given.

    Returns:
        The plugins that were registered, by name.
    """
    register()
    plugins: dict[str, Callable[[], None]] = {'converse_basicsr': register}
    for entry_point in filter(_is_installed, entry_points(group=PLUGIN_GROUP)) if found is None else found:
        try:
            plugin = entry_point.load()
            if plugin is plugins.get(entry_point.name):
                continue  # found twice, as an editable installation may be
            if entry_point.name in plugins:
                raise ValueError('another plugin has this name')
            plugin()
        except (Exception, SystemExit) as error:
            warnings.warn(
                f'BasicSR plugin {entry_point.name} ({entry_point.value}) is left out: {type(error).__name__}: {error}',
                stacklevel=2,
            )
        else:
            plugins[entry_point.name] = plugin
    return plugins


def _is_installed(entry_point: EntryPoint) -> bool:
    """Tell installed plugins from metadata in the current folder, which Python often puts first on the module path."""
    from converse_basicsr.files.inside import same_file

    folder = Path(str(entry_point.dist.locate_file(''))) if entry_point.dist else None
    return folder is None or not same_file(folder, Path()) or any(same_file(folder, Path(p)) for p in sys.path[1:] if p)
