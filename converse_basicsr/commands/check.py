"""``basicsr check``: find what would stop a run, before anything is built or written."""

import argparse
import os

from converse_basicsr.commands.arguments import add_force_yml, add_option_file
from converse_basicsr.messages import say
from converse_basicsr.options.file import read_option_file

SUMMARY = 'look for mistakes in an option file, its data and its weights, and list all of them'
EXAMPLES = """\
train and test begin with the same check. Nothing is written. Exit status 2 if there is a problem.
--dry-run also does one iteration and scores one image of each validation set, on the device of the run.

examples:
  basicsr check -opt options/demo/converse_srresnet_x4.yml
  basicsr check -opt my.yml --force_yml train:total_iter=1000
  basicsr check -opt my.yml --dry-run
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr check``."""
    add_option_file(parser)
    parser.add_argument(
        '--dry-run',
        action='store_true',
        help='also build everything, do one iteration and score one image of each set; nothing is written',
    )
    add_force_yml(parser)


def run(args: argparse.Namespace) -> int:
    """Check an option file, for training if it has a section ``train``."""
    option_file = read_option_file(args.opt, args.force_yml)

    from converse_basicsr.options.check import require_runnable
    from converse_basicsr.register import load_plugins

    load_plugins()
    is_train = 'train' in option_file.options
    if args.dry_run:
        from converse_basicsr.training.dry_run import dry_run

        dry_run(option_file, os.getcwd(), is_train=is_train)
    else:
        require_runnable(option_file, is_train=is_train)
    say(f'{option_file.path}: ready for {"training" if is_train else "testing"}')
    return 0
