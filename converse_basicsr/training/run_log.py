"""The folders and the log of a run, which begin when everything is built: a run that cannot start leaves no trace."""

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from logging.handlers import BufferingHandler
from typing import Any

from basicsr.utils import get_env_info, get_root_logger, get_time_str, make_exp_dirs, mkdir_and_rename
from basicsr.utils import logger as basicsr_logger
from basicsr.utils.options import dict2str

from converse_basicsr.errors import UserError
from converse_basicsr.options.file import OptionFile
from converse_basicsr.options.start import keep_copy

NAME = 'basicsr'

Options = dict[str, Any]


@contextlib.contextmanager
def held_back(run: Options) -> Iterator[list[logging.LogRecord]]:
    """Collect what is logged while the run is being built.

    Yields:
        The records, for :func:`begin`. If the body fails with anything but a ``UserError``, the warnings among them go
        to standard error.
    """
    handler = BufferingHandler(capacity=sys.maxsize)
    records = handler.buffer
    logger = logging.getLogger(NAME)
    before = list(logger.handlers), logger.level, logger.propagate
    was_set_up = NAME in basicsr_logger.initialized_logger
    logger.handlers[:] = [handler]
    logger.propagate = False
    logger.setLevel(logging.INFO if run['rank'] == 0 else logging.ERROR)
    basicsr_logger.initialized_logger[NAME] = True
    try:
        yield records
    except UserError:
        raise  # says itself what is wrong
    except BaseException:
        stream = logging.StreamHandler()
        for record in records:
            if record.levelno >= logging.WARNING:
                stream.handle(record)
        raise
    finally:
        logger.handlers[:], level, logger.propagate = before
        logger.setLevel(level)
        if not was_set_up:
            del basicsr_logger.initialized_logger[NAME]


def begin(
    run: Options, option_file: OptionFile, text: str, records: list[logging.LogRecord], *, resumed: bool
) -> logging.Logger:
    """Make the folders of the run, keep a copy of its options, open its log and write what was held back.

    Args:
        run: The completed options.
        option_file: What they were read from.
        text: The options as they were when the run began (models take keys out of theirs).
        records: What was logged so far.
        resumed: Go on in the folders that are there. Otherwise an older run of this name is moved aside.

    Returns:
        The logger, which writes to ``train_NAME_TIME.log`` or ``test_NAME_TIME.log`` and to standard error.
    """
    name, is_train = run['name'], run['is_train']
    if resumed:
        for folder in ('models', 'training_states', 'visualization'):  # a state may come from another run's folder
            os.makedirs(run['path'][folder], exist_ok=True)
    else:
        make_exp_dirs(run)
        writes_curves = is_train and run['logger'].get('use_tb_logger') and 'debug' not in name
        if writes_curves and run['rank'] == 0:
            mkdir_and_rename(os.path.join(run['root_path'], 'tb_logger', name))
    if is_train and run['rank'] == 0:
        keep_copy(option_file, run['path']['experiments_root'])
    log_file = os.path.join(run['path']['log'], f'{"train" if is_train else "test"}_{name}_{get_time_str()}.log')
    logger: logging.Logger = get_root_logger(logger_name=NAME, log_level=logging.INFO, log_file=log_file)
    logger.info(get_env_info())
    logger.info(text)
    for record in records:
        if record.levelno >= logger.level:
            logger.handle(record)
    return logger


def describe(run: Options) -> str:
    """Return the options as BasicSR writes them into its log."""
    return dict2str(run)
