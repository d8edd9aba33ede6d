"""A wheel of BasicSR, from the package index or from what the user has, built without a second PyTorch.

BasicSR 1.4.2 is published as a source package only. Its ``setup.py`` names PyTorch among the requirements of the build,
so an isolated build downloads it again; built without isolation it needs setuptools alone. And it reads its version by
``exec`` in a function whose ``locals()`` it looks at afterwards, which find nothing since Python 3.13 (PEP 667).
"""

import base64
import hashlib
import importlib.util
import os
import re
import shutil
import zipfile
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from converse_basicsr.errors import UserError
from converse_basicsr.files import atomic
from converse_basicsr.installation import distributions
from converse_basicsr.installation.installer import Installer
from converse_basicsr.installation.needed import INSTALLED_FOR
from converse_basicsr.messages import tell

REQUIREMENT = 'basicsr>=1.4.2'

_SETUPTOOLS_WITH_WHEELS = (70, 1)
"""Version from which setuptools builds wheels by itself."""

_NOT_COPIED = {'.git', '.venv', 'venv', 'build', 'dist', 'datasets', 'experiments', 'results', 'tb_logger', 'wandb'}
"""Folders of a clone that its package is not made of, some of them large."""

START_UP = '''\
"""Runs before setup.py does: what `exec` assigns in a function is in its `locals()` afterwards, as before 3.13."""

import sys

_folder, _own = __file__.rpartition('sitecustomize')[0].rstrip('/\\\\'), sys.modules.pop(__name__)


def _patch():
    import builtins

    run = builtins.exec

    def run_in_caller(source, /, globals=None, locals=None, **more):
        if globals is None:
            caller = sys._getframe(1)
            globals, locals = caller.f_globals, caller.f_locals if locals is None else locals
        run(source, globals, locals, **more)

    builtins.exec = run_in_caller


def _start_the_usual():
    """Run the sitecustomize of this Python, which stands behind this one."""
    path = sys.path[:]
    sys.path[:] = [entry for entry in path if entry.rstrip('/\\\\') != _folder]
    try:
        import sitecustomize
    except ModuleNotFoundError as error:
        if error.name != 'sitecustomize':
            raise
    finally:
        sys.path[:] = path + [entry for entry in sys.path if entry not in path]


_start_the_usual()
_patch()
sys.modules.setdefault(__name__, _own)
'''
"""``sitecustomize.py`` for the processes of the build alone."""


def obtain(source: Path | None, installer: Installer, work: Path) -> Path:
    """Get a wheel of BasicSR.

    Args:
        source: A wheel, a source package (``.tar.gz``, ``.zip``) or a folder of sources; the package index if None.
        installer: What fetches and builds.
        work: Folder for temporary files, in which the wheel lies afterwards.

    Raises:
        UserError: If the source is none of these, or the wheel can be neither fetched nor built.
    """
    if source is not None and source.suffix == '.whl':
        require_basicsr_in(source)
        return source
    prepare_build(installer, work)
    built = work / 'built'
    tell(f'building a wheel of {"BasicSR, from the package index" if source is None else source}')
    installer.run(
        'wheel',
        *('--no-deps', '--no-build-isolation', '--use-pep517', '--wheel-dir', str(built)),
        REQUIREMENT if source is None else str(_copied(source, work)),
        failure=f'BasicSR could not be {"fetched" if source is None else "made"}'
        f'{" (--from FILE takes its source package or a wheel)" if source is None else f" of {source}"}',
    )
    wheels = sorted(built.glob('*.whl'))
    if len(wheels) != 1:
        raise UserError(f'{source or REQUIREMENT}: must give one wheel, gave {len(wheels)}')
    require_basicsr_in(wheels[0])
    return exchange_requirements(wheels[0], work / 'exchanged')


def require_source(source: Path) -> None:
    """Refuse what BasicSR cannot be made of, before anything is begun.

    Raises:
        UserError: If it is missing, or none of the kinds that :func:`obtain` takes.
    """
    if not source.exists():
        raise UserError(f'--from {source} does not exist')
    if source.is_dir():
        if not any((source / name).is_file() for name in ('setup.py', 'pyproject.toml')):
            raise UserError(f'--from {source}: a folder of sources has a setup.py, and this one has none')
    elif not source.name.endswith(('.whl', '.tar.gz', '.zip')):
        raise UserError(f'--from {source}: must be a wheel (.whl), a source package (.tar.gz, .zip) or a folder of one')


