"""Files that are no checkpoints, that are hostile, or that hold something else: one line each, and no harm."""

import io
import os
import pickle
import random
import socket
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from converse_basicsr.checkpoints import files
from converse_basicsr.errors import UserError
from converse_basicsr.messages import printable

NO_CHECKPOINT = (
    'a file that is no checkpoint: empty, a web page, a pointer of Git LFS, an archive, TorchScript, a whole network'
)
OTHER_CONTENT = 'a checkpoint that holds no weights: a list, a tensor, the state of an optimizer or of a training'
NOT_FINITE = 'weights that hold infinity or NaN'
NO_WEIGHTS = 'weights that are sparse, quantised, without numbers, or named by no text'
TOO_LARGE = 'a checkpoint that would unpack into, or claims to have, far more than it holds'
NO_FILE = 'a pipe, socket, device or folder as image, kernel or checkpoint; a file far larger than its image needs'
SUFFIX = 'a `.pth` file that is safetensors, or the other way round'
UNPROTECTED = 'a pickle that runs code, with `TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1`'

WEIGHTS = {'w': torch.ones(3)}


def saved(content: Any, **options: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def zipped(**parts: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts.items():
            archive.writestr(f'x/{name}', content)
    return buffer.getvalue()


def scripted() -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        buffer = io.BytesIO()
        torch.jit.save(torch.jit.script(torch.nn.Conv2d(1, 1, 1)), buffer)
        return buffer.getvalue()


def arrays() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, a=np.ones(2))
    return buffer.getvalue()


def safetensors(header: bytes, body: bytes = b'') -> bytes:
    return struct.pack('<Q', len(header)) + header + body


def refusal(path: Path, read: Callable[[Path], Any] = files.read) -> str:
    with pytest.raises(UserError) as caught:
        read(path)
    text = str(caught.value)
    assert text.startswith(f'checkpoint {path}')
    assert len(caught.value.lines) == 1
    assert '\n' not in text
    assert len(text) < 600
    for advice in ('weights_only', 'add_safe_globals', 'trusted', 'False'):
        assert advice not in text
    return text


@pytest.mark.promise(NO_CHECKPOINT)
@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'it is empty'),
        (b'<!DOCTYPE html>\n<html><body>Not Found', 'it looks like a web page'),
        (b'\n<HTML>', 'it looks like a web page'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n', 'it looks like a pointer of Git LFS'),
        (b'{"params": 1}', 'it looks like text in JSON'),
        (b'        {"params": 1}', 'it looks like text in JSON'),
        (b'Hello, world', 'it looks like text'),
        (b'\x89PNG\r\n\x1a\n', 'it looks like an image'),
        (b'\x1f\x8b\x08\0', 'it looks like a compressed archive'),
        (b'\x89HDF\r\n\x1a\n', 'it looks like an HDF5 file'),
        (bytes(5000), 'it looks like nothing but zeros'),
        (zipped(readme=b'text'), 'it is a ZIP archive that PyTorch did not write'),
        (saved(WEIGHTS)[:-40], 'it is a truncated or damaged archive'),
        (arrays(), 'it holds arrays of NumPy'),
        (scripted(), 'it is TorchScript'),
        (
            saved(torch.nn.Conv2d(1, 1, 1)),
            'it holds Python objects (torch.nn.modules.conv.Conv2d), which could run code',
        ),
        (saved({'params': np.ones(2)}), 'it holds Python objects (numpy'),
        (pickle.dumps([1, 2]), 'it is damaged, or holds Python objects, which could run code'),
        (pickle.dumps(os.system), 'it is damaged, or holds Python objects, which could run code'),
        (b'\x80\x02.', 'it is damaged'),
        (random.Random(0).randbytes(64) + b'\0', 'it is'),
    ],
)
@pytest.mark.parametrize('suffix', files.SUFFIXES)
def test_what_is_no_checkpoint_says_what_it_looks_like(
    tmp_path: Path, content: bytes, message: str, suffix: str
) -> None:
    path = tmp_path / f'net{suffix}'
    path.write_bytes(content)
    found = refusal(path)
    assert message in found or (suffix == files.SAFETENSORS and 'cannot be read: it is damaged' in found)


