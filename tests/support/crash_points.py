"""Disturb everything that the product writes at each of its system calls, and see that nothing is lost.

    python tests/support/crash_points.py                  # all scenarios, all faults: a table
    python tests/support/crash_points.py 'network, pth'   # some
    python tests/support/crash_points.py --quick          # the faults that the tests try

A scenario is run once undisturbed, which counts its calls. Then it is run once for each call and fault: killed before
it, killed in its midst, refused (once, or from then on), cut short. After each, in a fresh process:

- every name holds its whole old or its whole new content, and no file of the user's has changed;
- an error is one line, and leaves no temporary file behind; where no error is told, the result is there;
- the repeated command ends with exactly the result of the undisturbed run.

Linux, with a C compiler.
"""

import argparse
import errno
import functools
import hashlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch
from fault_commands import Act
from fault_scenarios import SCENARIOS, Scenario, content
from faults import Fault, Mode, Outcome, missing, run
from tqdm import tqdm

Tree = dict[str, str]
"""Content of each file below a folder, in a few letters."""

ERRORS = (errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT)
TEMPORARY = re.compile(r'(.*/)?\.[^/]+\.[0-9a-f]{12}\.tmp')
LOCK = re.compile(r'(.*/)?\.[^/]+\.lock(\.[0-9a-f]{12})?')
"""A dead process's lock stays; whoever comes next takes it over."""

OF_THE_USER = {
    'notes.txt': 'mine', '.result.png.tmp': 'mine', 'net_g_best_2.pth': 'mine', 'page.md.part': 'mine',
    'mine.partial/lock': 'mine', '.run.lock.mine': 'mine', '.page.md.0123.tmp': 'mine',
}  # fmt: skip
"""Planted beside everything: none of them is ours, though some names look like it."""


@dataclass
class Count:
    """What was tried on a scenario, and what did not hold.

    Attributes:
        points: System calls at which it was disturbed.
        runs: Disturbed runs.
        problems: One line for each run after which something did not hold.
    """

    points: int = 0
    runs: int = 0
    problems: list[str] = field(default_factory=list)


def faults_of(kinds: str, *, quick: bool, only_kills: bool) -> Iterator[Fault]:
    """Enumerate the faults of a command whose calls are of these kinds."""
    for at, kind in enumerate(kinds):
        yield Fault(Mode.KILL, at)
        if kind == 'W':
            yield Fault(Mode.KILL_HALF, at)
        if only_kills:
            continue
        yield Fault(Mode.FAIL, at, errno.ENOSPC, lasting=True)
        yield Fault(Mode.FAIL, at, errno.EIO)
        if not quick:
            if kind == 'W':
                yield Fault(Mode.SHORT, at)
            yield from (Fault(Mode.FAIL, at, error, lasting=True) for error in ERRORS if error != errno.ENOSPC)
            yield from (Fault(Mode.FAIL, at, error) for error in ERRORS if error != errno.EIO)
    yield Fault(Mode.SHORT, 0, lasting=True)
    yield Fault(clock=True)


def try_all(scenario: Scenario, *, quick: bool, show: bool = False) -> Count:
    """Disturb a scenario at every call."""
    memory = Path('/dev/shm')  # nothing is waited for there
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        trial = Trial(scenario, Path(folder))
        count = Count(points=len(trial.kinds))
        faults = list(faults_of(trial.kinds, quick=quick, only_kills=quick and scenario.costly))
        for fault in tqdm(faults, leave=False, disable=not show):
            count.runs += 1
            count.problems += [f'{fault} ({trial.kind(fault)}): {problem}' for problem in trial.problems_after(fault)]
    return count


