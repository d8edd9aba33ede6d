"""Folders and log files of runs that follow each other."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_run import only_log

from converse_basicsr import compat


def test_a_logger_that_was_asked_for_early_still_gets_its_file(tmp_path: Path) -> None:
    from basicsr import utils

    def log(name: str) -> Path:
        utils.get_root_logger()
        utils.get_root_logger(log_file=str(tmp_path / name)).info('something')
        return tmp_path / name

    assert 'something' in log('patched.log').read_text()
    with compat.disabled('log_files'):
        assert not log('unpatched.log').exists()


@pytest.mark.slow
def test_each_run_of_a_process_has_its_own_log(
    basicsr: Callable[..., int], run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ('first', 'second'):
        run_options['name'] = name
        assert basicsr('train', run_options) == 0
        log = only_log(name)
        assert f'name: {name}\n' in log
        assert 'iter:       4' in log
    assert 'name: second\n' not in only_log('first')
    assert capsys.readouterr().err.count('Start training from epoch') == 2  # each line once


def test_runs_that_follow_each_other_within_a_second_are_all_archived(tmp_path: Path) -> None:
    from basicsr.utils import mkdir_and_rename

    for number in range(3):
        mkdir_and_rename(str(tmp_path / 'run'))
        (tmp_path / 'run' / str(number)).touch()
    assert sorted(path.name for path in tmp_path.glob('*/*')) == ['0', '1', '2']


def test_without_the_patch_the_second_archive_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from basicsr import utils
    from basicsr.utils import misc

    monkeypatch.setattr(misc, 'get_time_str', lambda: 'now')
    for folder in ('run', 'run_archived_now'):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / 'something').touch()
    with compat.disabled('archive_names'), pytest.raises(OSError, match='run_archived_now'):
        utils.mkdir_and_rename(str(tmp_path / 'run'))
