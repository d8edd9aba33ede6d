"""Options that cannot work: each is refused in one line that says where and what, before anything is written."""

import copy
import importlib.util
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converse_basicsr.options.check.data_sets import absence_problems
from converse_basicsr.options.check.sections import section as section_of
from converse_basicsr.options.file import OptionFile

Run = Callable[..., int]
ABSENT = object()

COSINE = {'type': 'CosineAnnealingRestartLR', 'periods': [2, 2], 'restart_weights': [1, 1]}
GAN = {'type': 'GANLoss', 'gan_type': 'vanilla'}

# (key, value, what the line says)
BAD = [
    # missing
    ('name', ABSENT, 'name: missing'),
    ('model_type', ABSENT, 'model_type: missing'),
    ('datasets', ABSENT, 'datasets: missing'),
    ('path', ABSENT, 'path: missing'),
    ('train', ABSENT, 'train: missing'),
    ('logger', ABSENT, 'logger: missing'),
    ('network_g', ABSENT, 'network_g: missing'),
    ('network_g:type', ABSENT, 'network_g:type: must be the name of a registered arch'),
    ('datasets:train', ABSENT, 'no train section'),
    ('datasets:val:type', ABSENT, 'datasets:val:type: missing'),
    ('datasets:val:name', ABSENT, 'datasets:val:name: missing'),
    ('datasets:train:io_backend', ABSENT, 'io_backend: missing'),
    ('datasets:train:gt_size', ABSENT, 'gt_size: missing'),
    ('datasets:train:use_hflip', ABSENT, 'use_hflip: missing'),
    ('datasets:train:batch_size_per_gpu', ABSENT, 'batch_size_per_gpu: missing'),
    ('train:total_iter', ABSENT, 'total_iter: missing'),
    ('train:optim_g', ABSENT, 'optim_g: missing'),
    ('train:optim_g:lr', ABSENT, 'lr: missing; Adam needs it'),
    ('train:scheduler', ABSENT, 'scheduler: missing'),
    ('train:pixel_opt', ABSENT, 'needs a loss'),
    ('val:val_freq', ABSENT, 'val_freq: missing'),
    ('val:metrics:psnr:crop_border', ABSENT, 'crop_border: missing; calculate_psnr_uint8 needs it'),
    ('logger:print_freq', ABSENT, 'print_freq: missing'),
    # of the wrong kind
    ('network_g', 'EDSR', 'network_g: must be a section'),
    ('datasets', [], 'datasets: must be a section'),
    ('datasets:train', 3, 'datasets:train: must be a section'),
    ('train', None, 'train: must be a section with keys of its own, got ~'),
    ('val:metrics', 'psnr', 'metrics: must be a section'),
    ('val:metrics:psnr', 'calculate_psnr', 'val:metrics:psnr: must be a section'),
    ('name', 7, 'name: must be text'),
    ('manual_seed', -1, 'must be a whole number from 0 to'),
    ('manual_seed', 1.5, 'must be a whole number'),
    ('num_gpu', 'two', 'must be auto or a whole number from 0 up'),
    ('num_gpu', True, 'must be auto or a whole number'),
    ('train:total_iter', 'many', 'must be a whole number from 1 up'),
    ('train:total_iter', 0, 'must be a whole number from 1 up, got 0'),
    ('train:total_iter', float('nan'), 'must be a whole number'),
    ('train:total_iter', float('inf'), 'must be a whole number'),
    ('train:ema_decay', 1.0, 'must be a number from 0 below 1, got 1.0'),
    ('train:optim_g:lr', '2e-4x', 'must be a number above 0'),
    ('train:optim_g:lr', 0, 'must be a number above 0, got 0'),
    ('train:optim_g:betas', [0.9], 'must be a list of 2'),
    ('train:pixel_opt:loss_weight', [1], 'must be a number'),
    ('train:pixel_opt:reduction', 'average', 'must be one of none, mean, sum'),
    ('datasets:train:batch_size_per_gpu', 0, 'must be a whole number from 1 up'),
    ('datasets:train:batch_size_per_gpu', 2.0, 'must be a whole number from 1 up'),
    ('datasets:train:num_worker_per_gpu', -1, 'must be a whole number from 0 up'),
    ('datasets:train:dataset_enlarge_ratio', 0, 'must be a number above 0'),
    ('datasets:train:use_rot', 'yes', 'must be true or false'),
    ('datasets:train:prefetch_mode', 'gpu', 'must be one of cpu, cuda or ~'),
    ('datasets:train:io_backend:type', 'zip', 'must be one of disk, lmdb, memcached'),
    ('datasets:train:on_bad_sample', 'ignore', 'must be one of error, skip'),
    ('val:val_freq', 2.5, 'must be a whole number from 1 up'),
    ('val:save_img', 1, 'must be true or false'),
    ('val:metrics:psnr:crop_border', -4, 'must be a whole number from 0 up'),
    ('logger:save_checkpoint_freq', 0, 'must be a whole number from 1 up'),
    ('network_g:num_feat', '4', 'must be a whole number'),
    ('network_g:upscale', [4], 'must be a whole number'),
    # unknown
    ('nmae', 'x', 'nmae: unknown key; did you mean name?'),
    ('train:total_iters', 4, 'total_iters: unknown key; did you mean total_iter?'),
    ('train:pixel_op', {'type': 'L1Loss'}, 'unknown key; did you mean pixel_opt?'),
    ('datasets:train:gt_sise', 16, 'unknown key; did you mean gt_size?'),
    ('datasets:train:use_flip', True, 'is called use_hflip today'),
    ('datasets:val:io_backend:typ', 'disk', 'unknown key; did you mean type?'),
    ('path:pretrained_network_g', 'x.pth', 'did you mean pretrain_network_g?'),
    ('path:pretrain_model_g', 'x.pth', 'is called pretrain_network_g today'),
    ('logger:print_frequency', 1, 'did you mean print_freq?'),
    ('network_g:num_fet', 4, 'ConverseSRResNet takes no such argument; did you mean num_feat?'),
    ('train:pixel_opt:weight', 1, 'L1Loss takes no such argument; did you mean loss_weight?'),
    ('train:optim_g:learning_rate', 1, 'Adam takes no such argument'),
    ('train:optim_g:lam_lr_mult', 10, 'lam_lr_mult: is read by model_type RestorationModel only; remove it or change'),
    ('train:optim_g:kernel_lr_mult', 1, 'kernel_lr_mult: is read by model_type RestorationModel only'),
    ('train:scheduler:period', [4], 'MultiStepLR takes no such argument'),
    ('val:metrics:psnr:test_y_chanel', True, 'takes no such argument; did you mean test_y_channel?'),
    ('val:self_ensemble', True, 'is read by model_type RestorationModel only'),
    ('train:gan_opt', GAN, 'gan_opt: is read by model_type'),
    ('datasets:train:sigma', 25, 'sigma: unknown key'),
    # names that are registered nowhere
    ('model_type', 'SRModle', "no model is named 'SRModle'; did you mean SRModel?"),
    ('network_g:type', 'ConverseSRResnet', 'did you mean ConverseSRResNet?'),
    ('network_g:type', 'HAT', "no arch is named 'HAT'; github.com/XPixelGroup/HAT provides it"),
    ('datasets:train:type', 'PairedImageDataSet', 'did you mean PairedImageDataset?'),
    ('val:metrics:psnr:type', 'calculate_pnsr', 'did you mean calculate_psnr?'),
    ('train:pixel_opt:type', 'L1Los', 'did you mean L1Loss?'),
    ('train:optim_g:type', 'Adamm', "no optimizer is named 'Adamm'"),
    ('train:scheduler:type', 'StepLR', "no scheduler is named 'StepLR'"),
    # what does not go together, or not here
    ('num_gpu', 4096, 'asks for 4096 GPU(s)'),
    ('train:scheduler', {**COSINE, 'periods': [2, 1]}, 'end at iteration 3, before total_iter 4'),
    ('train:scheduler', {**COSINE, 'restart_weights': [1]}, 'must be as many as the 2 periods'),
    (
        'train:scheduler',
        {'type': 'MultiStepRestartLR', 'milestones': [1], 'restarts': [0, 2]},
        'must be as many as the 2 restarts',
    ),
    ('network_g:upscale', 2, 'enlarges 2 times, but the scale of the data is 4'),
    ('network_g:operator', 'conv3d', 'ConverseSRResNet cannot be built: operator must be one of'),
    ('network_g:kernel_size', -5, 'ConverseSRResNet cannot be built'),
    ('network_g:kernel_init', 'gauss', "ConverseSRResNet cannot be built: kernel_init must be one of ['gabor', "),
    ('network_g:lam_init', 2, 'ConverseSRResNet cannot be built: lam_init must be between eps (1e-05) and 1 + eps'),
    ('network_g:up_lam_init', 1e-3, 'ConverseSRResNet cannot be built: up_lam_init must be between eps (0.001) and'),
    ('network_g:up_kernel_init', 'gauss', 'ConverseSRResNet cannot be built: up_kernel_init must be one of'),
    ('network_g:up_lam_init', 'low', "up_lam_init: must be a number or ~, got 'low'"),
    ('network_g:data_lam_init', 0.1, 'ConverseSRResNet takes no such argument; did you mean lam_init?'),
    ('datasets:val2', {}, 'datasets:val2: must be called train, val or val_NAME'),
    ('datasets:train:persistent_workers', True, 'needs loader processes'),
    ('datasets:val:on_bad_sample', 'skip', 'is for training only'),
    ('logger:wandb', {'project': 'x'}, 'project: needs use_tb_logger: true'),
    ('logger:save_format', 'ckpt', 'save_format: must be one of pth, safetensors'),
    ('dist_params', {'backend': 'smpi'}, 'dist_params:backend: must be one of nccl, gloo, mpi'),
    ('dist_params', {'backend': 'mpi'}, 'dist_params:backend: mpi needs a PyTorch that was built with MPI'),
    # files that are not there, or not what they should be
    ('path:pretrain_network_g', 'gone.pth', 'path:pretrain_network_g: gone.pth does not exist'),
    ('path:pretrain_network_g', 'text.pth', 'checkpoint text.pth cannot be read'),
    ('path:pretrain_network_g', 'code.pth', 'checkpoint code.pth cannot be read'),
    ('path:pretrain_network_g', 'other.pth', 'other.pth does not fit ConverseSRResNet'),
    ('path:pretrain_network_g', 'list.pth', 'holds no state dict'),
    ('path:resume_state', 'gone.state', 'path:resume_state: gone.state does not exist'),
    ('path:resume_state', 'other.pth', 'path:resume_state: other.pth is not a training state'),
    ('path:resume_state', 'list.pth', 'path:resume_state: list.pth is not a training state'),
    ('path:resume_state', 'text.pth', 'path:resume_state: checkpoint text.pth '),
    ('datasets:train:dataroot_gt', 'gone.lmdb', 'gone.lmdb does not exist; make it with'),
    ('datasets:train:dataroot_gt', 'text.pth', 'text.pth is no folder'),
    ('datasets:train:dataroot_gt', '.', 'must end in .lmdb'),
    ('datasets:val:meta_info_file', 'gone.txt', 'datasets:val:meta_info_file: gone.txt does not exist'),
    # names that would lead out of the folders of the run
    ('name', '../other', 'name: must be text without slashes'),
    ('name', '..', 'name: must be text without slashes'),
    ('name', '/tmp/x', 'name: must be text without slashes'),
    ('name', '', 'name: must be text without slashes'),
    ('datasets:val:name', '../../home', 'name: must be text without slashes'),
    ('val:suffix', '/../../x', 'suffix: must be text without slashes'),
]


