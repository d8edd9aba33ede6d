from pathlib import Path

import pytest
from kill_trial import trial
from tiny_processes import NO_FORKS, NO_FORKS_REASON


@pytest.mark.skipif(NO_FORKS, reason=NO_FORKS_REASON)
def test_nothing_is_lost_by_kills(tmp_path: Path) -> None:
    """The short form of ``python tests/kill_trial.py --kills 50``."""
    result = trial(tmp_path, kills=6)
    assert (result.skipped, result.lost, result.equal) == (0, 0, True)
