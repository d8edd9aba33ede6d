"""Filters are reused, and never when the parameters they were made from have changed in any way."""

import copy
import gc
import threading
import weakref

import pytest
import torch

from converse_basicsr.ops import Converse2D
from converse_basicsr.ops import cache as cache_module
from converse_basicsr.ops.cache import FilterCache, filter_cache


@pytest.fixture(autouse=True)
def _empty_cache():
    filter_cache.clear()
    yield
    filter_cache.clear()
    filter_cache.limit = cache_module.DEFAULT_LIMIT


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.rand(2, 4, 9, 8)


@pytest.fixture(params=[(3, 1), (5, 2)])
def layer(request, x):
    """A layer whose filter is in the cache, on the CPU: on other devices filters are made anew."""
    size, scale = request.param
    layer = Converse2D(4, 4, size, scale).eval()
    with torch.no_grad():
        for _ in range(3):
            layer(x)
    assert len(filter_cache) == (x.device.type == 'cpu')
    return layer


def recorded(layer, x):
    """The layer's output by the way that knows no cache."""
    with torch.enable_grad():
        return layer(x).detach()


def optimizer_step(layer, x):
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    layer(x).square().sum().backward()
    optimizer.step()


def ema_through_data(layer, x):
    for parameter in layer.parameters():
        version = parameter._version
        parameter.data.mul_(0.5).add_(torch.randn_like(parameter), alpha=0.5)
        assert parameter._version == version, 'the case is about writes that no counter sees'


def foreach_ema(layer, x):
    torch._foreach_mul_([p.data for p in layer.parameters()], 0.7)


def bias_only(layer, x):
    layer.bias.data += 1


def one_tap_of_one_channel(layer, x):
    layer.weight.data[0, 3, 1, 2] += 1e-3


def load_other_weights(layer, x):
    layer.load_state_dict({key: value + 0.1 for key, value in layer.state_dict().items()})


def assign_on_load(layer, x):
    layer.load_state_dict({k: v + 0.1 for k, v in layer.state_dict().items()}, assign=True)


def replace_parameter(layer, x):
    layer.weight = torch.nn.Parameter(torch.randn_like(layer.weight))


def replace_data(layer, x):
    layer.weight.data = torch.randn_like(layer.weight)


def swap_tensors(layer, x):
    torch.utils.swap_tensors(layer.weight, torch.nn.Parameter(torch.randn_like(layer.weight)))


def write_through_numpy(layer, x):
    if x.device.type != 'cpu':
        pytest.skip('NumPy shares memory with tensors on the CPU alone')
    layer.weight.detach().numpy()[...] *= 0.5


def change_eps(layer, x):
    layer.eps = 0.1


def reset(layer, x):
    layer.reset_parameters()
    layer.bias.data += 0.5


def initialise_in_place(layer, x):
    torch.nn.init.uniform_(layer.weight)


CHANGES = [
    optimizer_step,
    ema_through_data,
    foreach_ema,
    bias_only,
    one_tap_of_one_channel,
    load_other_weights,
    assign_on_load,
    replace_parameter,
    replace_data,
    swap_tensors,
    write_through_numpy,
    change_eps,
    reset,
    initialise_in_place,
]


@pytest.mark.parametrize('change', CHANGES)
@pytest.mark.parametrize('context', [torch.no_grad, torch.inference_mode])
def test_no_change_is_missed(layer, x, change, context):
    with context():
        before = layer(x).clone()
    change(layer, x)
    expected = recorded(layer, x)
    assert not torch.allclose(before, expected, rtol=1e-6, atol=1e-7), 'the change has to matter'
    for _ in range(4):
        with context():
            torch.testing.assert_close(layer(x), expected)


def test_a_change_taken_back_is_right_too(layer, x):
    saved = copy.deepcopy(layer.state_dict())
    expected = recorded(layer, x)
    with torch.no_grad():
        layer.weight.mul_(2)
        layer(x)
        layer.load_state_dict(saved)
        for _ in range(3):
            torch.testing.assert_close(layer(x), expected)


def test_ema_network_in_a_training_loop(x):
    # A network in training, and its average written as BasicSR writes it, which stays in eval mode for good.
    torch.manual_seed(0)
    net, average = Converse2D(4, 4, 3), Converse2D(4, 4, 3).eval()
    optimizer = torch.optim.SGD(net.parameters(), lr=0.5)
    for _ in range(4):
        optimizer.zero_grad()
        net(x).square().sum().backward()
        optimizer.step()
        for key, parameter in average.named_parameters():
            parameter.data.mul_(0.5).add_(dict(net.named_parameters())[key].data, alpha=0.5)
        for _ in range(3):
            with torch.no_grad():
                torch.testing.assert_close(average(x), recorded(average, x))


@pytest.mark.parametrize('dtype', [torch.float64, torch.bfloat16])
def test_converted_module(layer, x, dtype):
    layer.to(dtype)
    expected = recorded(layer, x.to(dtype))
    with torch.no_grad():
        for _ in range(3):
            torch.testing.assert_close(layer(x.to(dtype)), expected)
        layer.float()
        for _ in range(3):
            torch.testing.assert_close(layer(x), recorded(layer, x))


def test_input_dtype_and_size_are_told_apart(layer, x):
    with torch.no_grad():
        for _ in range(3):
            for other in (x, x.double(), x[..., :7], x[..., :6, :], x.transpose(2, 3), x.to(torch.bfloat16)):
                torch.testing.assert_close(layer(other), recorded(layer, other))