@pytest.mark.promise(OTHER_CONTENT)
@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ([WEIGHTS], 'only a list'),
        (torch.ones(3), 'only a single tensor'),
        (None, 'only one value (NoneType)'),
        ('text', 'only one value (str)'),
        ({}, 'only nothing'),
        (torch.optim.Adam([torch.nn.Parameter(torch.ones(1))]).state_dict(), 'only the state of an optimizer'),
        ({'epoch': 1, 'iter': 2, 'optimizers': [], 'schedulers': []}, 'only the state of a training'),
        ({'state_dict': WEIGHTS}, "only something under 'state_dict'"),
        ({'b' * 1000: 1, 3: 2}, 'only the keys a int, bbb'),
        ({'params': None}, 'only the keys params'),
    ],
)
def test_what_holds_no_weights_says_what_it_holds(tmp_path: Path, content: Any, message: str) -> None:
    torch.save(content, tmp_path / 'net.pth')
    text = refusal(tmp_path / 'net.pth', lambda path: files.choose_parameters(files.read(path), 'params', path))
    assert message in text


def weights_in(path: Path) -> Any:
    return files.choose_parameters(files.read(path), 'params_ema', path)[0]


@pytest.mark.promise(NOT_FINITE)
@pytest.mark.parametrize('suffix', files.SUFFIXES)
@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.float8_e5m2])
@pytest.mark.parametrize('value', [float('nan'), float('inf'), -float('inf')])
@pytest.mark.parametrize('keys', [(), ('params',), ('params', 'params_ema')])
def test_weights_that_are_not_finite_are_named(
    tmp_path: Path, suffix: str, dtype: torch.dtype, value: float, keys: tuple[str, ...]
) -> None:
    weights = {'first': torch.ones(3), 'body.0.bias': torch.tensor([1.0, value]).to(dtype)}
    path = tmp_path / f'net{suffix}'
    if keys or suffix == files.SAFETENSORS:
        files.write(dict.fromkeys(keys or ('params',), weights), path)
    else:
        torch.save(weights, path)
    assert 'body.0.bias holds infinity or NaN' in refusal(path, weights_in)


@pytest.mark.promise(NOT_FINITE)
def test_a_mask_of_minus_infinity_and_empty_tensors_are_no_damage(tmp_path: Path) -> None:
    mask = torch.full((3, 3), -float('inf')).triu(1)
    files.write({'params': {'mask': mask, 'empty': torch.ones(0), 'count': torch.tensor(3)}}, tmp_path / 'net.pth')
    assert torch.equal(weights_in(tmp_path / 'net.pth')['mask'], mask)


@pytest.mark.promise(NO_WEIGHTS)
@pytest.mark.filterwarnings('ignore')
@pytest.mark.parametrize(
    ('weights', 'message'),
    [
        ({'w': torch.eye(3).to_sparse()}, 'w is a sparse or nested tensor'),
        ({'w': torch.eye(3).to_sparse_csr()}, 'w is a sparse or nested tensor'),
        ({'w': torch.nested.nested_tensor([torch.ones(1), torch.ones(2)])}, 'w is a sparse or nested tensor'),
        ({'w': torch.quantize_per_tensor(torch.eye(3), 0.1, 0, torch.qint8)}, 'w is quantised (torch.qint8)'),
        ({'w': torch.tensor(complex(1, float('nan')))}, 'w holds infinity or NaN'),
        ({'w': torch.empty(3, device='meta')}, 'it holds a tensor without its numbers'),
        ({'w': 3}, 'w is no tensor but a int'),
        ({'w': {'v': torch.ones(1)}}, 'w is no tensor but a dict'),
        ({3: torch.ones(1)}, 'no text'),
        ({(1, 2): torch.ones(1)}, 'no text'),
    ],
)
def test_tensors_that_are_no_weights_are_named(tmp_path: Path, weights: Any, message: str) -> None:
    torch.save({'params': weights}, tmp_path / 'net.pth')
    assert message in refusal(tmp_path / 'net.pth', weights_in)


