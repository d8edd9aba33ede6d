"""The option files that come with the package."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml

import converse_basicsr
from converse_basicsr.options.check.sections import key_problems
from converse_basicsr.options.file import read_option_file
from converse_basicsr.options.library import option_files, title

FILES = dict(option_files())


@pytest.mark.parametrize('name', FILES)
def test_it_is_valid_and_named_after_its_file(name: str) -> None:
    converse_basicsr.register()
    option_file = read_option_file(FILES[name])
    assert key_problems(option_file.options, is_train='train' in option_file.options) == []
    folder, stem = Path(name).parent.name, Path(name).stem
    assert option_file.options['name'] == '_'.join(filter(None, (folder, stem)))
    assert title(FILES[name])


@pytest.mark.parametrize('name', FILES)
def test_plain_yaml_loaders_read_it_alike(name: str) -> None:
    assert yaml.safe_load(FILES[name].read_text(encoding='utf-8')) == read_option_file(FILES[name]).options


@pytest.mark.parametrize('name', FILES)
def test_its_network_builds_and_fits_the_scale(name: str) -> None:
    converse_basicsr.register()
    from basicsr.archs import build_network

    options = read_option_file(FILES[name]).options
    network = build_network(options['network_g'])
    assert sum(parameter.numel() for parameter in network.parameters()) > 0
    if 'upscale' in options['network_g']:
        assert options['network_g']['upscale'] == options['scale']


@pytest.mark.parametrize('name', FILES)
def test_every_data_set_says_how_it_is_made(name: str) -> None:
    from converse_basicsr.cli import COMMANDS

    for section in read_option_file(FILES[name]).options['datasets'].values():
        program, command, *_ = section['prepare'].split()
        assert (program, command in COMMANDS) == ('basicsr', True)


def load_generator() -> ModuleType:
    path = Path(__file__).parents[2] / 'scripts/make_options.py'
    spec = importlib.util.spec_from_file_location('make_options', path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclass looks itself up
    spec.loader.exec_module(module)
    return module


def test_the_files_of_the_tables_are_what_their_templates_give() -> None:
    generator = load_generator()
    for name, text in generator.option_files().items():
        assert FILES[name].read_text(encoding='utf-8') == text, f'run scripts/make_options.py: {name} differs'


def test_twins_differ_in_their_network_only() -> None:
    generator = load_generator()
    for table in ('dncnn', 'srresnet', 'usrnet'):
        contents = []
        for row in generator.ROWS:
            if row.table == table:
                options = read_option_file(FILES[f'{row.name}.yml']).options
                assert options.pop('name') == row.name
                assert options.pop('network_g') == row.network
                contents.append(options)
        assert len(contents) > 3
        assert all(content == contents[0] for content in contents)
