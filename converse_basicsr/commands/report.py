"""``basicsr report``: score a trained network beside bicubic interpolation (or the input), with pictures."""

import argparse
from pathlib import Path

from converse_basicsr.commands.arguments import add_device, add_option_file
from converse_basicsr.messages import say
from converse_basicsr.options.file import read_option_file

SUMMARY = 'compare a trained network with bicubic interpolation, in figures and pictures'
EXAMPLES = """\
Reads the newest weights of the option file's run (or --checkpoint) and scores its validation or test sets by the file's
own metrics. Weights that state their own network are scored as that network, whatever the file's network_g says.
Writes report.csv and one picture per image (input | bicubic | network | ground truth).

examples:
  basicsr report -opt options/demo/converse_srresnet_x4.yml
  basicsr report -opt options/demo/converse_srresnet_x4.yml --checkpoint net_g_2000.pth --output report --pictures 1
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr report``."""
    add_option_file(parser, 'option file of the run')
    parser.add_argument(
        '--checkpoint',
        type=Path,
        metavar='FILE',
        help='weights, .pth or .safetensors (default: net_g_latest of the run)',
    )
    parser.add_argument('--output', type=Path, metavar='FOLDER', help='where to write (default: results/NAME/report)')
    parser.add_argument(
        '--pictures', type=int, default=8, metavar='N', help='largest number of pictures per data set (default: 8)'
    )
    add_device(parser, default=None)


def run(args: argparse.Namespace) -> int:
    """Score, write ``report.csv`` and the pictures, and print the scores."""
    option_file = read_option_file(args.opt)

    from converse_basicsr.evaluation.report import report, score_table

    done = report(
        option_file, checkpoint=args.checkpoint, output=args.output, pictures=args.pictures, device=args.device
    )
    say('', *score_table(done.scores).split('\n'), '', f'figures and pictures are in {done.folder}')
    return 0