def test_shared_overlapping_and_strided_tensors_are_read(tmp_path: Path) -> None:
    base = torch.arange(12.0)
    weights = {
        'whole': base,
        'shared': base[3:9],
        'strided': base[::2],
        'turned': base.view(3, 4).T,
        'overlapping': base.as_strided((3, 3), (1, 1)),
    }
    torch.save({'params': weights}, tmp_path / 'net.pth')
    for name, value in weights_in(tmp_path / 'net.pth').items():
        assert torch.equal(value, weights[name])


def forged(numel: int, size: tuple[int, ...], stride: tuple[int, ...], offset: int = 0) -> bytes:
    """A checkpoint of 16 bytes of numbers whose pickle claims other sizes."""

    class Storage:
        pass

    class Forged:
        def __reduce__(self) -> tuple[Any, ...]:
            return torch._utils._rebuild_tensor_v2, (Storage(), offset, size, stride, False, {})

    class Pickler(pickle.Pickler):
        def persistent_id(self, value: Any) -> Any:
            return ('storage', torch.FloatStorage, '0', 'cpu', numel) if isinstance(value, Storage) else None

    buffer = io.BytesIO()
    Pickler(buffer, 2).dump({'w': Forged()})
    return zipped(**{'data.pkl': buffer.getvalue(), 'byteorder': b'little', 'data/0': bytes(16), 'version': b'3\n'})


@pytest.mark.promise(TOO_LARGE)
@pytest.mark.parametrize(
    'content',
    [
        saved({'w': torch.ones(1).expand(10**6, 10**6)}),
        saved({f'w{number}': torch.ones(1).expand(10**5) for number in range(100)}),
        saved({'w': torch.ones(1).expand(10**6, 10**6)}, _use_new_zipfile_serialization=False),
        zipped(**{'data.pkl': saved({}), 'data/0': bytes(10**8)}),
        forged(10**12, (10**12,), (1,)),
        forged(4, (10**12,), (1,)),
        forged(4, (10**12,), (0,)),
        forged(4, (4,), (1,), offset=10**12),
        forged(4, (4,), (-1,)),
        forged(4, (-4,), (1,)),
        forged(-4, (4,), (1,)),
    ],
)
def test_small_files_do_not_fill_the_memory(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'net.pth').write_bytes(content)
    assert 'cannot be read' in refusal(tmp_path / 'net.pth')


def test_the_forged_checkpoint_is_read_where_its_claims_are_true(tmp_path: Path) -> None:
    (tmp_path / 'net.pth').write_bytes(forged(4, (2, 2), (2, 1)))
    assert files.read(tmp_path / 'net.pth')['w'].tolist() == [[0, 0], [0, 0]]


@pytest.mark.promise(TOO_LARGE)
@pytest.mark.parametrize(
    'content',
    [
        struct.pack('<Q', 2**63) + b'{"w": 1}',
        struct.pack('<Q', 2**40) + b'{}',
        safetensors(b'{"w":{"dtype":"F32","shape":[1000000000000],"data_offsets":[0,4]}}', bytes(4)),
        safetensors(b'{"w":{"dtype":"F32","shape":[2],"data_offsets":[0,8000000000]}}', bytes(8)),
        safetensors(b'{"w":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}'),
        safetensors(b'{"w":{"dtype":"F32","shape":[-1],"data_offsets":[4,0]}}', bytes(4)),
        safetensors(b'{"w":{"dtype":"X","shape":[1],"data_offsets":[0,4]}}', bytes(4)),
        safetensors(b'{' * 10**5),
        safetensors(b'{"__metadata__":{"network_g":"' + b'[' * 10**5 + b'"}}'),
        safetensors(b'{"__metadata__":{"network_g":"{"}}'),
        safetensors(b'{"__metadata__":{"network_g":3}}'),
    ],
)
def test_absurd_headers_of_safetensors_are_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / 'net.safetensors').write_bytes(content)
    assert 'cannot be read' in refusal(tmp_path / 'net.safetensors')


