"""``basicsr benchmark``: what operator and networks cost here, against the textbook evaluation and convolutions.

Torch is imported when a benchmark runs, not before, so that ``--help`` stays quick.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from converse_basicsr.errors import UserError

SUMMARY = 'measure time, memory and error of the operator and its networks'

EXAMPLES = """\
examples:
  basicsr benchmark operator
  basicsr benchmark operator --cases all --json operator.json --plot operator.svg
  basicsr benchmark network --threads 2 --repeats 5
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands ``operator`` and ``network`` and their options."""
    commands = parser.add_subparsers(dest='benchmark', metavar='WHAT', required=True)
    operator = commands.add_parser('operator', help='one operator: ours, textbook, convolutions, bare FFT pair')
    operator.add_argument(
        '--cases',
        choices=['all', 'headline', 'quick'],
        default='headline',
        help='headline: the cases of docs/operator.md; all: these and a grid of sizes, scales and batch sizes; quick: '
        'two small ones (default: headline)',
    )
    operator.add_argument('--plot', type=Path, metavar='FILE', help='save the ratios as a picture (needs matplotlib)')
    operator.add_argument('--no-memory', action='store_true', help='skip the peak memory, measured in fresh processes')
    network = commands.add_parser('network', help='whole networks: ours, with the textbook operator, with convolutions')
    network.add_argument(
        '--size', type=_positive, metavar='N', help='height and width (default: 256 and 64 by network)'
    )
    for command, repeats in ((operator, 15), (network, 5)):
        command.add_argument(
            '--repeats',
            type=_positive,
            default=repeats,
            metavar='N',
            help=f'runs a median is taken of (default: {repeats})',
        )
        command.add_argument('--threads', type=_positive, metavar='N', help="threads (default: torch's choice)")
        command.add_argument('--device', default='cpu', metavar='NAME', help='cpu, cuda or cuda:N (default: cpu)')
        command.add_argument('--json', type=Path, metavar='FILE', help='save the figures as JSON')
        command.add_argument('--markdown', type=Path, metavar='FILE', help='save the table, which is also printed')


def run(args: argparse.Namespace) -> int:
    """Measure, print a Markdown table, save what was asked for; 0 on success."""
    outputs = [path for path in (args.json, args.markdown, getattr(args, 'plot', None)) if path is not None]
    for path in outputs:
        if not path.absolute().parent.is_dir():
            raise UserError(f'cannot write {path}: its folder does not exist; create it or choose another one')
    if getattr(args, 'plot', None) is not None:
        # Known before minutes are spent on measuring.
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            raise UserError(
                '--plot needs matplotlib: install it (pip install matplotlib) or leave --plot out'
            ) from None

    from converse_basicsr.benchmark import network, operator, report
    from converse_basicsr.benchmark.measure import describe_machine, prepare

    prepare(args.device, args.threads)
    results: dict[str, Any] = {'machine': describe_machine(args.device), 'benchmark': args.benchmark}
    if args.benchmark == 'operator':
        results['cases'] = operator.measure(args.cases, args.device, args.repeats, with_memory=not args.no_memory)
        table = report.operator_table(results)
    else:
        results['cases'] = network.measure(args.size, args.device, args.repeats)
        table = report.network_table(results)
    print(table)
    try:
        if args.json is not None:
            args.json.write_text(json.dumps(results, indent=2) + '\n', encoding='utf-8')
        if args.markdown is not None:
            args.markdown.write_text(table + '\n', encoding='utf-8')
        if getattr(args, 'plot', None) is not None:
            report.save_plot(results, args.plot)
    except (OSError, ValueError) as error:
        raise UserError(f'cannot write the results: {error}; the table above is complete') from error
    return 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {value}')
    return value
