import os
from pathlib import Path

import pytest
from kill_trial import trial


@pytest.mark.slow
@pytest.mark.skipif(os.name == 'nt', reason='kills processes by signals, which Windows lacks')
@pytest.mark.promise('a training that is killed or stopped (Ctrl-C, SIGTERM) and goes on with `--auto_resume`')
def test_nothing_is_lost_by_kills(tmp_path: Path) -> None:
    """The short form of ``python tests/support/kill_trial.py --kills 50``."""
    result = trial(tmp_path, kills=6)
    assert (result.skipped, result.lost, result.equal) == (0, 0, True)
