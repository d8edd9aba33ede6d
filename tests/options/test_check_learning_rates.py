"""Factors of the learning rate in option files: which models take them, and which networks have a use for them."""

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from converse_basicsr.models.learning_rates import ROLES

Run = Callable[..., int]
WITHOUT = '`lam_lr_mult` or `kernel_lr_mult` for a network without reverse convolutions, or with a model of BasicSR'
EDSR = {'type': 'EDSR', 'num_in_ch': 3, 'num_out_ch': 3, 'num_feat': 4, 'num_block': 1, 'upscale': 4}
every_factor = pytest.mark.parametrize('name', ROLES)


@pytest.fixture
def options(run_options: dict[str, Any]) -> dict[str, Any]:
    run_options['model_type'] = 'RestorationModel'
    return run_options


@pytest.fixture
def model_of_ours() -> Iterator[str]:
    """A model of a plugin that derives from this package's."""
    import converse_basicsr

    converse_basicsr.register()
    from basicsr.utils.registry import MODEL_REGISTRY

    from converse_basicsr.models.training_model import TrainingModel

    class DerivedModel(TrainingModel):
        pass

    MODEL_REGISTRY._obj_map['DerivedModel'] = DerivedModel
    yield 'DerivedModel'
    del MODEL_REGISTRY._obj_map['DerivedModel']


def told(basicsr: Run, options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> list[str]:
    capsys.readouterr()
    status = basicsr('check', options)
    lines = capsys.readouterr().err.splitlines()
    assert status == (2 if lines else 0)
    return lines


@every_factor
@pytest.mark.parametrize('value', [10, 0.1, 1, 1e3])
def test_models_of_this_package_take_them(
    basicsr: Run, options: dict[str, Any], capsys: pytest.CaptureFixture[str], name: str, value: float
) -> None:
    options['train']['optim_g'][name] = value
    assert told(basicsr, options, capsys) == []


def test_so_do_models_that_derive_from_them_and_changed_networks(
    basicsr: Run, options: dict[str, Any], capsys: pytest.CaptureFixture[str], model_of_ours: str
) -> None:
    options['train']['optim_g'].update(lam_lr_mult=10, kernel_lr_mult=2)
    options['network_g'] = {**EDSR, 'converse': {}}
    options['model_type'] = model_of_ours
    assert told(basicsr, options, capsys) == []
    options['model_type'] = 'SRModel'
    lines = told(basicsr, options, capsys)
    assert len(lines) == 2
    assert all('is read by model_type DerivedModel, RestorationModel only' in line for line in lines)


@every_factor
@pytest.mark.parametrize('value', [0, -1, '10', True, None, [10], float('nan')])
def test_values_are_checked(
    basicsr: Run, options: dict[str, Any], capsys: pytest.CaptureFixture[str], name: str, value: Any
) -> None:
    options['train']['optim_g'][name] = value
    (line,) = told(basicsr, options, capsys)
    assert f'train:optim_g:{name}: must be a number above 0, got ' in line


@every_factor
@pytest.mark.promise(WITHOUT)
@pytest.mark.parametrize('command', ['check', 'train'])
def test_without_what_they_are_for_they_are_refused(
    basicsr: Run, options: dict[str, Any], capsys: pytest.CaptureFixture[str], name: str, command: str
) -> None:
    for network in ({**options['network_g'], 'operator': 'conv'}, EDSR):
        options['network_g'] = network
        options['train']['optim_g'][name] = 10
        assert basicsr(command, options) == 2
        (line,) = capsys.readouterr().err.splitlines()
        assert f'train:optim_g:{name}' in line
        assert 'has no effect: no reverse convolution of the network learns' in line
        assert line.startswith('basicsr: error: run.yml:') or command == 'train'  # which has built the network itself
        assert {path.name for path in Path().iterdir()} == {'run.yml'}
        options['train']['optim_g'][name] = 1  # so that a comparison's twins can take it back
        assert told(basicsr, options, capsys) == []


@pytest.mark.promise(WITHOUT)
def test_the_schema_says_the_same(options: dict[str, Any]) -> None:
    import converse_basicsr
    from converse_basicsr.options.json_schema import option_file_schema

    converse_basicsr.register()
    validator = jsonschema.Draft202012Validator(option_file_schema())
    for name in ROLES:
        for model, value, fits in [
            ('RestorationModel', 10, True),
            ('RestorationModel', 0, False),
            ('RestorationModel', '10', False),
            ('SRModel', 10, False),
            ('SwinIRModel', 1, False),
        ]:
            changed = copy.deepcopy(options)
            changed['model_type'] = model
            changed['train']['optim_g'][name] = value
            assert validator.is_valid(changed) is fits, (name, model, value)
