"""Validation by all processes of a run."""

import functools
from collections.abc import Iterator
from typing import Any

from converse_basicsr.compat.replacement import Replacement, everywhere


def shared_validation() -> Iterator[Replacement]:
    """Validate on all processes: BasicSR does it on rank 0 alone, while the others wait until their time-out.

    Can go when ``SRModel.dist_validation`` shares the work.
    """
    import torch
    from basicsr import metrics
    from basicsr.models.sr_model import SRModel

    from converse_basicsr.models import sharded_validation

    yield from everywhere(metrics.calculate_metric, sharded_validation.recording(metrics.calculate_metric))
    original = SRModel.dist_validation

    @functools.wraps(original)
    def dist_validation(self: Any, dataloader: Any, current_iter: int, tb_logger: Any, save_img: bool) -> None:
        shared = torch.distributed.is_available() and torch.distributed.is_initialized()
        (sharded_validation.validate if shared else original)(self, dataloader, current_iter, tb_logger, save_img)

    yield Replacement(SRModel, 'dist_validation', dist_validation)
