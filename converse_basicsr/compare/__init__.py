"""``basicsr compare``: train a set of networks at equal budgets, one after another, and report."""

import argparse
import sys
from pathlib import Path

from converse_basicsr.errors import UserError

SUMMARY = 'train the runs of comparison files at equal budgets and report curves, costs and pictures'
EXAMPLES = """\
A comparison file is an option file of `basicsr train` with a section `compare:` that lists what its runs change
(options/small/ has examples; docs/comparison.md tells the keys). Training goes to experiments/ and tb_logger/ under the
current directory, as always. Interrupted, the command goes on where it stopped; finished runs are not trained again.

Writes OUTPUT/NAME.md, its figures (NAME_curves.csv, NAME_runs.csv), plots and pictures. --report-only writes the
Markdown and the plots again from the two CSV files alone.

examples:
  basicsr compare options/small/denoise.yml
  basicsr compare options/small/denoise.yml options/small/ablation_padding.yml --jobs 2 --threads 1
  basicsr compare options/small/denoise.yml --force_yml train:total_iter=200 --output trial
  basicsr compare options/small/denoise.yml --report-only
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr compare``."""
    parser.add_argument('files', nargs='+', metavar='FILE', help='comparison files (YAML)')
    parser.add_argument(
        '--output', type=Path, default=Path('comparison'), metavar='FOLDER', help='reports (default: comparison)'
    )
    parser.add_argument('--jobs', type=int, default=1, metavar='N', help='runs trained at the same time (default: 1)')
    parser.add_argument(
        '--threads', type=int, metavar='N', help='CPU threads of each run (default: the CPUs shared by the jobs)'
    )
    parser.add_argument('--report-only', action='store_true', help='write the report from the CSV files again')
    parser.add_argument(
        '--force_yml',
        nargs='+',
        default=[],
        metavar='SECTION:KEY=VALUE',
        help='override values of every file, for all runs',
    )


def run(args: argparse.Namespace) -> int:
    """Train what is not yet trained, measure, and write the reports.

    Raises:
        UserError: If a file is no comparison, its data are absent, or a run failed.
    """
    from converse_basicsr.compare.plan import read_comparison

    for name in ('jobs', 'threads'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UserError(f'--{name}: must be at least 1, got {getattr(args, name)}')
    comparisons = [read_comparison(file, args.force_yml) for file in args.files]
    names = [comparison.name for comparison in comparisons]
    if len(set(names)) < len(names):
        raise UserError(f'two of the comparison files have one name: {", ".join(sorted(names))}')

    if not args.report_only:
        train_and_measure(comparisons, args)

    from converse_basicsr.compare import report

    for comparison in comparisons:
        print(report.write_report(comparison, args.output), flush=True)
    return 0


def train_and_measure(comparisons: list, args: argparse.Namespace) -> None:
    """Train the runs of all comparisons, then collect their figures into the CSV files and paint the pictures."""
    import os

    from converse_basicsr import check
    from converse_basicsr.compare.training import train_runs
    from converse_basicsr.register import load_plugins

    load_plugins()
    problems = []
    for comparison in comparisons:
        for option_file in {run.option_file.path: run.option_file for run in comparison.runs}.values():
            check.require_runnable(option_file, is_train=True)
        problems += check.dataset_problems(comparison.option_file, 'picture') if comparison.picture else []
    if problems:
        raise UserError('\n'.join(problems))
    threads = args.threads or max(1, (os.cpu_count() or 1) // args.jobs)
    failed = train_runs(comparisons, args.output, jobs=args.jobs, threads=threads)
    if failed:
        raise UserError('\n'.join(failed))

    from converse_basicsr.compare import measure

    for comparison in comparisons:
        print(f'measuring {comparison.name}', file=sys.stderr, flush=True)
        measure.write_figures(comparison, args.output, threads=threads)
