"""Factors of the learning rate for lam and for kernels: groups of the optimizer, and none without a factor."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from devices import assert_identical
from torch import nn

import converse_basicsr

converse_basicsr.register()

from basicsr.models import build_model  # noqa: E402

from converse_basicsr.errors import UserError  # noqa: E402
from converse_basicsr.models.learning_rates import ROLES, grouped, require_same_groups  # noqa: E402
from converse_basicsr.ops.roles import parameters_of  # noqa: E402

CONVERSE = {'type': 'ConverseSRResNet', 'num_feat': 8, 'num_block': 1, 'upscale': 2}
COSINE = {'type': 'CosineAnnealingRestartLR', 'periods': [20], 'restart_weights': [1], 'eta_min': 1e-6}
BOTH = {'lam_lr_mult': 10, 'kernel_lr_mult': 0.5}

Build = Callable[..., Any]


@pytest.fixture
def build(num_gpu: int) -> Build:
    """Build a model on the device under test."""

    def build(network: dict[str, Any] = CONVERSE, model: str = 'RestorationModel', **optim: Any) -> Any:
        torch.manual_seed(0)
        return build_model(
            {
                'name': 'x',
                'model_type': model,
                'is_train': True,
                'dist': False,
                'num_gpu': num_gpu,
                'rank': 0,
                'path': {},
                'network_g': dict(network),
                'train': {
                    'optim_g': {'type': 'Adam', 'lr': 1e-2, **optim},
                    'scheduler': dict(COSINE),
                    'pixel_opt': {'type': 'L1Loss'},
                },
            }
        )

    return build


def trained(model: Any, steps: int = 3) -> dict[str, torch.Tensor]:
    for number in range(1, steps + 1):
        torch.manual_seed(number)
        gt = torch.rand(2, 3, 16, 16)
        model.update_learning_rate(number, warmup_iter=-1)
        model.feed_data({'gt': gt, 'lq': nn.functional.avg_pool2d(gt, 2)})
        model.optimize_parameters(number)
    return {name: value.detach().clone() for name, value in model.net_g.state_dict().items()}


@pytest.mark.parametrize('optim', [{}, {'lam_lr_mult': 1}, {'lam_lr_mult': 1.0, 'kernel_lr_mult': 1}])
@pytest.mark.parametrize('network', [CONVERSE, {**CONVERSE, 'operator': 'conv'}], ids=['converse', 'conv'])
def test_without_a_factor_nothing_changes(build: Build, network: dict[str, Any], optim: dict[str, float]) -> None:
    """Weights and the state of the optimizer are those of BasicSR's model, to the last bit."""
    ours, theirs = build(network, **optim), build(network, model='SRModel')
    assert_identical(trained(ours), trained(theirs))
    ours, theirs = ours.optimizer_g.state_dict(), theirs.optimizer_g.state_dict()
    assert len(ours['param_groups']) == 1
    assert ours['param_groups'] == theirs['param_groups']
    assert ours['state'].keys() == theirs['state'].keys()
    for number, moments in ours['state'].items():
        assert_identical(moments, theirs['state'][number])


def test_a_state_without_factors_goes_on_bit_by_bit(build: Build) -> None:
    """States of earlier versions hold one group and no factor."""
    earlier = build(model='SRModel')
    trained(earlier)
    state = {
        'optimizers': [earlier.optimizer_g.state_dict()],
        'schedulers': [one.state_dict() for one in earlier.schedulers],
    }
    resumed = build(lam_lr_mult=1)
    resumed.net_g.load_state_dict(earlier.net_g.state_dict())
    resumed.resume_training(copy.deepcopy(state))
    assert_identical(trained(resumed), trained(earlier))


def test_every_parameter_is_in_the_group_of_its_role(build: Build) -> None:
    model = build(**BOTH)
    names = {parameter: name for name, parameter in model.net_g.named_parameters()}
    others, kernels, lams = ([names[p] for p in group['params']] for group in model.optimizer_g.param_groups)
    assert sorted(others + kernels + lams) == sorted(names.values())
    operators = ('conv_body.0.conv1.3', 'upconv1.conv1.3', 'up1', 'conv_hres.conv1.3')
    assert set(kernels) == {f'{name}.weight' for name in operators}
    assert set(lams) == {f'{name}.bias' for name in operators}
    assert [group['lr'] for group in model.optimizer_g.param_groups] == pytest.approx([1e-2, 5e-3, 0.1])


