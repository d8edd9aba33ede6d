import subprocess
import sys
from pathlib import Path

import pytest
import soak
from tiny_processes import process_environment


@pytest.mark.slow
@pytest.mark.skipif(not Path('/proc/self/task').exists(), reason='measures processes in /proc: needs Linux')
def test_stopped_and_killed_again_and_again_nothing_is_lost_and_nothing_grows() -> None:
    """The short form of ``python tests/support/soak.py --cycles 2000``."""
    command = [sys.executable, soak.__file__, '--cycles', '24']
    result = subprocess.run(command, env=process_environment(), capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-2000:] + result.stderr[-2000:]
    assert 'cycles=24, stopped=16, killed=8' in result.stdout