@pytest.mark.promise(SUFFIX)
def test_the_format_is_told_by_the_content(tmp_path: Path) -> None:
    content = {'params': WEIGHTS, 'network_g': {'type': 'X'}}
    for suffix, other in (files.SUFFIXES, files.SUFFIXES[::-1]):
        files.write(content, tmp_path / f'net{suffix}')
        (tmp_path / f'net{suffix}').rename(tmp_path / f'other{other}')
        files.require_intact(tmp_path / f'other{other}')
        read = files.read(tmp_path / f'other{other}')
        assert torch.equal(read['params']['w'], WEIGHTS['w'])
        assert files.network_of(read) == {'type': 'X'}


@pytest.mark.promise(NO_FILE)
@pytest.mark.parametrize('read', [files.read, files.require_intact])
@pytest.mark.parametrize('suffix', files.SUFFIXES)
def test_what_is_no_file_is_refused_without_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], Any], suffix: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo(f'pipe{suffix}')
    os.mkdir(f'folder{suffix}')
    os.symlink('/dev/zero', f'zero{suffix}')
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f'socket{suffix}')
    for name, message in (('pipe', 'a pipe'), ('folder', 'a folder'), ('zero', 'a device'), ('socket', 'a socket')):
        assert message in refusal(Path(f'{name}{suffix}'), read)


@pytest.mark.promise(NO_FILE)
@pytest.mark.parametrize('start', [b'', b'PK\x03\x04', b'\x80\x02', b'<html>'])
@pytest.mark.parametrize('suffix', files.SUFFIXES)
def test_sparse_files_are_refused_without_reading_them(tmp_path: Path, start: bytes, suffix: str) -> None:
    path = tmp_path / f'net{suffix}'
    path.write_bytes(start)
    os.truncate(path, 10**11)
    assert 'cannot be read' in refusal(path)
    assert 'cannot be read' in refusal(path, files.require_intact)


def test_keys_of_a_checkpoint_forge_no_line(tmp_path: Path) -> None:
    torch.save({'\x1b[2J\nbasicsr: error: forged': 1}, tmp_path / 'net.pth')
    with pytest.raises(UserError) as caught:
        weights_in(tmp_path / 'net.pth')
    assert r'the keys \x1b[2J\nbasicsr: error: forged' in printable(caught.value)


@pytest.mark.parametrize(
    'section',
    [
        {'type': 'X', 'num_feat': 10**30},
        {'type': 'X', 'name': 'x' * 10**5},
        {'type': 'X', 'sizes': [0] * 10**5},
        {'type': 'X', 'value': torch.ones(1)},
        {'type': 'X', 'value': 1j},
    ],
    ids=lambda section: list(section)[-1],
)
def test_sections_that_no_option_file_could_hold_are_refused(section: dict[str, Any]) -> None:
    with pytest.raises(UserError, match='the checkpoint states a network_g that no option file could hold'):
        files.network_of({'network_g': section})


def test_lists_within_lists_do_not_grow_without_end() -> None:
    value: list[Any] = [1]
    for _ in range(100):
        value = [value, value]
    with pytest.raises(UserError, match='no option file could hold'):
        files.network_of({'network_g': {'type': 'X', 'value': value}})


@pytest.mark.promise(UNPROTECTED)
@pytest.mark.parametrize(
    'variables', [{'TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD': '1'}, {'TORCH_FORCE_WEIGHTS_ONLY_LOAD': '1'}, {}], ids=str
)
@pytest.mark.parametrize('legacy', [False, True])
def test_no_environment_variable_makes_a_pickle_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], legacy: bool
) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f'touch {tmp_path}/exploded',)

    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    torch.save({'params': Bomb()}, tmp_path / 'bomb.pth', _use_new_zipfile_serialization=not legacy)
    assert 'Python objects' in refusal(tmp_path / 'bomb.pth')
    (tmp_path / 'bomb.safetensors').write_bytes((tmp_path / 'bomb.pth').read_bytes())
    assert 'Python objects' in refusal(tmp_path / 'bomb.safetensors')
    assert not (tmp_path / 'exploded').exists()
    torch.save({'params': WEIGHTS}, tmp_path / 'net.pth')
    assert torch.equal(files.read(tmp_path / 'net.pth')['params']['w'], WEIGHTS['w'])