def require_basicsr_in(wheel: Path) -> None:
    """Refuse wheels of other packages, and files that are no wheels.

    Raises:
        UserError: If the package ``basicsr`` is not in it.
    """
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile) as error:
        raise UserError(f'{wheel} is no wheel that can be read: {error}') from None
    if 'basicsr/__init__.py' not in names:
        raise UserError(f'{wheel} holds no package basicsr')


def requirements(wheel: Path) -> list[str]:
    """List what a wheel needs at run time, without that of its extras."""
    stated = _metadata(wheel).get_all('Requires-Dist', [])
    return [requirement for requirement in stated if not re.search(r';.*\bextra\s*==', requirement)]


def pinned(wheel: Path) -> str:
    """Return what a wheel holds as ``name==version``."""
    metadata = _metadata(wheel)
    return f'{metadata["Name"]}=={metadata["Version"]}'


def _metadata(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        return BytesParser().parsebytes(archive.read(_path_in(archive, 'METADATA')))


def _path_in(archive: zipfile.ZipFile, name: str) -> str:
    """Find a file of a wheel's metadata."""
    (path,) = [path for path in archive.namelist() if re.fullmatch(rf'[^/]+\.dist-info/{name}', path)]
    return path


def exchange_requirements(wheel: Path, folder: Path) -> Path:
    """Write a wheel anew whose metadata ask for what :data:`.needed.INSTALLED_FOR` names.

    Else pip would go on to miss what BasicSR names, and install it over what stands in for it.

    Args:
        wheel: The wheel; it is kept.
        folder: Where the new one is written, under the same name.

    Returns:
        The new wheel.
    """
    folder.mkdir()
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(folder / wheel.name, 'w', zipfile.ZIP_DEFLATED) as new:
        metadata, record = (_path_in(old, name) for name in ('METADATA', 'RECORD'))
        content = old.read(metadata)
        for named, installed in INSTALLED_FOR.items():
            pattern = rf'^(Requires-Dist: ){re.escape(named)}(?![\w.-])'
            content = re.sub(pattern.encode(), rf'\g<1>{installed}'.encode(), content, flags=re.M)
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()
        line = f'{metadata},sha256={digest},{len(content)}'
        entries = old.read(record).decode('utf-8').splitlines()
        entries = [line if entry.startswith(f'{metadata},') else entry for entry in entries]
        changed = {metadata: content, record: ''.join(f'{entry}\n' for entry in entries).encode()}
        for item in old.infolist():
            new.writestr(item, changed.get(item.filename) or old.read(item))
    return folder / wheel.name


def prepare_build(installer: Installer, work: Path) -> None:
    """Put what a build needs, and this Python lacks, first on the module path of the processes that build."""
    lacking = _lacking_build_tools()
    if lacking:
        tell(f'fetching {lacking[0]}, for the build only')
        tools = work / 'tools'
        installer.run(
            *('install', '--target', str(tools), *lacking),
            failure=f'{lacking[0]}, which the build needs, could not be fetched (--from FILE.whl needs no build)',
        )
        installer.search_first(tools)
    start_up = work / 'start_up'
    start_up.mkdir()
    atomic.write_text(start_up / 'sitecustomize.py', START_UP, durable=False)
    installer.search_first(start_up)


def _lacking_build_tools() -> list[str]:
    """Name what the build needs and this Python lacks."""
    numbers = tuple(int(number) for number in re.findall(r'\d+', distributions.version('setuptools'))[:2])
    suffices = numbers >= _SETUPTOOLS_WITH_WHEELS or (numbers and importlib.util.find_spec('wheel') is not None)
    return [] if suffices else ['setuptools']


def _copied(source: Path, work: Path) -> Path:
    """Copy a folder of sources, which a build writes into; archives are unpacked by pip."""
    if not source.is_dir():
        return source.absolute()
    copy = work / 'source'
    top = os.fspath(source)
    shutil.copytree(
        source, copy, symlinks=True, ignore=lambda folder, names: _NOT_COPIED & {*names} if folder == top else ()
    )
    return copy
