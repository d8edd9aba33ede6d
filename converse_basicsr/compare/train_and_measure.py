"""Train the runs of comparison files and collect the figures of the finished runs."""

import os
from collections.abc import Sequence
from pathlib import Path

from converse_basicsr.compare.comparison import Comparison
from converse_basicsr.compare.runs import train_runs
from converse_basicsr.errors import UserError
from converse_basicsr.messages import tell


def train_and_measure(
    comparisons: Sequence[Comparison], *, output: Path, jobs: int = 1, threads: int | None = None
) -> None:
    """Train the runs of all comparisons, then collect their figures into the CSV files and make the pictures.

    Args:
        comparisons: What to train; runs that are finished are not trained again.
        output: Receives ``NAME_curves.csv``, ``NAME_runs.csv``, the pictures, and ``runs/``.
        jobs: Number of runs trained at the same time.
        threads: CPU threads of each run; the CPUs are shared by the jobs if not given.

    Raises:
        UserError: If options cannot work, data are absent, figures could not be collected, or a run failed.
    """
    from converse_basicsr.register import load_plugins

    load_plugins()
    from converse_basicsr.compare.needs import require_needs

    require_needs(comparisons, output)
    threads = threads or max(1, (os.cpu_count() or 1) // jobs)
    failed = train_runs(comparisons, output, jobs=jobs, threads=threads)
    if failed:
        raise UserError(*failed)

    from converse_basicsr.compare.figures import write_figures

    for comparison in comparisons:
        tell(f'measuring {comparison.name}')
        write_figures(comparison, output, threads=threads, jobs=jobs)
