"""Install BasicSR into the environment of the running Python (``basicsr setup``).

Everything is fetched and built in a temporary folder first; the environment is touched at the end, by two runs of pip
that Ctrl-C does not cut short.
"""

import contextlib
import importlib
import sys
import sysconfig
import tempfile
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic
from converse_basicsr.files.lock import locked
from converse_basicsr.installation import combinations, distributions, interrupts, needed, wheel
from converse_basicsr.installation.installer import Installer, require_suitable_environment
from converse_basicsr.installation.probing import probe
from converse_basicsr.messages import tell

LOCK = '.basicsr_setup.lock'
"""In the environment's site-packages, while they are changed."""


def set_up(*, source: Path | None = None, keep: Path | None = None, dry_run: bool = False) -> list[str]:
    """Install BasicSR and what it needs, unless there is one, of any kind.

    Args:
        source: Wheel, source package or folder of sources to take instead of the package index.
        keep: Folder for the wheel, which installs on other machines.
        dry_run: Do all but the installation.

    Returns:
        What was done, or would be, in lines.

    Raises:
        UserError: If it cannot be installed, another process is installing it, or it cannot be imported afterwards.
        KeyboardInterrupt: After Ctrl-C; the environment is as it was, or whole.
    """
    found = distributions.find('basicsr')
    if found is not None and keep is None:
        require_working()
        return [f'BasicSR is installed, and used as it is: {found}']
    if source is not None:
        wheel.require_source(source)
    version = needed.require_torch()
    if found is None:
        require_suitable_environment()
    with (
        interrupts.as_ctrl_c(),
        tempfile.TemporaryDirectory(prefix='basicsr_setup_', ignore_cleanup_errors=True) as folder,
    ):
        work = Path(folder)
        installer = Installer(work)
        python = '.'.join(map(str, sys.version_info[:3]))
        tell(f'Python {python} in {distributions.shown(sys.prefix)}, PyTorch {version}; by {installer.name}')
        built = wheel.obtain(source, installer, work).absolute()
        lines = [] if keep is None else [_kept(built, keep)]
        if found is not None:
            return [*lines, f'BasicSR is installed, and used as it is: {found}']
        # Jobs of a cluster that share an environment may all begin with `basicsr setup`.
        place = Path(sysconfig.get_path('purelib'), LOCK)
        shown = f'the environment {distributions.shown(sys.prefix)}'
        with contextlib.nullcontext() if dry_run else locked(place, shown):
            return [*lines, *_install(built, installer, work, dry_run=dry_run)]


def _install(built: Path, installer: Installer, work: Path, *, dry_run: bool) -> list[str]:
    """Install a wheel after what it needs."""
    wheels, pinned = work / 'needed', []
    lacking = needed.absent(wheel.requirements(built), distributions.installed())
    if lacking:
        tell(f'absent of what BasicSR needs: {", ".join(lacking)}')
        pinned = needed.resolve(lacking, installer, work)
    if dry_run:
        return [f'would install {name}' for name in (*pinned, built.name)]
    if pinned:
        tell(f'fetching {", ".join(pinned)}')
        needed.fetch(pinned, installer, wheels)
        tell(f'installing what was fetched ({len(pinned)})')
        installer.install(pinned, wheels, failure='what BasicSR needs could not be installed')
    tell(f'installing {built.name}')
    installer.install([wheel.pinned(built)], built.parent, failure='BasicSR could not be installed')
    importlib.invalidate_caches()
    tell('importing it in a new process')
    require_working()
    return [f'installed, and works: {distributions.find("basicsr")}']


def _kept(built: Path, folder: Path) -> str:
    """Copy the wheel to where its user wants it."""
    folder.mkdir(parents=True, exist_ok=True)
    atomic.write_bytes(folder / built.name, built.read_bytes())
    return f'kept {folder / built.name}'


def require_working() -> None:
    """Import BasicSR, with the patches of this package, in a process of its own.

    Raises:
        UserError: If that fails.
    """
    outcome = probe('basicsr')
    if outcome.error:
        found = distributions.find('basicsr')
        raise UserError(
            f'BasicSR is installed ({found}), but cannot be imported: {outcome.error}; '
            f'{combinations.remedy_of_import("basicsr", outcome.error)}'
        )
