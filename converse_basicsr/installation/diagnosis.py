"""Examine this Python, its packages and devices, and say what can run here (``basicsr doctor``)."""

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from converse_basicsr import packages
from converse_basicsr.installation import combinations, distributions
from converse_basicsr.installation.needs import CORE, DISTRIBUTIONS, NEEDS, WITH_BASICSR, Need, remedy
from converse_basicsr.installation.probing import Outcome, probe_all
from converse_basicsr.version import __version__

OPTIONAL = (
    *('tensorboard', 'matplotlib', 'safetensors', 'onnx', 'onnxruntime', 'onnxscript', 'spandrel', 'mmengine', 'mmcv'),
    'wandb',
)
"""Packages, by their names in ``import``, whose absence is no fault."""

GIB = 2**30

ABSENT, UNKNOWN = 'absent', 'of unknown version'


@dataclass(frozen=True)
class Readiness:
    """Whether some commands can run here.

    Attributes:
        commands: The commands.
        lacks: Packages that are absent, or cannot be imported.
        remedy: The command that brings them; empty where all is there.
    """

    commands: list[str]
    lacks: list[str]
    remedy: str


@dataclass(frozen=True)
class Diagnosis:
    """What was found.

    Attributes:
        system: Python, operating system, processors, memory and space, by name.
        packages: Versions by the names in ``import``, with the distribution where that has another name.
        devices: Accelerators that torch can use, by its names for them.
        commands: What can run here.
        faults: What is broken, and what to do; each on one line.
        notes: What may do harm, and what to do.
    """

    system: dict[str, str]
    packages: dict[str, str]
    devices: dict[str, str]
    commands: list[Readiness]
    faults: list[str]
    notes: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)

    def lines(self) -> Iterator[str]:
        """Yield it as text, a section for each part."""
        for title, facts in (('system', self.system), ('packages', self.packages), ('devices', self.devices)):
            yield f'{title}:'
            yield from (f'  {name}: {value}' for name, value in facts.items())
        yield 'commands:'
        for group in self.commands:
            state = f'no, for want of {", ".join(group.lacks)}: {group.remedy}' if group.lacks else 'yes'
            yield f'  {", ".join(group.commands)}: {state}'
        for title, found in (('faults', self.faults), ('notes', self.notes)):
            yield f'{title}: {len(found) or "none"}'
            yield from (f'  {line}' for line in found)


def diagnose() -> Diagnosis:
    """Examine everything; nothing that is broken makes this fail."""
    suppliers = _guarded(metadata.packages_distributions, {})
    names = (*CORE, *WITH_BASICSR, *OPTIONAL)
    present = [name for name in names if _guarded(_is_there, False, name)]
    # BasicSR and its like in one process, as a run has them; what is optional in another.
    needed = [name for name in present if name not in OPTIONAL] + ['devices'] * ('torch' in present)
    outcomes = dict.fromkeys(present, Outcome(error='no process could be started to try it'))
    outcomes.update(_guarded(probe_all, {}, needed))
    outcomes.update(_guarded(probe_all, {}, [name for name in present if name in OPTIONAL]))
    broken = {name: outcomes[name].error for name in present if outcomes[name].error}
    versions = dict.fromkeys(names, ABSENT)
    versions.update({name: _guarded(_version, UNKNOWN, name, suppliers, outcomes) for name in present})
    faults = [f'{name} is absent: pip install {_distribution(name)}' for name in CORE if name not in present]
    faults += [
        f'{name} ({versions[name]}) cannot be imported: {error}; '
        f'{_guarded(combinations.remedy_of_import, "reinstall it", name, error)}'
        for name, error in broken.items()
    ]
    return Diagnosis(
        system=dict(_system()),
        packages={'converse_basicsr': __version__, **versions},
        devices=_devices(outcomes),
        commands=[_readiness(need, present, broken) for need in NEEDS],
        faults=[*faults, *_guarded(combinations.faults, [])],
        notes=[*_guarded(combinations.notes, [], suppliers), *_guarded(_notes_of_system, [], outcomes)],
    )


