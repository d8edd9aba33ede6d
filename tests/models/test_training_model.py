import copy
import functools
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from devices import assert_identical
from torch import nn

import converse_basicsr

converse_basicsr.register()

from basicsr.models import build_model  # noqa: E402
from basicsr.utils.registry import ARCH_REGISTRY  # noqa: E402

from converse_basicsr.errors import UserError  # noqa: E402
from converse_basicsr.models.training_model import split  # noqa: E402
from converse_basicsr.models.training_options import TrainingOptions  # noqa: E402


class NormedNet(nn.Module):
    """A network with running statistics."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.Conv2d(8, 3, 3, padding=1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


if 'NormedNet' not in ARCH_REGISTRY:
    ARCH_REGISTRY.register(NormedNet)

CONVERSE = {'type': 'ConverseSRResNet', 'num_feat': 8, 'num_block': 1, 'upscale': 2}


Build = Callable[..., Any]


@pytest.fixture
def build(num_gpu: int) -> Build:
    """Build a model on the device under test."""

    def build(network: dict[str, Any], model: str = 'RestorationModel', optimizer: str = 'Adam', **train: Any) -> Any:
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
                    'optim_g': {'type': optimizer, 'lr': 1e-2},
                    'scheduler': {'type': 'MultiStepLR', 'milestones': [100]},
                    'pixel_opt': {'type': 'L1Loss'},
                    **train,
                },
            }
        )

    return build


@pytest.mark.parametrize('name', ['LBFGS', 'SparseAdam', 'Muon'])
def test_an_optimizer_that_cannot_do_the_work_is_named(build: Build, name: str) -> None:
    if not hasattr(torch.optim, name):
        pytest.skip(f'this PyTorch has no {name}')
    with pytest.raises(UserError, match=f'train:optim_g: {name} cannot train this network'):
        trained(build({'type': 'NormedNet'}, optimizer=name), scale=1)


def batch(number: int, size: int = 8, scale: int = 1) -> dict[str, Any]:
    torch.manual_seed(number)
    gt = torch.rand(size, 3, 8 * scale, 8 * scale)
    return {'gt': gt, 'lq': nn.functional.avg_pool2d(gt, scale), 'lq_path': [str(index) for index in range(size)]}


def trained(model: Any, steps: int = 4, scale: int = 2) -> dict[str, torch.Tensor]:
    for number in range(1, steps + 1):
        model.feed_data(batch(number, scale=scale))
        model.optimize_parameters(number)
    return {name: value.detach().clone() for name, value in model.net_g.state_dict().items()}


def largest_difference(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> float:
    return max(float((a[name] - b[name]).abs().max()) for name in a)


def test_without_options_a_step_is_that_of_basicsr(build: Build) -> None:
    ours = trained(build(CONVERSE, ema_decay=0.9))
    theirs = trained(build(CONVERSE, model='SRModel', ema_decay=0.9))
    assert_identical(ours, theirs)


@pytest.mark.parametrize('accum_iter', [2, 3])
def test_accumulating_equals_the_whole_batch(build: Build, accum_iter: int) -> None:
    """Three parts of eight samples have unequal sizes."""
    whole, parts = build(CONVERSE, optimizer='SGD'), build(CONVERSE, optimizer='SGD', accum_iter=accum_iter)
    start = copy.deepcopy(whole.net_g.state_dict())
    expected = trained(whole)
    assert largest_difference(trained(parts), expected) < 1e-6 < largest_difference(start, expected)
    assert parts.log_dict['l_pix'] == pytest.approx(whole.log_dict['l_pix'], rel=1e-6)


def test_split_keeps_samples_together() -> None:
    data = {**batch(0, size=5), 'scale': torch.tensor(3), 'sigma': torch.arange(5)}
    parts = split(data, 2)
    assert [share for _, share in parts] == [2 / 5, 3 / 5]
    assert [part['lq_path'] for part, _ in parts] == [['0', '1'], ['2', '3', '4']]
    assert torch.equal(torch.cat([part['sigma'] for part, _ in parts]), data['sigma'])
    assert all(part['scale'] == 3 for part, _ in parts)
    assert len(split(data, 9)) == 5


def test_bf16_computes_the_forward_pass_alone_in_half_precision(build: Build) -> None:
    model = build(CONVERSE, amp='bf16')
    kept = []
    first = next(module for module in model.net_g.modules() if isinstance(module, nn.Conv2d))
    first.register_forward_hook(lambda net, inputs, output: kept.append(output.dtype))
    in_bf16 = trained(model)
    assert set(kept) == {torch.bfloat16}
    assert {value.dtype for value in in_bf16.values()} == {model.output.dtype} == {torch.float32}
    assert 1e-6 < largest_difference(in_bf16, trained(build(CONVERSE))) < 0.1
    kept.clear()
    model.feed_data(batch(0, scale=2))
    model.test()
    assert kept == [torch.float32]


def test_gradients_are_clipped_together(build: Build) -> None:
    model = build(CONVERSE, optimizer='SGD', grad_clip=1e-3)
    before = {name: value.clone() for name, value in model.net_g.state_dict().items()}
    after = trained(model, steps=1)
    moved = math.sqrt(sum(float((after[name] - value).square().sum()) for name, value in before.items()))
    assert moved == pytest.approx(1e-2 * 1e-3, rel=1e-3)


@pytest.mark.parametrize('poison', [float('nan'), float('inf')])
def test_an_iteration_that_is_not_finite_leaves_no_trace(build: Build, poison: float) -> None:
    model = build({'type': 'NormedNet'}, ema_decay=0.9)
    trained(model, steps=2, scale=1)
    kept = [copy.deepcopy(part.state_dict()) for part in (model.net_g, model.net_g_ema, model.optimizer_g)]
    bad = batch(3)
    bad['lq'][0, 0, 0, 0] = poison
    model.feed_data(bad)
    model.optimize_parameters(3)
    for part, before in zip((model.net_g, model.net_g_ema), kept):
        assert all(torch.equal(value, before[name]) for name, value in part.state_dict().items())
    assert str(model.optimizer_g.state_dict()) == str(kept[2])
    assert model.skipped_iterations == 1
    trained(model, steps=1, scale=1)
    assert (model.skipped_iterations, model.skipped_in_succession) == (1, 0)


def test_a_gradient_that_is_not_finite_is_skipped_too(build: Build) -> None:
    model = build({'type': 'NormedNet'})
    model.net_g.layers[0].weight.register_hook(lambda grad: grad * float('inf'))
    before = copy.deepcopy(model.net_g.state_dict())
    after = trained(model, steps=1, scale=1)
    assert math.isfinite(model.log_dict['l_pix'])
    assert all(torch.equal(after[name], value) for name, value in before.items())


def test_too_many_iterations_that_are_not_finite_end_the_training(build: Build) -> None:
    model = build({'type': 'NormedNet'}, nonfinite_limit=3)
    nn.init.constant_(model.net_g.layers[0].weight, float('nan'))
    with pytest.raises(UserError, match='not finite in 3 iterations in succession, the last being 3'):
        trained(model, steps=5, scale=1)


def test_counts_and_scaler_are_resumed(build: Build) -> None:
    model, resumed = build(CONVERSE), build(CONVERSE)
    for one in (model, resumed):
        one.scaler = torch.amp.GradScaler(model.device.type, init_scale=64.0, growth_interval=2)
    model.skipped_iterations = 5
    trained(model)
    assert model.scaler.get_scale() == 256.0
    resumed.load_further_training_state(model.further_training_state())
    assert resumed.scaler.state_dict() == model.scaler.state_dict()
    assert resumed.skipped_iterations == 5
    resumed.load_further_training_state({})


def test_a_scaled_loss_trains_alike_and_an_overflow_only_lowers_the_scale(build: Build) -> None:
    model = build(CONVERSE, optimizer='SGD')
    model.scaler = torch.amp.GradScaler(model.device.type, init_scale=64.0)
    assert largest_difference(trained(model), trained(build(CONVERSE, optimizer='SGD'))) < 1e-6
    before = copy.deepcopy(model.net_g.state_dict())
    next(model.net_g.parameters()).register_hook(lambda grad: grad * float('inf'))
    after = trained(model, steps=1)
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert model.scaler.get_scale() == 32.0
    assert model.skipped_iterations == 0


def test_channels_last_changes_the_layout_only(build: Build) -> None:
    model = build(CONVERSE, optimizer='SGD', channels_last=True)
    assert largest_difference(trained(model), trained(build(CONVERSE, optimizer='SGD'))) < 1e-6
    assert model.lq.is_contiguous(memory_format=torch.channels_last)
    weights = [value for value in model.net_g.parameters() if value.ndim == 4 and min(value.shape[1:]) > 1]
    assert weights
    assert all(weight.is_contiguous(memory_format=torch.channels_last) for weight in weights)


@pytest.mark.slow
@pytest.mark.parametrize('network', [CONVERSE, {'type': 'USRNet', 'num_iter': 1, 'num_feat': 4, 'num_block': 1}])
def test_a_compiled_training_equals_an_eager_one(
    build: Build, network: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the graphs that torch.compile makes, but without the code generation, which takes a minute."""
    calls = []
    compiled = functools.partial(torch.compile, backend='aot_eager')
    monkeypatch.setattr(torch, 'compile', lambda net: calls.append(net) or compiled(net))
    scale = network.get('upscale', 1)
    conditions = {'kernel': torch.full((8, 1, 5, 5), 1 / 25), 'sigma': torch.full((8, 1, 1, 1), 0.01), 'scale': [1] * 8}
    states = []
    for compile_it in (True, False):
        model = build(network, optimizer='SGD', compile=compile_it)
        model.feed_data({**batch(1, scale=scale), **conditions})
        model.optimize_parameters(1)
        states.append(model.net_g.state_dict())
    assert len(calls) == 1
    assert largest_difference(*states) < 1e-6


