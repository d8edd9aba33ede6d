"""Data preparation, the ``basicsr prepare`` command: images become the LMDBs and folders that the option files name.

Each sub-command is one module with ``SUMMARY``, ``EXAMPLES``, ``add_arguments`` and ``run``, and one row of
:data:`COMMANDS`.
"""

import argparse
import importlib

from converse_basicsr.prepare.arguments import positive_int

SUMMARY = 'turn folders of images into the training and test sets that the option files name'

COMMANDS = {
    'sr': 'converse_basicsr.prepare.sr',
    'div2k': 'converse_basicsr.prepare.div2k',
    'testset': 'converse_basicsr.prepare.testset',
    'demo': 'converse_basicsr.prepare.demo',
}
"""Name of the sub-command and the module that holds it. The modules import the heavy libraries only inside ``run``."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sub-commands and their arguments to the parser of ``basicsr prepare``.

    Args:
        parser: Parser of ``basicsr prepare``; its ``prog`` heads the examples in the help texts.
    """
    subparsers = parser.add_subparsers(dest='prepare_command', metavar='COMMAND', required=True)
    for name, module_name in COMMANDS.items():
        module = importlib.import_module(module_name)
        subparser = subparsers.add_parser(
            name,
            help=module.SUMMARY,
            description=f'{module.SUMMARY[0].upper()}{module.SUMMARY[1:]}.',
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(subparser)
        subparser.add_argument(
            '--overwrite',
            action='store_true',
            help='replace a finished result, and drop an unfinished one made with other parameters',
        )
        subparser.add_argument(
            '--skip-bad', action='store_true', help='leave unusable images out instead of stopping at the end'
        )
        subparser.add_argument(
            '--workers',
            type=positive_int,
            metavar='N',
            help='processes that read, resize and encode (default: one for each CPU)',
        )


def run(args: argparse.Namespace) -> int:
    """Run the sub-command that the arguments name.

    Args:
        args: What the parser filled by :func:`add_arguments` returned.

    Returns:
        0 when the data set is complete, 130 when Ctrl-C stopped the work (repeating the command goes on).

    Raises:
        UserError: If something has to be put right by the user first.
    """
    return importlib.import_module(COMMANDS[args.prepare_command]).run(args)
