"""The option files that come with the package."""

from pathlib import Path

import pytest
import yaml

import converse_basicsr
from converse_basicsr import check
from converse_basicsr.option_file import read_option_file
from converse_basicsr.option_library import option_files, title

FILES = dict(option_files())


@pytest.mark.parametrize('name', FILES)
def test_it_is_valid_and_named_after_its_file(name: str) -> None:
    converse_basicsr.register()
    option_file = read_option_file(FILES[name])
    is_train = 'train' in option_file.options
    assert check.structure_problems(option_file, is_train=is_train) == []
    assert check.name_problems(option_file) == []
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
