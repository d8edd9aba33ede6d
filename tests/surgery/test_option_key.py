"""The key ``converse`` of a network's options: whole runs of BasicSR's pipeline."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_run import only_log

import converse_basicsr
from converse_basicsr.checkpoints.files import VERSION_KEY
from converse_basicsr.ops import Converse2D

EDSR = {'type': 'EDSR', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_block': 1, 'upscale': 4}
NETWORKS = {
    'EDSR': EDSR,
    'RCAN': {**EDSR, 'type': 'RCAN', 'num_group': 1, 'squeeze_factor': 2},
    'SwinIR': {
        'type': 'SwinIR',
        'img_size': 8,
        'embed_dim': 8,
        'depths': [1],
        'num_heads': [2],
        'window_size': 4,
        'upscale': 4,
        'upsampler': 'pixelshuffle',
    },
    'RRDBNet': {'type': 'RRDBNet', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 8, 'num_block': 1, 'num_grow_ch': 4},
}
CONVERSE = {'upsample': True, 'depthwise': True, 'conv3x3': False}


def build(options: dict[str, Any]) -> torch.nn.Module:
    converse_basicsr.register()
    from basicsr.archs import build_network

    return build_network(options)


@pytest.mark.parametrize('name', NETWORKS)
def test_networks_train_and_are_reloaded(
    name: str, run_options: dict[str, Any], basicsr: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    network = {**NETWORKS[name], 'converse': CONVERSE}
    run_options['network_g'] = network
    run_options['train']['ema_decay'] = 0.9
    if name == 'SwinIR':
        run_options['model_type'] = 'SwinIRModel'
    assert basicsr('train', run_options) == 0, capsys.readouterr().err
    log = only_log()
    assert f'Reverse convolution in {name}: ' in log
    assert 'Converse2D x2' in log
    file = torch.load('experiments/tiny/models/net_g_latest.pth', weights_only=True)
    assert set(file) == {'params', 'params_ema', 'network_g', VERSION_KEY}
    for key in ('params', 'params_ema'):
        build(network).load_state_dict(file[key], strict=True)
    # Resuming and testing build the network anew.
    run_options['train']['total_iter'] = 6
    assert basicsr('train', run_options, '--auto_resume') == 0
    assert 'iter:       6' in only_log()
    test = {key: value for key, value in run_options.items() if key != 'train'}
    test['datasets'] = {'test': run_options['datasets']['val']}
    test['path'] = {
        'pretrain_network_g': str(Path('experiments/tiny/models/net_g_latest.pth').resolve()),
        'param_key_g': 'params_ema',
        'strict_load_g': True,
    }
    assert basicsr('test', test) == 0, capsys.readouterr().err


def test_weights_of_the_original_fit_but_for_the_exchanged_parts(
    tmp_path: Path, run_options: dict[str, Any], basicsr: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    original = build(EDSR)
    torch.save({'params': original.state_dict()}, tmp_path / 'edsr.pth')
    run_options['network_g'] = {**EDSR, 'converse': CONVERSE}
    run_options['path'] = {'pretrain_network_g': str(tmp_path / 'edsr.pth'), 'strict_load_g': False}
    run_options['train']['optim_g']['lr'] = 1e-9
    assert basicsr('train', run_options) == 0, capsys.readouterr().err
    log = only_log()
    for part in ('upsample.0.conv.weight', 'upsample.0.up.weight', 'upsample.2.up.bias'):
        assert part in log.split('Current net - loaded net:')[1].split('Loaded net - current net:')[0]
    assert 'upsample.0.conv starts with the mean over the phases of upsample.0.weight' in log
    state = torch.load('experiments/tiny/models/net_g_latest.pth', weights_only=True)['params']
    for key, value in original.state_dict().items():
        if not key.startswith('upsample'):
            torch.testing.assert_close(state[key], value, atol=1e-7, rtol=0)

    run_options['path']['strict_load_g'] = True
    capsys.readouterr()
    assert basicsr('train', run_options) == 2
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith('basicsr: error: ')]
    assert 'edsr.pth' in line
    assert 'upsample.0' in line


@pytest.mark.parametrize(
    ('converse', 'message'),
    [
        (
            {'upsampling': True},
            "must be a section of ['conv3x3', 'depthwise', 'input_shape', 'kernel_init', 'lam_init', 'upsample'], got",
        ),
        (True, 'must be a section of'),
        ({'upsample': False, 'depthwise': True}, 'EDSR has no depthwise convolution'),
        ({'upsample': 'yes'}, "upsample must be true or false, got 'yes'"),
        ({'kernel_init': 'ones'}, "kernel_init must be one of ['gabor', 'normal', 'small_normal', "),
        ({'kernel_init': ['softmax']}, 'kernel_init must be one of'),
        ({'lam_init': 0}, 'lam_init must be between eps (1e-05) and 1 + eps, got 0'),
        ({'lam_init': '0.1'}, "got '0.1'"),
        ({'lam_init': True}, 'got True'),
        ({'lam_init': 5e-4}, 'lam_init must be between eps (0.001) and 1 + eps, got 0.0005'),
        ({'input_shape': [1, 4, 8, 8]}, 'does not on the shapes [(1, 4, 8, 8)]'),
    ],
)
def test_mistakes_are_told(converse: Any, message: str) -> None:
    from converse_basicsr.errors import UserError

    with pytest.raises(UserError, match='converse, in the options of EDSR') as error:
        build({**EDSR, 'converse': converse})
    assert message in str(error.value)


@pytest.mark.parametrize(
    ('converse', 'kernel_init', 'lam'),
    [
        ({}, 'softmax', 0.1),
        ({'kernel_init': None}, 'softmax', 0.1),
        ({'lam_init': None}, 'softmax', 0.1),
        ({'kernel_init': 'normal', 'lam_init': 0.5, 'conv3x3': True}, 'normal', 0.5),
    ],
)
def test_the_start_is_part_of_the_key(converse: dict[str, Any], kernel_init: str, lam: float) -> None:
    net = build({**EDSR, 'converse': {'conv3x3': False, **converse}})
    operators = [module for module in net.modules() if isinstance(module, Converse2D)]
    assert len(operators) == (3 if converse.get('conv3x3') else 2)
    for operator in operators:
        assert operator.kernel_init == kernel_init
        torch.testing.assert_close(operator.lam, torch.full_like(operator.lam, lam), rtol=1e-3, atol=0)


def test_without_the_key_nothing_changes() -> None:
    for options in (EDSR, {**EDSR, 'converse': None}):
        assert 'upsample.0.weight' in build(options).state_dict()


def test_options_are_left_as_they_are() -> None:
    options = {**EDSR, 'converse': dict(CONVERSE)}
    build(options)
    assert options == {**EDSR, 'converse': CONVERSE}
