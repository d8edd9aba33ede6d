"""``basicsr list``: what option files can name, and where each comes from."""

import argparse
import json
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from converse_basicsr.messages import say

SUMMARY = 'list the registered archs, models, datasets, metrics and losses'
EXAMPLES = """\
examples:
  basicsr list
  basicsr list arch
  basicsr list metric --json
"""
KINDS = ('arch', 'model', 'dataset', 'metric', 'loss')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr list``."""
    parser.add_argument(
        'kinds', nargs='*', choices=[*KINDS, []], metavar='KIND', help=f'only these of: {", ".join(KINDS)}'
    )
    parser.add_argument('--json', action='store_true', help='print a JSON object, kind -> name -> origin')


def run(args: argparse.Namespace) -> int:
    """Print the registries."""
    from converse_basicsr.register import load_plugins

    load_plugins()
    content = {kind: dict(registered(kind)) for kind in args.kinds or KINDS}
    if args.json:
        say(*json.dumps(content, indent=1).split('\n'))
        return 0
    width = max((len(name) for names in content.values() for name in names), default=0)
    for kind, names in content.items():
        say(f'{kind} ({len(names)})')
        for name, origin in names.items():
            say(f'  {name:<{width}}  {origin}')
    return 0


def registered(kind: str) -> Iterator[tuple[str, str]]:
    """Yield the names in one of BasicSR's registries, sorted, each with the distribution and module it comes from."""
    from basicsr.utils import registry

    distributions = packages_distributions()
    for name, entry in sorted(getattr(registry, f'{kind.upper()}_REGISTRY')):
        package = entry.__module__.partition('.')[0]
        distribution = next(iter(distributions.get(package, [])), package)
        try:
            origin = f'{distribution} {version(distribution)}'
        except PackageNotFoundError:
            origin = package
        yield name, f'{origin} ({entry.__module__})'
