"""Start a run from an option file: check and complete the options, join the other processes, seed, choose folders."""

import os
import random
import sys
import time
from pathlib import Path
from typing import Any

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic
from converse_basicsr.messages import printable
from converse_basicsr.options import check
from converse_basicsr.options.complete import add_folders, complete
from converse_basicsr.options.file import OptionFile


def start_run(
    option_file: OptionFile,
    root_path: str,
    *,
    is_train: bool,
    launcher: str = 'none',
    auto_resume: bool = False,
    debug: bool = False,
    local_rank: int | None = None,
) -> dict[str, Any]:
    """Check the options and complete them for this process; nothing is written.

    The process joins the others of its run, if there are any, and the random generators are seeded.

    Args:
        option_file: The options; absent test sets are removed from them, with a message.
        root_path: Folder that receives ``experiments/``, ``results/`` and ``tb_logger/``.
        is_train: Training (or else testing).
        launcher: How the processes were started: ``none``, ``pytorch`` or ``slurm``.
        auto_resume: Go on from the newest checkpoint of this run.
        debug: A short run under the name ``debug_NAME``.
        local_rank: Number of this process on its machine, where the environment does not say it.

    Returns:
        The options as BasicSR's models, datasets and loggers expect them.

    Raises:
        UserError: If the options cannot work, with all problems.
    """
    import torch
    from basicsr.utils import set_random_seed
    from basicsr.utils.dist_util import get_dist_info

    from converse_basicsr.processes import distributed

    distributed.whole_numbers('WORLD_SIZE')
    if launcher == 'none' and int(os.environ.get('WORLD_SIZE', '1')) > 1:
        raise UserError('this process was started by a distributed launcher: add --launcher pytorch (or slurm)')
    # The run builds the networks itself; only where that fails does the check build them.
    check.require_runnable(option_file, is_train=is_train, build_networks=False)
    options = option_file.options
    if launcher != 'none':
        if local_rank is not None:
            os.environ.setdefault('LOCAL_RANK', str(local_rank))
        asked = options.get('dist_params') or {}
        distributed.start(
            launcher,
            on_gpus=options.get('num_gpu') != 0 and torch.cuda.is_available(),
            port=asked.get('port'),
            backend=asked.get('backend'),
        )
    rank, world_size = get_dist_info()
    seed = options.get('manual_seed')
    if seed is None:
        seed = distributed.from_rank_0(lambda: random.randint(1, 10000))
    run = complete(
        {**options, 'manual_seed': seed}, is_train=is_train, dist=launcher != 'none', rank=rank, world_size=world_size
    )
    run['auto_resume'] = auto_resume
    add_folders(run, root_path, debug=debug)
    set_random_seed(seed + rank)
    return run


def keep_copy(option_file: OptionFile, folder: str | os.PathLike[str]) -> None:
    """Keep the options with the run: the file as it is or, with overrides, one that contains them.

    Args:
        option_file: The options as they were read.
        folder: The run's folder; the copy has the name of the file.
    """
    text = option_file.text
    if option_file.overrides or not text:
        header = ''.join(f'# --force_yml {printable(override)}\n' for override in option_file.overrides)
        text = header + option_file.dump()
    command = ' '.join(printable(word) for word in sys.argv)
    start = f'# GENERATE TIME: {time.asctime()}\n# CMD:\n# {command}\n\n'
    atomic.write_bytes(Path(folder, option_file.path.name), (start + text).encode('utf-8'))
