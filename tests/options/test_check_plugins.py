"""What is registered by others is checked as far as it says of itself, and never refused for what is not known."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

Run = Callable[..., int]


@pytest.fixture
def plugin() -> Iterator[Any]:
    import converse_basicsr

    converse_basicsr.register()
    from basicsr.data.paired_image_dataset import PairedImageDataset
    from basicsr.models.sr_model import SRModel
    from basicsr.utils.registry import DATASET_REGISTRY, MODEL_REGISTRY

    class ForeignDataset(PairedImageDataset):
        pass

    class ForeignModel(SRModel):
        pass

    for registry, entry in ((DATASET_REGISTRY, ForeignDataset), (MODEL_REGISTRY, ForeignModel)):
        registry._obj_map[entry.__name__] = entry
    yield ForeignDataset, ForeignModel
    del DATASET_REGISTRY._obj_map['ForeignDataset'], MODEL_REGISTRY._obj_map['ForeignModel']


@pytest.fixture
def foreign_options(plugin: Any, run_options: dict[str, Any]) -> dict[str, Any]:
    run_options['model_type'] = 'ForeignModel'
    run_options['datasets']['train'].update(type='ForeignDataset', strength=3)
    run_options['train']['own_key'] = 1
    run_options['own_section'] = {'a': 1}
    return run_options


def test_their_keys_raise_no_alarm(basicsr: Run, foreign_options: dict[str, Any]) -> None:
    assert basicsr('check', foreign_options) == 0


def test_common_keys_are_checked_all_the_same(
    basicsr: Run, foreign_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    foreign_options['datasets']['train']['batch_size_per_gpu'] = 0
    foreign_options['train']['own_opt'] = {'type': 'L1Los'}
    assert basicsr('check', foreign_options) == 2
    error = capsys.readouterr().err
    assert 'batch_size_per_gpu: must be a whole number from 1 up, got 0' in error
    assert "own_opt:type: no loss is named 'L1Los'; did you mean L1Loss?" in error


def test_keys_they_declare_are_checked(
    basicsr: Run, plugin: Any, foreign_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, model = plugin
    paths = {name: {'type': 'string'} for name in ('dataroot_gt', 'dataroot_lq')}
    others = {name: {} for name in ('gt_size', 'use_hflip', 'use_rot')}
    dataset.option_keys = {**paths, **others, 'strength': {'type': 'number', 'maximum': 2}}
    model.option_keys = {'train': {'own_kee': {'type': 'integer'}}, 'options': {'own_section': {'type': 'object'}}}
    assert basicsr('check', foreign_options) == 2
    error = capsys.readouterr().err
    assert 'datasets:train:strength: must be a number to 2, got 3' in error
    assert 'train:own_key: unknown key; did you mean own_kee?' in error
    assert len(error.splitlines()) == 2


FAULTY = [
    ({'type': 'string', 'format': 'uri'}, "'format', which is not understood"),
    ({'type': 'number', 'minimun': 1}, "'minimun', which is not understood; did you mean minimum?"),
    ({'type': 'array', 'items': {'if': {}}}, "'items: if', which is not understood"),
    ({'type': 'float'}, "'type', which must be one of null, boolean"),
    ({'pattern': '('}, "'pattern', which must be a regular expression"),
]


@pytest.mark.parametrize(('declared', 'message'), FAULTY)
@pytest.mark.promise('a plugin that declares its keys with more of JSON Schema than is understood')
def test_a_declaration_that_is_not_understood_is_refused_with_class_key_and_keyword(
    basicsr: Run,
    plugin: Any,
    foreign_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    declared: dict[str, Any],
    message: str,
) -> None:
    dataset, model = plugin
    known = {name: {} for name in ('dataroot_gt', 'dataroot_lq', 'gt_size', 'use_hflip', 'use_rot')}
    dataset.option_keys = {**known, 'strength': declared}
    model.option_keys = {'train': {'own_key': declared}, 'options': {'own_section': True}}
    assert basicsr('check', foreign_options) == 2
    error = capsys.readouterr().err
    place = f'the plugin class {__name__}.plugin.<locals>.'
    begin = 'with the JSON Schema keyword'
    assert f'model_type: {place}ForeignModel declares the key train: own_key {begin} {message}' in error
    assert f'train:type: {place}ForeignDataset declares the key strength {begin} {message}' in error
    assert len(error.splitlines()) == 2
    assert basicsr('schema') == 2
    assert sorted(line.count(message) for line in capsys.readouterr().err.splitlines()) == [1, 1]


@pytest.mark.parametrize(
    ('of_model', 'of_dataset', 'message'),
    [
        ({'trian': {}}, None, "ForeignModel declares option_keys for 'trian'; did you mean train?"),
        ({'train': ['own_key']}, None, "declares train: option_keys, which must be a mapping of keys, got ['own_key']"),
        (['own_key'], None, 'declares option_keys, which must be a mapping of keys'),
        (None, ['strength'], 'ForeignDataset declares option_keys, which must be a mapping of keys'),
        (None, {'strength': 'number'}, 'declares the key strength, which must be a JSON Schema'),
    ],
)
def test_a_declaration_of_another_form_is_refused(
    basicsr: Run,
    plugin: Any,
    foreign_options: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    of_model: Any,
    of_dataset: Any,
    message: str,
) -> None:
    dataset, model = plugin
    if of_dataset is not None:
        dataset.option_keys = of_dataset
    if of_model is not None:
        model.option_keys = of_model
    assert basicsr('check', foreign_options) == 2
    assert message in capsys.readouterr().err


def test_sections_within_sections_are_checked_as_declared(
    basicsr: Run, plugin: Any, foreign_options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    _, model = plugin
    part = {'type': 'object', 'properties': {'a': {'const': 1}}, 'required': ['a'], 'additionalProperties': False}
    model.option_keys = {'options': {'own_section': part}, 'train': {'own_key': {'oneOf': [{'const': 1}, False]}}}
    assert basicsr('check', foreign_options) == 0
    assert basicsr('schema') == 0
    capsys.readouterr()
    foreign_options['own_section'] = {'a': 2}
    assert basicsr('check', foreign_options) == 2
    assert 'own_section: has a, which must be 1, got 2' in capsys.readouterr().err
