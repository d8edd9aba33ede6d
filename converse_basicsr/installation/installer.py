"""pip as a process of its own: its output in a log, its temporary files in one folder, its errors in one line."""

import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic
from converse_basicsr.installation import interrupts
from converse_basicsr.installation.distributions import shown

_LAST_LINES = 4
"""Lines of the log that follow an error whose cause is unknown."""

_CAUSES = {
    'no such option': 'this pip is too old: run: python -m pip install --upgrade pip',
    'No space left on device': 'the disk is full',
    'ResolutionImpossible': 'what is installed leaves room for no version of it',
    'Could not find a version that satisfies': 'the package index cannot be reached, or does not have it',
    'No matching distribution found': 'the package index cannot be reached, or does not have it',
}
"""What pip says, and what to tell about it."""

_SAY_LITTLE = ('hint:', 'note:', 'WARNING:', '[end of output]', '[notice]', '╰─>', '×')
"""Beginnings of lines around the error in the output of pip."""


def require_suitable_environment() -> None:
    """Refuse environments that must not be written into, or cannot be.

    Raises:
        UserError: If the environment belongs to the operating system (PEP 668), or is read-only.
    """
    site_packages = Path(sysconfig.get_path('purelib'))
    is_system = sys.prefix == sys.base_prefix
    marker = Path(sysconfig.get_path('stdlib')) / 'EXTERNALLY-MANAGED'
    if is_system and marker.is_file() and os.environ.get('PIP_BREAK_SYSTEM_PACKAGES', '0') in ('', '0', 'false'):
        raise UserError(
            f'the packages of this Python ({shown(sys.prefix)}) are managed by its operating system: make a virtual '
            'environment (python3 -m venv FOLDER), install PyTorch and this package there, and run basicsr setup there'
        )
    if not os.access(site_packages, os.W_OK):
        raise UserError(
            f'{shown(site_packages)} is read-only: make a virtual environment of yours (python3 -m venv '
            '--system-site-packages FOLDER sees what is installed here) and run basicsr setup there'
        )


class Installer:
    """pip for the running Python.

    Args:
        work: An empty folder for temporary files and the log; who made it removes it.

    Raises:
        UserError: If there is neither pip nor uv, from which pip can be had.
    """

    def __init__(self, work: Path) -> None:
        self._log = work / 'log'
        (work / 'temporary').mkdir()
        self._environment = {
            **os.environ,
            'PYTHONIOENCODING': 'utf-8:backslashreplace',
            'PYTHONSAFEPATH': '1',
            'PIP_DISABLE_PIP_VERSION_CHECK': '1',
            'PIP_NO_INPUT': '1',
            'PIP_USER': '0',
            **dict.fromkeys(('TMPDIR', 'TEMP', 'TMP'), str(work / 'temporary')),
        }
        self.name = 'pip'
        if importlib.util.find_spec('pip') is None:
            self._fetch_pip(work / 'fetched')

    def _fetch_pip(self, folder: Path) -> None:
        uv = shutil.which('uv')
        if uv is None:
            raise UserError(
                f'this Python ({shown(sys.executable)}) has no pip, and there is no uv: '
                'run: python -m ensurepip --upgrade, or install uv'
            )
        self.name = f'pip, fetched by {shown(uv)} for this time only'
        command = [uv, 'pip', 'install', '--python', sys.executable, '--target', str(folder), 'pip']
        self._run(command, [], 'uv could not fetch pip')
        index = os.environ.get('UV_DEFAULT_INDEX') or os.environ.get('UV_INDEX_URL')
        if index:
            self._environment.setdefault('PIP_INDEX_URL', index)
        self.search_first(folder)

    def search_first(self, folder: Path) -> None:
        """Let pip, and what it starts, import from a folder before all others."""
        paths = [str(folder), *filter(None, [self._environment.get('PYTHONPATH')])]
        self._environment['PYTHONPATH'] = os.pathsep.join(paths)

    def run(self, *arguments: str, failure: str) -> None:
        """Run pip; Ctrl-C ends it.

        Args:
            arguments: Its command and their arguments.
            failure: What to say when it fails.

        Raises:
            UserError: If it fails; with the last lines of the log, which is kept then.
        """
        self._run([sys.executable, '-m', 'pip'], arguments, failure)

    def install(self, pinned: Sequence[str], folder: Path, *, failure: str) -> None:
        """Install wheels that lie in a folder, all of them: Ctrl-C is heard afterwards.

        They are named by version, not by file: pip would note the file as where they come from.

        Args:
            pinned: Distributions, as ``name==version``.
            folder: Where their wheels lie.
            failure: What to say when it fails.

        Raises:
            UserError: As :meth:`run`.
            KeyboardInterrupt: After Ctrl-C.
        """
        arguments = ('install', '--no-index', '--no-deps', '--find-links', str(folder), *pinned)
        with interrupts.deferred():
            self.run(*arguments, failure=failure)

    def _run(self, command: list[str], arguments: Sequence[str], failure: str) -> None:
        start = self._size_of_log()
        atomic.append(self._log, f'\n$ {" ".join([*command, *arguments])}\n')
        with self._log.open('ab') as log:
            process = subprocess.Popen(
                [*command, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._log.parent,
                env=self._environment,
                start_new_session=os.name != 'nt',  # the Ctrl-C of the terminal reaches this process alone
                creationflags=getattr(subprocess, 'CREATE_NEW_PROCESS_GROUP', 0),
            )
            try:
                process.wait()
            except KeyboardInterrupt:
                _end(process)
                raise
        if process.returncode:
            self._fail(failure, start)

    def _size_of_log(self) -> int:
        return self._log.stat().st_size if self._log.exists() else 0

    def _fail(self, failure: str, start: int) -> None:
        """Raise the error, with the log in a place that stays, and with its last lines where the cause is unknown."""
        with tempfile.NamedTemporaryFile(prefix='basicsr_setup_', suffix='.log', delete=False) as kept:
            pass
        atomic.write_bytes(Path(kept.name), self._log.read_bytes())
        output = self._log.read_bytes()[start:].decode('utf-8', 'backslashreplace')
        cause = next((cause for sign, cause in _CAUSES.items() if sign in output), '')
        if cause:
            raise UserError(f'{failure}: {cause}; the log: {kept.name}')
        lines = [line.strip() for line in output.splitlines()[2:]]
        telling = [line for line in lines if line and not line.startswith(_SAY_LITTLE)]
        raise UserError(f'{failure}; the log: {kept.name}; it ends in:', *telling[-_LAST_LINES:])


def _end(process: 'subprocess.Popen[bytes]') -> None:
    """End a process and those it has started; all that they leave is in the temporary folder."""
    if hasattr(os, 'killpg'):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()
