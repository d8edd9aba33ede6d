"""Validation by all processes of a run."""

from collections.abc import Iterator

from converse_basicsr.compat.replacement import Replacement, everywhere


def shared_validation() -> Iterator[Replacement]:
    """Validate on all processes: BasicSR does it on rank 0 alone, while the others wait until their time-out.

    Can go when ``SRModel.dist_validation`` shares the work.
    """
    from basicsr import metrics
    from basicsr.models.sr_model import SRModel

    from converse_basicsr.models import sharded_validation

    yield from everywhere(metrics.calculate_metric, sharded_validation.recording(metrics.calculate_metric))
    yield Replacement(SRModel, 'dist_validation', sharded_validation.validate)