@pytest.mark.parametrize('optimizer', ['AdamW', 'SGD', 'RMSprop'])
def test_every_optimizer_of_torch_serves(build: Build, optimizer: str) -> None:
    assert type(build(CONVERSE, optimizer=optimizer).optimizer_g) is getattr(torch.optim, optimizer)


@pytest.mark.parametrize('optimizer', ['Adman', 'lr_scheduler', 'Optimizers'])
def test_an_unknown_optimizer_is_named(build: Build, optimizer: str) -> None:
    with pytest.raises(UserError, match=f'got {optimizer!r}'):
        build(CONVERSE, optimizer=optimizer)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('amp', 'float16'),
        ('amp', True),
        ('accum_iter', 0),
        ('accum_iter', 1.5),
        ('accum_iter', True),
        ('grad_clip', 0),
        ('grad_clip', 'much'),
        ('compile', 'yes'),
        ('channels_last', 1),
        ('nonfinite_limit', 0),
    ],
)
def test_bad_options_are_named(key: str, value: Any) -> None:
    with pytest.raises(UserError, match=f'train:{key} must be .*got {value!r}'):
        TrainingOptions.read({key: value})


@pytest.mark.parametrize('value', ['no', False, None])
def test_no_precision_may_be_written_as_yaml_reads_it(value: Any) -> None:
    assert TrainingOptions.read({'amp': value}).amp == 'no'


@pytest.mark.usefixtures('cpu_only')
def test_fp16_on_the_cpu_is_refused(build: Build) -> None:
    with pytest.raises(UserError, match='fp16 needs a GPU'):
        build(CONVERSE, amp='fp16')
