"""The command line of BasicSR's own scripts, ``python train.py -opt FILE ...``, as plain values.

``basicsr train`` has a parser of its own. This reads the arguments of scripts that call BasicSR's ``train_pipeline``,
``test_pipeline`` or ``parse_options``, which look at ``sys.argv`` themselves.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from converse_basicsr.errors import UserError
from converse_basicsr.options.file import did_you_mean

LAUNCHERS = ('none', 'pytorch', 'slurm')


@dataclass(frozen=True)
class RunArguments:
    """What BasicSR's scripts take.

    Attributes:
        opt: The option file.
        launcher: How the processes of a distributed run were started: one of :data:`LAUNCHERS`.
        auto_resume: Go on from the newest checkpoint of the run.
        debug: A short run, under the name ``debug_NAME``.
        local_rank: Number of this process on its machine, if the launcher says so on the command line.
        force_yml: Overrides of the option file, ``section:key=value``.
    """

    opt: str
    launcher: str = 'none'
    auto_resume: bool = False
    debug: bool = False
    local_rank: int | None = None
    force_yml: tuple[str, ...] = ()


_FLAGS = ('--auto_resume', '--debug')
_NAMES = {'-opt': 'opt', '--opt': 'opt', '--launcher': 'launcher', '--local_rank': 'local_rank'}
_NAMES['--local-rank'] = 'local_rank'


def read_command_line(words: Sequence[str]) -> RunArguments:
    """Read the arguments of a script.

    Args:
        words: The command line without the script's name.

    Raises:
        UserError: If an argument is unknown, lacks its value, or ``-opt`` is missing.

    Example:
        >>> read_command_line(['-opt', 'x.yml', '--auto_resume', '--force_yml', 'name=y']).force_yml
        ('name=y',)
    """
    values: dict[str, str] = {}
    flags: set[str] = set()
    overrides: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, value = word.partition('=')
        if name in _FLAGS and not equals:
            flags.add(name)
        elif name in _NAMES:
            if not equals and not rest:
                raise UserError(f'{name} needs a value')
            values[_NAMES[name]] = value if equals else rest.pop(0)
        elif word == '--force_yml':
            while rest and not rest[0].startswith('-'):
                overrides.append(rest.pop(0))
        else:
            raise UserError(f'unknown argument {word}{did_you_mean(word, [*_NAMES, *_FLAGS, "--force_yml"])}')
    launcher, local_rank = values.get('launcher', 'none'), values.get('local_rank')
    if 'opt' not in values:
        raise UserError('the option file is missing: give it as -opt FILE')
    if launcher not in LAUNCHERS:
        raise UserError(f'--launcher must be one of {", ".join(LAUNCHERS)}, got {launcher}')
    if local_rank is not None and not local_rank.isdecimal():
        raise UserError(f'--local_rank must be a whole number, got {local_rank}')
    return RunArguments(
        values['opt'],
        launcher,
        '--auto_resume' in flags,
        '--debug' in flags,
        None if local_rank is None else int(local_rank),
        tuple(overrides),
    )
