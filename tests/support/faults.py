"""Run a function in a process of its own whose file system calls fail, are cut short, or end it."""

import ctypes
import enum
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LONGEST = 120
"""Seconds after which a child is taken to hang."""


class Mode(enum.IntEnum):
    """What happens at a call; the numbers are those of faults.c."""

    COUNT = 0
    KILL = 1
    KILL_HALF = 2
    FAIL = 3
    SHORT = 4


@dataclass(frozen=True)
class Fault:
    """What happens, and at which call that writes below the root.

    Attributes:
        mode: Nothing, SIGKILL before the call, SIGKILL after half of what it writes, an error, half of the bytes
            written and all reads cut short.
        at: Number of the call, from 0.
        error: The error number of ``Mode.FAIL``.
        lasting: The same happens at every later call.
        clock: ``time.time`` jumps to and fro by days.
    """

    mode: Mode = Mode.COUNT
    at: int = -1
    error: int = 0
    lasting: bool = False
    clock: bool = False

    def __str__(self) -> str:
        error = f' {os.strerror(self.error)}' if self.error else ''
        return f'{self.mode.name}{error} at {self.at}{" and after" * self.lasting}{", clock jumps" * self.clock}'


@dataclass(frozen=True)
class Outcome:
    """How a child ended.

    Attributes:
        ending: ``done``, ``killed``, ``hung``, ``crashed`` or the name of the exception's class.
        text: What the exception says.
        value: What the function returned, as JSON knows it.
        kinds: A letter for each call that wrote below the root; none after a kill.
        is_refusal: Whether it ended with what the command line turns into one line: a UserError or an OSError.
    """

    ending: str
    text: str = ''
    value: Any = None
    kinds: str = ''
    is_refusal: bool = False


def missing() -> str:
    """Say why faults cannot be injected here; empty where they can."""
    if sys.platform != 'linux' or os.uname().machine not in ('x86_64', 'aarch64') or shutil.which('cc') is None:
        return 'needs a C compiler on Linux'
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(lambda: None, Path(folder), Fault())
    return '' if outcome.ending == 'done' else f'needs seccomp filters: {outcome.text}'


def run(function: Callable[[], Any], root: Path, fault: Fault) -> Outcome:
    """Fork, let the child run a function under a fault, and say how it ended. This process must have one thread."""
    library = _library()
    reader, writer = os.pipe()
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        os.close(reader)
        _be_child(function, os.path.realpath(root), fault, library, writer)
    os.close(writer)
    with open(reader, 'rb') as pipe:
        answer = pipe.read()
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        ending = {signal.SIGKILL: 'killed', signal.SIGALRM: 'hung'}.get(number, 'crashed')
        return Outcome(ending, signal.strsignal(number) or '')
    return Outcome(**json.loads(answer))


def _be_child(function: Callable[[], Any], root: str, fault: Fault, library: ctypes.CDLL, writer: int) -> None:
    """Run the function and end this process."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(LONGEST)
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    if fault.clock:
        time.time = _jumping_clock()
    from converse_basicsr.errors import UserError

    ending: dict[str, Any] = {}
    try:
        if library.faults_arm(root.encode(), fault.mode, fault.at, fault.error, fault.lasting):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
        ending = {'ending': 'done', 'value': function()}
    except BaseException as error:
        is_refusal = isinstance(error, (UserError, OSError))
        ending = {'ending': type(error).__name__, 'text': str(error), 'is_refusal': is_refusal}
    ending['kinds'] = library.faults_kinds().decode()
    os.write(writer, json.dumps(ending).encode())
    os._exit(0)


def _jumping_clock() -> Callable[[], float]:
    """Return a clock that is a day early, late, early... from call to call."""
    honest, calls = time.time, iter(range(sys.maxsize))
    return lambda: honest() + (86400 if next(calls) % 2 else -86400)


@functools.cache
def _library() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory() as folder:
        path = f'{folder}/faults.so'
        source = str(Path(__file__).with_name('faults.c'))
        subprocess.run(['cc', '-O2', '-shared', '-fPIC', '-o', path, source], check=True)
        library = ctypes.CDLL(path, use_errno=True)
    library.faults_kinds.restype = ctypes.c_char_p
    library.faults_arm.argtypes = [ctypes.c_char_p, ctypes.c_int, ctypes.c_long, ctypes.c_int, ctypes.c_int]
    return library
