"""What is tried in the processes of ``basicsr doctor`` and ``basicsr setup``, here in this one."""

import pytest
import torch

from converse_basicsr.installation import probes


def test_basicsr_is_imported_with_its_patches() -> None:
    assert probes.basicsr() == {}


def test_torch_and_its_bridge_to_numpy_are_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    assert probes.torch()['version'] == torch.__version__

    def unavailable(tensor: torch.Tensor) -> None:
        raise RuntimeError('Numpy is not available')

    monkeypatch.setattr(torch.Tensor, 'numpy', unavailable)
    with pytest.raises(RuntimeError, match='Numpy is not available'):
        probes.torch()


class Properties:
    name, total_memory = 'Some GPU', 24 * 2**30


def test_accelerators_are_named_with_their_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 2)
    monkeypatch.setattr(torch.cuda, 'get_device_properties', lambda number: Properties)
    monkeypatch.setattr(torch.xpu, 'device_count', lambda: 1)
    monkeypatch.setattr(torch.xpu, 'get_device_properties', lambda number: Properties)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: True)
    monkeypatch.setattr(torch.mps, 'recommended_max_memory', lambda: 12 * 2**30, raising=False)
    gpu = 'Some GPU, 24.0 GiB'
    assert probes.devices() == {'cuda:0': gpu, 'cuda:1': gpu, 'xpu:0': gpu, 'mps': 'Apple GPU, 12.0 GiB'}


def test_a_driver_that_fails_hides_no_other_device(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise RuntimeError('the driver is too old\nmore')

    monkeypatch.setattr(torch.cuda, 'device_count', fail)
    monkeypatch.setattr(torch.xpu, 'device_count', lambda: 1)
    monkeypatch.setattr(torch.xpu, 'get_device_properties', lambda number: Properties)
    monkeypatch.setattr(torch.backends.mps, 'is_available', lambda: False)
    assert probes.devices() == {'cuda': 'fails: RuntimeError: the driver is too old', 'xpu:0': 'Some GPU, 24.0 GiB'}
