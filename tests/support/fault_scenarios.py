"""What the product writes, as small as can be, for :mod:`crash_points`: each case is built, run, and run again."""

import io
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fault_commands as commands
import lmdb
import torch
from fault_commands import LARGE, SMALL, Act, prepare

from converse_basicsr.checkpoints import files
from converse_basicsr.evaluation.measurements import Record
from converse_basicsr.files import atomic
from converse_basicsr.files.lmdb_folder import check_lmdb


def nothing(root: Path) -> list[str]:
    """No invariant beside those of every scenario."""
    return []


@dataclass(frozen=True)
class Scenario:
    """A command and what must hold after it was disturbed.

    Attributes:
        build: Makes what is there before: inputs, older results, files of the user.
        run: The command.
        again: The command that finishes the work after a kill or an error; ``run`` where None.
        work: Names of unfinished work, relative to the root: they may hold anything, and stay after a kill.
        results: Names that are compared; all where None. A log may differ from run to run.
        may_miss: Names of which both versions may be absent until the command is repeated: one folder cannot take the
            place of another in one step.
        invariant: Looks at what a fault has left and returns what is wrong with it.
        refusals: Names of errors that the caller of a part of the product handles, besides UserError and OSError, and
            of those upon writes of half the bytes, which LMDB takes for a full disk.
        slow: Takes more than some seconds.
        costly: Each run takes so long that the tests only kill it.
    """

    build: Act
    run: Act
    again: Act | None = None
    work: str = r'(?!)'
    results: str | None = None
    may_miss: str = r'(?!)'
    invariant: Callable[[Path], list[str]] = nothing
    refusals: tuple[str, ...] = ()
    slow: bool = False
    costly: bool = False


def content(path: Path) -> bytes:
    """Return what a file holds, for comparisons: of formats that are not the same each time, what they say."""
    if path.name == 'data.mdb':
        with lmdb.open(str(path.parent), readonly=True, lock=False) as environment, environment.begin() as transaction:
            return pickle.dumps(list(transaction.cursor()))
    if path.name == 'measured.csv':  # lines are added to it, of which the last may be cut off
        return repr(Record(path).lines).encode()
    if path.suffix == '.pt' and zipfile.is_zipfile(path):
        with torch.no_grad():
            return torch.jit.load(path)(torch.ones(1, 3, 8, 8)).numpy().tobytes()
    if path.suffix == '.state':
        state = files.read(path)
        buffer = io.BytesIO()
        kept = ('params', 'iter', 'epoch', 'optimizers', 'schedulers', 'generators')
        torch.save({key: state[key] for key in kept if key in state}, buffer)
        return buffer.getvalue()
    return path.read_bytes()


def is_whole_or_unfinished(root: Path) -> list[str]:
    """An LMDB that BasicSR would take is whole."""
    return check_lmdb(root / 'gt.lmdb') if (root / 'gt.lmdb/meta_info.txt').exists() else []


def what_is_called_complete_is_whole(root: Path) -> list[str]:
    """Where there is a record, no LMDB is damaged or unfinished."""
    if not (root / 'out/prepare.json').exists():
        return []
    return [f'{path.name} {problem}' for path in (root / 'out').glob('*.lmdb') for problem in check_lmdb(path)]


def write_old_and_new(path: str, write: Act) -> Scenario:
    """A file that replaces an older one."""

    def build(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b'old' * 1000)

    return Scenario(build, write)


SCENARIOS: dict[str, Scenario] = {
    'text': write_old_and_new('page.md', lambda root: atomic.write_text(root / 'page.md', 'new' * 9000)),
    'text, not durable': write_old_and_new(
        'a/page.md', lambda root: atomic.write_text(root / 'a/page.md', 'new' * 9000, durable=False)
    ),
    'text, none replaced': Scenario(lambda root: None, commands.write_only_new, commands.write_only_new_again),
    'network, pth': Scenario(
        commands.build_checkpoints, lambda root: files.write(commands.weights(1), root / 'net_g_1.pth')
    ),
    'training state': Scenario(
        commands.build_checkpoints, lambda root: files.write(commands.weights(1), root / 'net_g_1.state')
    ),
    'network, safetensors': Scenario(
        commands.build_checkpoints, lambda root: files.write(commands.weights(1), root / 'net_g_1.safetensors')
    ),
    'lock': Scenario(lambda root: None, commands.take_and_write),
    'LMDB': Scenario(
        lambda root: None,
        commands.write_lmdb_again,
        work=r'gt\.lmdb(/data\.mdb)?',
        invariant=is_whole_or_unfinished,
        refusals=('Error', 'DiskError', 'ReadonlyError', 'DbsBusyError'),
    ),
    'option files': Scenario(commands.build_options, commands.copy_options),
    'report': Scenario(commands.build_report, commands.report),
    'measurements, first': Scenario(lambda root: None, commands.measure('baby')),
    'measurements, next': Scenario(commands.measure('baby'), commands.measure('bird')),
    'weights, downloaded': Scenario(lambda root: None, commands.fetch, work=r'zoo/.*part.*'),
    'weights, copied': Scenario(
        commands.build_weights, lambda root: commands.fetch(root, root / 'elsewhere'), work=r'zoo/.*part.*'
    ),
    'kernels, replaced': Scenario(
        commands.build_kernels, commands.make_kernels, work=r'out/kernels\.partial.*', may_miss=r'out/.*', slow=True
    ),
    'restored images': Scenario(commands.build_restoring, commands.restore),
    'exported network': Scenario(commands.build_exported, commands.export, slow=True, costly=True),
    'page of a comparison': Scenario(
        commands.build_page,
        commands.write_page,
        slow=True,
        costly=True,
    ),
    'inspected network': Scenario(commands.build_inspected, commands.inspect, slow=True, costly=True),
    'data, LMDBs': Scenario(
        commands.build_images,
        prepare('sr', *SMALL),
        work=r'out/prepare\.partial.*',
        invariant=what_is_called_complete_is_whole,
        refusals=('UserError',),
        slow=True,
    ),
    'data, resumed': Scenario(
        commands.build_unfinished_set,
        prepare('sr', *SMALL),
        work=r'out/prepare\.partial.*',
        invariant=what_is_called_complete_is_whole,
        refusals=('UserError',),
        slow=True,
    ),
    'data, replaced': Scenario(
        commands.build_older_set('sr', *LARGE),
        prepare('sr', *SMALL, '--overwrite'),
        work=r'out/prepare\.partial.*',
        may_miss=r'out/.*',
        invariant=what_is_called_complete_is_whole,
        refusals=('UserError',),
        slow=True,
    ),
    'data, folders': Scenario(commands.build_images, prepare('testset'), work=r'out/prepare_x4\.partial.*', slow=True),
    'data, folders replaced': Scenario(
        commands.build_older_set('testset'),
        prepare('testset', '--overwrite'),
        work=r'out/prepare_x4\.partial.*',
        may_miss=r'out/.*',
        slow=True,
    ),
    'training': Scenario(
        commands.build_training,
        commands.train,
        results=r'experiments/tiny/(models|training_states)/.*|(gt|lq)/.*|run.yml',
        slow=True,
        costly=True,
    ),
}
