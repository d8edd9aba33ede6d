"""Folders and log files of successive runs."""

import functools
import logging
import os
import time
from collections.abc import Iterator

from converse_basicsr.compat.replacement import Replacement, everywhere


def log_files() -> Iterator[Replacement]:
    """Give every run a log file of its own, also after an earlier use of the logger or an earlier run in the process.

    BasicSR configures its logger once: whoever asks for it before the pipeline leaves the run without log file and INFO
    lines, and a second run writes into the first one's file. Can go when ``get_root_logger`` looks at ``log_file`` each
    time.
    """
    from basicsr.utils import logger as logger_module

    original = logger_module.get_root_logger

    @functools.wraps(original)
    def get_root_logger(
        logger_name: str = 'basicsr', log_level: int = logging.INFO, log_file: str | None = None
    ) -> logging.Logger:
        if log_file is not None and logger_name in logger_module.initialized_logger:
            logger = logging.getLogger(logger_name)
            for handler in list(logger.handlers):
                logger.removeHandler(handler)
                handler.close()
            del logger_module.initialized_logger[logger_name]
        return original(logger_name, log_level, log_file)

    yield from everywhere(original, get_root_logger)


def archive_names() -> Iterator[Replacement]:
    """Let runs of the same name follow each other within a second: BasicSR's name of the archived run ends in seconds.

    Can go when ``mkdir_and_rename`` looks whether that name is taken.
    """
    from basicsr.utils import misc

    original = misc.mkdir_and_rename

    @functools.wraps(original)
    def mkdir_and_rename(path: str) -> None:
        while os.path.exists(f'{path}_archived_{misc.get_time_str()}'):
            time.sleep(0.1)
        original(path)

    yield from everywhere(original, mkdir_and_rename)
