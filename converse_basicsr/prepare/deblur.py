"""``basicsr prepare deblur``: the sharp images of a deblurring set."""

import argparse

from converse_basicsr.prepare import ground_truth

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
    ground_truth.add_arguments(parser, crop=480)


def run(args: argparse.Namespace) -> int:
    """Prepare the sharp images.

    Args:
        args: Parsed arguments.

    Returns:
        Exit status.

    Raises:
        UserError: If something has to be put right by the user first.
    """
    return ground_truth.prepare(args, 'deblur')
