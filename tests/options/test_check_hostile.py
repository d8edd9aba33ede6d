"""Option files that would run code, hang the check, or fill the memory."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from converse_basicsr.options.file import read_option_file

Run = Callable[..., int]


def refusal(basicsr: Run, options: dict[str, Any], capsys: pytest.CaptureFixture[str], command: str = 'check') -> str:
    """The one line that a command says about options that it refuses, before it has written anything."""
    before = sorted(os.listdir())
    assert basicsr(command, options) == 2
    message = capsys.readouterr().err
    assert 'Traceback' not in message
    assert set(os.listdir()) - {*before, 'run.yml'} == set()
    return message


@pytest.mark.promise('`io_backend: {type: memcached, sys_path: FOLDER}`, whose modules BasicSR would import')
@pytest.mark.parametrize('command', ['check', 'train'])
@pytest.mark.parametrize('of', ['train', 'val'])
def test_no_module_of_a_data_folder_is_imported(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str], tmp_path: Path, of: str, command: str
) -> None:
    (tmp_path / 'data').mkdir()
    (tmp_path / 'data/mc.py').write_text(f"open({str(tmp_path / 'exploded')!r}, 'w')\n")
    run_options['datasets'][of]['io_backend'] = {
        'type': 'memcached',
        'server_list_cfg': 'servers.conf',
        'client_cfg': 'client.conf',
        'sys_path': str(tmp_path / 'data'),
    }
    message = refusal(basicsr, run_options, capsys, command)
    assert f'datasets:{of}:io_backend:sys_path: names a folder whose modules would be run' in message
    assert not (tmp_path / 'exploded').exists()


def test_memcached_without_a_folder_of_modules_may_be_asked_for(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run_options['datasets']['val']['io_backend'] = {
        'type': 'memcached',
        'server_list_cfg': 'servers.conf',
        'client_cfg': 'client.conf',
        'sys_path': None,
    }
    basicsr('check', run_options)
    assert 'io_backend' not in capsys.readouterr().err


@pytest.mark.promise('a `filename_tmpl` with attributes (`{0.__class__}`) or a huge width (`{:1000000000}`)')
@pytest.mark.parametrize(
    'template',
    [
        '{:1000000000}',
        '{:>999999999s}',
        '{:.999999999}',
        '{0.__class__}',
        '{0[0]}',
        '{:{}}',
        '../{}',
        'x/../{}',
        '{}\n',
    ],
)
def test_templates_that_do_more_than_name_a_file_are_refused(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str], template: str
) -> None:
    run_options['datasets']['val']['filename_tmpl'] = template
    assert 'datasets:val:filename_tmpl: must be text with one pair of braces' in refusal(basicsr, run_options, capsys)


@pytest.mark.parametrize('template', ['{}', '{0}', '{!s}', '{:s}', '{:>4}', '{:.9}'])
def test_templates_that_name_the_files_are_not(basicsr: Run, run_options: dict[str, Any], template: str) -> None:
    run_options['datasets']['val']['filename_tmpl'] = template
    assert basicsr('check', run_options) == 0


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_endless(path: Path) -> None:
    path.symlink_to('/dev/zero')


def make_sparse(path: Path) -> None:
    with path.open('wb') as file:
        file.truncate(10**12)


ODD = [
    (make_pipe, 'is a pipe, not a file'),
    (make_endless, 'is a device, not a file'),
    (make_sparse, 'has 1000000000000 bytes'),
]


@pytest.mark.promise('a pipe, device, socket or file of absurd size as `meta_info_file`, `meta_info` or kernel')
@pytest.mark.parametrize(('make', 'says'), [*ODD, (Path.mkdir, 'is a folder, not a file')])
def test_lists_are_regular_files(
    basicsr: Run,
    run_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    make: Callable[[Path], None],
    says: str,
) -> None:
    make(tmp_path / 'list.txt')
    run_options['datasets']['val']['meta_info_file'] = 'list.txt'
    assert f'datasets:val:meta_info_file: list.txt {says}' in refusal(basicsr, run_options, capsys)
    run_options['datasets']['val']['type'] = 'RealESRGANPairedDataset'
    run_options['datasets']['val']['meta_info'] = run_options['datasets']['val'].pop('meta_info_file')
    assert f'datasets:val:meta_info: list.txt {says}' in refusal(basicsr, run_options, capsys)


@pytest.mark.promise('a list of clips with names outside of the data set, or with more frames than there can be')
@pytest.mark.parametrize(
    ('lines', 'num_frame', 'says'),
    [
        ('000 100000000000 (720,1280,3)\n', 5, 'meta_info_file: list.txt claims 100000000000 frames'),
        ('000 60000000 (1,1,3)\n' * 2, 5, 'meta_info_file: list.txt claims 120000000 frames'),
        ('../../etc 1 (720,1280,3)\n', 5, "lists '../../etc', which is outside of the data set"),
        ('000 1 (720,1280,3)\n', 999_999_999, 'num_frame: must be a whole number from -1 to 10000'),
    ],
)
def test_lists_of_clips_are_bounded(
    basicsr: Run,
    run_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    lines: str,
    num_frame: int,
    says: str,
) -> None:
    (tmp_path / 'list.txt').write_text(lines)
    run_options['datasets']['train'].update(
        type='REDSDataset',
        dataroot_gt=str(tmp_path),
        dataroot_lq=str(tmp_path),
        dataroot_flow=None,
        io_backend={'type': 'disk'},
        meta_info_file='list.txt',
        num_frame=num_frame,
        val_partition='REDS4',
        interval_list=[1],
        random_reverse=False,
    )
    assert says in refusal(basicsr, run_options, capsys)


@pytest.mark.promise('a pipe, device, socket or file of absurd size as `meta_info_file`, `meta_info` or kernel')
@pytest.mark.parametrize(('make', 'says'), ODD)
@pytest.mark.parametrize('in_folder', [False, True])
def test_kernels_are_regular_files(
    basicsr: Run,
    run_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    make: Callable[[Path], None],
    says: str,
    in_folder: bool,
) -> None:
    (tmp_path / 'kernels').mkdir()
    np.save(tmp_path / 'kernels/a.npy', np.full((3, 3), 1 / 9))
    make(tmp_path / 'kernels/b.npy')
    data = run_options['datasets']['train']
    data.update(type='BlurDataset', sigma=2, kernels=['kernels' if in_folder else 'kernels/b.npy'])
    del data['dataroot_lq']
    assert f'kernels/b.npy {says}' in refusal(basicsr, run_options, capsys)


@pytest.mark.promise('a name or path that no file can have: NUL, control characters, too long')
@pytest.mark.parametrize(
    ('place', 'value', 'says'),
    [
        (('name',), 'a' * 230, 'name: must be text without slashes'),
        (('name',), 'ж' * 150, 'name: must have at most 229 bytes'),
        (('val', 'suffix'), 'ж' * 150, 'suffix: must have at most 229 bytes'),
        (('name',), 'a\n', 'name: must be text without slashes'),
        (('name',), 'a\x7f', 'name: must be text without slashes'),
        (('name',), 'a\x9b2J', 'name: must be text without slashes'),
        (('name',), 'a\0', 'holds the character NUL'),
        (('val', 'suffix'), 'a\n', 'suffix: must be text without slashes'),
        (('datasets', 'val', 'name'), 'a\n', 'name: must be text without slashes'),
        (('datasets', 'val', 'dataroot_gt'), 'a\0', 'holds the character NUL'),
        (('datasets', 'val', 'dataroot_gt'), 'a' * 5000, 'dataroot_gt: aaaa'),
        (('datasets', 'val', 'meta_info_file'), 'a' * 300, 'meta_info_file: aaaa'),
        (('path', 'pretrain_network_g'), 'a' * 300, 'pretrain_network_g: aaaa'),
        (('path', 'resume_state'), 'a' * 300, 'resume_state: aaaa'),
    ],
)
@pytest.mark.parametrize('command', ['check', 'train'])
def test_names_that_no_file_can_have_are_refused(
    basicsr: Run,
    run_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    place: tuple[str, ...],
    value: str,
    says: str,
    command: str,
) -> None:
    section = run_options
    for key in place[:-1]:
        section = section[key]
    section[place[-1]] = value
    assert says in refusal(basicsr, run_options, capsys, command)


def test_overrides_are_checked_alike(basicsr: Run, run_options: dict[str, Any], tmp_path: Path) -> None:
    assert basicsr('check', run_options) == 0
    for override in ('datasets:val:filename_tmpl={:1000000000}', 'datasets:val:io_backend:sys_path=.'):
        assert basicsr('check', run_options, '--force_yml', override) == 2
    assert read_option_file('run.yml').options == run_options
