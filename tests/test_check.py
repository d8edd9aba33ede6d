"""What ``train`` and ``test`` refuse before they write anything."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import only_log

from converse_basicsr.option_library import folder

Run = Callable[..., int]


def change(options: dict[str, Any], key_path: str, value: Any) -> None:
    *sections, key = key_path.split(':')
    for section in sections:
        options = options[section]
    if value is KeyError:
        del options[key]
    else:
        options[key] = value


@pytest.mark.parametrize(
    ('key_path', 'value', 'message'),
    [
        ('name', KeyError, 'name: missing'),
        ('train', KeyError, 'train: missing'),
        ('network_g', 'EDSR', 'network_g: must be a section'),
        ('datasets:train', KeyError, 'no train section'),
        ('datasets:train', 3, 'datasets:train: must be a section'),
        ('datasets:val:type', KeyError, 'datasets:val: needs type'),
        ('train:total_iter', 'many', 'train:total_iter: must be a number'),
        ('model_type', 'SRModle', "no model is named 'SRModle'; did you mean SRModel?"),
        ('network_g:type', 'ConverseSRResnet', 'did you mean ConverseSRResNet?'),
        ('datasets:train:type', 'PairedImageDataSet', 'did you mean PairedImageDataset?'),
        ('val:metrics:psnr:type', 'calculate_pnsr', 'did you mean calculate_psnr?'),
        ('num_gpu', 4096, 'asks for 4096 GPU(s)'),
        ('num_gpu', 'two', 'must be auto or a number'),
        ('path:pretrain_network_g', 'gone.pth', 'path:pretrain_network_g: gone.pth does not exist'),
        ('path:resume_state', 'gone.state', 'path:resume_state: gone.state does not exist'),
        (
            'datasets:train:dataroot_gt',
            'gone.lmdb',
            'datasets:train:dataroot_gt: gone.lmdb does not exist; make it with',
        ),
        ('datasets:train:dataroot_gt', '.', 'must end in .lmdb'),
        ('datasets:val:meta_info_file', 'gone.txt', 'datasets:val:meta_info_file: gone.txt does not exist'),
    ],
)
def test_training_is_refused_in_one_line(
    basicsr: Run,
    run_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    key_path: str,
    value: Any,
    message: str,
) -> None:
    change(run_options, key_path, value)
    assert basicsr('train', run_options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith('basicsr: error: run.yml')
    assert len(error.splitlines()) == 1
    assert not Path('experiments').exists()


def test_a_half_made_lmdb_is_refused(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    Path('half.lmdb').mkdir()
    Path('half.lmdb/data.mdb').touch()
    run_options['datasets']['train']['dataroot_gt'] = 'half.lmdb'
    assert basicsr('train', run_options) == 2
    assert 'no complete LMDB' in capsys.readouterr().err


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
    from basicsr.archs import build_network

    torch.save(build_network(run_options['network_g']).state_dict(), tmp_path / 'flat.pth')
    val = run_options['datasets']['val']
    del run_options['train'], run_options['logger']
    run_options['datasets'] = {
        'test_1': val,
        'test_2': {**val, 'name': 'far', 'dataroot_gt': 'far/gt', 'prepare': 'make far'},
    }
    run_options['path'] = {'pretrain_network_g': 'flat.pth'}
    run_options['val'].update(save_img=True, suffix=None)
    return run_options


def test_absent_test_sets_are_named_and_skipped(
    basicsr: Run, test_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    assert basicsr('test', test_options) == 0
    error = capsys.readouterr().err
    assert 'skipping test set far: run.yml' in error
    assert 'make far' in error
    assert 'Validation val' in only_log(results=True)
    assert 'psnr' in only_log(results=True)
    assert len(list(Path('results/tiny/visualization/val').glob('*.png'))) == 2


def test_no_test_set_at_all_is_an_error(
    basicsr: Run, test_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    del test_options['datasets']['test_1']
    assert basicsr('test', test_options) == 2
    assert 'none of the test sets is there' in capsys.readouterr().err
    assert not Path('results').exists()


def test_testing_without_weights_is_refused(
    basicsr: Run, test_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    test_options['path']['pretrain_network_g'] = None
    assert basicsr('test', test_options) == 2
    assert 'testing needs weights' in capsys.readouterr().err


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
