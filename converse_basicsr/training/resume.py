"""Resume a run: find its newest complete state, and restore the model and the random generators from it."""

import functools
import logging
from pathlib import Path
from typing import Any

from basicsr.utils import check_resume

from converse_basicsr.checkpoints import files, training_state
from converse_basicsr.messages import say
from converse_basicsr.processes import distributed

Options = dict[str, Any]


def load_resume_state(run: Options) -> dict[str, Any] | None:
    """Replace BasicSR's function of this name, which needs CUDA and looks in another folder than the run saves to.

    Args:
        run: The completed options. ``path`` gets the files to load, ``manual_seed`` the seed of the state, which
            decides the sample order.

    Returns:
        The state of ``path: resume_state`` or, with ``auto_resume``, the newest of the run that is whole; ``None`` for
        a new run.

    Raises:
        UserError: If the state cannot be read.
    """
    if run['auto_resume']:
        run['path']['resume_state'] = distributed.from_rank_0(functools.partial(_find, run))
    path = run['path'].get('resume_state')
    if not path:
        return None
    state = files.read(path)
    check_resume(run, state['iter'])
    _use_format_that_is_there(run, state['iter'])
    run['manual_seed'] = state.get('manual_seed', run['manual_seed'])
    return state


def _find(run: Options) -> str | None:
    folder = Path(run['path']['training_states'])
    training_state.remove_unfinished([folder, Path(run['path']['models'])])
    path = training_state.newest_intact(folder, _resumed_networks(run))
    if path is None:
        say(f'auto_resume: no checkpoint in {folder}, starting from 0')
    return None if path is None else str(path)


def _resumed_networks(run: Options) -> list[str]:
    ignored = run['path'].get('ignore_resume_networks') or ()
    return [key.removeprefix('network_') for key in run if key.startswith('network_') and key not in ignored]


def _use_format_that_is_there(run: Options, iteration: int) -> None:
    """BasicSR expects ``.pth``; the networks of this state may be ``.safetensors``."""
    for label in _resumed_networks(run):
        path = training_state.network_file(Path(run['path']['models']), label, iteration)
        run['path'][f'pretrain_network_{label}'] = str(path)


def restore_model(model: Any, state: dict[str, Any]) -> None:
    """Restore a model's optimizers, schedules, best metrics and further state; its weights are loaded already.

    Args:
        model: A model of BasicSR.
        state: The training state. One written by BasicSR lacks some of these.
    """
    model.resume_training(state)
    load_further = getattr(model, 'load_further_training_state', None)
    if load_further is not None:
        load_further(state)
    metrics = set((model.opt.get('val') or {}).get('metrics') or {})
    best = state.get('best_metric_results', {})
    # BasicSR starts the best values of a data set only if it has none: drop them where the metrics have changed.
    model.best_metric_results = {name: records for name, records in best.items() if set(records) == metrics}


def restore_generators(state: dict[str, Any]) -> None:
    """Set the random generators of this process to their saved states."""
    if 'generators' in state and not training_state.set_generator_states(state['generators']):
        logging.getLogger('basicsr').error('The state knows nothing of the random generators of this rank.')
