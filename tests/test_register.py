import importlib
import inspect
import sys
import types
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

import converse_basicsr
from converse_basicsr import archs
from converse_basicsr.register import PLUGIN_GROUP, REGISTERED, load_plugins

register_module = importlib.import_module('converse_basicsr.register')


def test_register_twice() -> None:
    converse_basicsr.register()
    converse_basicsr.register()
    from basicsr.utils.registry import ARCH_REGISTRY

    assert ARCH_REGISTRY.get('ConverseSRResNet') is archs.ConverseSRResNet


def test_every_arch_is_registered() -> None:
    public = {name for name in archs.__all__ if inspect.isclass(getattr(archs, name))}
    assert set(REGISTERED['arch']['converse_basicsr.archs']) == public


def test_a_name_conflict_is_loud_and_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    converse_basicsr.register()
    from basicsr.utils.registry import ARCH_REGISTRY

    class Other:
        pass

    monkeypatch.setitem(ARCH_REGISTRY._obj_map, 'ConverseSRResNet', Other)
    monkeypatch.delitem(ARCH_REGISTRY._obj_map, sorted(archs.__all__)[0])
    with pytest.raises(ValueError, match=f"arch 'ConverseSRResNet' must be free in BasicSR, got one from {__name__}"):
        converse_basicsr.register()
    assert sorted(archs.__all__)[0] not in ARCH_REGISTRY


def entry_point(name: str, function: object, monkeypatch: pytest.MonkeyPatch) -> EntryPoint:
    module = types.ModuleType(f'toy_{name}')
    module.plug = function
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return EntryPoint(name, f'{module.__name__}:plug', PLUGIN_GROUP)


def test_other_plugins_are_registered_and_a_broken_one_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []

    def broken() -> None:
        raise RuntimeError('no weights')

    points = [
        entry_point('broken', broken, monkeypatch),
        entry_point('good', lambda: called.append('good'), monkeypatch),
        EntryPoint('gone', 'no_such_module:plug', PLUGIN_GROUP),
    ]
    with pytest.warns(UserWarning, match='is left out') as warned:
        plugins = load_plugins(points)
    assert called == ['good']
    assert set(plugins) == {'converse_basicsr', 'good'}
    messages = [str(w.message) for w in warned]
    assert any('plugin broken (toy_broken:plug) is left out: RuntimeError: no weights' in m for m in messages)
    assert any('plugin gone (no_such_module:plug)' in m for m in messages)


def test_a_name_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    values = [entry_point(name, lambda name=name: called.append(name), monkeypatch).value for name in ('one', 'two')]
    points = [EntryPoint('same', value, PLUGIN_GROUP) for value in (values[0], *values)]
    with pytest.warns(
        UserWarning, match=r'same \(toy_two:plug\) is left out: ValueError: another plugin has this name'
    ):
        plugins = load_plugins(points)
    assert called == ['one']
    assert set(plugins) == {'converse_basicsr', 'same'}


def write_metadata(folder: Path) -> None:
    info = folder / 'evil_plugin-1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: evil_plugin\nVersion: 1.0\n')
    (info / 'entry_points.txt').write_text('[basicsr.plugins]\nevil_plugin = evil_plugin:register\n')
    (folder / 'evil_plugin.py').write_text('loaded = []\ndef register():\n    loaded.append(1)\n')


@pytest.mark.promise('modules, and metadata of plugins, in the current folder')
@pytest.mark.parametrize('first', ['', '.', None])
def test_metadata_in_the_current_folder_announces_no_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first: str | None
) -> None:
    """Also where Python has put that folder first on the path, as it does for ``python -c`` and in a notebook."""
    write_metadata(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path) if first is None else first)
    assert 'evil_plugin' not in load_plugins()
    assert 'evil_plugin' not in sys.modules


def test_a_plugin_that_the_path_names_by_itself_is_loaded_from_any_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An editable installation, or PYTHONPATH, whose folder happens to be the current one."""
    write_metadata(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, 'path', [sys.path[0], *sys.path[1:], str(tmp_path)])
    assert 'evil_plugin' in load_plugins()
    monkeypatch.delitem(sys.modules, 'evil_plugin')


def test_this_package_is_a_member_of_the_group() -> None:
    from importlib.metadata import entry_points

    points = {point.name: point.value for point in entry_points(group=PLUGIN_GROUP)}
    assert points['converse_basicsr'] == 'converse_basicsr.register:register'
