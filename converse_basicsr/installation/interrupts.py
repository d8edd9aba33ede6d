"""Ctrl-C, SIGTERM and closed terminals while an environment is changed."""

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

from converse_basicsr.messages import tell
from converse_basicsr.processes import stopping


@contextlib.contextmanager
def as_ctrl_c() -> Iterator[None]:
    """Let SIGTERM and a closed terminal end the work as Ctrl-C does."""

    def interrupt(signum: int, frame: object) -> None:
        raise KeyboardInterrupt

    with _handled(interrupt):
        yield


@contextlib.contextmanager
def deferred() -> Iterator[None]:
    """Let what stands in the body end first.

    Raises:
        KeyboardInterrupt: After the body, if the process was asked to stop within it.
    """
    asked: list[int] = []

    def note(signum: int, frame: object) -> None:
        if not asked:
            tell('basicsr: stopping as soon as what has begun is whole')
        asked.append(signum)

    with _handled(note):
        yield
    if asked:
        raise KeyboardInterrupt


@contextlib.contextmanager
def _handled(handler: Callable[[int, Any], None]) -> Iterator[None]:
    """Handle the signals that ask a process to stop; outside of the main thread, which alone may, they are left."""
    before = stopping.handled(handler) if threading.current_thread() is threading.main_thread() else {}
    try:
        yield
    finally:
        for signum, usual in before.items():
            signal.signal(signum, usual)
