"""Refuse options that cannot work, with all problems at once, and print notes on what a user may not expect."""

from collections.abc import Iterable, Mapping
from typing import Any

from converse_basicsr.errors import UserError
from converse_basicsr.messages import tell
from converse_basicsr.options.check.consistency import device_problems, run_problems
from converse_basicsr.options.check.data_sets import absence_problems, content_findings
from converse_basicsr.options.check.fit import fit_problems
from converse_basicsr.options.check.problem import Problem
from converse_basicsr.options.check.sections import key_problems, section
from converse_basicsr.options.check.trials import trial_problems
from converse_basicsr.options.check.weights import network_findings, path_problems
from converse_basicsr.options.file import OptionFile


def require_runnable(option_file: OptionFile, *, is_train: bool, build_networks: bool = True) -> None:
    """Refuse a run that cannot work; when testing, drop test sets that are absent, with a message.

    Args:
        option_file: The options; when testing, absent test sets are removed from them.
        is_train: Training (or else testing).
        build_networks: Build the networks, without memory, to find out whether they can be built and whether the
            weights fit them. Without it this is left to the run, which builds them in any case and calls
            :func:`network_diagnosis` where that fails. Where there are other problems, they are built all the same, so
            that all problems are listed.

    Raises:
        UserError: With all problems, one per line, in the order of the file.
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

    # The next checks look at the files and classes that the keys name; sections with mistakes are skipped.
    at_fault = {problem.keys[:depth] for problem in problems for depth in range(3)}
    notes: list[Problem] = []
    datasets: dict[str, Any] = {}
    if ('scale',) not in at_fault:
        names = [name for name in section(options, 'datasets') if ('datasets', name) not in at_fault]
        findings, datasets = content_findings(options, names)
        problems += findings.problems
        notes += findings.notes
    keys = _networks(option_file, is_train=is_train, at_fault=at_fault)
    build_networks = build_networks or bool(problems)
    findings, networks = network_findings(options, keys, build=build_networks)
    if findings.problems and not build_networks:
        findings, networks = network_findings(options, keys, build=True)
    problems += findings.problems
    problems += trial_problems(options, networks, at_fault, is_train=is_train)
    at_fault |= {problem.keys[:depth] for problem in problems for depth in range(3)}
    if build_networks:
        problems += fit_problems(options, datasets, networks, at_fault)
    for note in [*notes, *findings.notes]:
        tell(f'note: {note.line(option_file)}')
    _refuse(option_file, problems)


def require_valid(option_file: OptionFile, *, is_train: bool) -> None:
    """Refuse options that cannot work; data and weights are not checked.

    Raises:
        UserError: With all problems, one per line, in the order of the file.
    """
    problems = key_problems(option_file.options, is_train=is_train)
    _refuse(option_file, [*problems, *device_problems(option_file.options)])


def require_fit(option_file: OptionFile, datasets: Mapping[str, Any], networks: Mapping[str, Any]) -> None:
    """Refuse data, networks and metrics that do not fit each other.

    Args:
        option_file: The options, whose keys have been checked.
        datasets: The data sets of the run, by section.
        networks: Its networks, such as ``network_g``, without memory: on the device ``meta``.

    Raises:
        UserError: With all problems, one per line, in the order of the file.
    """
    _refuse(option_file, list(fit_problems(option_file.options, datasets, networks, ())))


def network_diagnosis(option_file: OptionFile, *, is_train: bool) -> None:
    """Find out why a run could not build its networks, or load its weights into them.

    Args:
        option_file: The options, whose keys have been checked.
        is_train: Training (or else testing).

    Raises:
        UserError: With what is wrong with networks and weights, one problem per line, in the order of the file. Where
            there is nothing, the failure has another cause, and this returns.
    """
    networks = _networks(option_file, is_train=is_train, at_fault=())
    paths = path_problems(option_file.options, is_train=is_train)
    findings, _ = network_findings(option_file.options, networks, build=True)
    _refuse(option_file, [*paths, *findings.problems])


def dataset_problems(option_file: OptionFile, name: str) -> list[str]:
    """Name the folders and files of one data set that are missing, one line each."""
    return [problem.line(option_file) for problem in absence_problems(option_file.options, name)]


def _networks(option_file: OptionFile, *, is_train: bool, at_fault: Iterable[tuple[str, ...]]) -> list[str]:
    """Return the keys of the networks that a run builds, as far as their sections have no mistake."""
    options = option_file.options
    names = [key for key in options if key.startswith('network_') and (is_train or key == 'network_g')]
    return [name for name in names if (name,) not in at_fault]


def _refuse(option_file: OptionFile, problems: list[Problem]) -> None:
    if problems:
        problems.sort(key=lambda problem: option_file.line(*problem.keys))
        raise UserError(*dict.fromkeys(problem.line(option_file) for problem in problems))


def _skip(option_file: OptionFile, absent: set[str]) -> None:
    """Drop test sets whose data are missing, naming each on standard error."""
    datasets = option_file.options['datasets']
    for name in absent:
        problem = dataset_problems(option_file, name)[0]
        tell(f'skipping test set {datasets[name].get("name", name)}: {problem}')
        del datasets[name]
