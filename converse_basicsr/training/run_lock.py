"""One process trains or tests under a name at a time: a second one would move the folder of the first aside."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from converse_basicsr.files import lock
from converse_basicsr.messages import tell
from converse_basicsr.processes import distributed


@contextlib.contextmanager
def held(run: dict[str, Any]) -> Iterator[Callable[[], None]]:
    """Hold the lock of a run, on rank 0; with ``auto_resume``, wait for a holder on another machine that may be dead.

    The lock file lies beside the run's folder, which may be moved aside.

    Args:
        run: The completed options.

    Yields:
        To be called before each writing: raises a ``UserError`` if another process has taken over.

    Raises:
        UserError: In all processes of the run, if another run of that name holds it.
    """
    folder = Path(run['path']['experiments_root' if run['is_train'] else 'results_root'])
    own = lock.Lock(
        folder.with_name(f'.{folder.name}.lock'), f'{"the run" if run["is_train"] else "the test"} {folder}'
    )

    def take() -> bool:
        try:
            own.acquire(wait=lock.LOST if run.get('auto_resume') else 0.0, tell=tell)
        except OSError as error:
            tell(f'note: {own.path} cannot be locked ({error.strerror}): see that no other process runs {folder}')
            return False
        return True

    try:
        is_locked = distributed.from_rank_0(take)
        yield own.require_held if is_locked and run['rank'] == 0 else lambda: None
    finally:
        own.release()
