"""Option files and command lines of scripts that call BasicSR's ``parse_options`` themselves."""

import functools
import sys
from collections.abc import Iterator
from typing import Any

from converse_basicsr.compat.replacement import Replacement, everywhere
from converse_basicsr.options.command_line import RunArguments, read_command_line


def option_reading() -> Iterator[Replacement]:
    """Read option files with the safe YAML loader and overrides as YAML values, and check them first.

    BasicSR's loader can construct arbitrary Python objects, and ``--force_yml`` is run through ``exec`` and ``eval``.
    Can go when BasicSR does neither.
    """
    from basicsr.utils import options
    from basicsr.utils.dist_util import get_dist_info

    from converse_basicsr.options.file import OptionFile, read_option_file
    from converse_basicsr.options.start import keep_copy, start_run

    original, original_copy = options.parse_options, options.copy_opt_file
    read: dict[str, OptionFile] = {}

    @functools.wraps(original)
    def parse_options(root_path: str, is_train: bool = True) -> tuple[dict[str, Any], RunArguments]:
        arguments = read_command_line(sys.argv[1:])
        option_file = read_option_file(arguments.opt, list(arguments.force_yml))
        run = start_run(
            option_file,
            root_path,
            is_train=is_train,
            launcher=arguments.launcher,
            auto_resume=arguments.auto_resume,
            debug=arguments.debug,
            local_rank=arguments.local_rank,
        )
        read[arguments.opt] = option_file
        return run, arguments

    @functools.wraps(original_copy)
    def copy_opt_file(opt_file: str, experiments_root: str) -> None:
        """Copy what was read: BasicSR's copy lacks the overrides."""
        if opt_file not in read:
            original_copy(opt_file, experiments_root)
        elif get_dist_info()[0] == 0:
            keep_copy(read[opt_file], experiments_root)

    yield from everywhere(original, parse_options)
    yield from everywhere(original_copy, copy_opt_file)
