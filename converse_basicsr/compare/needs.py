"""Find what a set of comparisons lacks before its first training, not after its last."""

import contextlib
import importlib.util
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from converse_basicsr.compare.comparison import Comparison, Run, validation_sets
from converse_basicsr.compare.figures import require_measurable
from converse_basicsr.compare.page import require_places
from converse_basicsr.compare.runs import is_finished
from converse_basicsr.errors import UserError
from converse_basicsr.evaluation import places
from converse_basicsr.messages import tell
from converse_basicsr.options import check
from converse_basicsr.options.file import OptionFile
from converse_basicsr.training.dry_run import dry_run


def require_needs(comparisons: Sequence[Comparison], output: Path) -> None:
    """Refuse comparisons that would end without a page.

    Every network that is not trained yet is tried: one iteration, one image of each validation set, the measurement of
    a step. Nothing is written.

    Raises:
        UserError: With everything that is found.
    """
    require_places(comparisons, output)
    problems: dict[str, None] = {}
    with _each_line_once():
        for comparison in comparisons:
            found = dict.fromkeys(_missing(comparison))
            # What all lack would be found again with each run.
            problems |= found or dict.fromkeys(_failing(comparison))
    if problems:
        raise UserError(*problems)


def _missing(comparison: Comparison) -> Iterator[str]:
    """Name what the file says, or does not say, that a page cannot be made of."""
    file = comparison.option_file
    if file.options['logger'].get('use_tb_logger') is not True:
        yield f'{file.where("logger", "use_tb_logger")}: must be true, as the curves are read from TensorBoard files'
    elif importlib.util.find_spec('tensorboard') is None:
        yield f'{file.where("logger", "use_tb_logger")}: needs tensorboard: install it (pip install tensorboard)'
    if not comparison.validated:
        yield f'{file.where("val", "metrics")}: a comparison needs a validation set with a name, and a metric'
    sets = {
        run.label: [section.get('name') for section in validation_sets(run.option_file).values()]
        for run in comparison.runs
    }
    if any(of_run != sets[comparison.labels[0]] for of_run in sets.values()):
        yield f'{file.where("compare", "runs")}: all runs must have validation sets of the same names, got {sets}'
    for folder in ('experiments', 'tb_logger'):
        places.require_folder(Path(folder))


def _failing(comparison: Comparison) -> Iterator[str]:
    """Check each network's first run, and try it unless it is trained; name each problem once, and whose it is."""
    labels: dict[str, list[str]] = {}
    for run in {run.label: run for run in reversed(comparison.runs)}.values():
        try:
            _try(run, comparison)
        except UserError as error:
            for line in error.lines:
                for key, (place, _) in _scored_at_the_end(comparison).items():
                    line = line.replace(f'datasets:{key}', ':'.join(('compare', *place)))
                labels.setdefault(line, []).append(run.label)
    for line, of_line in labels.items():
        yield line if len(of_line) == len(comparison.labels) else f'{line} (in the run {", ".join(of_line)})'
    for run in comparison.runs:
        if is_finished(run) and not any(Path('tb_logger', run.name).glob('events.out.tfevents.*')):
            yield f'tb_logger/{run.name} has no curve of {run.label}: remove experiments/{run.name} to train it anew'


def _scored_at_the_end(comparison: Comparison) -> dict[str, tuple[tuple[str, ...], Mapping[str, Any]]]:
    """Return the place in ``compare`` and the content of further sections, by keys to try them as validation sets."""
    sections: dict[tuple[str, ...], Mapping[str, Any]] = {
        ('held_out', name): section for name, section in comparison.held_out.items()
    }
    if comparison.picture is not None:
        sections['picture',] = comparison.picture
    return {f'val_compare_{number}_': item for number, item in enumerate(sections.items())}


def _try(run: Run, comparison: Comparison) -> None:
    options, lines = run.option_file.options, dict(run.option_file.lines)
    for key, (place, section) in _scored_at_the_end(comparison).items():
        options = {**options, 'datasets': {**options['datasets'], key: dict(section)}}
        place = 'compare', *place
        within = {keys[len(place) :]: line for keys, line in lines.items() if keys[: len(place)] == place}
        lines |= {('datasets', key, *keys): line for keys, line in within.items()}
    option_file = OptionFile(run.option_file.path, options, lines, run.option_file.overrides)
    if is_finished(run):
        check.require_runnable(option_file, is_train=True)
    else:
        dry_run(option_file, str(Path.cwd()), is_train=True)
        require_measurable(run)


@contextlib.contextmanager
def _each_line_once() -> Iterator[None]:
    """Print notes that all runs share once, at the end."""
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            yield
    finally:
        tell(*dict.fromkeys(told.getvalue().splitlines()))
