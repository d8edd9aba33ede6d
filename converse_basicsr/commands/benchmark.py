"""``basicsr benchmark``: measure operator, networks, data loading and training on this machine."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from converse_basicsr import packages
from converse_basicsr.commands.arguments import add_device, add_force_yml, add_option_file, positive_int
from converse_basicsr.errors import UserError
from converse_basicsr.messages import say
from converse_basicsr.options.file import read_option_file

SUMMARY = 'measure operator and networks, the data loader, and training on one process or several'
EXAMPLES = """\
examples:
  basicsr benchmark operator
  basicsr benchmark operator --cases all --json operator.json --plot operator.svg
  basicsr benchmark network --threads 2 --repeats 5
  basicsr benchmark data -opt options/converse_dncnn_gray25.yml --workers 0 1 2 4 --plot data.svg
  basicsr benchmark train -opt options/demo/converse_srresnet_x4.yml --nproc 1 2 --plot train.svg
  torchrun --nproc_per_node=8 --no-python basicsr benchmark train -opt options/converse_srresnet_x4.yml
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
        '--size', type=positive_int, metavar='N', help='height and width (default: 256 and 64 by network)'
    )
    data = commands.add_parser(
        'data', help="the loader of an option file's training data, from LMDB and from disk, and the network it feeds"
    )
    _add_data_arguments(data)
    train = commands.add_parser('train', help="an option file's whole training step, and how it scales with processes")
    add_option_file(train, 'option file (YAML) of the training')
    train.add_argument(
        '--nproc',
        type=positive_int,
        nargs='+',
        default=[1],
        metavar='N',
        help='numbers of processes on this machine, one run per number; leave it out under torchrun (default: 1)',
    )
    for command in (data, train):
        add_force_yml(command)
    for command in (operator, network):
        add_device(command, default='cpu')
    for command in (operator, data, train):
        command.add_argument('--plot', type=Path, metavar='FILE', help='save a picture (needs matplotlib)')
    for command, repeats in ((operator, 15), (network, 5), (data, 5), (train, 20)):
        command.add_argument(
            '--repeats',
            type=positive_int,
            default=repeats,
            metavar='N',
            help=f'runs that a median is taken of (default: {repeats})',
        )
        command.add_argument('--threads', type=positive_int, metavar='N', help="CPU threads (default: torch's choice)")
        command.add_argument('--json', type=Path, metavar='FILE', help='save the figures as JSON')
        command.add_argument('--markdown', type=Path, metavar='FILE', help='save the table, which is also printed')


def _add_data_arguments(parser: argparse.ArgumentParser) -> None:
    add_option_file(parser, 'option file (YAML) of the training')
    parser.add_argument(
        '--workers',
        type=count,
        nargs='+',
        default=[0, 1, 2, 4],
        metavar='N',
        help='numbers of loader processes (default: 0 1 2 4)',
    )
    parser.add_argument(
        '--seconds', type=positive_int, default=5, metavar='S', help='length of each measurement (default: 5)'
    )
    parser.add_argument(
        '--images',
        type=count,
        default=200,
        metavar='N',
        help='images to copy (into the temporary folder) to measure the storage that the file does not use; 0: do not '
        'measure it (default: 200)',
    )
    parser.add_argument('--no-network', action='store_true', help='measure the loader alone')


def count(text: str) -> int:
    """Parse a number from 0 up."""
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f'must be at least 0, got {value}')
    return value


def run(args: argparse.Namespace) -> int:
    """Measure, print a Markdown table, save what was asked for; 0 on success."""
    plot: Path | None = getattr(args, 'plot', None)
    # Fail now, not after minutes of measuring.
    from converse_basicsr.evaluation.places import require_file

    for path in (args.json, args.markdown, plot):
        if path is not None:
            require_file(path)
    if plot is not None:
        _require_drawable(plot)

    from converse_basicsr.benchmark import result_tables
    from converse_basicsr.files import atomic

    measures = {'operator': _operator, 'network': _network, 'data': _data, 'train': _train}
    results = measures[args.benchmark](args)
    if results is None:  # one process of several, of which another one reports
        return 0
    table = result_tables.TABLES[args.benchmark](results)
    say(*table.split('\n'))
    try:
        if args.json is not None:
            atomic.write_text(args.json, json.dumps(results, indent=2) + '\n')
        if args.markdown is not None:
            atomic.write_text(args.markdown, table + '\n')
        if plot is not None:
            result_tables.PLOTS[args.benchmark](results, plot)
    except (OSError, ValueError) as error:
        raise UserError(f'cannot write the results: {error}; the table above is complete') from error
    return 0


def _require_drawable(plot: Path) -> None:
    try:
        import matplotlib.figure
    except ImportError:
        raise UserError('--plot needs matplotlib: install it (pip install matplotlib) or leave --plot out') from None
    formats = matplotlib.figure.Figure().canvas.get_supported_filetypes()
    if plot.suffix and plot.suffix.lower()[1:] not in formats:
        raise UserError(f'--plot {plot}: matplotlib draws {", ".join(sorted(formats))}, not {plot.suffix}')


def _operator(args: argparse.Namespace) -> dict[str, Any]:
    from converse_basicsr.benchmark import operator_times

    return operator_times.measure(
        args.cases, device=args.device, repeats=args.repeats, threads=args.threads, with_memory=not args.no_memory
    )


def _network(args: argparse.Namespace) -> dict[str, Any]:
    from converse_basicsr.benchmark import network_times

    return network_times.measure(size=args.size, device=args.device, repeats=args.repeats, threads=args.threads)


def _data(args: argparse.Namespace) -> dict[str, Any]:
    option_file = read_option_file(args.opt, args.force_yml)
    packages.require_basicsr()

    from converse_basicsr.benchmark import loader_rates

    return loader_rates.measure(
        option_file,
        sorted(set(args.workers)),
        seconds=args.seconds,
        images=args.images,
        repeats=args.repeats,
        threads=args.threads,
        with_network=not args.no_network,
    )


def _train(args: argparse.Namespace) -> dict[str, Any] | None:
    option_file = read_option_file(args.opt, args.force_yml)
    packages.require_basicsr()

    from converse_basicsr.benchmark import training_step
    from converse_basicsr.processes.launch import started_here

    if 'RANK' not in os.environ:
        counts = sorted(set(args.nproc))
        return training_step.measure(option_file, counts, repeats=args.repeats, threads=args.threads)
    results = training_step.measure_here(option_file, repeats=args.repeats, threads=args.threads)
    if results is not None and started_here():  # another command waits for the figures and reports
        from converse_basicsr.files import atomic

        atomic.write_text(args.json, json.dumps(results))
        return None
    return results
