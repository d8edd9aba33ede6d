"""Imports that fail, crash, hang or chatter are told from those that work."""

import os
from collections.abc import Callable
from pathlib import Path

from converse_basicsr.installation.probing import Outcome, probe_all

ABORTED = 'killed by SIGABRT' if os.name != 'nt' else 'ended the process with status 3'


def test_each_probe_has_an_outcome_whatever_the_others_do(packages: Callable[..., Path]) -> None:
    packages(
        works="print('{noise}', flush=True)\nimport os; os.write(1, b'more noise\\n')",
        raises="raise ImportError('libGL.so.1: cannot open shared object file\\nand more')",
        leaves='raise SystemExit(3)',
        crashes='import os, sys; print("OMP: Error #15: two of it", file=sys.stderr, flush=True); os.abort()',
        vanishes='import os; os._exit(0)',
        last='',
    )
    assert probe_all(['works', 'raises', 'leaves', 'crashes', 'vanishes', 'absent_one', 'last']) == {
        'works': Outcome(),
        'raises': Outcome(error='ImportError: libGL.so.1: cannot open shared object file'),
        'leaves': Outcome(error='SystemExit: 3'),
        'crashes': Outcome(error=f'{ABORTED}: OMP: Error #15: two of it'),
        'vanishes': Outcome(error='ended the process with status 0'),
        'absent_one': Outcome(error="ModuleNotFoundError: No module named 'absent_one'"),
        'last': Outcome(),
    }


def test_what_hangs_is_ended(packages: Callable[..., Path]) -> None:
    packages(hangs='import time; time.sleep(600)')
    assert probe_all(['hangs'], limit=0.5) == {'hangs': Outcome(error='does not end within 0.5 s')}
