"""Subcommands as modules, each with ``SUMMARY``, ``EXAMPLES``, ``add_arguments(parser)`` and ``run(args) -> int``."""

import argparse
import importlib
from collections.abc import Mapping


def add_commands(
    parser: argparse.ArgumentParser, modules: Mapping[str, str], *, dest: str, only: str | None = None
) -> None:
    """Give a parser one subcommand per module.

    The modules are imported here, so they import the heavy libraries (torch, BasicSR) only inside ``run``.

    Args:
        parser: Receives the subcommands.
        modules: Names of the subcommands and of the modules that hold them.
        dest: Attribute of the parsed arguments that holds the chosen name.
        only: The one subcommand that the command line names; the modules of the others are not imported then.
    """
    subparsers = parser.add_subparsers(dest=dest, metavar='COMMAND', required=True)
    for name, module_name in modules.items():
        if only not in (None, name):
            continue
        module = importlib.import_module(module_name)
        subparser = subparsers.add_parser(
            name,
            help=module.SUMMARY,
            description=f'{module.SUMMARY[0].upper()}{module.SUMMARY[1:]}.',
            epilog=module.EXAMPLES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(subparser)
