"""``basicsr test``: BasicSR's test pipeline, for its own option files and those of every plugin."""

import argparse

from converse_basicsr import command_line
from converse_basicsr.train import run_pipeline

SUMMARY = 'score a network on the test sets of an option file'
EXAMPLES = """\
Writes results/ under the current directory. Test sets that are absent are named and skipped.

examples:
  basicsr test -opt options/test/converse_srresnet_x4.yml
  basicsr test -opt options/test/converse_srresnet_x4.yml --force_yml path:pretrain_network_g=net_g_latest.pth
"""

add_arguments = command_line.add_arguments


def run(args: argparse.Namespace) -> int:
    """Run BasicSR's ``test_pipeline`` in the current directory."""
    return run_pipeline('test', args)
