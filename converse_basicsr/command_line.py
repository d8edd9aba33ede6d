"""The command line of BasicSR's ``train`` and ``test``: its arguments, read safely and checked before anything runs."""

import argparse
import atexit
import os
import random
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from converse_basicsr import check
from converse_basicsr.errors import UserError
from converse_basicsr.option_file import OptionFile, printable, read_option_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of BasicSR's ``train`` and ``test``, with its meanings."""
    parser.add_argument('-opt', required=True, metavar='FILE', help='option file (YAML)')
    parser.add_argument(
        '--launcher',
        choices=['none', 'pytorch', 'slurm'],
        default='none',
        help='how the processes of a distributed run were started (default: none, a single process)',
    )
    parser.add_argument(
        '--auto_resume', action='store_true', help='go on from the newest checkpoint of this run, if any'
    )
    parser.add_argument(
        '--debug', action='store_true', help='short run under the name debug_NAME: validate and save every 8'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)
    parser.add_argument(
        '--nproc',
        type=int,
        metavar='N',
        help='run N processes on this machine, one a GPU, or on its CPU; for several machines use torchrun or Slurm',
    )
    parser.add_argument(
        '--force_yml',
        nargs='+',
        default=[],
        metavar='SECTION:KEY=VALUE',
        help='override values of the option file, e.g. train:total_iter=100 path:pretrain_network_g=~',
    )


def parse_options(
    basicsr_parse_options: Callable[..., tuple[dict[str, Any], argparse.Namespace]],
    root_path: str,
    is_train: bool = True,
) -> tuple[dict[str, Any], argparse.Namespace]:
    """Stand before BasicSR's function of this name: read the command line and file safely, check, then call it.

    Args:
        basicsr_parse_options: BasicSR's own function.
        root_path: Folder that receives ``experiments/``, ``results/`` and ``tb_logger/``.
        is_train: Training (or else testing).

    Returns:
        What BasicSR's function returns. ``args.opt`` is the file to keep with the run: the given one or, with
        overrides, one that contains them.

    Raises:
        UserError: If the options cannot work; nothing has been created then.
    """
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args()
    if args.launcher == 'none' and int(os.environ.get('WORLD_SIZE', '1')) > 1:
        raise UserError('this process was started by a distributed launcher: add --launcher pytorch (or slurm)')
    option_file = read_option_file(args.opt, args.force_yml)
    check.require_runnable(option_file, is_train=is_train)
    if not is_train:
        # BasicSR's test pipeline reads both, whether they are there or not.
        option_file.options['val'] = {'save_img': False, 'suffix': None, **option_file.options['val']}

    folder = Path(tempfile.mkdtemp(prefix='basicsr_'))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    resolved = folder / option_file.path.name
    header = ''.join(f'# --force_yml {printable(override)}\n' for override in option_file.overrides)
    resolved.write_text(header + option_file.dump(), encoding='utf-8')

    if args.launcher != 'none':
        _join_processes(args, option_file)
    command_line = sys.argv
    flags = [f'--{name}' for name in ('auto_resume', 'debug') if getattr(args, name)]
    sys.argv = [command_line[0], '-opt', str(resolved), '--launcher', args.launcher, *flags]
    try:
        options, basicsr_args = basicsr_parse_options(root_path, is_train=is_train)
    finally:
        sys.argv = command_line
    if options['dist'] and option_file.options.get('manual_seed') is None:
        _share_seed(options)
    basicsr_args.opt = str(resolved) if option_file.overrides else args.opt
    return options, basicsr_args


def _join_processes(args: argparse.Namespace, option_file: OptionFile) -> None:
    """Start the communication with the other processes of the run; BasicSR finds it started."""
    import torch.cuda

    from converse_basicsr import distributed

    if args.local_rank is not None:
        os.environ.setdefault('LOCAL_RANK', str(args.local_rank))
    on_gpus = option_file.options['num_gpu'] != 0 and torch.cuda.is_available()
    port = (option_file.options.get('dist_params') or {}).get('port')
    distributed.start(args.launcher, on_gpus=on_gpus, port=port)


def _share_seed(options: dict[str, Any]) -> None:
    """Give all ranks rank 0's seed: without ``manual_seed`` BasicSR lets each draw its own, and orders differ."""
    import torch.distributed
    from basicsr.utils import set_random_seed

    seed = [options['manual_seed'] if options['rank'] == 0 else random.randint(1, 10000)]
    torch.distributed.broadcast_object_list(seed, src=0)
    options['manual_seed'] = seed[0]
    set_random_seed(seed[0] + options['rank'])


def to_command_line(args: argparse.Namespace) -> list[str]:
    """Turn parsed arguments back into BasicSR's command line."""
    flags = [f'--{name}' for name in ('auto_resume', 'debug') if getattr(args, name)]
    overrides = ['--force_yml', *args.force_yml] if args.force_yml else []
    local_rank = [] if args.local_rank is None else ['--local_rank', str(args.local_rank)]
    return ['-opt', args.opt, '--launcher', args.launcher, *local_rank, *flags, *overrides]
