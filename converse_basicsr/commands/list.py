"""``basicsr list``: what option files can name, and where each comes from."""

import argparse
import importlib
import json
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version

from converse_basicsr import packages
from converse_basicsr.messages import say, tell

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
    """Print the registries, or without BasicSR, which has them, what this package would register there."""
    if packages.is_installed(packages.BASICSR):
        from converse_basicsr.register import load_plugins

        load_plugins()
        of_kind = registered
    else:
        tell(f'note: only what this package offers is listed: {packages.WITHOUT_BASICSR}')
        of_kind = own
    distributions = packages_distributions()
    content = {
        kind: {name: origin(module, distributions) for name, module in sorted(of_kind(kind))}
        for kind in args.kinds or KINDS
    }
    if args.json:
        say(*json.dumps(content, indent=1).split('\n'))
        return 0
    width = max((len(name) for names in content.values() for name in names), default=0)
    for kind, names in content.items():
        say(f'{kind} ({len(names)})')
        for name, from_where in names.items():
            say(f'  {name:<{width}}  {from_where}')
    return 0


def registered(kind: str) -> Iterator[tuple[str, str]]:
    """Yield the names in one of BasicSR's registries, each with its module."""
    from basicsr.utils import registry

    for name, entry in getattr(registry, f'{kind.upper()}_REGISTRY'):
        yield name, entry.__module__


def own(kind: str) -> Iterator[tuple[str, str]]:
    """Yield the names that this package registers, each with its module; what needs BasicSR is not imported."""
    from converse_basicsr.register import REGISTERED

    for module, names in REGISTERED.get(kind, {}).items():
        for name in names:
            # Networks are exported by their package, and are of modules of it.
            yield name, getattr(importlib.import_module(module), name).__module__ if kind == 'arch' else module


def origin(module: str, distributions: Mapping[str, list[str]]) -> str:
    """Say which distribution a module is of, in which version.

    Args:
        module: The module.
        distributions: Those of each top package.
    """
    package = module.partition('.')[0]
    distribution = next(iter(distributions.get(package, [])), package)
    try:
        return f'{distribution} {version(distribution)} ({module})'
    except PackageNotFoundError:
        return f'{package} ({module})'