class RunsCode:
    """Unpickling it writes a file."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ('exploded',)


@pytest.fixture
def files(tmp_path: Path) -> None:
    """Checkpoints that are none, or of another network."""
    (tmp_path / 'text.pth').write_text('no checkpoint')
    torch.save({'params': {'weight': RunsCode()}}, tmp_path / 'code.pth')
    torch.save({'params': {'weight': torch.zeros(2)}}, tmp_path / 'other.pth')
    torch.save([1, 2], tmp_path / 'list.pth')


def change(options: dict[str, Any], key_path: str, value: Any) -> None:
    *sections, key = key_path.split(':')
    for section in sections:
        options = options[section]
    if value is ABSENT:
        del options[key]
    else:
        options[key] = value


def listing(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b'' for path in folder.rglob('*')}


@pytest.mark.usefixtures('files')
@pytest.mark.parametrize(('key_path', 'value', 'message'), BAD, ids=[f'{key}-{n}' for n, (key, _, _) in enumerate(BAD)])
@pytest.mark.promise(
    'a name or suffix with slashes or `..` (`name: ../other`), which would lead out of the folders of the run'
)
@pytest.mark.promise(
    'an unknown, missing or misspelt key; a value of the wrong kind or out of range; a key of another model'
)
@pytest.mark.promise('an unknown architecture, model, dataset, metric, loss, optimizer or scheduler')
@pytest.mark.promise('an argument that the class does not take, or a value that its constructor refuses')
@pytest.mark.promise("a `scale` that is not the network's, a `gt_size` that is no multiple of it")
@pytest.mark.promise('`periods` that end before `total_iter`')
@pytest.mark.promise(
    'more GPUs than there are; `prefetch_mode: cuda` without one; a package or `backend: mpi` that is missing'
)
@pytest.mark.promise('a checkpoint that is truncated, no checkpoint, or a pickle that would run code')
@pytest.mark.promise('a checkpoint that does not fit the network')
@pytest.mark.promise('a missing folder, file or LMDB')
@pytest.mark.promise('a wrong argument of a metric is ignored')
def test_it_is_refused_in_one_line_and_nothing_is_written(
    basicsr: Run,
    run_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    key_path: str,
    value: Any,
    message: str,
) -> None:
    change(run_options, key_path, value)
    before = listing(tmp_path)
    assert basicsr('train', run_options) == 2
    error = capsys.readouterr().err
    assert 'Traceback' not in error
    lines = error.splitlines()
    assert all(line.startswith('basicsr: error: ') for line in lines), error
    assert sum(message in line for line in lines) == 1, error
    after = listing(tmp_path)
    assert {path: after[path] for path in after if not path.endswith('run.yml')} == before


# What a command line can do wrong: (override, message)
BAD_OVERRIDES = [
    ('train:total_itr=3', '--force_yml train:total_itr: unknown key; did you mean total_iter?'),
    ('train:total_iter=x', "--force_yml train:total_iter: must be a whole number from 1 up, got 'x'"),
    ('trian:total_iter=3', 'has no section trian; did you mean train?'),
    ('train=3', '--force_yml train: must be a section'),
    ('network_g:num_feat=many', "must be a whole number, got 'many'"),
    ('name=__import__("os").mkdir("exploded")/x', '--force_yml name: must be text without slashes'),
    ('x"];import os;os.mkdir("exploded");opt["name=3', 'unknown key'),
    ('train:total_iter=!!python/object/apply:os.mkdir [exploded]', 'the value is no valid YAML'),
    ('nothing', 'must look like section:key=value'),
]


@pytest.mark.parametrize(('override', 'message'), BAD_OVERRIDES)
@pytest.mark.promise('code in `--force_yml`')
def test_bad_overrides_are_refused_in_one_line(
    basicsr: Run,
    run_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    override: str,
    message: str,
) -> None:
    assert basicsr('train', run_options, '--force_yml', override) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('basicsr: error: ')
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ['run.yml']


@pytest.mark.parametrize('backend', ['nccl', 'gloo', 'mpi'])
def test_a_backend_that_this_machine_may_lack_is_no_mistake(
    basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setattr(torch.distributed, 'is_mpi_available', lambda: True)
    run_options.update(num_gpu=0, dist_params={'backend': backend, 'port': 29500})
    assert basicsr('check', run_options) == 0


@pytest.mark.parametrize(
    ('key', 'value', 'package'),
    [('save_format', 'safetensors', 'safetensors'), ('use_tb_logger', True, 'tensorboard')],
)
@pytest.mark.promise(
    'more GPUs than there are; `prefetch_mode: cuda` without one; a package or `backend: mpi` that is missing'
)
def test_a_package_that_the_log_needs_is_named(
    basicsr: Run,
    run_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    key: str,
    value: Any,
    package: str,
) -> None:
    run_options['logger'][key] = value
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: None if name == package else find_spec(name))
    assert basicsr('check', run_options) == 2
    error = capsys.readouterr().err
    assert f'logger:{key}: needs the package {package}: pip install {package}' in error
    monkeypatch.setattr(importlib.util, 'find_spec', lambda name: object())
    assert basicsr('check', run_options) == 0


def key_paths(section: dict[str, Any], prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in section.items():
        yield (*prefix, key)
        if isinstance(value, dict):
            yield from key_paths(value, (*prefix, key))


VALUES = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5), st.sampled_from(['Adam', 'SRModel'])
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(['type', 'train', 'lr', 'x']), inner, max_size=3)
    ),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_value_of_any_key_crashes_the_check(run_options: dict[str, Any], data: st.DataObject) -> None:
    import converse_basicsr
    from converse_basicsr.options.check.consistency import run_problems
    from converse_basicsr.options.check.sections import key_problems
    from converse_basicsr.options.check.weights import path_problems

    converse_basicsr.register()
    options = copy.deepcopy(run_options)
    paths = sorted(key_paths(options))
    for *sections, key in data.draw(st.lists(st.sampled_from(paths), min_size=1, max_size=3)):
        section: Any = options
        for name in sections:
            section = section[name] if isinstance(section, dict) and name in section else {}
        if isinstance(section, dict):
            section[key] = data.draw(VALUES)
    for is_train in (True, False):
        problems = [*key_problems(options, is_train=is_train), *run_problems(options, is_train=is_train)]
        problems += path_problems(options, is_train=is_train)
        for name in section_of(options, 'datasets'):
            problems += absence_problems(options, name)
        lines = [problem.line(OptionFile(Path('run.yml'), options)) for problem in problems]
        assert all(len(line.splitlines()) == 1 for line in lines)


def test_there_are_enough_of_them() -> None:
    assert len(BAD) + len(BAD_OVERRIDES) >= 60
