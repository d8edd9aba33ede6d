from pathlib import Path

import pytest
import yaml

from converse_basicsr.errors import UserError
from converse_basicsr.option_file import did_you_mean, read_option_file

TEXT = """\
name: run
train:
  lr: 2e-4
  eta: !!float 1e-7
  betas: [0.9, 0.99]
path:
  pretrain_network_g: ~
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / 'run.yml'
    path.write_text(TEXT)
    return path


def test_numbers_with_an_exponent_are_numbers(file: Path) -> None:
    train = read_option_file(file).options['train']
    assert train == {'lr': 2e-4, 'eta': 1e-7, 'betas': [0.9, 0.99]}


def test_places_are_known(file: Path) -> None:
    option_file = read_option_file(file)
    assert option_file.where('train', 'eta') == f'{file}:4 train:eta'
    assert option_file.where('train', 'absent') == f'{file}:2 train:absent'
    assert option_file.where('absent') == f'{file} absent'


@pytest.mark.parametrize(
    ('override', 'keys', 'value'),
    [
        ('train:lr=1e-3', ('train', 'lr'), 1e-3),
        ('train:lr=-1', ('train', 'lr'), -1),
        ('train:betas=[0.5, 0.9]', ('train', 'betas'), [0.5, 0.9]),
        ('name=a=b', ('name',), 'a=b'),
        ('path:pretrain_network_g=None', ('path', 'pretrain_network_g'), None),
        ('path:pretrain_network_g=~', ('path', 'pretrain_network_g'), None),
        ('train:use=True', ('train', 'use'), True),
        ("name='12'", ('name',), '12'),
        ('name=__import__("os").getcwd()', ('name',), '__import__("os").getcwd()'),
    ],
)
def test_overrides_are_yaml_values(file: Path, override: str, keys: tuple[str, ...], value: object) -> None:
    options = read_option_file(file, [override]).options
    for key in keys:
        options = options[key]
    assert options == value
    assert type(options) is type(value)


@pytest.mark.parametrize(
    ('override', 'message'),
    [
        ('train', 'must look like section:key=value'),
        ('=3', 'must look like section:key=value'),
        ('train:=3', 'must look like section:key=value'),
        ('trian:lr=3', 'no section trian; did you mean train?'),
        ('train:lr:x=3', 'no section train:lr'),
        ('train:betas=[1,', 'no valid YAML'),
        ('train:x=!!python/object/apply:os.system [ls]', 'no valid YAML'),
        ('train"]=0;import os;x["a=1', 'did you mean|known:'),
    ],
)
def test_bad_overrides_are_refused(file: Path, override: str, message: str) -> None:
    if message.startswith('did'):  # a key that tries to break out of quotes is just an unusual new key
        assert 'train"]' in read_option_file(file, [override]).options
        return
    with pytest.raises(UserError, match=message):
        read_option_file(file, [override])


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'must hold sections'),
        ('- a\n- b\n', 'must hold sections'),
        ('a: [1,\n', r'run\.yml:2 is no valid option file'),
        ('a: 1\nb: 2\na: 3\n', r"run\.yml:3 is no valid option file: the key 'a' is given more than once"),
        ('a: !!python/object/apply:os.system ["touch exploded"]\n', r'run\.yml:1 is no valid option file'),
    ],
)
def test_bad_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path('run.yml').write_text(text)
    with pytest.raises(UserError, match=message):
        read_option_file('run.yml')
    assert not Path('exploded').exists()


def test_missing_and_binary_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match='does not exist'):
        read_option_file(tmp_path / 'none.yml')
    (tmp_path / 'binary.yml').write_bytes(b'\xff\xfe\x00\x81')
    with pytest.raises(UserError, match='cannot be read'):
        read_option_file(tmp_path / 'binary.yml')


def test_what_is_dumped_reads_back_with_any_loader(file: Path) -> None:
    option_file = read_option_file(file, ['train:lr=3e-05'])
    assert yaml.safe_load(option_file.dump()) == option_file.options


def test_merge_keys_work(tmp_path: Path) -> None:
    (tmp_path / 'run.yml').write_text('base: &b {x: 1, y: 2}\nmore: {<<: *b, y: 3}\n')
    assert read_option_file(tmp_path / 'run.yml').options['more'] == {'x': 1, 'y': 3}


def test_did_you_mean() -> None:
    assert did_you_mean('EDRS', ['EDSR', 'RCAN']) == '; did you mean EDSR?'
    assert did_you_mean('zzz', ['EDSR', 'RCAN']) == '; known: EDSR, RCAN'