def _guarded(function: Callable[..., Any], default: Any, *arguments: Any) -> Any:
    """Call what reads things that may be damaged."""
    try:
        return function(*arguments)
    except Exception:
        return default


def _is_there(name: str) -> bool:
    return distributions.find(name) is not None if name == packages.BASICSR else packages.is_installed(name)


def _readiness(need: Need, present: Collection[str], broken: Collection[str]) -> Readiness:
    absent = [name for name in need.packages if name not in present]
    lacks = [*absent, *(name for name in need.packages if name in broken)]
    return Readiness(list(need.commands), lacks, remedy(need, absent) if absent else 'see the faults' if lacks else '')


def _distribution(name: str) -> str:
    return DISTRIBUTIONS.get(name, name)


def _version(name: str, suppliers: Mapping[str, list[str]], outcomes: Mapping[str, Outcome]) -> str:
    """Return the version of a package, with what supplies it where that has another name."""
    versions = [f'{one} {distributions.version(one)}' for one in sorted({*suppliers.get(name, ())})]
    text = ' and '.join(versions) or UNKNOWN
    if distributions.normalised(text.partition(' ')[0]) == distributions.normalised(name) and len(versions) == 1:
        text = text.partition(' ')[2]
    facts = outcomes[name].facts
    if 'built for' in facts:
        text = f'{facts["version"]}, {facts["built for"]}'
    if name == packages.BASICSR:
        found = distributions.find(name)
        if found is not None and (found.is_editable or not found.distribution):
            text = str(found)
    return text


def _devices(outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    outcome = outcomes.get('devices', Outcome(error='torch is absent'))
    found = {'unknown': outcome.error} if outcome.error else outcome.facts
    return {**(found or {'accelerators': 'none'}), 'cpu threads of torch': _threads(outcomes)}


def _threads(outcomes: Mapping[str, Outcome]) -> str:
    return outcomes.get('torch', Outcome()).facts.get('threads', 'unknown')


def _system() -> Iterator[tuple[str, str]]:
    """Yield what is known without any package."""
    readers: dict[str, Callable[[], str]] = {
        'python': lambda: (
            f'{platform.python_version()} ({platform.python_implementation()}), {distributions.shown(sys.executable)}'
        ),
        'environment': lambda: 'virtual' if sys.prefix != sys.base_prefix else 'not virtual',
        'os': platform.platform,
        'cpu': lambda: f'{_cpu() or platform.machine()}, {_cpus()} usable',
        'memory': lambda: f'{os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB:.1f} GiB',
        'OMP_NUM_THREADS': lambda: os.environ.get('OMP_NUM_THREADS', 'not set'),
        'free in the current folder': lambda: _free('.'),
        'free in /dev/shm': lambda: _free('/dev/shm'),
    }
    for name, read in readers.items():
        value = _guarded(read, '')
        if value:
            yield name, value


def _cpus() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def _cpu() -> str:
    """Name the processor."""
    table = Path('/proc/cpuinfo')
    match = re.search(r'^model name\s*:\s*(.+)$', table.read_text(), re.M) if table.exists() else None
    return match[1].strip() if match else platform.processor()


def _free(folder: str) -> str:
    return f'{shutil.disk_usage(folder).free / GIB:.1f} GiB'


def _notes_of_system(outcomes: Mapping[str, Outcome]) -> list[str]:
    """List what the machine has, and cannot be used as it is."""
    notes = []
    built_for = outcomes.get('torch', Outcome()).facts.get('built for', '')
    devices = outcomes.get('devices', Outcome()).facts
    if built_for and shutil.which('nvidia-smi') and not any(name.startswith('cuda') for name in devices):
        notes.append(
            f'there is an NVIDIA driver, and this PyTorch ({built_for}) cannot use it: install the build that its '
            'site names for this driver (https://pytorch.org/get-started/locally)'
        )
    shared = Path('/dev/shm')
    if shared.is_dir() and shutil.disk_usage(shared).total < GIB // 4:
        notes.append(
            '/dev/shm is small, and loaders with workers die for want of it (bus error): '
            'docker run --shm-size=8g, or num_worker_per_gpu: 0 in the option file'
        )
    return notes
