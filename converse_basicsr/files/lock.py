"""The one lock: one process at a time works in a folder, on one machine or on several that share a file system."""

import contextlib
import errno
import json
import os
import secrets
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from converse_basicsr.errors import UserError

BEAT = 15.0
"""Seconds between the signs of life of a holder."""

LOST = 120.0
"""Seconds without a sign of life after which a holder on another machine counts as dead. File systems that machines
share may show a change up to a minute late."""

SETTLE = 0.5
"""Seconds in which two processes that take a lock at once have both written, where the system cannot exclude it."""

_CANNOT_LOCK = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EINVAL}


@dataclass(frozen=True)
class Owner:
    """A process that holds a lock.

    Attributes:
        host: Its machine.
        boot: That machine's identity since its last start; containers with process numbers of their own differ.
        pid: Its number.
        started: When it was started, as the system counts; tells it from a later process of that number.
        since: When it took the lock, seconds since 1970.
        token: Unique for each time that a lock is taken.
    """

    host: str
    boot: str
    pid: int
    started: str
    since: float
    token: str

    @classmethod
    def here(cls) -> 'Owner':
        """Describe this process."""
        pid = os.getpid()
        return cls(socket.gethostname(), _boot(), pid, _started(pid), time.time(), secrets.token_hex(8))

    @classmethod
    def parse(cls, text: str) -> 'Owner | None':
        """Read an owner from a lock file; None where it holds none."""
        try:
            content = json.loads(text)
            return cls(
                host=str(content['host']),
                boot=str(content['boot']),
                pid=int(content['pid']),
                started=str(content['started']),
                since=float(content['since']),
                token=str(content['token']),
            )
        except (ValueError, TypeError, KeyError, OverflowError):
            return None

    def __str__(self) -> str:
        try:
            since = time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(self.since))
        except (ValueError, OverflowError, OSError):
            since = 'an unknown time'
        return f'process {self.pid} on {self.host} since {since}'


class Lock:
    """Hold a lock file while work goes on; it is removed by :meth:`release`, and left by a kill.

    A lock that was left is taken over: on the machine of its holder at once, since the system knows which processes
    live; on another one when the holder has given no sign of life for :data:`LOST` seconds. A thread of the holder
    gives one every :data:`BEAT` seconds.

    Args:
        path: The lock file. A folder that is made for it is removed by :meth:`release` if it is still empty.
        work: What the holder works on, for messages: ``'the run demo'``.
    """

    def __init__(self, path: Path, work: str) -> None:
        self.path, self.work = path, work
        self._own: Owner | None = None
        self._end = threading.Event()
        self._thread: threading.Thread | None = None
        self._made_folder = False
        self._last_beat = 0.0
        self._slept = False

    def acquire(self, *, wait: float = 0.0, tell: Callable[[str], None] = lambda line: None) -> None:
        """Take the lock.

        Args:
            wait: Seconds to wait for a holder on another machine, which may be dead.
            tell: Receives a line before the wait.

        Raises:
            UserError: If another process holds it; the message says which.
            OSError: If the file cannot be written.
        """
        deadline, told = time.monotonic() + wait, False
        self._make_folder()
        while (holder := self._try()) is not None:
            if _is_here(holder) or time.monotonic() >= deadline:
                remedy = 'wait for it, or stop it first'
                if not _is_here(holder):
                    remedy += f'; if it is dead, repeat the command {LOST:.0f} seconds later or delete {self.path}'
                raise UserError(f'{self.work} is in use by {holder}: {remedy}')
            if not told:
                tell(f'{self.work} is in use by {holder}: waiting up to {wait:.0f} s for a sign of life')
                told = True
            time.sleep(min(1.0, BEAT / 3))
        self._end.clear()
        self._last_beat, self._slept = time.time(), False
        self._thread = threading.Thread(target=self._beat, name=f'lock {self.path.name}', daemon=True)
        self._thread.start()

    def require_held(self) -> None:
        """Refuse to go on where another process has taken over, because this one seemed dead (a suspended machine).

        A lock file that somebody has deleted is made anew.

        Raises:
            UserError: If another process has taken over, or may have.
        """
        try:
            owner = Owner.parse(self.path.read_text(encoding='utf-8', errors='replace'))
        except FileNotFoundError:
            owner = None
        except OSError:
            return  # the file system is away for a moment: whatever is written next says so
        if owner is not None and self._own is not None and owner.token == self._own.token:
            return
        if owner is None and self._own is not None and not self._has_slept():
            self._make_folder()
            owner = self._try()
            if owner is None:
                return
        by = f' by {owner}' if owner else ' while this machine slept'
        raise UserError(f'{self.work} was taken over{by}: this process stops, and saves nothing')

    def release(self) -> None:
        """Give the lock back; a lock that another process has taken over stays."""
        if self._own is None:
            return
        self._end.set()
        if self._thread is not None:
            self._thread.join()
        own, self._own = self._own, None
        with contextlib.suppress(OSError):
            self.path.stat()  # opening would make it anew
            with _opened(self.path) as (file, _):
                owner = Owner.parse(file.read())
                if owner is not None and owner.token == own.token:
                    _unlink_open(self.path, file)
        if self._made_folder:
            with contextlib.suppress(OSError):  # most often it is not empty
                self.path.parent.rmdir()

    def _make_folder(self) -> None:
        if not self.path.parent.is_dir():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._made_folder = True

    def _try(self) -> Owner | None:
        """Take the lock, or return who holds it."""
        with _opened(self.path) as (file, excludes_others):
            holder = Owner.parse(file.read())
            if holder is not None and _is_alive(holder, self.path):
                return holder
            own = Owner.here()
            file.seek(0)
            file.truncate()
            file.write(json.dumps(asdict(own)))
            file.flush()
            os.fsync(file.fileno())
        if not excludes_others:
            time.sleep(SETTLE)
            found = Owner.parse(self.path.read_text(encoding='utf-8'))
            if found is not None and found.token != own.token:
                return found
        self._own = own
        return None

    def _beat(self) -> None:
        while not self._end.wait(BEAT):
            self._has_slept()
            self._last_beat = time.time()
            # Where the file is gone, or the file system for a moment, require_held says so at the next save.
            with contextlib.suppress(OSError):
                os.utime(self.path)

    def _has_slept(self) -> bool:
        """Say whether this process ever paused for so long that another one may have come and gone."""
        self._slept = self._slept or time.time() - self._last_beat > LOST
        return self._slept


