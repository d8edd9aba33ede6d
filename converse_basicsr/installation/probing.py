"""Try things that may crash or hang, such as imports of damaged libraries, without being harmed."""

import json
import signal
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import IO

from converse_basicsr import import_path

LIMIT = 300.0
"""Seconds for one probe: more than a busy machine with a slow disk takes to import PyTorch."""


@dataclass(frozen=True)
class Outcome:
    """What a probe has found.

    Attributes:
        facts: By name.
        error: Why it failed, in one line; empty where it did not.
    """

    facts: dict[str, str] = field(default_factory=dict)
    error: str = ''


def probe(name: str, *, limit: float = LIMIT) -> Outcome:
    """Run one probe; see :func:`probe_all`."""
    return probe_all([name], limit=limit)[name]


def probe_all(names: Sequence[str], *, limit: float = LIMIT) -> dict[str, Outcome]:
    """Run probes in one process, and in a new one after each that crashes or hangs it.

    Args:
        names: Names of :data:`converse_basicsr.installation.probes.PROBES`, or of packages to import.
        limit: Seconds that each may take.

    Returns:
        The outcome of each, by name.
    """
    outcomes: dict[str, Outcome] = {}
    while rest := [name for name in names if name not in outcomes]:
        answered, ending = _run(rest, limit)
        outcomes.update(answered)
        lost = next((name for name in rest if name not in answered), None)
        if lost is not None:
            outcomes[lost] = Outcome(error=ending)
    return outcomes


def _run(names: Sequence[str], limit: float) -> tuple[dict[str, Outcome], str]:
    """Run a process until it has answered, ended or not answered in time: its answers, and how it ended."""
    command = [*import_path.command('converse_basicsr.installation.probes'), *names]
    answered: dict[str, Outcome] = {}
    with tempfile.TemporaryFile() as errors:
        late = threading.Event()
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, text=True, encoding='utf-8'
        ) as process:
            try:
                while (line := _line(process, late, limit)).endswith('\n'):
                    answer = json.loads(line)
                    answered[answer['name']] = Outcome(answer.get('facts', {}), answer.get('error', ''))
                status = process.wait()
            except BaseException:
                process.kill()
                raise
        ending = f'does not end within {limit:g} s' if late.is_set() else _crash(status, errors)
    return answered, ending


def _line(process: 'subprocess.Popen[str]', late: threading.Event, limit: float) -> str:
    """Wait for a line; the process is killed where none comes in time."""

    def give_up() -> None:
        late.set()
        process.kill()

    timer = threading.Timer(limit, give_up)
    timer.start()
    try:
        return process.stdout.readline() if process.stdout else ''
    finally:
        timer.cancel()


def _crash(status: int, errors: IO[bytes]) -> str:
    """Say how a process died, with the line on standard error that tells most."""
    try:
        how = f'killed by {signal.Signals(-status).name}'
    except ValueError:
        how = f'ended the process with status {status}'
    errors.seek(0)
    lines = [line.strip() for line in errors.read().decode('utf-8', 'backslashreplace').splitlines() if line.strip()]
    telling = [line for line in lines if 'error' in line.lower()] or lines[-1:]
    return f'{how}: {telling[0]}' if telling else how
