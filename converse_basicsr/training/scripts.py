"""BasicSR's own entry points, for scripts that call them: they train and test as the commands do."""

import os
import sys
from collections.abc import Callable, Iterator

from converse_basicsr.compat.replacement import Replacement, everywhere, put
from converse_basicsr.errors import UserError
from converse_basicsr.messages import tell
from converse_basicsr.options.command_line import RunArguments, read_command_line
from converse_basicsr.options.file import OptionFile, read_option_file
from converse_basicsr.processes import stopping
from converse_basicsr.training import loaders, pipeline, resume, testing

FAILED = 2
"""Exit status after an error that the user can correct."""

_rebound = False


def rebind() -> None:
    """Let ``basicsr.train.train_pipeline``, ``basicsr.test.test_pipeline`` and related functions be ours."""
    global _rebound
    if not _rebound:
        put(_replacements())
        _rebound = True


def train_pipeline(root_path: str) -> None:
    """Train as the command line of this process says: ``-opt FILE [--launcher pytorch] [--auto_resume] ...``.

    Args:
        root_path: Folder that receives ``experiments/`` and ``tb_logger/``.

    Raises:
        SystemExit: With status 2 after a mistake of the user, which standard error explains; with 128 and the
            signal's number after a signal, when everything is saved.
    """
    _run(
        lambda option_file, arguments: pipeline.train(
            option_file,
            root_path,
            launcher=arguments.launcher,
            auto_resume=arguments.auto_resume,
            debug=arguments.debug,
            local_rank=arguments.local_rank,
        )
    )


def test_pipeline(root_path: str) -> None:
    """Score a network as the command line of this process says: ``-opt FILE [--launcher pytorch] ...``.

    Args:
        root_path: Folder that receives ``results/``.

    Raises:
        SystemExit: As for :func:`train_pipeline`.
    """
    _run(
        lambda option_file, arguments: testing.score(
            option_file,
            root_path,
            launcher=arguments.launcher,
            debug=arguments.debug,
            local_rank=arguments.local_rank,
        )
    )


def _run(function: Callable[[OptionFile, RunArguments], None]) -> None:
    try:
        arguments = read_command_line(sys.argv[1:])
        function(read_option_file(arguments.opt, list(arguments.force_yml)), arguments)
    except UserError as error:
        tell(*(f'error: {line}' for line in error.lines))
        raise SystemExit(FAILED) from error
    except stopping.Stopped as stopped:
        if os.environ.get('RANK', '0') == '0':
            tell(stopped)
        raise SystemExit(stopped.status) from stopped


def _replacements() -> Iterator[Replacement]:
    import basicsr.test
    import basicsr.train

    yield from everywhere(basicsr.train.train_pipeline, train_pipeline)
    yield from everywhere(basicsr.test.test_pipeline, test_pipeline)
    # Training loops of others are made of these.
    yield from everywhere(basicsr.train.create_train_val_dataloader, loaders.create_train_val_dataloader)
    yield from everywhere(basicsr.train.load_resume_state, resume.load_resume_state)
