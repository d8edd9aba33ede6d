"""``basicsr test``: score a network on the test sets of an option file."""

import argparse
import os

from converse_basicsr.commands.run_arguments import add_run_arguments, launched
from converse_basicsr.options.file import read_option_file

SUMMARY = 'score a network on the test sets of an option file'
EXAMPLES = """\
Writes results/ under the current directory. Test sets that are absent are named and skipped.

examples:
  basicsr test -opt options/test/converse_srresnet_x4.yml
  basicsr test -opt options/test/converse_srresnet_x4.yml --force_yml path:pretrain_network_g=net_g_latest.pth
"""

add_arguments = add_run_arguments


def run(args: argparse.Namespace) -> int:
    """Score the network in the current directory."""
    # A file that cannot be read is named before the seconds that importing torch takes.
    option_file = read_option_file(args.opt, args.force_yml)
    status = launched('test', args)
    if status is not None:
        return status

    from converse_basicsr.register import load_plugins

    load_plugins()
    from converse_basicsr.training.testing import score

    score(option_file, os.getcwd(), launcher=args.launcher, debug=args.debug, local_rank=args.local_rank)
    return 0
