"""Weights that are not finite never take the place of those that are."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import converse_basicsr

converse_basicsr.register()

from basicsr.models.sr_model import SRModel  # noqa: E402
from basicsr.utils.registry import ARCH_REGISTRY  # noqa: E402

from converse_basicsr.checkpoints import files  # noqa: E402

Run = Callable[..., int]


class MaskedNet(nn.Module):
    """Enlarges by 4; its mask holds infinity on purpose."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Conv2d(3, 48, 3, padding=1)
        self.register_buffer('mask', torch.tensor([0.0, float('-inf')]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.pixel_shuffle(self.layer(x) * self.mask.softmax(0)[0], 4)


if 'MaskedNet' not in ARCH_REGISTRY:
    ARCH_REGISTRY.register(MaskedNet)


def spoil_after(monkeypatch: pytest.MonkeyPatch, iteration: int, spoil: Callable[[Any], None]) -> None:
    """Let something become infinite or NaN in an iteration of any model that is an SRModel."""
    original = SRModel.optimize_parameters

    def optimize(self: Any, current_iter: int) -> None:
        original(self, current_iter)
        if current_iter == iteration:
            with torch.no_grad():
                spoil(self)

    monkeypatch.setattr(SRModel, 'optimize_parameters', optimize)


def states() -> set[str]:
    return {path.name for path in Path('experiments/tiny/training_states').iterdir()}


def assert_finite(folder: Path) -> None:
    for path in folder.glob('*.pth'):
        for parameters in (files.read(path)[key] for key in ('params', 'params_ema') if key in files.read(path)):
            assert all(value.isfinite().all() for value in parameters.values()), path


def weight_to_nan(model: Any) -> None:
    next(model.get_bare_model(model.net_g).parameters()).view(-1)[0] = float('nan')


def ema_to_infinity(model: Any) -> None:
    next(model.net_g_ema.parameters()).view(-1)[0] = float('inf')


def moment_to_infinity(model: Any) -> None:
    next(iter(model.optimizers[0].state.values()))['exp_avg_sq'].view(-1)[0] = float('inf')


@pytest.mark.promise('weights that become infinite or NaN, with any model')
@pytest.mark.parametrize(
    ('spoil', 'named'),
    [(weight_to_nan, 'net_g.'), (ema_to_infinity, 'net_g_ema.'), (moment_to_infinity, 'optimizer 0, exp_avg_sq')],
)
def test_good_checkpoints_are_kept_when_weights_are_not_finite(
    basicsr: Run,
    run_options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Any], None],
    named: str,
) -> None:
    run_options['train'].update(total_iter=20, ema_decay=0.9)
    run_options['logger'].update(save_checkpoint_freq=1, keep_last=2)
    spoil_after(monkeypatch, 5, spoil)
    assert basicsr('train', run_options) == 2
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith(f'basicsr: error: iteration 5: {named}')
    assert 'earlier checkpoints are kept: start anew' in line
    assert states() == {'3.state', '4.state'}
    assert_finite(Path('experiments/tiny/models'))


def test_it_is_noticed_when_losses_are_logged(
    basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Checkpoints may be hours apart."""
    run_options['train']['total_iter'] = 20
    run_options['logger'].update(save_checkpoint_freq=100, print_freq=2)
    spoil_after(monkeypatch, 5, weight_to_nan)
    assert basicsr('train', run_options) == 2
    assert 'error: iteration 6: net_g.' in capsys.readouterr().err


def test_the_last_networks_are_looked_at_too(
    basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run_options['logger'].update(save_checkpoint_freq=100)
    spoil_after(monkeypatch, 4, weight_to_nan)
    assert basicsr('train', run_options) == 2
    assert not list(Path('experiments/tiny/models').iterdir())


def test_what_is_infinite_on_purpose_is_saved(basicsr: Run, run_options: dict[str, Any]) -> None:
    run_options['network_g'] = {'type': 'MaskedNet'}
    assert basicsr('train', run_options) == 0
    assert states() == {'2.state', '4.state'}


@pytest.mark.promise('weights that hold NaN before the first iteration')
def test_training_does_not_start_from_nan(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    run_options['network_g'] = {'type': 'MaskedNet'}
    weights = MaskedNet().state_dict()
    weights['layer.bias'][3] = float('nan')
    torch.save(weights, 'nan.pth')
    run_options['path']['pretrain_network_g'] = 'nan.pth'
    assert basicsr('train', run_options) == 2
    assert 'NaN' in capsys.readouterr().err
    assert not Path('experiments').exists()


@pytest.mark.promise('a training that diverges: what its message advises')
def test_the_advice_after_a_divergence_works(
    basicsr: Run, run_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run_options.update(model_type='RestorationModel')
    run_options['train'].update(total_iter=20, nonfinite_limit=2)
    with monkeypatch.context() as patched:
        spoil_after(patched, 0, weight_to_nan)
        from converse_basicsr.models.training_model import TrainingModel

        losses = TrainingModel.losses
        patched.setattr(
            TrainingModel,
            'losses',
            lambda self: {
                name: value * (float('inf') if Path('experiments/tiny/training_states/2.state').exists() else 1)
                for name, value in losses(self).items()
            },
        )
        assert basicsr('train', run_options) == 2
    told = capsys.readouterr().err
    assert (
        'set train:grad_clip or train:amp: no and go on with --auto_resume, or start anew, under another name' in told
    )
    assert states() == {'2.state'}
    run_options['train'].update(grad_clip=1.0, total_iter=4)
    run_options['train']['optim_g']['lr'] = 1e-4
    assert basicsr('train', run_options, '--auto_resume') == 0
    told = capsys.readouterr().err
    assert 'Changed option: train:grad_clip is 1.0 from here on (before: not given).' in told
    assert 'train:optim_g:lr is 0.0001 now, but the state decides (before: 0.001)' in told
    assert 'lr:(1.000e-03' in told
    run_options['path']['pretrain_network_g'] = 'experiments/tiny/models/net_g_2.pth'
    run_options['name'] = 'anew'
    assert basicsr('train', run_options) == 0
    assert 'lr:(1.000e-04' in capsys.readouterr().err


@pytest.mark.promise('weights that hold NaN before the first iteration')
def test_auto_resume_leaves_out_checkpoints_of_nan(
    basicsr: Run, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Earlier versions wrote them."""
    assert basicsr('train', run_options) == 0
    path = Path('experiments/tiny/models/net_g_4.pth')
    content = torch.load(path)
    next(iter(content['params'].values())).view(-1)[0] = float('nan')
    torch.save(content, path)
    assert basicsr('train', run_options, '--auto_resume') == 0
    told = capsys.readouterr().err
    assert re.search(r'skipping 4\.state: .*net_g_4\.pth holds NaN', told)
    assert 'iter: 2.' in told