@pytest.mark.parametrize('name', ROLES)
@pytest.mark.parametrize('factor', [0.25, 10])
def test_one_step_moves_what_the_factor_is_for_that_much_further(build: Build, name: str, factor: float) -> None:
    plain, model = build(type='SGD'), build(type='SGD', **{name: factor})
    start = {key: value.clone() for key, value in model.net_g.state_dict().items()}
    one, other = trained(plain, steps=1), trained(model, steps=1)
    role = {id(parameter) for parameter in parameters_of(model.net_g, ROLES[name])}
    for key, parameter in model.net_g.named_parameters():
        expected = (one[key] - start[key]) * (factor if id(parameter) in role else 1)
        torch.testing.assert_close(other[key] - start[key], expected, atol=1e-6, rtol=1e-3)


def test_warm_up_and_cosine_keep_the_factors(build: Build) -> None:
    plain, model = build(), build(**BOTH)
    seen = []
    for iteration in range(1, 21):
        for one in (plain, model):
            one.optimizer_g.step()
            one.update_learning_rate(iteration, warmup_iter=5)
        (lr,) = plain.get_current_learning_rate()
        others, kernels, lams = model.get_current_learning_rate()
        seen.append(lr)
        assert others == pytest.approx(lr)
        # eta_min, where the cosine ends, is the same for all.
        floor = 0 if iteration < 5 else COSINE['eta_min']
        assert kernels - floor == pytest.approx(0.5 * (lr - floor), rel=2e-3)
        assert lams - floor == pytest.approx(10 * (lr - floor), rel=2e-3)
    assert seen[:4] == pytest.approx([2e-3, 4e-3, 6e-3, 8e-3])
    assert seen[-1] < 1e-3


@pytest.mark.parametrize('wrap', ['DataParallel', 'converse'])
def test_wrapped_and_changed_networks(build: Build, monkeypatch: pytest.MonkeyPatch, wrap: str) -> None:
    network = dict(CONVERSE)
    if wrap == 'converse':
        network = {'type': 'EDSR', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'upscale': 2}
        network['converse'] = {'upsample': True, 'conv3x3': True}
    else:
        from converse_basicsr.models.training_model import TrainingModel

        original = TrainingModel.model_to_device
        monkeypatch.setattr(TrainingModel, 'model_to_device', lambda self, net: nn.DataParallel(original(self, net)))
    model = build(network, lam_lr_mult=10)
    assert [len(group['params']) > 0 for group in model.optimizer_g.param_groups] == [True, True]
    assert len(model.optimizer_g.param_groups[1]['params']) == (2 if wrap == 'converse' else 4)


@pytest.mark.parametrize('name', ROLES)
def test_a_factor_without_effect_is_refused(build: Build, name: str) -> None:
    for network in ({**CONVERSE, 'operator': 'conv'}, {'type': 'MSRResNet', 'num_feat': 4, 'num_block': 1}):
        with pytest.raises(UserError, match=f'train:optim_g:{name} has no effect: no reverse convolution'):
            build(network, **{name: 10})


def test_what_is_not_trained_has_no_group() -> None:
    from converse_basicsr.ops import Converse2D

    layer = Converse2D(4, 4, 3)
    with pytest.raises(UserError, match='lam_lr_mult has no effect'):
        grouped([layer], [layer.weight], 1e-3, {'lam_lr_mult': 2})
    (group,) = grouped([layer], [layer.bias], 1e-3, {'lam_lr_mult': 2})[1:]
    assert group == {'params': [layer.bias], 'lr': 2e-3, 'lam_lr_mult': 2}


@pytest.mark.parametrize('name', ROLES)
@pytest.mark.parametrize('value', [0, -1, float('nan'), float('inf'), '10', True, None, [10]])
def test_what_is_no_factor_is_refused(build: Build, name: str, value: Any) -> None:
    with pytest.raises(UserError, match=f'train:optim_g:{name} must be a number above 0, got '):
        build(**{name: value})


@pytest.mark.parametrize(
    ('here', 'there', 'words'),
    [
        ([{}, {'lam_lr_mult': 2}], [{}], 'was trained with neither of its factors in .* this run has lam_lr_mult'),
        ([{}], [{}, {'kernel_lr_mult': 2}], 'with kernel_lr_mult in train:optim_g, this run has neither'),
        ([{}, {'lam_lr_mult': 2}], [{}, {'kernel_lr_mult': 2}], 'with kernel_lr_mult in .* this run has lam_lr_mult'),
        ([{}, {'kernel_lr_mult': 2}, {'lam_lr_mult': 2}], [{}, {'lam_lr_mult': 2}], 'has kernel_lr_mult and lam_lr'),
    ],
)
def test_groups_of_other_factors_are_told_apart(here: list[Any], there: list[Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        require_same_groups(here, there)
    require_same_groups(here, here)


def test_the_value_of_a_factor_may_change() -> None:
    require_same_groups([{}, {'lam_lr_mult': 2}], [{}, {'lam_lr_mult': 3}])
