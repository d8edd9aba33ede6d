"""``basicsr train``: train a network of BasicSR, of this package or of any plugin."""

import argparse
import os

from converse_basicsr.commands.run_arguments import add_run_arguments, launched
from converse_basicsr.messages import tell
from converse_basicsr.options.file import read_option_file
from converse_basicsr.processes.stopping import Stopped

SUMMARY = 'train a network as an option file says'
EXAMPLES = """\
Writes experiments/ and tb_logger/ under the current directory.

examples:
  basicsr train -opt options/demo/converse_srresnet_x4.yml
  basicsr train -opt options/converse_srresnet_x4.yml --auto_resume
  basicsr train -opt my.yml --force_yml train:total_iter=1000 datasets:train:batch_size_per_gpu=4
  basicsr train -opt options/converse_srresnet_x4.yml --nproc 8 --force_yml datasets:train:batch_size_per_gpu=4
  torchrun --nproc_per_node=8 --no-python basicsr train -opt options/converse_srresnet_x4.yml --launcher pytorch

SIGTERM, Ctrl-C and a closed terminal save the training where it is; --auto_resume goes on from there. See
docs/scaling.md.
"""

add_arguments = add_run_arguments


def run(args: argparse.Namespace) -> int:
    """Train in the current directory.

    Returns:
        The exit status: 0, or 128 and the number of the signal that stopped the training.
    """
    # A file that cannot be read is named before the seconds that importing torch takes.
    option_file = read_option_file(args.opt, args.force_yml)
    status = launched('train', args)
    if status is not None:
        return status

    from converse_basicsr.register import load_plugins

    load_plugins()
    from converse_basicsr.training.pipeline import train

    try:
        train(
            option_file,
            os.getcwd(),
            launcher=args.launcher,
            auto_resume=args.auto_resume,
            debug=args.debug,
            local_rank=args.local_rank,
        )
    except Stopped as stopped:
        if os.environ.get('RANK', '0') == '0':
            tell(f'basicsr: {stopped}')
        return stopped.status
    return 0
