"""``basicsr check``: find what would stop a run, before anything is built or written."""

import argparse
import sys

from converse_basicsr.check.data import absence_problems, content_findings
from converse_basicsr.check.keys import key_problems, section
from converse_basicsr.check.networks import network_problems, path_problems
from converse_basicsr.check.problem import Problem
from converse_basicsr.check.run import device_problems, run_problems
from converse_basicsr.errors import UserError
from converse_basicsr.option_file import OptionFile, read_option_file

SUMMARY = 'look for mistakes in an option file, its data and its weights, and list all of them'
EXAMPLES = """\
train and test begin with the same check. Nothing is written. Exit status 2 if there is a problem.

examples:
  basicsr check -opt options/demo/converse_srresnet_x4.yml
  basicsr check -opt my.yml --force_yml train:total_iter=1000
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of ``basicsr check``."""
    parser.add_argument('-opt', required=True, metavar='FILE', help='option file (YAML)')
    parser.add_argument(
        '--force_yml', nargs='+', default=[], metavar='SECTION:KEY=VALUE', help='override values of the option file'
    )


def run(args: argparse.Namespace) -> int:
    """Check an option file, for training if it has a section ``train``."""
    option_file = read_option_file(args.opt, args.force_yml)

    from converse_basicsr.register import load_plugins

    load_plugins()
    is_train = 'train' in option_file.options
    require_runnable(option_file, is_train=is_train)
    print(f'{option_file.path}: ready for {"training" if is_train else "testing"}')
    return 0


def require_runnable(option_file: OptionFile, *, is_train: bool) -> None:
    """Refuse a run that cannot work; when testing, drop test sets that are absent, saying so.

    Args:
        option_file: The options; when testing, absent test sets are removed from them.
        is_train: Training (or else testing).

    Raises:
        UserError: With all problems, one a line, in the order of the file.
    """
    options = option_file.options
    problems = [
        *key_problems(options, is_train=is_train),
        *run_problems(options, is_train=is_train),
        *path_problems(options, is_train=is_train),
    ]
    absent = {name: absence_problems(options, name) for name in section(options, 'datasets')}
    if not is_train and not all(absent.values()):
        _skip(option_file, {name for name in absent if absent[name]})
    else:
        if absent and not is_train:
            problems.append(Problem(('datasets',), 'none of the test sets is there'))
        problems += [problem for of_set in absent.values() for problem in of_set]

    # What follows looks at what the keys name, so where a section has a mistake it would only repeat it.
    at_fault = {problem.keys[:depth] for problem in problems for depth in range(3)}
    if ('scale',) not in at_fault:
        names = [name for name in section(options, 'datasets') if ('datasets', name) not in at_fault]
        findings = content_findings(options, names)
        problems += findings.problems
        for note in findings.notes:
            print(f'note: {note.line(option_file)}', file=sys.stderr, flush=True)
    networks = [key for key in options if key.startswith('network_') and (is_train or key == 'network_g')]
    problems += network_problems(options, [key for key in networks if (key,) not in at_fault])
    _refuse(option_file, problems)


def require_valid(option_file: OptionFile, *, is_train: bool) -> None:
    """Refuse options that cannot work, without a look at data and weights.

    Raises:
        UserError: With all problems, one a line, in the order of the file.
    """
    problems = key_problems(option_file.options, is_train=is_train)
    _refuse(option_file, [*problems, *device_problems(option_file.options)])


def dataset_problems(option_file: OptionFile, name: str) -> list[str]:
    """Name the folders and files of one data set that are missing, each in a line."""
    return [problem.line(option_file) for problem in absence_problems(option_file.options, name)]


def _refuse(option_file: OptionFile, problems: list[Problem]) -> None:
    if problems:
        problems.sort(key=lambda problem: option_file.line(*problem.keys))
        raise UserError('\n'.join(dict.fromkeys(problem.line(option_file) for problem in problems)))


def _skip(option_file: OptionFile, absent: set[str]) -> None:
    """Drop test sets whose data are missing, naming each on standard error."""
    datasets = option_file.options['datasets']
    for name in absent:
        problem = dataset_problems(option_file, name)[0]
        print(f'skipping test set {datasets[name].get("name", name)}: {problem}', file=sys.stderr, flush=True)
        del datasets[name]
