"""``basicsr check``: find what would stop a run, before anything is built or written."""

import argparse

from converse_basicsr.commands.arguments import add_force_yml, add_option_file
from converse_basicsr.messages import say
from converse_basicsr.options.check import require_runnable
from converse_basicsr.options.file import read_option_file

SUMMARY = 'look for mistakes in an option file, its data and its weights, and list all of them'
EXAMPLES = """\
train and test begin with the same check. Nothing is written. Exit status 2 if there is a problem.

examples:
  basicsr check -opt options/demo/converse_srresnet_x4.yml
  basicsr check -opt my.yml --force_yml train:total_iter=1000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr check``."""
    add_option_file(parser)
    add_force_yml(parser)


def run(args: argparse.Namespace) -> int:
    """Check an option file, for training if it has a section ``train``."""
    option_file = read_option_file(args.opt, args.force_yml)

    from converse_basicsr.register import load_plugins

    load_plugins()
    is_train = 'train' in option_file.options
    require_runnable(option_file, is_train=is_train)
    say(f'{option_file.path}: ready for {"training" if is_train else "testing"}')
    return 0
