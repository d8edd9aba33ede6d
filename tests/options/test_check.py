"""What ``train`` and ``test`` do before they write anything: go on, skip what is absent, or refuse."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import only_log

from converse_basicsr.errors import UserError
from converse_basicsr.options import check
from converse_basicsr.options.file import read_option_file
from converse_basicsr.options.library import folder, option_files

Run = Callable[..., int]
FILES = dict(option_files())


def test_a_valid_file_is_ready_and_nothing_is_written(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert basicsr('check', run_options) == 0
    assert capsys.readouterr().out == 'run.yml: ready for training\n'
    assert [path.name for path in Path().iterdir()] == ['run.yml']


def test_all_problems_are_listed_at_once_in_the_order_of_the_file(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run_options['num_gpu'] = 4096
    run_options['datasets']['train']['gt_sise'] = 16
    run_options['datasets']['val']['dataroot_gt'] = 'gone'
    run_options['network_g']['num_feet'] = 4
    run_options['train']['scheduler'] = {'type': 'CosineAnnealingRestartLR', 'periods': [2]}
    run_options['val']['metrics']['psnr']['type'] = 'calculate_pnsr'
    assert basicsr('check', run_options) == 2
    lines = capsys.readouterr().err.splitlines()
    numbers = [int(line.split('run.yml:')[1].split()[0]) for line in lines]
    assert numbers == sorted(numbers)
    for key in ('num_gpu', 'gt_sise', 'dataroot_gt', 'num_feet', 'periods', 'psnr:type'):
        assert sum(key in line.split(': ')[2] for line in lines) == 1, key
    assert len(lines) == 6


@pytest.mark.parametrize('name', FILES)
def test_no_false_alarm_on_our_option_files(name: str) -> None:
    import converse_basicsr

    converse_basicsr.register()
    option_file = read_option_file(FILES[name])
    try:
        check.require_runnable(option_file, is_train='train' in option_file.options)
    except UserError as error:
        for line in str(error).splitlines():
            assert 'does not exist' in line or 'none of the test sets' in line, line


def test_paper_scale_training_without_data_names_path_key_and_command(
    basicsr: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder() / 'converse_srresnet_x4.yml'
    assert basicsr('train', None, '-opt', str(file)) == 2
    error = capsys.readouterr().err
    assert 'datasets:train:dataroot_gt: datasets/DIV2K/train_sub/gt.lmdb does not exist' in error
    assert 'basicsr prepare div2k --root datasets/DIV2K' in error
    assert 'Traceback' not in error
    assert not list(Path.cwd().iterdir())


@pytest.fixture
def test_options(run_options: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """Options that test the tiny network on its two validation images, and on a set that is absent."""
    import converse_basicsr

    converse_basicsr.register()
    from basicsr.archs import build_network

    torch.save(build_network(run_options['network_g']).state_dict(), tmp_path / 'flat.pth')
    val = run_options['datasets']['val']
    del run_options['train'], run_options['logger']
    run_options['datasets'] = {
        'test_1': val,
        'test_2': {**val, 'name': 'far', 'dataroot_gt': 'far/gt', 'prepare': 'make far'},
    }
    run_options['path'] = {'pretrain_network_g': 'flat.pth'}
    del run_options['val']['val_freq']
    run_options['val']['save_img'] = True
    return run_options


@pytest.mark.promise('a missing folder, file or LMDB')
@pytest.mark.promise('testing with `save_img` fails without `val: suffix`')
def test_absent_test_sets_are_named_and_skipped(
    basicsr: Run, test_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert basicsr('test', test_options) == 0  # without val:suffix, which BasicSR reads all the same
    error = capsys.readouterr().err
    assert 'skipping test set far: run.yml' in error
    assert 'make far' in error
    assert 'Validation val' in only_log(results=True)
    assert 'psnr' in only_log(results=True)
    assert len(list(Path('results/tiny/visualization/val').glob('*.png'))) == 2


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda options: options['datasets'].pop('test_1'), 'none of the test sets is there'),
        (lambda options: options['path'].update(pretrain_network_g=None), 'testing needs weights'),
        (lambda options: options['network_g'].update(num_feat=8), 'flat.pth does not fit ConverseSRResNet'),
        (lambda options: options['val'].update(metrics={'niqe': {'type': 'calculate_niqe', 'crop_border': 0}}), '192'),
        (lambda options: options['datasets'].update(train=options['datasets']['test_1']), 'must be called test'),
    ],
)
@pytest.mark.promise('testing without weights')
@pytest.mark.promise('a checkpoint that does not fit the network')
def test_a_test_that_cannot_work_is_refused(
    basicsr: Run,
    test_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    change(test_options)
    assert basicsr('test', test_options) == 2
    assert message in capsys.readouterr().err
    assert not Path('results').exists()


def test_overrides_are_kept_with_the_run(basicsr: Run, run_options: dict[str, Any]) -> None:
    assert basicsr('train', run_options, '--force_yml', 'train:total_iter=2', 'manual_seed=5') == 0
    kept = Path('experiments/tiny/run.yml').read_text()
    assert '# --force_yml train:total_iter=2' in kept
    assert 'total_iter: 2' in kept
    assert 'manual_seed: 5' in only_log()


def test_without_overrides_the_users_file_is_kept_as_it_is(basicsr: Run, run_options: dict[str, Any]) -> None:
    assert basicsr('train', run_options) == 0
    assert Path('experiments/tiny/run.yml').read_text().endswith(Path('run.yml').read_text())


def test_debug_mode_works(basicsr: Run, run_options: dict[str, Any]) -> None:
    run_options['train']['total_iter'] = 8
    assert basicsr('train', run_options, '--debug') == 0
    assert 'Validation val' in only_log('debug_tiny')


@pytest.mark.promise('with several validation sets, saved images of the same name overwrite each other')
def test_images_of_two_validation_sets_are_kept_apart(basicsr: Run, run_options: dict[str, Any]) -> None:
    run_options['datasets']['val_2'] = {**run_options['datasets']['val'], 'name': 'again'}
    run_options['val'].update(save_img=True, val_freq=4)
    assert basicsr('train', run_options) == 0
    saved = {str(path.relative_to('experiments/tiny/visualization')) for path in Path().rglob('val0_4.png')}
    assert saved == {'val/val0/val0_4.png', 'again/val0/val0_4.png'}
