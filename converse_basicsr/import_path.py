"""Keep the current folder off the module path: what lies beside data of strangers is code of strangers.

``python -m`` and ``python -c`` put that folder first, so that ``tqdm.py`` beside the data would be imported in place of
the installed one; so does each process that Python starts for ``multiprocessing``. The command ``basicsr`` does not.
"""

import os
import sys

_PACKAGE = __name__.partition('.')[0]
_ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

_CODE = """\
import sys
sys.path[:] = filter(None, sys.path)
import importlib.util, runpy
importlib.util.find_spec({package!r}) or sys.path.append({root!r})
runpy.run_module({module!r}, run_name='__main__', alter_sys=True)
"""
"""``python -m`` without the current folder; a checkout that is not installed is found after everything else."""


def command(module: str) -> list[str]:
    """Return the start of a command line that runs a module of this package in a process of its own."""
    return [sys.executable, '-c', _CODE.format(package=_PACKAGE, root=_ROOT, module=module)]


def leave_current_folder() -> None:
    """Take the current folder off the path where ``python -m`` has put it to start a module of this package.

    To be called before anything else is imported: until then Python has used what is built into it.
    """
    if sys.argv[:1] != ['-m'] or getattr(sys.flags, 'safe_path', False):  # it is '-m' until the module is found
        return
    if f'{_PACKAGE}.' not in sys.orig_argv[-len(sys.argv)]:  # another package is being started, and imports this one
        return
    del sys.path[0]
    if not any(finder.find_spec(_PACKAGE, None) for finder in sys.meta_path):
        sys.path.append(_ROOT)


def protect_children() -> None:
    """Let the processes that Python starts for this one leave the current folder off their paths, too."""
    if sys.version_info >= (3, 11):
        os.environ['PYTHONSAFEPATH'] = '1'
    else:
        from multiprocessing import util

        name = '_args_from_interpreter_flags'
        flags = [*getattr(util, name)(), '-I']  # isolated; the path that multiprocessing hands on replaces theirs
        setattr(util, name, lambda: flags)
