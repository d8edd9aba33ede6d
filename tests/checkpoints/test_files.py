"""Reading, choosing and writing checkpoints, in both formats."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from converse_basicsr.checkpoints import files
from converse_basicsr.errors import UserError


@pytest.mark.parametrize(
    ('content', 'key', 'expected', 'found'),
    [
        ({'w': torch.ones(1)}, 'params_ema', 1.0, None),
        ({'w': torch.ones(1)}, None, 1.0, None),
        ({'params': {'w': torch.ones(1)}}, None, 1.0, 'params'),
        ({'params': {'w': torch.ones(1)}, 'params_ema': {'w': torch.zeros(1)}}, 'params_ema', 0.0, 'params_ema'),
        ({'params': {'w': torch.ones(1)}}, 'params_ema', 1.0, 'params'),
        ({'params_ema': {'w': torch.zeros(1)}}, 'params', 0.0, 'params_ema'),
        ({'params': {'w': torch.ones(1)}, 'network_g': {'type': 'X'}}, None, 1.0, 'params'),
    ],
)
def test_choose_parameters(content: dict[str, Any], key: str | None, expected: float, found: str | None) -> None:
    parameters, found_key = files.choose_parameters(content, key, 'x.pth')
    assert parameters['w'].item() == expected
    assert found_key == found


@pytest.mark.parametrize('content', [{}, {'iter': 3}, [torch.ones(1)], {'params': torch.ones(1), 'epoch': 1}])
def test_choose_parameters_refuses_what_holds_none(content: Any) -> None:
    with pytest.raises(UserError, match=r'x\.pth holds no state dict'):
        files.choose_parameters(content, 'params', 'x.pth')


@pytest.mark.promise('a checkpoint that is truncated, no checkpoint, or a pickle that would run code')
def test_a_checkpoint_that_runs_code_is_refused(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.system, (f'touch {tmp_path}/exploded',)

    torch.save({'params': Bomb()}, tmp_path / 'bomb.pth')
    with pytest.raises(UserError, match='cannot be read'):
        files.read(tmp_path / 'bomb.pth')
    assert not (tmp_path / 'exploded').exists()


def test_a_failed_write_keeps_the_old_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'net.pth'
    files.write({'a': torch.ones(3)}, path)

    def save_half(content: Any, file: Any) -> None:
        file.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(torch, 'save', save_half)
    with pytest.raises(UserError, match='No space left on device'):
        files.write({'a': torch.zeros(3)}, path)
    assert torch.equal(torch.load(path)['a'], torch.ones(3))
    assert [file.name for file in tmp_path.iterdir()] == ['net.pth']


@pytest.mark.parametrize('suffix', files.SUFFIXES)
@pytest.mark.parametrize('keys', [('params',), ('params_ema',), ('params', 'params_ema')])
def test_both_formats_hold_the_same(tmp_path: Path, suffix: str, keys: tuple[str, ...]) -> None:
    """Tensors that are not contiguous, and one that two names share, as with tied weights."""
    shared = torch.arange(6.0).view(2, 3).T
    content = {
        key: {'a.weight': shared, 'b.weight': shared, 'params.c': torch.ones(1, dtype=torch.int64)} for key in keys
    }
    content['network_g'] = {'type': 'X', 'sizes': [1, 2], 'flag': None}
    content[files.VERSION_KEY] = '1.2.3'
    path = tmp_path / f'net{suffix}'
    files.write(content, path)
    files.require_intact(path)
    read = files.read(path)
    assert files.network_of(read) == content['network_g']
    assert read[files.VERSION_KEY] == '1.2.3'
    wanted = keys if suffix == files.PTH or len(keys) == 2 else ('params',)  # one state dict has no prefix
    for key in wanted:
        for name, value in content[keys[0]].items():
            assert torch.equal(read[key][name], value)
            assert read[key][name].dtype == value.dtype


def test_one_state_dict_as_safetensors_is_flat_for_other_programs(tmp_path: Path) -> None:
    from safetensors.torch import load_file

    files.write({'params': {'a': torch.ones(2)}, 'network_g': {'type': 'X'}}, tmp_path / 'net.safetensors')
    assert list(load_file(tmp_path / 'net.safetensors')) == ['a']


def test_safetensors_of_other_programs_are_flat(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({'a': torch.ones(2), 'params.b': torch.ones(1)}, tmp_path / 'other.safetensors')
    content = files.read(tmp_path / 'other.safetensors')
    assert set(content) == {'a', 'params.b'}
    assert files.network_of(content) is None


@pytest.mark.parametrize('content', [b'', b'\xff' * 100])
def test_damaged_safetensors_are_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / 'net.safetensors'
    path.write_bytes(content)
    with pytest.raises(UserError, match=r'net\.safetensors cannot be read'):
        files.require_intact(path)
    files.write({'params': {'a': torch.ones(1000)}}, path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match=r'net\.safetensors cannot be read'):
        files.require_intact(path)
    with pytest.raises(UserError, match='does not exist'):
        files.read(tmp_path / 'absent.safetensors')


def test_safetensors_without_the_package_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, 'safetensors', None)
    (tmp_path / 'net.safetensors').touch()
    with pytest.raises(UserError, match=r'converse-basicsr\[safetensors\]'):
        files.read(tmp_path / 'net.safetensors')


@pytest.mark.parametrize('content', [{'network_g': {'num_feat': 3}}, {'network_g': 'EDSR'}, [1], {'w': 1}])
def test_what_states_no_network_is_told_apart(content: Any) -> None:
    assert files.network_of(content) is None
