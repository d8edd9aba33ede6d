"""``basicsr prepare denoise``: the clean images of a denoising set."""

import argparse

from converse_basicsr.commands.arguments import add_clean_images, job_options
from converse_basicsr.messages import say
from converse_basicsr.prepare.ground_truth import prepare_denoise
from converse_basicsr.prepare.summary import summary

SUMMARY = 'store clean images, grey or colour, for training with noise drawn on the fly (LMDB)'

EXAMPLES = """\
examples:
  basicsr prepare denoise --input Train400 --output datasets/Train400 --gray
  basicsr prepare denoise --input DIV2K_train_HR --output datasets/DIV2K_denoise --crop 480

Writes OUTPUT/gt.lmdb for GaussianNoiseDataset, which adds the noise while training. The images are stored whole, as the
180 x 180 ones of Train400 are used; cut large photographs into sub-images (--crop), or every patch costs the decoding
of a whole photograph.

A killed run goes on when the command is repeated. A finished result is not touched without --overwrite; the same
command on the same images finds it complete and succeeds.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr prepare denoise``."""
    add_clean_images(parser, crop=None)


def run(args: argparse.Namespace) -> int:
    """Prepare the clean images and print what was made."""
    prepared = prepare_denoise(
        args.input, args.output, gray=args.gray, crop=args.crop, step=args.step, **job_options(args)
    )
    say(*summary(prepared))
    return 0