class Trial:
    """The undisturbed run of a scenario, and disturbed ones beside it.

    Args:
        scenario: What is tried.
        folder: An empty folder for it.
    """

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario = scenario
        self.root, self.start = folder / 'root', folder / 'start'
        self.root.mkdir()
        self._do(scenario.build, 'building')
        for name, text in OF_THE_USER.items():
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(text)
        shutil.copytree(self.root, self.start, symlinks=True)
        self.before = self._tree()
        self.kinds = self._do(scenario.run, 'the undisturbed run').kinds
        self.after = self._tree()
        if touched := [name for name in OF_THE_USER if self.after.get(name) != self.before[name]]:
            raise AssertionError(f'the undisturbed run touches files of the user: {touched}')
        # The order of some calls may depend on the address of things; what a run ends with may not.
        self._restart()
        self._do(scenario.run, 'the second undisturbed run')
        different = self._differences(self._tree(), exact=self.after)
        if different:
            raise AssertionError(f'two undisturbed runs differ: {different}')

    def kind(self, fault: Fault) -> str:
        """Name the call that a fault concerns by its letter."""
        return self.kinds[fault.at] if fault.at >= 0 else '-'

    def problems_after(self, fault: Fault) -> list[str]:
        """Run the scenario under a fault; return what does not hold then."""
        self._restart()
        outcome = run(functools.partial(self.scenario.run, self.root), self.root, fault)
        report = run(functools.partial(self._inspect_and_repeat, outcome, fault), self.root, Fault())
        found = report.value if report.ending == 'done' else [f'repeated: {report.ending} {report.text}']
        return self._problems_of(outcome, fault) + found

    def _problems_of(self, outcome: Outcome, fault: Fault) -> list[str]:
        kills = fault.mode in (Mode.KILL, Mode.KILL_HALF)
        if outcome.ending in ('crashed', 'hung') or (outcome.ending == 'killed' and not kills):
            return [f'{outcome.ending}: {outcome.text}']
        if outcome.ending in ('done', 'killed'):
            return []
        refused = outcome.ending in self.scenario.refusals
        if fault.mode != Mode.FAIL and not refused:
            return [f'an error without cause: {outcome.ending} {outcome.text}']
        if not outcome.is_refusal and not refused:
            return [f'{outcome.ending}: {outcome.text}']
        return [] if '\n' not in outcome.text else [f'more than one line: {outcome.text!r}']

    def _inspect_and_repeat(self, outcome: Outcome, fault: Fault) -> list[str]:
        """Return what is wrong with the files that a fault has left, and after the command is repeated."""
        now = read_tree(self.root, self.scenario)
        is_complete = outcome.ending == 'done' and not self._may_not_delete(fault)
        problems = self._differences(now, exact=self.after if is_complete else None)
        may_stay = outcome.ending == 'killed' or self._may_not_delete(fault)
        temporaries = [] if may_stay else [name for name in self._names() if TEMPORARY.fullmatch(name)]
        problems += [f'{name} is left' for name in temporaries] + self.scenario.invariant(self.root)
        (self.scenario.again or self.scenario.run)(self.root)
        now = read_tree(self.root, self.scenario)
        return problems + [f'repeated: {line}' for line in self._differences(now, exact=self.after)]

    def _may_not_delete(self, fault: Fault) -> bool:
        return fault.mode == Mode.FAIL and (
            (fault.lasting and fault.error not in (errno.ENOSPC, errno.EDQUOT)) or self.kind(fault) == 'D'
        )

    def _differences(self, now: Tree, exact: Tree | None = None) -> list[str]:
        """Compare files with what they must be: ``exact``, or else what they were before or are afterwards."""
        problems = []
        for name in sorted({*now, *self.before, *self.after, *(exact or {})}):
            allowed = {self.before.get(name), self.after.get(name)} if exact is None else {exact.get(name)}
            if exact is None and re.fullmatch(self.scenario.may_miss, name):
                allowed.add(None)
            if now.get(name) not in allowed:
                problems.append(f'{name} is {now.get(name)}, not {" or ".join(map(str, allowed))}')
        return problems

    def _tree(self) -> Tree:
        return self._do(functools.partial(read_tree, scenario=self.scenario), 'reading').value

    def _names(self) -> list[str]:
        return [path.relative_to(self.root).as_posix() for path in self.root.rglob('*')]

    def _restart(self) -> None:
        shutil.rmtree(self.root)
        shutil.copytree(self.start, self.root, symlinks=True)

    def _do(self, act: Act, what: str) -> Outcome:
        outcome = run(functools.partial(act, self.root), self.root, Fault())
        if outcome.ending != 'done':
            raise AssertionError(f'{what} failed: {outcome.ending} {outcome.text}')
        return outcome


def read_tree(root: Path, scenario: Scenario) -> Tree:
    """Describe the files below a folder but for unfinished work."""
    tree = {}
    for path in sorted(root.rglob('*')):
        name = path.relative_to(root).as_posix()
        left_out = TEMPORARY.fullmatch(name) or LOCK.fullmatch(name) or re.fullmatch(scenario.work, name)
        unasked = scenario.results and name not in OF_THE_USER and not re.fullmatch(scenario.results, name)
        if path.is_file() and not left_out and not unasked:
            tree[name] = hashlib.sha256(content(path)).hexdigest()[:8]
    return tree


def main() -> int:
    """Print the table; return 1 where something did not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('scenarios', nargs='*', metavar='SCENARIO', help=f'some of: {"; ".join(SCENARIOS)}')
    parser.add_argument('--quick', action='store_true', help='fewer kinds of errors')
    args = parser.parse_args()
    prepare_process()
    if why := missing():
        parser.error(why)
    total = Count()
    print(f'{"scenario":<24} {"calls":>6} {"runs":>7} {"failed":>7} {"s":>6}')
    for name in args.scenarios or SCENARIOS:
        started = time.monotonic()
        count = try_all(SCENARIOS[name], quick=args.quick, show=sys.stderr.isatty())
        print(f'{name:<24} {count.points:6} {count.runs:7} {len(count.problems):7} {time.monotonic() - started:6.0f}')
        print(''.join(f'    {problem}\n' for problem in count.problems), end='', flush=True)
        total.points, total.runs = total.points + count.points, total.runs + count.runs
        total.problems += count.problems
    print(f'{"all":<24} {total.points:6} {total.runs:7} {len(total.problems):7}')
    return 1 if total.problems else 0


def prepare_process() -> None:
    """Import what scenarios need, and keep to one thread: only then can the process be forked."""
    os.environ['OMP_NUM_THREADS'] = '1'
    torch.set_num_threads(1)
    tqdm.monitor_interval = 0
    import converse_basicsr

    converse_basicsr.register()
    import converse_basicsr.restore.checkpoint
    import converse_basicsr.training.pipeline


if __name__ == '__main__':
    sys.exit(main())
