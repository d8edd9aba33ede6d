import json
import os
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from converse_basicsr.errors import UserError
from converse_basicsr.options.file import OptionFile, did_you_mean, read_option_file
from converse_basicsr.options.library import option_files

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


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('[' * 100_000, 'nesting'),
        ('a: &a [*a]\n', 'contain themselves'),
        (
            'a0: &a0 x\n' + ''.join(f'a{n}: &a{n} [{", ".join([f"*a{n - 1}"] * 9)}]\n' for n in range(1, 12)),
            'too large',
        ),
        (
            'a0: &a0 {x: 1}\n' + ''.join(f'a{n}: &a{n} {{<<: [*a{n - 1}, *a{n - 1}]}}\n' for n in range(1, 30)),
            'too large',
        ),
        ('a: !!int abc\n', "'abc' is no int"),
        ('a: ' + '9' * 5000 + '\n', 'is no int'),
        ('a: !!binary aGVsbG8=\n', 'the tag !!binary is not allowed'),
        ('? [a]\n: b\n', 'a key must be text'),
        ('1: 2\n', 'a key must be text'),
        ('a: 1\n---\nb: 2\n', 'another document'),
        ('a: b\0c\n', 'is no valid option file'),
    ],
)
def test_files_made_to_harm_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / 'run.yml').write_text(text)
    with pytest.raises(UserError, match=message):
        read_option_file(tmp_path / 'run.yml')


def test_what_is_no_file_of_options_is_not_read_to_its_end() -> None:
    if not Path('/dev/zero').exists():
        pytest.skip('this system has no endless file')
    with pytest.raises(UserError, match='larger than'):
        read_option_file('/dev/zero')


def test_dates_stay_text(tmp_path: Path) -> None:
    (tmp_path / 'run.yml').write_text('name: 2026-01-31\n')
    assert read_option_file(tmp_path / 'run.yml').options == {'name': '2026-01-31'}


# Pieces from which files and overrides are made: what YAML, Python and the shell take for special among them.
PIECES = st.sampled_from(
    [
        *'{}[]:,-?&*!|>%@`"\'#=~ \n\t',
        *('<<: ', '!!', '&a ', '*a', '...\n', '---\n', '\x00', '\ud7ff', '\ufeff', '\\ud800', '  '),
        *('!!python/object/apply:os.mkdir ', '["exploded"]', 'os.mkdir("exploded")', '__import__'),
        *('1e999', '.nan', '0x', '1:2:3', 'datasets:', 'train:', ' total_iter: 3\n'),
    ]
)


@st.composite
def mutated_files(draw: st.DrawFn) -> bytes:
    """An option file with pieces put in, cut out and repeated."""
    text = draw(st.sampled_from(FILE_TEXTS))
    for _ in range(draw(st.integers(1, 6))):
        start = draw(st.integers(0, len(text)))
        end = min(len(text), start + draw(st.integers(0, 40)))
        piece = draw(st.one_of(PIECES, st.text(max_size=8), st.just(text[start:end] * draw(st.integers(1, 40)))))
        text = text[:start] + piece + text[end:]
    content = text.encode('utf-8', 'surrogatepass')
    return content if draw(st.booleans()) else content + draw(st.binary(max_size=4))


FILE_TEXTS = [TEXT, *(path.read_text(encoding='utf-8') for path in list(dict(option_files()).values())[::5])]
FUZZ = settings(
    max_examples=1500, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def read_or_refuse(*overrides: str) -> tuple[OptionFile | None, str | None]:
    """What the reader makes of ``run.yml``: options or a message; any other exception is a crash."""
    try:
        return read_option_file('run.yml', list(overrides)), None
    except UserError as error:
        return None, str(error)


@pytest.mark.slow
@FUZZ
@given(content=mutated_files())
def test_no_file_crashes_the_reader_or_runs_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    Path('run.yml').write_bytes(content)
    option_file, message = read_or_refuse()
    assert message is None or len(message.splitlines()) == 1
    json.dumps(option_file and option_file.options)  # nothing but plain values came out
    assert os.listdir() == ['run.yml']


@pytest.mark.slow
@FUZZ
@given(override=st.lists(st.one_of(PIECES, st.text(max_size=6)), max_size=8).map(''.join))
def test_no_override_crashes_the_reader_or_runs_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, override: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path('run.yml').write_text(TEXT)
    option_file, message = read_or_refuse(override)
    assert message is None or len(message.splitlines()) == 1
    if option_file is not None:
        before, after = yaml.safe_load(TEXT.replace('2e-4', '0.0002')), option_file.options
        json.dumps(after)
        assert sum(after.get(key) != before.get(key) for key in {*after, *before}) <= 1
    assert os.listdir() == ['run.yml']