def test_a_copy_is_independent(layer, x):
    twin = copy.deepcopy(layer)
    twin.weight.data.mul_(3)
    with torch.no_grad():
        for _ in range(3):
            torch.testing.assert_close(layer(x), recorded(layer, x))
            torch.testing.assert_close(twin(x), recorded(twin, x))


def test_freed_memory_taken_by_another_kernel(x):
    # Addresses tell layers apart but prove nothing: kernels that die and are born at one address must not be mixed up.
    for seed in range(20):
        torch.manual_seed(seed)
        layer = Converse2D(4, 4, 3)
        with torch.no_grad():
            for _ in range(2):
                torch.testing.assert_close(layer(x), recorded(layer, x))
        del layer


@pytest.mark.usefixtures('cpu_only')
def test_the_filter_goes_with_its_layer(x):
    layer = Converse2D(4, 4, 3)
    with torch.no_grad():
        for _ in range(2):
            layer(x)
    assert len(filter_cache) == 1
    assert filter_cache.num_bytes > 0
    del layer
    gc.collect()
    assert len(filter_cache) == 0
    assert filter_cache.num_bytes == 0


@pytest.mark.usefixtures('cpu_only')
@pytest.mark.parametrize('drop', ['change', 'limit', 'clear', 'owner'])
def test_what_is_dropped_is_freed_at_once(x, drop):
    layer = Converse2D(4, 4, 3).eval()
    with torch.no_grad():
        for _ in range(2):
            layer(x)
        (entry,) = filter_cache._entries.values()
        stored = weakref.ref(entry.filter)
        del entry
        gc.disable()  # a cycle would keep gigabytes until the collector happens to run
        try:
            if drop == 'change':
                layer.weight.mul_(2)
                layer(x)
            elif drop == 'limit':
                filter_cache.limit = 0
            elif drop == 'clear':
                filter_cache.clear()
            else:
                del layer
            assert stored() is None
        finally:
            gc.enable()


def test_nothing_is_stored_while_gradients_are_recorded(x):
    layer = Converse2D(4, 4, 3)
    for _ in range(3):
        layer(x).sum().backward()
    assert filter_cache.num_bytes == 0


@pytest.mark.usefixtures('cpu_only')
def test_the_filter_is_built_once(layer, x, monkeypatch):
    monkeypatch.setattr('converse_basicsr.ops.transfer.inverse_filter', lambda *_: pytest.fail('built again'))
    with torch.no_grad():
        layer(x)


# The container itself, with filters that are recognisable numbers.


def ask(cache, kernel, value, num_bytes=400):
    def build(kernel, lam):
        return torch.full((num_bytes // 4,), float(value), device=kernel.device)

    return cache.get(kernel, torch.ones(1, device=kernel.device), 'spec', num_bytes, build)


def kernels(count):
    return [torch.full((10,), float(i)) for i in range(count)]


def test_stored_when_asked_for_twice():
    cache, (kernel,) = FilterCache(10_000), kernels(1)
    assert ask(cache, kernel, 1) is None
    assert len(cache) == 0
    assert (ask(cache, kernel, 2) == 2).all()
    assert (ask(cache, kernel, 3) == 2).all()
    assert len(cache) == 1


def test_never_above_the_limit():
    cache, many = FilterCache(2_000), kernels(40)
    for _ in range(4):
        for i, kernel in enumerate(many):
            served = ask(cache, kernel, i)
            assert served is None or (served == i).all()
            assert cache.num_bytes <= 2_000


def test_a_network_larger_than_the_limit_keeps_what_fits():
    cache, many = FilterCache(3_000), kernels(10)
    for _ in range(3):
        for i, kernel in enumerate(many):
            ask(cache, kernel, i)
    stored = len(cache)
    assert stored >= 3
    assert sum(ask(cache, kernel, -1) is not None for kernel in many) == stored


def test_filters_no_longer_used_make_room():
    cache = FilterCache(1_000)
    old, new = kernels(2), kernels(2)
    for group in (old, new):
        for _ in range(4):
            for i, kernel in enumerate(group):
                ask(cache, kernel, i)
    assert all(ask(cache, kernel, -1) is not None for kernel in new)


def test_limit():
    cache, many = FilterCache(10_000), kernels(4)
    for _ in range(2):
        for i, kernel in enumerate(many):
            ask(cache, kernel, i)
    assert len(cache) == 4
    cache.limit = 1_000
    assert cache.num_bytes <= 1_000
    cache.limit = 0
    assert cache.num_bytes == 0
    assert [ask(cache, many[0], 1) for _ in range(3)] == [None] * 3
    with pytest.raises(ValueError, match='limit must be at least 0'):
        cache.limit = -1


def test_nan_weights_are_never_stored():
    cache, kernel = FilterCache(10_000), torch.full((10,), float('nan'))
    assert [ask(cache, kernel, 1) for _ in range(3)] == [None] * 3


def test_many_threads_at_a_small_limit():
    cache, many = FilterCache(3_000), kernels(12)
    wrong = []

    def work(start):
        for turn in range(300):
            i = (start + turn) % len(many)
            served = ask(cache, many[i], i)
            if served is not None and not (served == i).all():
                wrong.append(i)

    threads = [threading.Thread(target=work, args=(start,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert cache.num_bytes <= 3_000
    cache.clear()
    assert cache.num_bytes == 0
