import inspect
from typing import Any

import pytest
import torch
from devices import assert_identical
from torch import nn

from converse_basicsr import archs
from converse_basicsr.archs.detection import detect
from converse_basicsr.blocks import OPERATORS
from converse_basicsr.register import REGISTERED, register

# Arguments that a checkpoint replaces: where parameters start.
STARTS = {'data_lam_init', 'kernel_init', 'lam_init', 'up_kernel_init', 'up_lam_init'}
CONVERSE = [
    ('ConverseDnCNN', {'num_in_ch': 3, 'num_out_ch': 2, 'num_feat': 6, 'num_block': 12, 'kernel_size': 4}),
    ('ConverseSRResNet', {'num_in_ch': 1, 'num_out_ch': 1, 'num_feat': 6, 'num_block': 3, 'kernel_size': 3}),
    ('ConverseSRResNet', {'num_feat': 4, 'num_block': 1, 'upscale': 2}),
    ('ConverseSRResNet', {'num_feat': 1, 'num_block': 1, 'upscale': 3}),
    ('ConverseUpSRResNet', {'num_in_ch': 4, 'num_out_ch': 4, 'num_feat': 1, 'num_block': 11, 'upscale': 2}),
    ('ConverseUpSRResNet', {'num_feat': 6, 'num_block': 2, 'upscale': 3}),
    ('ConverseUpSRResNet', {'num_feat': 6, 'num_block': 2, 'upscale': 4}),
    ('ConverseNet', {'num_in_ch': 1, 'num_out_ch': 4, 'num_feat': 6, 'num_block': 3, 'kernel_size': 5}),
    (
        'ConverseUSRNet',
        {
            'num_in_ch': 1,
            'num_out_ch': 2,
            'num_feat': 6,
            'num_block': 2,
            'num_iter': 11,
            'kernel_size': 5,
            'blur_kernel_size': 9,
            'num_kernel_feat': 3,
            'num_hidden': 10,
        },
    ),
]
CASES: list[tuple[str, dict[str, Any]]] = [
    *((name, {**options, 'operator': operator}) for operator in OPERATORS for name, options in CONVERSE),
    ('DnCNN', {'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 6, 'num_layer': 12, 'norm': 'bn'}),
    ('DnCNN', {'num_in_ch': 2, 'num_out_ch': 2, 'num_feat': 6, 'num_layer': 5, 'norm': 'none'}),
    (
        'USRNet',
        {'num_in_ch': 1, 'num_out_ch': 1, 'num_feat': 2, 'num_block': 3, 'num_iter': 11, 'num_hidden': 5},
    ),
    *(
        ('MSRResNet', {'num_in_ch': 1, 'num_out_ch': 1, 'num_feat': 6, 'num_block': 12, 'upscale': s})
        for s in (2, 3, 4)
    ),
]


def build(name: str, options: dict[str, Any]) -> nn.Module:
    if name == 'MSRResNet':
        register()
        from basicsr.archs import build_network

        return build_network({'type': name, **options})
    return getattr(archs, name)(**options)


def defaults(name: str) -> dict[str, Any]:
    return {name: p.default for name, p in inspect.signature(getattr(archs, name)).parameters.items()}


@pytest.mark.parametrize(('name', 'options'), CASES)
def test_every_argument_is_recovered_or_named(name: str, options: dict[str, Any]) -> None:
    found = detect(build(name, options).state_dict())
    assert found.type == name
    merged = {**found.options, **found.assumed}
    for argument, value in options.items():
        if argument == 'operator' and value == 'convtranspose':  # the same parameters as conv
            assert found.assumed['operator'] == 'conv'
        else:
            assert merged[argument] == value, argument
    if name == 'MSRResNet':
        return
    # What is in neither has no effect: the twins' border has no width of its own, and kernels of two taps need none.
    left = set() if found.options.get('operator') == 'converse' else {'padding'}
    if name == 'ConverseUpSRResNet' and options['operator'] == 'converse' and options['upscale'] != 3:
        left = {'padding_mode'}
    assert defaults(name).keys() - merged.keys() - STARTS == left & defaults(name).keys()
    assert found.assumed.items() <= {**defaults(name), 'operator': 'conv'}.items()


@pytest.mark.parametrize(('name', 'options'), CASES)
def test_network_g_rebuilds_the_network(name: str, options: dict[str, Any]) -> None:
    net = build(name, options)
    section = {**detect(net.state_dict()).network_g}
    if options.get('operator') == 'convtranspose':
        section['operator'] = 'convtranspose'
    again = build(section.pop('type'), section).eval()
    again.load_state_dict(net.state_dict(), strict=True)
    if name in ('ConverseUSRNet', 'USRNet'):
        return
    channels = options.get('num_in_ch', 3)
    x = torch.rand(1, channels, 9, 8)
    with torch.no_grad():
        assert_identical(again(x), net.eval()(x))


def test_every_registered_network_is_tried() -> None:
    (names,) = REGISTERED['arch'].values()
    assert {name for name, _ in CASES} == {*names, 'MSRResNet'}


@pytest.mark.parametrize(
    ('file', 'name', 'options'),
    [
        ('converse_dncnn.pth', 'ConverseDnCNN', {'num_in_ch': 1, 'kernel_size': 7, 'operator': 'converse'}),
        ('converse_srresnet.pth', 'ConverseSRResNet', {'num_in_ch': 3, 'kernel_size': 5, 'upscale': 4}),
        ('conversenet.pth', 'ConverseNet', {'num_in_ch': 3, 'num_block': 7}),
        ('converse_usrnet.pth', 'ConverseUSRNet', {'num_iter': 5, 'blur_kernel_size': 7}),
        ('dncnn_25.pth', 'DnCNN', {'num_in_ch': 1, 'num_layer': 17, 'norm': 'none'}),
    ],
)
def test_released_weights(shared_data, file: str, name: str, options: dict[str, Any]) -> None:
    found = detect(torch.load(shared_data / 'model_zoo' / file, weights_only=True))
    assert found.type == name
    assert found.options.items() >= options.items()


def test_a_network_of_others_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be that of one of \['ConverseDnCNN', .* keys weight, bias"):
        detect(nn.Linear(3, 2).state_dict())


def test_a_state_dict_with_a_piece_missing_is_refused() -> None:
    state_dict = archs.ConverseDnCNN(num_feat=4, num_block=2).state_dict()
    del state_dict['m_body.1.conv1.3.bias']
    with pytest.raises(ValueError, match=r'1 tensors differ; m_body.1.conv1.3.bias must be \(1, 8, 1, 1\), got none'):
        detect(state_dict)
    del state_dict['m_tail.0.weight']
    with pytest.raises(ValueError, match=r"looks like ConverseDnCNN, but 'm_tail.0.weight' is amiss"):
        detect(state_dict)


def test_a_piece_too_many_is_refused() -> None:
    state_dict = archs.DnCNN(num_feat=4, num_layer=3).state_dict()
    state_dict['model.5.extra'] = torch.zeros(1)
    with pytest.raises(ValueError, match=r'model.5.extra must be absent, got \(1,\)'):
        detect(state_dict)
