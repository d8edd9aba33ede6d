"""``basicsr train``: BasicSR's training pipeline, for its own option files and those of every plugin."""

import argparse
import os
import sys

from converse_basicsr import check, command_line, option_file

SUMMARY = 'train a network as an option file says'
EXAMPLES = """\
Writes experiments/ and tb_logger/ under the current directory.

examples:
  basicsr train -opt options/demo/converse_srresnet_x4.yml
  basicsr train -opt options/converse_srresnet_x4.yml --auto_resume
  basicsr train -opt my.yml --force_yml train:total_iter=1000 datasets:train:batch_size_per_gpu=4
  torchrun --nproc_per_node=8 -m converse_basicsr.cli train -opt options/converse_srresnet_x4.yml --launcher pytorch
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
        The exit status, 0.

    Raises:
        UserError: If the option file cannot work.
    """
    # A first look before the seconds that importing torch takes; the pipeline itself checks the rest.
    check.require_files(option_file.read_option_file(args.opt, args.force_yml), is_train=phase == 'train')

    from converse_basicsr.register import load_plugins

    load_plugins()
    if phase == 'train':
        from basicsr.train import train_pipeline as pipeline
    else:
        from basicsr.test import test_pipeline as pipeline
    # BasicSR parses sys.argv itself and knows no subcommand.
    process_arguments = sys.argv
    sys.argv = [f'basicsr {phase}', *command_line.to_command_line(args)]
    try:
        pipeline(os.getcwd())
    finally:
        sys.argv = process_arguments
    return 0