@contextlib.contextmanager
def locked(path: Path, work: str) -> Iterator[Lock]:
    """Hold a :class:`Lock` while the body runs.

    Raises:
        UserError: If another process holds it.
    """
    lock = Lock(path, work)
    lock.acquire()
    try:
        yield lock
    finally:
        lock.release()


def _is_here(owner: Owner) -> bool:
    """Say whether a process is one whose life this one can ask the system about."""
    return bool(owner.boot) and owner.boot == _boot() and owner.host == socket.gethostname()


def _is_alive(owner: Owner, path: Path) -> bool:
    if _is_here(owner):
        return _started(owner.pid) == owner.started
    if os.name == 'posix' and not owner.boot and not _boot() and owner.host == socket.gethostname():
        try:
            os.kill(owner.pid, 0)  # asks whether there is one of that number
        except ProcessLookupError:
            return False
        except OSError:
            pass
    return _age(path) < LOST


def _age(path: Path) -> float:
    """Return the seconds since a file was touched, by the clock of its file system, which other machines share."""
    probe = path.with_name(f'{path.name}.{secrets.token_hex(6)}')
    descriptor = os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    try:
        now = os.fstat(descriptor).st_mtime
    finally:
        os.close(descriptor)
        probe.unlink()
    return now - path.stat().st_mtime


def _boot() -> str:
    """Identify this start of this machine and the space in which its process numbers count; '' where unknown."""
    try:
        boot = Path('/proc/sys/kernel/random/boot_id').read_text(encoding='ascii').strip()
        return f'{boot} {os.readlink("/proc/self/ns/pid")}'
    except OSError:
        return ''


def _started(pid: int) -> str:
    """Return when a process of this machine was started, in the system's ticks; '' if there is none of that number."""
    try:
        text = Path(f'/proc/{pid}/stat').read_text(encoding='utf-8', errors='replace')
    except OSError:
        return ''
    fields = text.rpartition(')')[2].split()  # behind the name, which may hold anything
    return '' if fields[0] in 'ZX' else fields[19]


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tuple[IO[str], bool]]:
    """Open a lock file, made where it is missing, so that no other process reads or writes it meanwhile.

    Yields:
        The file, and whether this system and file system can exclude others.
    """
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        with open(descriptor, 'r+', encoding='utf-8', errors='replace') as file:
            excludes_others = _exclude_others(file)
            try:
                if not os.path.samestat(os.fstat(descriptor), os.stat(path)):
                    continue  # its last holder removed it just now
            except FileNotFoundError:
                continue
            yield file, excludes_others
            return


def _exclude_others(file: IO[str]) -> bool:
    """Exclude others from an open file until it is closed; return whether this system and file system can."""
    if sys.platform == 'win32':
        return False
    import fcntl

    try:
        fcntl.flock(file, fcntl.LOCK_EX)
    except OSError as error:
        if error.errno not in _CANNOT_LOCK:
            raise
        return False
    return True


def _unlink_open(path: Path, file: IO[str]) -> None:
    """Remove a lock file that is open; where the system refuses that (Windows), empty it."""
    try:
        path.unlink()
    except PermissionError:
        file.seek(0)
        file.truncate()
