"""``basicsr doctor``: this Python, its packages and devices examined."""

import argparse
import json

from converse_basicsr.messages import say

SUMMARY = 'say what is installed, which commands can run here, and what is broken'
EXAMPLES = """\
Prints versions, devices, what each command lacks here with the one command that brings it, and what is known to break.
Imports are tried in processes of their own. The exit status is 1 where something is broken; optional packages that are
absent are no fault. The output is made to be pasted into an issue.

examples:
  basicsr doctor
  basicsr doctor --json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr doctor``."""
    parser.add_argument('--json', action='store_true', help='print a JSON object')


def run(args: argparse.Namespace) -> int:
    """Examine, print, and tell by the exit status."""
    from converse_basicsr.installation.diagnosis import diagnose

    diagnosis = diagnose()
    if args.json:
        say(*json.dumps(diagnosis.as_dict(), indent=1).split('\n'))
    else:
        say(*diagnosis.lines())
    return 1 if diagnosis.faults else 0
