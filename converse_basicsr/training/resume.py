"""Resume a run: find its newest complete state, and restore the model and the random generators from it."""

import functools
import logging
from pathlib import Path
from typing import Any

from basicsr.utils import check_resume

from converse_basicsr.checkpoints import files, training_state
from converse_basicsr.checkpoints.course import KEY, Course, Courses
from converse_basicsr.errors import UserError
from converse_basicsr.files.inside import same_file
from converse_basicsr.messages import say, tell
from converse_basicsr.models.learning_rates import require_same_groups
from converse_basicsr.processes import distributed
from converse_basicsr.training import optimizer_fit

Options = dict[str, Any]


def load_resume_state(run: Options) -> dict[str, Any] | None:
    """Replace BasicSR's function of this name, which needs CUDA and looks in another folder than the run saves to.

    Args:
        run: The completed options. ``path`` gets the files to load, ``manual_seed`` the seed of the state, which
            decides the sample order.

    Returns:
        The newest state of the run that is whole, with ``auto_resume``; otherwise, or where there is none, that of
        ``path: resume_state``; ``None`` for a new run.

    Raises:
        UserError: If the state cannot be read, is none, or its networks are missing.
    """
    if run['auto_resume']:
        run['path']['resume_state'] = distributed.from_rank_0(functools.partial(_find, run))
    path = run['path'].get('resume_state')
    if not path:
        return None
    state = training_state.require_state(files.read(path), path)
    check_resume(run, state['iter'])
    _use_networks_that_are_there(run, Path(path), state['iter'])
    run['manual_seed'] = state.get('manual_seed', run['manual_seed'])
    return state


def _find(run: Options) -> str | None:
    folder = Path(run['path']['training_states'])
    training_state.remove_unfinished([folder, Path(run['path']['models'])])
    path, given = training_state.newest_intact(folder, _resumed_networks(run)), run['path'].get('resume_state')
    if path is None:
        say(f'auto_resume: no checkpoint in {folder}, starting from {given or 0}')
        return given or None
    if given and not same_file(path, Path(given)):
        tell(f'note: auto_resume goes on from {path}; path:resume_state {given} is left out')
    return str(path)


def _resumed_networks(run: Options) -> list[str]:
    ignored = run['path'].get('ignore_resume_networks') or ()
    return [key.removeprefix('network_') for key in run if key.startswith('network_') and key not in ignored]


def _use_networks_that_are_there(run: Options, state: Path, iteration: int) -> None:
    """Take the networks of a state from beside it; BasicSR expects ``.pth`` files in the run's own folder."""
    own, beside = Path(run['path']['models']), state.parent.parent / 'models'
    labels = _resumed_networks(run)
    for folder in (beside, own):
        paths = {label: training_state.network_file(folder, label, iteration) for label in labels}
        if all(path.is_file() for path in paths.values()):
            break
    else:
        names = ', '.join(path.name for path in paths.values())
        raise UserError(
            f'the networks of the state {state} are missing: {names} (or .safetensors) in {beside} or {own}'
        )
    if not same_file(state.parent, Path(run['path']['training_states'])) and run['rank'] == 0:
        tell(f'note: the state {state} is not of this run; its networks are taken from {folder}')
    run['path'].update({f'pretrain_network_{label}': str(path) for label, path in paths.items()})


def course_of(run: Options, state: dict[str, Any] | None) -> tuple[Course, bool, list[str]]:
    """Find the course that a run is on, on rank 0.

    Returns:
        The course, whether it is to be noted (:func:`~converse_basicsr.checkpoints.course.keep_note`) because no state
        tells of it yet, and lines for the log about states of others.
    """
    if state is None or run['rank'] != 0:
        return Course.new(), False, []
    folder = Path(run['path']['training_states'])
    courses = Courses.read(folder)
    course = courses.after(Path(run['path']['resume_state']), state['iter'], Course.parse(state.get(KEY)))
    others = ', '.join(f'{number}.state' for number in courses.without(course))
    lines = [
        f'In {folder}, these are of another course, which was given up: {others}. They are not resumed, not counted '
        'and not deleted; saving after the same iteration replaces them.'
    ]
    return course, course.generation > courses.current.generation, lines if others else []


def restore_model(model: Any, state: dict[str, Any], path: str) -> None:
    """Restore a model's optimizers, schedules, best metrics and further state; its weights are loaded already.

    Args:
        model: A model of BasicSR.
        state: The training state. One written by BasicSR lacks some of these.
        path: Its file, for messages.

    Raises:
        UserError: If it does not fit the model.
    """
    try:
        for optimizer, saved in zip(model.optimizers, state['optimizers']):
            require_same_groups(optimizer.param_groups, saved['param_groups'])
        model.resume_training(state)
        optimizer_fit.require_fit(model.optimizers)
        load_further = getattr(model, 'load_further_training_state', None)
        if load_further is not None:
            load_further(state)
    except Exception as error:  # load_state_dict raises almost every class on what does not fit
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise UserError(
            f'the training state {path} does not fit this model ({reason}): it is of another network, optimizer or '
            'schedule; to start anew from its weights, name them as path:pretrain_network_g, without path:resume_state'
        ) from error
    metrics = set((model.opt.get('val') or {}).get('metrics') or {})
    best = state.get('best_metric_results')
    # BasicSR starts the best values of a data set only if it has none: drop them where the metrics have changed.
    model.best_metric_results = {
        name: records
        for name, records in (best if isinstance(best, dict) else {}).items()
        if isinstance(records, dict) and set(records) == metrics
    }


def restore_generators(state: dict[str, Any]) -> None:
    """Set the random generators of this process to their saved states."""
    try:
        known = 'generators' not in state or training_state.set_generator_states(state['generators'])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError, IndexError):
        known = False
    if not known:
        logging.getLogger('basicsr').error('The state knows nothing of the random generators of this rank.')
