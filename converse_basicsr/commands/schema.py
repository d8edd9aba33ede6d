"""``basicsr schema``: the JSON Schema of option files, for editors that complete and check YAML."""

import argparse
import json

from converse_basicsr import packages
from converse_basicsr.messages import say, tell

SUMMARY = 'print the JSON Schema of option files, for editors'
EXAMPLES = """\
It knows every registered arch, model, dataset, metric and loss, installed plugins included. An editor with the YAML
language server finds it by a first line in the option file: # yaml-language-server: $schema=options.schema.json

examples:
  basicsr schema > options.schema.json
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Take no arguments."""


def run(args: argparse.Namespace) -> int:
    """Print the schema."""
    from converse_basicsr.options.json_schema import option_file_schema
    from converse_basicsr.register import load_plugins

    if packages.is_installed(packages.BASICSR):
        load_plugins()
    else:
        tell(f'note: names and arguments are checked of this package only: {packages.WITHOUT_BASICSR}')
    say(*json.dumps(option_file_schema(), indent=1).split('\n'))
    return 0
