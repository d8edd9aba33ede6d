"""Which device is taken, and what is asked of it; accelerators are pretended."""

from functools import partial

import pytest
import torch
from pretend_device import pretended_device

from converse_basicsr import devices
from converse_basicsr.errors import ArgumentError


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch):
    """Make a machine that has so many devices of each kind, and whose named kinds fail."""

    def make(*, broken: str = '', **counts: int) -> None:
        kinds = {kind: partial(counts.get, kind, 0) for kind in devices.ACCELERATORS}
        monkeypatch.setattr(devices, 'ACCELERATORS', kinds)
        monkeypatch.setattr(devices, '_fault', lambda device: 'no driver' if device.type == broken else '')

    return make


@pytest.mark.parametrize(
    ('counts', 'taken'),
    [
        ({}, 'cpu'),
        ({'mps': 1}, 'mps'),
        ({'xpu': 2, 'mps': 1}, 'xpu'),
        ({'cuda': 2, 'xpu': 1, 'mps': 1}, 'cuda'),
    ],
)
@pytest.mark.parametrize('name', ['auto', None])
def test_auto_takes_the_first_that_there_is(machine, counts: dict[str, int], taken: str, name: str | None) -> None:
    machine(**counts)
    assert devices.choose(name) == torch.device(taken)


def test_auto_passes_over_what_fails_and_says_so(machine, capsys: pytest.CaptureFixture[str]) -> None:
    machine(xpu=1, mps=1, broken='xpu')
    assert devices.choose() == torch.device('mps')
    assert capsys.readouterr().err == 'note: xpu cannot be used (no driver), so something else is\n'


@pytest.mark.parametrize(
    ('counts', 'name'),
    [({'cuda': 2}, 'cuda'), ({'cuda': 2}, 'cuda:1'), ({'xpu': 1}, 'xpu:0'), ({'mps': 1}, 'mps'), ({'cuda': 1}, 'cpu')],
)
def test_a_device_is_taken_by_its_name(machine, counts: dict[str, int], name: str) -> None:
    machine(**counts)
    assert devices.choose(name) == devices.choose(torch.device(name)) == torch.device(name)


@pytest.mark.parametrize(
    ('counts', 'name', 'message'),
    [
        ({}, 'cuda', 'choose from auto, cpu'),
        ({'mps': 1}, 'xpu', 'choose from auto, cpu, mps'),
        ({'cuda': 2}, 'cuda:2', 'choose from auto, cpu, cuda:0, cuda:1'),
        ({}, 'nonsense', 'choose from auto, cpu'),
        ({}, '', 'choose from auto, cpu'),
        ({}, 'meta', 'choose from auto, cpu'),
        ({'xpu': 1, 'broken': 'xpu'}, 'xpu', 'device xpu cannot be used: no driver; choose from auto, cpu, xpu'),
    ],
)
def test_one_that_is_not_there_is_one_line_with_those_that_are(machine, counts, name: str, message: str) -> None:
    machine(**counts)
    with pytest.raises(ArgumentError) as refused:
        devices.choose(name)
    assert str(refused.value).startswith(f'device {name} cannot be used: ')
    assert str(refused.value).endswith(message)
    assert len(str(refused.value).splitlines()) == 1


def test_a_device_is_tried_and_its_transforms_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports about MPS: odd lengths come back reversed, without an error."""
    monkeypatch.setitem(devices.ACCELERATORS, 'mps', lambda: 1)
    with pretended_device() as device:
        assert devices.choose('mps:0') == device
        right = torch.fft.irfft2
        wrong = lambda x, s: right(x, s=s).flip(-1) if s[-1] % 2 else right(x, s=s)  # noqa: E731
        monkeypatch.setattr(torch.fft, 'irfft2', wrong)
        with pytest.raises(ArgumentError, match='its Fourier transforms are wrong with this PyTorch'):
            devices.choose('mps:0')
        monkeypatch.setattr(torch.fft, 'rfft2', lambda x: 1 / 0)
        with pytest.raises(ArgumentError, match='mps:0 cannot be used: division by zero'):
            devices.choose('mps:0')


@pytest.mark.parametrize('kind', ['cuda', 'xpu', 'mps'])
def test_every_accelerator_is_waited_for(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    waited = []
    monkeypatch.setattr('torch.accelerator.synchronize', lambda device: waited.append(device.type), raising=False)
    monkeypatch.setattr(f'torch.{kind}.synchronize', lambda *device: waited.append(f'{kind} itself'))
    devices.synchronize(torch.device('cpu'))
    devices.synchronize(torch.device(kind))
    monkeypatch.delattr(torch, 'accelerator')
    devices.synchronize(torch.device(kind))
    assert waited == [kind, f'{kind} itself']


@pytest.mark.parametrize('kind', ['cuda', 'xpu'])
def test_memory_is_counted_from_where_it_stands(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    held = {'now': 100, 'peak': 900}

    def work() -> None:
        held['peak'] = max(held['peak'], held['now'] + 50)

    fakes = {
        'reset_peak_memory_stats': lambda device: held.update(peak=held['now']),
        'memory_allocated': lambda device: held['now'],
        'max_memory_allocated': lambda device: held['peak'],
    }
    for name, fake in fakes.items():
        monkeypatch.setattr(f'torch.{kind}.{name}', fake, raising=False)
    assert devices.peak_allocated(torch.device(kind)) == 900
    assert devices.peak_growth(torch.device(kind), work) == 50


def test_memory_that_is_not_counted_has_no_figure() -> None:
    assert devices.peak_growth(torch.device('mps'), lambda: pytest.fail('in vain')) is None
    assert devices.peak_allocated(torch.device('cpu')) is None


@pytest.mark.parametrize(
    ('error', 'short'),
    [
        (MemoryError(), True),
        (torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2.00 GiB'), True),
        (RuntimeError('MPS backend out of memory (MPS allocated: 17.96 GB)'), True),
        (RuntimeError('Invalid buffer size: 25.00 GB'), True),
        (RuntimeError('XPU out of memory. Tried to allocate 2.00 GiB'), True),
        (RuntimeError('level_zero backend failed with error: 39 (UR_RESULT_ERROR_OUT_OF_DEVICE_MEMORY)'), True),
        (RuntimeError('cuFFT error: CUFFT_ALLOC_FAILED'), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"), True),
        (RuntimeError('DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes'), True),
        (RuntimeError('size mismatch'), False),
    ],
)
def test_memory_that_is_used_up_is_told_from_other_errors(error: Exception, short: bool) -> None:
    assert devices.is_short_of_memory(error) is short
