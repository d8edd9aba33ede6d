"""``basicsr prepare``: images become the LMDBs and folders that the option files name."""

import argparse
import importlib

from converse_basicsr.commands.arguments import INTERRUPTED
from converse_basicsr.commands.subcommands import add_commands
from converse_basicsr.messages import tell

SUMMARY = 'turn folders of images into the training and test sets that the option files name'
EXAMPLES = """\
examples:
  basicsr prepare demo
  basicsr prepare div2k --root datasets/DIV2K
  basicsr prepare sr --input photographs --output datasets/photographs --scale 4
  basicsr prepare denoise --input Train400 --output datasets/Train400 --gray
  basicsr prepare deblur --input photographs --output datasets/photographs
  basicsr prepare testset --input Set5 --output datasets/Set5 --scale 4
  basicsr prepare COMMAND --help
"""

COMMANDS = {
    'sr': 'converse_basicsr.commands.prepare.sr',
    'div2k': 'converse_basicsr.commands.prepare.div2k',
    'denoise': 'converse_basicsr.commands.prepare.denoise',
    'deblur': 'converse_basicsr.commands.prepare.deblur',
    'kernels': 'converse_basicsr.commands.prepare.kernels',
    'testset': 'converse_basicsr.commands.prepare.testset',
    'demo': 'converse_basicsr.commands.prepare.demo',
    'weights': 'converse_basicsr.commands.prepare.weights',
}
"""Name of the subcommand and the module that holds it."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands of ``basicsr prepare``."""
    add_commands(parser, COMMANDS, dest='prepare_command')


def run(args: argparse.Namespace) -> int:
    """Run the subcommand that the arguments name.

    Returns:
        0 when the data set is complete, 130 when Ctrl-C stopped the work (repeating the command goes on).
    """
    try:
        status: int = importlib.import_module(COMMANDS[args.prepare_command]).run(args)
        return status
    except KeyboardInterrupt as interruption:
        if str(interruption):  # the work had begun, and says what it keeps
            tell('', interruption)
        return INTERRUPTED
