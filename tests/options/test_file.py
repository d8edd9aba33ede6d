import json
import os
import threading
from collections.abc import Callable
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


@pytest.mark.promise('Python tags, or code in a value or an override')
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
@pytest.mark.promise("Python tags (`!!python/object/apply:os.system`), other tags than YAML's plain ones")
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
        ('a: "b\\0c"\n', r'run\.yml:1 is no valid option file: a text holds the character NUL'),
        ('"a\\0": 1\n', 'holds the character NUL'),
    ],
)
@pytest.mark.promise("Python tags (`!!python/object/apply:os.system`), other tags than YAML's plain ones")
@pytest.mark.promise(
    'aliases that grow exponentially or contain themselves, thousands of levels of nesting, a file above 1 MB'
)
@pytest.mark.promise('a key twice in a section, a key that is no text, several documents')
def test_files_made_to_harm_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / 'run.yml').write_text(text)
    with pytest.raises(UserError, match=message):
        read_option_file(tmp_path / 'run.yml')


def make_pipe(path: Path) -> None:
    os.mkfifo(path)


def make_endless(path: Path) -> None:
    path.symlink_to('/dev/zero')


def make_sparse(path: Path) -> None:
    with path.open('wb') as file:
        file.truncate(10**12)


@pytest.mark.promise('a pipe, device, socket, folder or file above 1 MB as option file')
@pytest.mark.parametrize(
    ('make', 'says'),
    [
        (make_pipe, 'it is a pipe, not a file'),
        (make_endless, 'it is a device, not a file'),
        (make_sparse, 'it has 1000000000000 bytes, more than the 1048576'),
        (Path.mkdir, 'it is a folder, not a file'),
    ],
)
@pytest.mark.promise(
    'aliases that grow exponentially or contain themselves, thousands of levels of nesting, a file above 1 MB'
)
def test_what_is_no_file_of_options_is_not_read(tmp_path: Path, make: Callable[[Path], None], says: str) -> None:
    make(tmp_path / 'run.yml')
    with pytest.raises(UserError, match=f'cannot be read: {says}'):
        read_option_file(tmp_path / 'run.yml')


@pytest.mark.parametrize('content', [TEXT, TEXT + '#' * 2**20])
def test_the_pipe_that_a_shell_makes_is_read(content: str) -> None:
    """``-opt <(sed ... run.yml)``"""
    reader, writer = os.pipe()
    if not os.path.exists(f'/dev/fd/{reader}'):
        pytest.skip('this system has no names for open files')
    thread = threading.Thread(target=lambda: os.write(writer, content.encode()) and os.close(writer))
    thread.start()
    try:
        if content == TEXT:
            option_file = read_option_file(f'/dev/fd/{reader}')
            assert (option_file.options['name'], option_file.text) == ('run', TEXT)
        else:
            with pytest.raises(UserError, match='it holds more than 1048576 bytes'):
                read_option_file(f'/dev/fd/{reader}')
    finally:
        os.close(reader)
        thread.join()


@pytest.mark.promise('an override of a section that an alias or merge key shares with others')
@pytest.mark.parametrize(
    'text',
    [
        'a: &s {x: {y: 1}, z: [{y: 1}]}\nb: *s\n',
        'a: &s {x: {y: 1}, z: [{y: 1}]}\nb: {<<: *s}\n',
        'a: {x: &x {y: 1}, z: &z [{y: 1}]}\nb: {x: *x, z: *z}\n',
    ],
)
def test_an_override_changes_one_section(tmp_path: Path, text: str) -> None:
    (tmp_path / 'run.yml').write_text(text)
    option_file = read_option_file(tmp_path / 'run.yml', ['a:x:y=2'])
    assert option_file.options == {'a': {'x': {'y': 2}, 'z': [{'y': 1}]}, 'b': {'x': {'y': 1}, 'z': [{'y': 1}]}}
    option_file.options['a']['z'][0]['y'] = 3
    assert option_file.options['b']['z'] == [{'y': 1}]
    assert '&' not in option_file.dump()


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


@pytest.mark.promise('Python tags, or code in a value or an override')
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


@pytest.mark.promise('Python tags, or code in a value or an override')
@pytest.mark.slow
@FUZZ
@given(override=st.lists(st.one_of(PIECES, st.text(max_size=6)), max_size=8).map(''.join))
@pytest.mark.promise('code in `--force_yml`')
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
