"""What may be done in one place only: printing, writing and deleting files, and following names of strangers.

`files/atomic.py` writes, `messages.py` prints, `files/inside.py` deletes what a name says. Each other place that does
one of these by itself stands in a list here, with its reason.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import converse_basicsr

PACKAGE = Path(converse_basicsr.__file__).parent

ALLOWED: dict[str, dict[str, str]] = {
    'print': {
        'messages.py': 'the place itself',
        'benchmark/operator_times.py': 'a number for the process that started this one',
    },
    'write': {
        'files/atomic.py': 'the place itself',
        'files/lock.py': 'a lock is written in place: its file must stay the same one',
        'checkpoints/files.py': 'into the file that `atomic.writing` has opened',
        'benchmark/timing.py': 'no file: a switch of the kernel, in /proc',
        'evaluation/tables.py': 'into memory',
        'installation/installer.py': 'the output of pip, which its own process writes',
        'installation/wheel.py': 'sources, into its own temporary folder',
        'prepare/kernel_bank.py': 'into memory',
        'compare/runs.py': 'the terminal output of a run, which its own process writes',
        'prepare/download.py': 'a download grows in place, under a name of its own, for the next one to go on with',
    },
    'delete': {
        'files/inside.py': 'the place itself',
        'files/atomic.py': 'its own temporary file',
        'files/lock.py': 'its own lock and probe',
        'prepare/folder_writer.py': 'its own half-written images, by the names that the system lists',
    },
}
"""For each kind of call the modules that may make it, and why."""

WRITING_CALLS = {
    'write_text', 'write_bytes', 'imwrite', 'copyfile', 'copy', 'copy2', 'copytree', 'move', 'rename', 'renames',
    'touch', 'truncate', 'symlink_to', 'hardlink_to', 'save_image', 'to_csv', 'savefig', 'savez',
}  # fmt: skip
DELETING_CALLS = {'unlink', 'rmtree', 'remove', 'rmdir', 'removedirs'}
OUR_WRITERS = {'atomic', 'inside'}
"""Names of modules whose functions are the one way, so that `atomic.write_text` is allowed everywhere."""


def calls(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the kind and line of each call that prints, writes or deletes."""
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Call) and (kind := kind_of(node)):
            yield kind, node.lineno


def kind_of(call: ast.Call) -> str:
    """Say what a call does: ``print``, ``write``, ``delete``, or nothing of these."""
    function = call.func
    if isinstance(function, ast.Name):
        name, owner = function.id, ''
    elif isinstance(function, ast.Attribute):
        name, owner = function.attr, function.value.id if isinstance(function.value, ast.Name) else '?'
    else:
        return ''
    if name == 'print' and not owner:
        return 'print'
    if owner in OUR_WRITERS:
        return ''
    if name in DELETING_CALLS and is_of_files(owner, name):
        return 'delete'
    replaces = name == 'replace' and owner != 'dataclasses' and len(call.args) == (2 if owner == 'os' else 1)
    saves = name == 'save' and owner in {'torch', 'np', 'numpy'}
    opens = name == 'open' and writes(call)
    return 'write' if replaces or saves or opens or (name in WRITING_CALLS and is_of_files(owner, name)) else ''


def writes(call: ast.Call) -> bool:
    """Say whether a call of ``open``, or of a path's ``open``, writes."""
    modes = [keyword.value for keyword in call.keywords if keyword.arg == 'mode']
    modes += call.args[1:2] if isinstance(call.func, ast.Name) else call.args[:1]
    return any(
        isinstance(mode, ast.Constant) and isinstance(mode.value, str) and set(mode.value) <= set('rwxabt+')
        and bool(set(mode.value) & set('wxa+')) for given in modes for mode in ast.walk(given)
    )  # fmt: skip


def is_of_files(owner: str, name: str) -> bool:
    """Leave out methods of that name which have nothing to do with files."""
    return not (name in {'copy', 'remove', 'touch'} and owner not in {'shutil', 'os'})


def found(kind: str) -> dict[str, list[int]]:
    places: dict[str, list[int]] = {}
    for path in sorted(PACKAGE.rglob('*.py')):
        for found_kind, line in calls(path):
            if found_kind == kind:
                places.setdefault(path.relative_to(PACKAGE).as_posix(), []).append(line)
    return places


def check(kind: str) -> None:
    places = found(kind)
    others = {name: lines for name, lines in places.items() if name not in ALLOWED[kind]}
    assert not others, f'{kind} elsewhere than in its one place: {others}'
    unused = sorted(set(ALLOWED[kind]) - set(places))
    assert not unused, f'allowed to {kind}, but does not: {unused}'


def test_one_module_prints() -> None:
    check('print')


def test_one_module_writes_files() -> None:
    check('write')


def test_one_module_deletes_files() -> None:
    check('delete')


def test_the_rule_sees_each_way(tmp_path: Path) -> None:
    """The rule itself: each of these is found, and what only looks alike is not."""
    module = tmp_path / 'module.py'
    module.write_text(
        "open('a', 'w')\nopen('a', mode='ab')\npath.open('r+b')\n"
        "open('a', 'ab' if b else 'wb')\npath.write_text('a')\nos.replace(a, b)\npath.replace(b)\n"
        "shutil.copyfile(a, b)\ntorch.save(a, b)\ncv2.imwrite('a', b)\npath.unlink()\nshutil.rmtree(a)\nos.remove(a)\n"
        'print(a)\n'
        "open('a')\nopen('a', 'rb')\ntext.replace('a', 'b')\nnames.remove(a)\nvalues.copy()\natomic.write_text(a, b)\n"
    )
    assert list(calls(module)) == [('write', 1 + n) for n in range(10)] + [('delete', 11 + n) for n in range(3)] + [
        ('print', 14)
    ]
