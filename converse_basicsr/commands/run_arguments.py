"""The arguments of ``train`` and ``test``: those of BasicSR's pipelines, with its meanings."""

import argparse

from converse_basicsr import packages
from converse_basicsr.commands.arguments import add_force_yml, add_option_file


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of BasicSR's ``train`` and ``test``."""
    add_option_file(parser)
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
        '--debug', action='store_true', help='short run under the name debug_NAME: validate and save every 8 iterations'
    )
    parser.add_argument('--local_rank', '--local-rank', type=int, help=argparse.SUPPRESS)
    parser.add_argument(
        '--nproc',
        type=int,
        metavar='N',
        help='run N processes on this machine, one per GPU or all on the CPU (several machines: torchrun or Slurm)',
    )
    add_force_yml(parser, 'override values of the option file, e.g. train:total_iter=100 path:pretrain_network_g=~')


def launched(phase: str, args: argparse.Namespace) -> int | None:
    """Run the command in as many processes as ``--nproc`` says, where it is given.

    Args:
        phase: ``train`` or ``test``.
        args: The arguments.

    Returns:
        The exit status; ``None`` without ``--nproc``: this process does the work itself.

    Raises:
        UserError: If BasicSR is not installed, or the processes cannot be started.
    """
    packages.require_basicsr()
    if args.nproc is None:
        return None
    from converse_basicsr.processes import launch

    launch.require_startable(args.nproc, args.launcher)
    flags = [f'--{name}' for name in ('auto_resume', 'debug') if getattr(args, name)]
    overrides = ['--force_yml', *args.force_yml] if args.force_yml else []
    return launch.run(args.nproc, [phase, '-opt', args.opt, '--launcher', 'pytorch', *flags, *overrides])
