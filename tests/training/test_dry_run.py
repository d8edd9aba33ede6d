"""``basicsr check --dry-run``: everything is built and tried, nothing is written, and what fails is named."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import only_log
from torch import nn

from converse_basicsr.options import keys

Run = Callable[..., int]
Options = dict[str, Any]

GAN = {'type': 'GANLoss', 'gan_type': 'vanilla', 'real_label_val': 1.0, 'fake_label_val': 0.0, 'loss_weight': 0.1}
DISCRIMINATOR = {'type': 'UNetDiscriminatorSN', 'num_in_ch': 3, 'num_feat': 4}


def discriminated(options: Options) -> None:
    options.update(model_type='ESRGANModel', network_d=dict(DISCRIMINATOR))
    options['train'].update(optim_d={'type': 'Adam', 'lr': 1e-3}, gan_opt=dict(GAN), ema_decay=0.9, net_d_iters=2)


def restoring(options: Options) -> None:
    options['model_type'] = 'RestorationModel'
    options['train'].update(accum_iter=2, amp='bf16', ema_decay=0.9)
    options['datasets']['train'].update(prefetch_mode='cpu', num_worker_per_gpu=2, persistent_workers=True)
    options['logger'].update(use_tb_logger=True)
    options['val']['save_img'] = True


def transforming(options: Options) -> None:
    sizes = {'img_size': 8, 'window_size': 4, 'depths': [1], 'embed_dim': 8, 'num_heads': [2], 'mlp_ratio': 2}
    options.update(model_type='SwinIRModel')
    options['network_g'] = {'type': 'SwinIR', 'upscale': 4, 'upsampler': 'pixelshuffledirect', **sizes}


def without_validation(options: Options) -> None:
    del options['val'], options['datasets']['val']


@pytest.mark.promise('`basicsr check --dry-run`')
@pytest.mark.parametrize('change', [dict, discriminated, restoring, transforming, without_validation])
def test_what_trains_is_ready_and_nothing_is_written(
    basicsr: Run,
    run_options: Options,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    change: Callable[[Options], object],
) -> None:
    change(run_options)
    scratch = tmp_path.parent / f'{tmp_path.name}_scratch'
    scratch.mkdir()
    monkeypatch.setattr('tempfile.tempdir', str(scratch))
    assert basicsr('check', run_options, '--dry-run') == 0, capsys.readouterr().err
    printed = capsys.readouterr()
    assert printed.out == 'run.yml: ready for training\n'
    assert printed.err == ''
    assert [path.name for path in Path().iterdir()] == ['run.yml']
    # PyTorch makes a folder for compiled code when its optimizers are imported.
    assert [path for path in scratch.iterdir() if not path.name.startswith('torchinductor')] == []


def test_an_iteration_and_a_validation_are_really_done(
    basicsr: Run, run_options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    from basicsr.models.sr_model import SRModel

    calls = []
    for name in ('optimize_parameters', 'test'):
        original = getattr(SRModel, name)

        def note(self: Any, *arguments: Any, name: str = name, original: Any = original) -> None:
            calls.append((name, tuple(self.lq.shape)))
            original(self, *arguments)

        monkeypatch.setattr(SRModel, name, note)
    assert basicsr('check', run_options, '--dry-run') == 0
    assert calls == [('optimize_parameters', (2, 3, 4, 4)), ('test', (1, 3, 10, 12))]


class OddNet(nn.Module):
    """Fails as it is told to: no check of options can know."""

    def __init__(self, fails: str = '') -> None:
        super().__init__()
        self.fails = fails
        self.conv = nn.Conv2d(3, 48, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.fails == ('training' if self.training else 'scoring') and not x.is_meta:
            raise RuntimeError('an odd failure')
        y = nn.functional.pixel_shuffle(self.conv(x), 4)
        return y * float('nan') if self.fails == 'nan' else y


def odd_score(img: Any, img2: Any, crop_border: int) -> float:
    raise KeyError('odd')


@pytest.fixture
def odd() -> Iterator[None]:
    """A network and a metric of a plugin."""
    import converse_basicsr

    converse_basicsr.register()
    from basicsr.utils.registry import ARCH_REGISTRY, METRIC_REGISTRY

    ARCH_REGISTRY.register(OddNet)
    METRIC_REGISTRY.register(odd_score)
    yield
    del ARCH_REGISTRY._obj_map['OddNet'], METRIC_REGISTRY._obj_map['odd_score']


FAILURES: list[tuple[Options, Options, str]] = [
    (
        {'fails': 'training'},
        {},
        'run.yml:29 network_g: failed in the first iteration: an odd failure (Runtime',
    ),
    (
        {'fails': 'scoring'},
        {},
        'network_g: failed when its first image was scored: an odd failure (Runtime',
    ),
    ({'fails': 'nan'}, {}, 'train: failed in the first iteration: the loss l_pix is not finite'),
    ({}, {'type': 'odd_score', 'crop_border': 0}, "val:metrics:psnr: failed when its first image was scored: 'odd'"),
]


@pytest.mark.promise('`basicsr check --dry-run`')
@pytest.mark.usefixtures('odd')
@pytest.mark.parametrize(('network', 'metric', 'message'), FAILURES, ids=[message for *_, message in FAILURES])
def test_a_failure_is_one_line_with_its_key(
    basicsr: Run,
    run_options: Options,
    capsys: pytest.CaptureFixture[str],
    network: Options,
    metric: Options,
    message: str,
) -> None:
    run_options['network_g'] = {'type': 'OddNet', **network}
    if metric:
        run_options['val']['metrics']['psnr'] = metric
    assert basicsr('check', run_options) == 0
    assert basicsr('check', run_options, '--dry-run') == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('basicsr: error: run.yml:')
    assert message.removeprefix('run.yml:29 ') in line
    assert [path.name for path in Path().iterdir()] == ['run.yml']


def test_what_tests_is_ready_too(basicsr: Run, run_options: Options, capsys: pytest.CaptureFixture[str]) -> None:
    import converse_basicsr

    converse_basicsr.register()
    from basicsr.archs import build_network

    torch.save(build_network(dict(run_options['network_g'])).state_dict(), 'flat.pth')
    run_options['datasets'] = {'test': run_options['datasets']['val']}
    run_options['path'] = {'pretrain_network_g': 'flat.pth'}
    del run_options['train'], run_options['logger'], run_options['val']['val_freq']
    before = sorted(Path().iterdir())
    assert basicsr('check', run_options, '--dry-run') == 0
    assert capsys.readouterr().out == 'run.yml: ready for testing\n'
    assert sorted(path for path in Path().iterdir() if path.name != 'run.yml') == before


@pytest.mark.promise('a network, metric or dataset, of a plugin say, that fails when an image is scored')
@pytest.mark.usefixtures('odd')
def test_a_training_that_could_not_be_validated_does_not_begin(
    basicsr: Run, run_options: Options, capsys: pytest.CaptureFixture[str]
) -> None:
    run_options['network_g'] = {'type': 'OddNet', 'fails': 'scoring'}
    assert basicsr('train', run_options) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert 'network_g: failed when its first image was scored: an odd failure (RuntimeError in test_dry_run.py' in line
    assert [path.name for path in Path().iterdir() if path.suffix != '.lock'] == ['run.yml']


def test_trying_it_changes_nothing(basicsr: Run, run_options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    """The training that follows is the same, to the last bit, and its log and best values know nothing of it."""
    from converse_basicsr.training import pipeline

    states, logs = [], []
    for name in ('with', 'without'):
        run_options['name'] = name
        assert basicsr('train', run_options) == 0
        states.append(torch.load(f'experiments/{name}/models/net_g_4.pth')['params'])
        logs.append(only_log(name).count('Validation val'))
        monkeypatch.setattr(pipeline, 'rehearse', lambda *_: None)
    assert logs == [1, 1]
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def optional_keys(options: Options) -> Iterator[tuple[str, ...]]:
    """The keys of a training that the definitions, and so docs/options.md, call optional."""
    sections: list[tuple[tuple[str, ...], keys.Keys]] = [
        ((), {**keys.GENERAL, **keys.MODELS['SRModel'].options}),
        (('path',), keys.PATH),
        (('train',), {**keys.TRAIN, **keys.MODELS['SRModel'].train}),
        (('val',), keys.VAL),
        (('logger',), keys.LOGGER),
    ]
    for name, dataset in options['datasets'].items():
        sections.append((('datasets', name), {**keys.DATASET, **keys.DATASETS[dataset['type']]}))
    for place, known in sections:
        section: Any = options
        for key in place:
            section = section[key]
        for key in section:
            phase = 'train' if place[:1] != ('datasets',) else place[1]
            if key in known and known[key].needed not in ('always', phase):
                yield (*place, key)


@pytest.mark.promise('a key left out that [options.md](options.md) does not mark as needed')
def test_a_key_that_is_called_optional_may_be_left_out(basicsr: Run, run_options: Options) -> None:
    found = set(optional_keys(run_options)) - {('train', 'pixel_opt')}  # one loss is needed, whichever
    assert {('num_gpu',), ('scale',), ('logger', 'use_tb_logger'), ('val',)} <= found
    for place in found:
        options = copy.deepcopy(run_options)
        section: Any = options
        for key in place[:-1]:
            section = section[key]
        del section[place[-1]]
        if place == ('scale',):
            options['network_g'].pop('upscale')
            options['scale'] = 1
            options = unscaled(options)
        assert basicsr('check', options, '--dry-run') == 0, place
    for place in found - {('scale',)}:
        section = run_options
        for key in place[:-1]:
            section = section.get(key, {})
        section.pop(place[-1], None)
    assert basicsr('train', run_options) == 0  # all of them at once


def unscaled(options: Options) -> Options:
    """A run without a scale: for networks that restore images of the same size."""
    del options['scale']
    options['network_g'] = {'type': 'ConverseNet', 'num_feat': 4, 'num_block': 1}
    for dataset in options['datasets'].values():
        dataset['dataroot_lq'] = dataset['dataroot_gt']
    return options


def test_the_line_about_a_bad_image_of_a_validation_set_gives_advice_that_can_be_taken(
    basicsr: Run, run_options: Options, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    from converse_basicsr.data.bad_samples import BadSampleError, GuardedDataset

    class Bad:
        def __init__(self, phase: str) -> None:
            self.opt = {'phase': phase}

        def __len__(self) -> int:
            return 1

        def __getitem__(self, index: int) -> Any:
            raise ValueError('bad')

    for phase, is_advised in (('train', True), ('val', False), ('test', False)):
        with pytest.raises(BadSampleError) as refusal:
            GuardedDataset(Bad(phase), 'set')[0]
        assert ('on_bad_sample: skip' in str(refusal.value)) is is_advised
