"""How a run ends: without connections left open, and with a word about what was skipped or lost."""

import contextlib
import re
import traceback
from collections.abc import Iterator

import torch
from basicsr.utils import get_root_logger

from converse_basicsr.data.bad_samples import skipped_samples
from converse_basicsr.errors import UserError
from converse_basicsr.processes import distributed, stopping


@contextlib.contextmanager
def ended_cleanly() -> Iterator[None]:
    """Report skipped samples, leave the other processes, and name in one line what is nobody's mistake.

    Raises:
        UserError: If another process of the run is gone, or the memory used up.
    """
    try:
        yield
    except stopping.Stopped as stopped:
        traceback.clear_frames(stopped.__traceback__)  # which hold the networks: see distributed.leave
        distributed.leave()
        raise
    except RuntimeError as error:
        if distributed.lost_connection(error):
            raise UserError('another process of this run is gone; its own message says why') from error
        if isinstance(error, torch.cuda.OutOfMemoryError) or re.search("can't allocate memory", str(error)):
            raise UserError(
                'the memory is used up: lower batch_size_per_gpu (train:accum_iter makes up for it) or gt_size; '
                'checkpoints are kept'
            ) from error
        raise
    else:
        distributed.leave()
    finally:
        for line in skipped_samples():
            get_root_logger().warning(line)
