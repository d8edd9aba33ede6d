"""``basicsr prepare deblur``: the sharp images of a deblurring set."""

import argparse

from converse_basicsr.commands.arguments import add_clean_images, job_options
from converse_basicsr.messages import say
from converse_basicsr.prepare.ground_truth import prepare_deblur
from converse_basicsr.prepare.summary import summary

SUMMARY = 'cut sharp photographs into sub-images, for training with blur and noise made on the fly (LMDB)'

EXAMPLES = """\
examples:
  basicsr prepare deblur --input SunHays80 --output datasets/SunHays80
  basicsr prepare deblur --input crops --output datasets/crops --crop whole

Writes OUTPUT/gt.lmdb for BlurDataset, which blurs, decimates and adds noise while training. Images smaller than the
crop are left out; the report counts them. Fixed kernels come from basicsr prepare kernels.

A killed run goes on when the command is repeated. A finished result is not touched without --overwrite; the same
command on the same images finds it complete and succeeds.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr prepare deblur``."""
    add_clean_images(parser, crop=480)


def run(args: argparse.Namespace) -> int:
    """Prepare the sharp images and print what was made."""
    prepared = prepare_deblur(
        args.input, args.output, gray=args.gray, crop=args.crop, step=args.step, **job_options(args)
    )
    say(*summary(prepared))
    return 0
