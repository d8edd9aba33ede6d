"""``basicsr reproduce``: a whole table of the paper, with measured and published figures."""

import argparse
from pathlib import Path

from converse_basicsr.commands.arguments import add_device, add_force_yml
from converse_basicsr.evaluation import published
from converse_basicsr.messages import say

SUMMARY = 'measure a table of the paper on the weights and test sets that are there, beside the published figures'
EXAMPLES = """\
Each row of a table is an option file of options/test/; its weights and test sets are looked for where the file says,
under the current directory. Writes results/TABLE.md, results/TABLE.csv (one line per image) and results/TABLE.png (one
picture per row and test set). An interrupted command goes on where it stopped when it is repeated; a row whose weights
have changed is measured again.

examples:
  basicsr prepare weights
  basicsr reproduce srresnet
  basicsr reproduce dncnn --rows dncnn_gray25 converse_dncnn_gray25
  basicsr reproduce usrnet --force_yml path:pretrain_network_g=my.pth --rows converse_usrnet
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr reproduce``."""
    parser.add_argument(
        'table', choices=sorted(published.TABLES), help='dncnn: denoising, srresnet: x4, usrnet: deblurring'
    )
    parser.add_argument('--rows', nargs='+', metavar='ROW', help='only these rows (names of files in options/test/)')
    parser.add_argument('--sets', nargs='+', metavar='SET', help='only these test sets')
    parser.add_argument(
        '--output', type=Path, default=Path('results'), metavar='FOLDER', help='where to write (default: results)'
    )
    add_device(parser, default=None)
    add_force_yml(parser, 'override values of every option file used')


def run(args: argparse.Namespace) -> int:
    """Measure, write the table and print it."""
    from converse_basicsr.evaluation.reproduce import reproduce

    done = reproduce(
        args.table,
        rows=args.rows,
        sets=args.sets,
        output=args.output,
        overrides=args.force_yml,
        device=args.device,
    )
    say(*done.markdown.split('\n'))
    written = f'written: {done.page}, {done.record}'
    say(f'{written}, {done.sheet} and its pictures in {done.pictures}/' if done.sheet else written)
    return 0
