"""The curves of a training run, from the TensorBoard files that BasicSR writes."""

from dataclasses import dataclass
from pathlib import Path

from converse_basicsr.errors import UserError

LOSS, METRIC = 'losses/', 'metrics/'


@dataclass(frozen=True)
class Point:
    """One value of one curve.

    Attributes:
        iteration: Iteration at which it was logged.
        quantity: Name of a loss (``l_pix``), or of a test set and metric (``Set12/psnr``).
        value: The value logged.
    """

    iteration: int
    quantity: str
    value: float


def read_curves(folder: Path) -> tuple[list[Point], float]:
    """Read the losses and validation metrics of a run.

    A resumed run has one file per start; where iterations were repeated, the later figures count.

    Args:
        folder: ``tb_logger/NAME``.

    Returns:
        The points by iteration, and the seconds between first and last entry, added up over the files.

    Raises:
        UserError: If the folder holds no curve.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    points: dict[tuple[str, int], Point] = {}
    seconds = 0.0
    files = sorted(folder.glob('events.out.tfevents.*'), key=lambda path: path.stat().st_mtime_ns)
    for file in files:
        events = EventAccumulator(str(file), size_guidance={'scalars': 0})
        events.Reload()
        times = []
        for tag in events.Tags()['scalars']:
            for event in events.Scalars(tag):
                quantity = tag.removeprefix(LOSS).removeprefix(METRIC)
                points[tag, event.step] = Point(event.step, quantity, event.value)
                times.append(event.wall_time)
        seconds += max(times, default=0.0) - min(times, default=0.0)
    if not points:
        raise UserError(f'{folder} holds no curve of a training run; remove experiments/{folder.name} to train it anew')
    return sorted(points.values(), key=lambda point: (point.iteration, point.quantity)), seconds
