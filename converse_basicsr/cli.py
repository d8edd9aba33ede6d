"""The ``basicsr`` command; each subcommand is a module of its own (:mod:`converse_basicsr.commands`)."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from converse_basicsr.commands import add_commands
from converse_basicsr.errors import UserError
from converse_basicsr.version import __version__

COMMANDS = {
    'train': 'converse_basicsr.train',
    'test': 'converse_basicsr.test',
    'check': 'converse_basicsr.check',
    'schema': 'converse_basicsr.schema',
    'list': 'converse_basicsr.listing',
    'options': 'converse_basicsr.option_library',
    'prepare': 'converse_basicsr.prepare',
    'report': 'converse_basicsr.report',
    'reproduce': 'converse_basicsr.reproduce',
    'restore': 'converse_basicsr.restore',
    'export': 'converse_basicsr.export',
    'compare': 'converse_basicsr.compare',
    'benchmark': 'converse_basicsr.benchmark',
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
        command: The subcommand whose arguments are wanted; the others are only named.
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
        The exit status: 0, or 2 after an error that the user can put right, told in one line on standard error.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    command = argv[0] if argv and argv[0] in COMMANDS else None
    args = build_parser(command).parse_args(argv)
    try:
        return importlib.import_module(COMMANDS[args.command]).run(args)
    except UserError as error:
        from converse_basicsr.launch import first_to_tell

        if first_to_tell(str(error)):
            for line in str(error).splitlines():
                print(f'basicsr: error: {line}', file=sys.stderr, flush=True)
        return 2
    except KeyboardInterrupt:
        print('basicsr: stopped', file=sys.stderr, flush=True)
        return 130


if __name__ == '__main__':
    sys.exit(main())
