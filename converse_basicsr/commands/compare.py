"""``basicsr compare``: train a set of networks at equal budgets, one after another, and report."""

import argparse
from pathlib import Path

from converse_basicsr.commands.arguments import add_force_yml
from converse_basicsr.errors import UserError
from converse_basicsr.messages import say

SUMMARY = 'train the runs of comparison files at equal budgets and report curves, costs and pictures'
EXAMPLES = """\
A comparison file is an option file of `basicsr train` with a section `compare:` that lists what its runs change
(options/small/ has examples; docs/comparison/README.md lists the keys). Training writes experiments/ and tb_logger/
under the current directory. An interrupted command goes on where it stopped when it is repeated; finished runs are not
trained again.

Writes OUTPUT/NAME.md, its figures (NAME_curves.csv, NAME_runs.csv), plots and pictures. --report-only writes the
Markdown and the plots again from the two CSV files alone. --merge does so from the CSV files of several folders, as of
machines that have trained one seed each: no run is trained.

examples:
  basicsr compare options/small/denoise.yml
  basicsr compare options/small/denoise.yml options/small/ablation_padding.yml --jobs 2 --threads 1
  basicsr compare options/small/denoise.yml --force_yml train:total_iter=200 --output trial
  basicsr compare options/small/denoise.yml --report-only
  basicsr compare options/small/denoise.yml --force_yml compare:seeds=[1] --output of_seed_1
  basicsr compare options/small/denoise.yml --merge of_seed_0 of_seed_1 --output comparison
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
    made = parser.add_mutually_exclusive_group()
    made.add_argument('--report-only', action='store_true', help='write the report from the CSV files again')
    made.add_argument(
        '--merge', nargs='+', type=Path, metavar='FOLDER', help='write it from the CSV files of these folders together'
    )
    add_force_yml(parser, 'override values of every file, for all runs')


def run(args: argparse.Namespace) -> int:
    """Train what is not yet trained, measure, and write the pages.

    Raises:
        UserError: If a file is no comparison, its data are absent, or a run failed.
    """
    from converse_basicsr.compare.comparison import read_comparisons
    from converse_basicsr.compare.page import require_places, write_page

    for name in ('jobs', 'threads'):
        if getattr(args, name) is not None and getattr(args, name) < 1:
            raise UserError(f'--{name}: must be at least 1, got {getattr(args, name)}')
    comparisons = read_comparisons(args.files, args.force_yml)
    if args.merge:
        from converse_basicsr.compare.merge import merge_tables

        require_places(comparisons, args.output)
        for comparison in comparisons:
            merge_tables(comparison, args.merge, args.output)
    elif args.report_only:
        require_places(comparisons, args.output, with_tables=False)
    else:
        from converse_basicsr.compare.train_and_measure import train_and_measure

        train_and_measure(comparisons, output=args.output, jobs=args.jobs, threads=args.threads)

    for comparison in comparisons:
        say(write_page(comparison, args.output))
    return 0
