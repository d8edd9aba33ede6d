"""``basicsr train``: BasicSR's training pipeline, for its own option files and those of every plugin."""

import argparse
import contextlib
import os
import sys

from converse_basicsr import command_line, distributed, launch, option_file, stopping
from converse_basicsr.errors import UserError

SUMMARY = 'train a network as an option file says'
EXAMPLES = """\
Writes experiments/ and tb_logger/ under the current directory.

examples:
  basicsr train -opt options/demo/converse_srresnet_x4.yml
  basicsr train -opt options/converse_srresnet_x4.yml --auto_resume
  basicsr train -opt my.yml --force_yml train:total_iter=1000 datasets:train:batch_size_per_gpu=4
  basicsr train -opt options/converse_srresnet_x4.yml --nproc 8 --force_yml datasets:train:batch_size_per_gpu=4
  torchrun --nproc_per_node=8 -m converse_basicsr.cli train -opt options/converse_srresnet_x4.yml --launcher pytorch

SIGTERM and Ctrl-C save the training where it is; --auto_resume goes on from there. See docs/scaling.md.
"""

add_arguments = command_line.add_arguments


def run(args: argparse.Namespace) -> int:
    """Run BasicSR's ``train_pipeline`` in the current directory."""
    return run_pipeline('train', args)


def run_pipeline(phase: str, args: argparse.Namespace) -> int:
    """Run BasicSR's pipeline for ``train`` or ``test`` with the given arguments.

    Args:
        phase: ``train`` or ``test``.
        args: The arguments that :func:`converse_basicsr.command_line.add_arguments` defines.

    Returns:
        The exit status: 0, or 128 and the number of the signal that stopped a training.

    Raises:
        UserError: If the option file cannot work, or another process of the run is gone.
    """
    # A file that cannot be read is named before the seconds that importing torch takes; the pipeline checks the rest.
    option_file.read_option_file(args.opt, args.force_yml)
    if args.nproc is not None:
        launch.require_startable(args.nproc, args.launcher)
        process_args = argparse.Namespace(**{**vars(args), 'launcher': 'pytorch'})
        return launch.run(args.nproc, [phase, *command_line.to_command_line(process_args)])

    from converse_basicsr.register import load_plugins

    load_plugins()
    if phase == 'train':
        from basicsr.train import train_pipeline as pipeline
    else:
        from basicsr.test import test_pipeline as pipeline
    # BasicSR parses sys.argv itself and knows no subcommand.
    process_arguments = sys.argv
    sys.argv = [f'basicsr {phase}', *command_line.to_command_line(args)]
    status = 0
    try:
        with stopping.stop_on_signals() if phase == 'train' else contextlib.nullcontext():
            pipeline(os.getcwd())
    except stopping.Stopped as stopped:
        if os.environ.get('RANK', '0') == '0':
            print(f'basicsr: {stopped}', file=sys.stderr, flush=True)
        status = 128 + stopped.signum
    except RuntimeError as error:
        if distributed.lost_connection(error):
            raise UserError('another process of this run is gone; its own message says why') from error
        raise
    finally:
        sys.argv = process_arguments
        report_skipped_samples()
    distributed.leave()
    return status


def report_skipped_samples() -> None:
    """Write into the log how many samples ``on_bad_sample: skip`` has left out."""
    from basicsr.utils import get_root_logger

    from converse_basicsr.data.bad_samples import skipped_samples

    for line in skipped_samples():
        get_root_logger().warning(line)
