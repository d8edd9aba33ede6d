"""Data preparation, the ``basicsr prepare`` command: images become the LMDBs and folders that the option files name.

Each sub-command is one module with ``SUMMARY``, ``EXAMPLES``, ``add_arguments`` and ``run``, and one row of
:data:`COMMANDS`.
"""

import argparse
import importlib

from converse_basicsr.commands import add_commands
from converse_basicsr.prepare.arguments import INTERRUPTED

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
    'sr': 'converse_basicsr.prepare.sr',
    'div2k': 'converse_basicsr.prepare.div2k',
    'denoise': 'converse_basicsr.prepare.denoise',
    'deblur': 'converse_basicsr.prepare.deblur',
    'kernels': 'converse_basicsr.prepare.kernels',
    'testset': 'converse_basicsr.prepare.testset',
    'demo': 'converse_basicsr.prepare.demo',
    'weights': 'converse_basicsr.prepare.weights',
}
"""Name of the sub-command and the module that holds it. The modules import the heavy libraries only inside ``run``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands and their arguments to the parser of ``basicsr prepare``.

    Args:
        parser: Parser of ``basicsr prepare``; its ``prog`` heads the examples in the help texts.
    """
    add_commands(parser, COMMANDS, dest='prepare_command')


def run(args: argparse.Namespace) -> int:
    """Run the sub-command that the arguments name.

    Args:
        args: What the parser filled by :func:`add_arguments` returned.

    Returns:
        0 when the data set is complete, 130 when Ctrl-C stopped the work (repeating the command goes on).

    Raises:
        UserError: If something has to be put right by the user first.
    """
    try:
        return importlib.import_module(COMMANDS[args.prepare_command]).run(args)
    except KeyboardInterrupt:  # before the work began; the work itself says what it keeps
        return INTERRUPTED
