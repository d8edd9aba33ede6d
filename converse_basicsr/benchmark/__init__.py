"""``basicsr benchmark``: what operator, networks, training and the loading of its data cost here.

Torch is imported when a benchmark runs, not before, so that ``--help`` stays quick.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from converse_basicsr.errors import UserError

SUMMARY = 'measure operator and networks, the data loader, and training on one process or several'

EXAMPLES = """\
examples:
  basicsr benchmark operator
  basicsr benchmark operator --cases all --json operator.json --plot operator.svg
  basicsr benchmark network --threads 2 --repeats 5
  basicsr benchmark data -opt options/converse_dncnn_gray25.yml --workers 0 1 2 4 --plot data.svg
  basicsr benchmark train -opt options/demo/converse_srresnet_x4.yml --nproc 1 2 --plot train.svg
  torchrun --nproc_per_node=8 -m converse_basicsr.cli benchmark train -opt options/converse_srresnet_x4.yml
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the subcommands ``operator``, ``network``, ``data`` and ``train`` and their options."""
    commands = parser.add_subparsers(dest='benchmark', metavar='WHAT', required=True)
    operator = commands.add_parser('operator', help='one operator: ours, textbook, convolutions, bare FFT pair')
    operator.add_argument(
        '--cases',
        choices=['all', 'headline', 'quick'],
        default='headline',
        help='headline: the cases of docs/operator.md; all: these and a grid of sizes, scales and batch sizes; quick: '
        'two small ones (default: headline)',
    )
    operator.add_argument('--no-memory', action='store_true', help='skip the peak memory, measured in fresh processes')
    network = commands.add_parser('network', help='whole networks: ours, with the textbook operator, with convolutions')
    network.add_argument(
        '--size', type=_positive, metavar='N', help='height and width (default: 256 and 64 by network)'
    )
    data = commands.add_parser(
        'data', help="the loader of an option file's training data, from LMDB and from disk, and the network it feeds"
    )
    data.add_argument('-opt', required=True, metavar='FILE', help='option file (YAML) of the training')
    data.add_argument(
        '--workers',
        type=_count,
        nargs='+',
        default=[0, 1, 2, 4],
        metavar='N',
        help='numbers of loader processes (default: 0 1 2 4)',
    )
    data.add_argument(
        '--seconds', type=_positive, default=5, metavar='S', help='length of each measurement (default: 5)'
    )
    data.add_argument(
        '--images',
        type=_count,
        default=200,
        metavar='N',
        help='images to copy, into the temporary folder, to the storage that the file does not name; 0: leave it out '
        '(default: 200)',
    )
    data.add_argument('--no-network', action='store_true', help='measure the loader alone')
    train = commands.add_parser('train', help="an option file's whole training step, and how it scales with processes")
    train.add_argument('-opt', required=True, metavar='FILE', help='option file (YAML) of the training')
    train.add_argument(
        '--nproc',
        type=_positive,
        nargs='+',
        default=[1],
        metavar='N',
        help='numbers of processes on this machine, one run each; not under torchrun, which says it (default: 1)',
    )
    for command in (data, train):
        command.add_argument(
            '--force_yml', nargs='+', default=[], metavar='SECTION:KEY=VALUE', help='override values of the option file'
        )
    for command in (operator, network):
        command.add_argument('--device', default='cpu', metavar='NAME', help='cpu, cuda or cuda:N (default: cpu)')
    for command in (operator, data, train):
        command.add_argument('--plot', type=Path, metavar='FILE', help='save a picture (needs matplotlib)')
    for command, repeats in ((operator, 15), (network, 5), (data, 5), (train, 20)):
        command.add_argument(
            '--repeats',
            type=_positive,
            default=repeats,
            metavar='N',
            help=f'runs a median is taken of (default: {repeats})',
        )
        command.add_argument('--threads', type=_positive, metavar='N', help="threads (default: torch's choice)")
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

    from converse_basicsr.benchmark import report

    runs = {'operator': _run_operator, 'network': _run_network, 'data': _run_data, 'train': _run_train}
    results = runs[args.benchmark](args)
    if results is None:  # one process of several, of which another one reports
        return 0
    table = report.TABLES[args.benchmark](results)
    print(table)
    try:
        if args.json is not None:
            args.json.write_text(json.dumps(results, indent=2) + '\n', encoding='utf-8')
        if args.markdown is not None:
            args.markdown.write_text(table + '\n', encoding='utf-8')
        if getattr(args, 'plot', None) is not None:
            report.PLOTS[args.benchmark](results, args.plot)
    except (OSError, ValueError) as error:
        raise UserError(f'cannot write the results: {error}; the table above is complete') from error
    return 0


def _run_operator(args: argparse.Namespace) -> dict[str, Any]:
    from converse_basicsr.benchmark import measure, operator

    measure.prepare(args.device, args.threads)
    cases = operator.measure(args.cases, args.device, args.repeats, with_memory=not args.no_memory)
    return {'machine': measure.describe_machine(args.device), 'benchmark': 'operator', 'cases': cases}


def _run_network(args: argparse.Namespace) -> dict[str, Any]:
    from converse_basicsr.benchmark import measure, network

    measure.prepare(args.device, args.threads)
    cases = network.measure(args.size, args.device, args.repeats)
    return {'machine': measure.describe_machine(args.device), 'benchmark': 'network', 'cases': cases}


def _run_data(args: argparse.Namespace) -> dict[str, Any]:
    from converse_basicsr.option_file import read_option_file

    option_file = read_option_file(args.opt, args.force_yml)

    from converse_basicsr.benchmark import data, measure
    from converse_basicsr.register import load_plugins

    load_plugins()
    measure.prepare('cpu', args.threads)
    results = data.measure(
        option_file,
        sorted(set(args.workers)),
        seconds=args.seconds,
        images=args.images,
        repeats=args.repeats,
        with_network=not args.no_network,
    )
    return {'machine': measure.describe_machine(results.pop('device')), 'benchmark': 'data', **results}


def _run_train(args: argparse.Namespace) -> dict[str, Any] | None:
    from converse_basicsr.option_file import read_option_file

    option_file = read_option_file(args.opt, args.force_yml)

    from converse_basicsr.benchmark import measure, train

    if 'RANK' not in os.environ:
        threads = [] if args.threads is None else ['--threads', str(args.threads)]
        overrides = ['--force_yml', *args.force_yml] if args.force_yml else []
        arguments = ['-opt', args.opt, '--repeats', str(args.repeats), *threads, *overrides]
        return train.measure(sorted(set(args.nproc)), arguments)

    from converse_basicsr.launch import started_here
    from converse_basicsr.register import load_plugins

    load_plugins()
    measure.prepare('cpu', args.threads)
    results = train.measure_here(option_file, args.repeats)
    if results is not None and started_here():
        args.json.write_text(json.dumps(results), encoding='utf-8')
        return None
    return results


def _count(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f'must be at least 0, got {value}')
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'must be at least 1, got {value}')
    return value
