"""The ``basicsr`` command; each subcommand is a module of its own (:mod:`converse_basicsr.commands.subcommands`)."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from converse_basicsr.commands.arguments import INTERRUPTED
from converse_basicsr.commands.subcommands import add_commands
from converse_basicsr.errors import ArgumentError, UserError
from converse_basicsr.version import __version__

COMMANDS = {
    'train': 'converse_basicsr.commands.train',
    'test': 'converse_basicsr.commands.test',
    'check': 'converse_basicsr.commands.check',
    'schema': 'converse_basicsr.commands.schema',
    'list': 'converse_basicsr.commands.list',
    'options': 'converse_basicsr.commands.options',
    'prepare': 'converse_basicsr.commands.prepare.group',
    'report': 'converse_basicsr.commands.report',
    'reproduce': 'converse_basicsr.commands.reproduce',
    'restore': 'converse_basicsr.commands.restore',
    'export': 'converse_basicsr.commands.export',
    'compare': 'converse_basicsr.commands.compare',
    'benchmark': 'converse_basicsr.commands.benchmark',
}

EXAMPLES = """\
examples:
  basicsr prepare demo
  basicsr train -opt options/demo/converse_srresnet_x4.yml
  torchrun --nproc_per_node=8 -m converse_basicsr.cli train -opt options/converse_srresnet_x4.yml --launcher pytorch
  basicsr COMMAND --help
"""


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Build the parser of the ``basicsr`` command.

    Args:
        command: The subcommand whose arguments are wanted; all if None.
    """
    parser = argparse.ArgumentParser(
        prog='basicsr',
        description='Train, test and prepare data for image restoration networks of BasicSR and its plugins.',
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--version', action='version', version=f'converse_basicsr {__version__}')
    add_commands(parser, COMMANDS, dest='command', only=command)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (that of the process if not given).

    Returns:
        The exit status: 0, or 2 after an error that the user can correct, printed as one line on standard error.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    command = argv[0] if argv and argv[0] in COMMANDS else None
    args = build_parser(command).parse_args(argv)
    try:
        return importlib.import_module(COMMANDS[args.command]).run(args)
    except UserError as error:
        from converse_basicsr.processes.launch import first_to_tell

        message = error.on_command_line if isinstance(error, ArgumentError) else str(error)
        if first_to_tell(message):
            for line in message.splitlines():
                print(f'basicsr: error: {line}', file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        print('basicsr: stopped', file=sys.stderr, flush=True)
        return INTERRUPTED


if __name__ == '__main__':
    sys.exit(main())
