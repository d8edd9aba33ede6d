"""The patches of BasicSR, and when they apply.

Each is a generator function of a module of this package that yields what it replaces. They are independent: no two
replace the same name, and each works alone. Those of :data:`IMPORTS` supply what is absent. The others are for
BasicSR 1 (1.4.2, of 2022, is its last release; the forks on the package index have the same code): a later major
version gets none of them.
"""

import contextlib
import gc
import threading
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator

from converse_basicsr import packages
from converse_basicsr.compat import (
    converse_key,
    distributed_start,
    imports,
    loading,
    option_reading,
    run_folders,
    saved_images,
    shared_validation,
    spawning,
    wandb_logger,
    weights,
)
from converse_basicsr.compat.replacement import Replacement, put, take_back
from converse_basicsr.errors import UserError

Patch = Callable[[], Iterable[Replacement]]

IMPORTS: dict[str, Patch] = {
    'functional_tensor': imports.functional_tensor,
    'distutils': imports.distutils,
}
"""Without these ``import basicsr`` fails."""

PATCHES: dict[str, Patch] = {
    'log_files': run_folders.log_files,
    'archive_names': run_folders.archive_names,
    'lmdb_backend': loading.lmdb_backend,
    'regular_files': loading.regular_files,
    'prefetch_errors': loading.prefetch_errors,
    'worker_seeds': loading.worker_seeds,
    'ema_buffers': weights.ema_buffers,
    'loading_networks': weights.loading_networks,
    'writing_networks': weights.writing_networks,
    'writing_states': weights.writing_states,
    'loading_without_code': weights.loading_without_code,
    'shared_validation': shared_validation.shared_validation,
    'joining': distributed_start.joining,
    'networks_on_cpus': distributed_start.networks_on_cpus,
    'saved_images': saved_images.saved_images,
    'tensor2img': saved_images.tensor2img,
    'jpeg_quality': saved_images.jpeg_quality,
    'option_reading': option_reading.option_reading,
    'spawned_datasets': spawning.spawned_datasets,
    'converse_key': converse_key.converse_key,
    'wandb_ids': wandb_logger.wandb_ids,
}

MAJOR_VERSION = 1
"""Of the BasicSR that :data:`PATCHES` are for."""

_undo: dict[str, list[Replacement]] = {}
_lock = threading.RLock()


def apply(without: Collection[str] = ()) -> None:
    """Make ``import basicsr`` work and patch its defects. Idempotent and safe to call from any thread or process.

    Args:
        without: Names of patches to leave out, for tests.

    Raises:
        UserError: If BasicSR is not installed, or its import fails; nothing stays patched then.
    """
    with _lock, _collector_paused():
        if _undo:
            return
        packages.require_basicsr()
        try:
            _apply(without)
        except BaseException as error:  # whatever the modules of BasicSR, and those that they import, raise
            for undo in reversed(_undo.values()):
                take_back(undo)
            _undo.clear()
            if not isinstance(error, Exception):
                raise
            reason = ' '.join(str(error).split())[:300]
            raise UserError(
                f'BasicSR is installed, but its import fails ({type(error).__name__}: {reason}): run: basicsr doctor'
            ) from error


def _apply(without: Collection[str]) -> None:
    for name, patch in IMPORTS.items():
        if name not in without:
            _undo[name] = put(patch())
    from basicsr.version import __version__

    if int(__version__.split('.')[0]) > MAJOR_VERSION:
        warnings.warn(
            f'BasicSR {__version__} is newer than this package knows ({MAJOR_VERSION}.x): it runs unpatched',
            stacklevel=3,
        )
        return
    for name, patch in PATCHES.items():
        if name not in without:
            _undo[name] = put(patch())


@contextlib.contextmanager
def disabled(name: str) -> Iterator[None]:
    """Take one patch back for a while, for tests: its defect must then show."""
    with _lock:
        redo = put(_undo[name])
        try:
            yield
        finally:
            take_back(redo)


def replaced() -> dict[str, list[tuple[object, str]]]:
    """Return what each patch has replaced: owner and name."""
    return {name: [(owner, attribute) for owner, attribute, _ in undo] for name, undo in _undo.items()}


@contextlib.contextmanager
def _collector_paused() -> Iterator[None]:
    """Pause garbage collection: imports make objects that stay, and looking for garbage costs a sixth of their time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
