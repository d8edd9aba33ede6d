"""The ``basicsr`` command; each subcommand is a module of its own (:mod:`converse_basicsr.commands.subcommands`)."""

import argparse
import importlib
import io
import os
import sys
from collections.abc import Sequence

from converse_basicsr import import_path
from converse_basicsr.commands.arguments import INTERRUPTED
from converse_basicsr.commands.subcommands import add_commands
from converse_basicsr.errors import ArgumentError, UserError
from converse_basicsr.messages import say, tell
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
    'inspect': 'converse_basicsr.commands.inspect',
    'restore': 'converse_basicsr.commands.restore',
    'export': 'converse_basicsr.commands.export',
    'compare': 'converse_basicsr.commands.compare',
    'benchmark': 'converse_basicsr.commands.benchmark',
    'setup': 'converse_basicsr.commands.setup',
    'doctor': 'converse_basicsr.commands.doctor',
}

WELCOME = """\
converse_basicsr: reverse convolution (Converse2D) for image restoration with BasicSR. What one can do first:
  basicsr prepare weights                                     fetch the released weights, then restore photographs:
  basicsr restore INPUT --checkpoint NAME|FILE --output DIR   NAME as in --help, or a checkpoint of yours
  basicsr inspect --checkpoint NAME|FILE                      see what its reverse convolutions do
  basicsr setup                                               install BasicSR where it is absent; then train:
  basicsr options --copy options && basicsr prepare demo      option files and a small data set
  basicsr train -opt options/demo/converse_srresnet_x4.yml    minutes on a CPU
  basicsr list                                                networks, models, data sets, metrics and losses
  basicsr doctor                                              what can run here, and what is broken
  basicsr COMMAND --help                                      arguments and examples; basicsr --help lists all commands
"""

EXAMPLES = """\
examples:
  basicsr prepare demo
  basicsr train -opt options/demo/converse_srresnet_x4.yml
  torchrun --nproc_per_node=8 --no-python basicsr train -opt options/converse_srresnet_x4.yml --launcher pytorch
  basicsr COMMAND --help
"""


REFUSED = 2
CLOSED_PIPE = 141
"""The status that a shell gives a process which wrote to a closed pipe."""


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
    """Run the command line ``argv`` (that of the process if not given); without arguments, print :data:`WELCOME`.

    Returns:
        The exit status: 0, or 2 after an error that the user can correct, printed as one line on standard error.
    """
    _survive_any_character()
    if argv is None:
        argv = sys.argv[1:]
        import_path.protect_children()
    argv = list(argv)
    if not argv:
        say(*WELCOME.splitlines())
        return 0
    command = argv[0] if argv and argv[0] in COMMANDS else None
    try:
        args = build_parser(command).parse_args(argv)
        return importlib.import_module(COMMANDS[args.command]).run(args)
    except ArgumentError as error:
        return _refuse(error.on_command_line)
    except UserError as error:
        return _refuse(*error.lines)
    except BrokenPipeError:
        # Whoever read the output has seen enough (`| head`). The interpreter flushes once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return CLOSED_PIPE
    except OSError as error:  # what no command has put into words of its own: a full disk, a place that is read-only
        what = error.strerror or str(error)
        return _refuse(f'{error.filename}: {what}' if error.filename else what)
    except MemoryError:
        return _refuse('the memory is used up: give smaller tiles, batches or fewer workers')
    except KeyboardInterrupt:
        tell('basicsr: stopped')
        return INTERRUPTED


def _refuse(*lines: str) -> int:
    """Print an error, unless another process of the same run has printed it, and return the exit status."""
    from converse_basicsr.processes.launch import first_to_tell

    if first_to_tell('\n'.join(lines)):
        tell(*(f'basicsr: error: {line}' for line in lines))
    return REFUSED


def _survive_any_character() -> None:
    """Let terminals that know few characters show the others escaped, in place of an error in the midst of the work."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors='backslashreplace')


if __name__ == '__main__':
    sys.exit(main())
