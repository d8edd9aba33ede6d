import pytest
import torch

import converse_basicsr

converse_basicsr.register()

from converse_basicsr.errors import UserError  # noqa: E402
from converse_basicsr.training.ending import ended_cleanly  # noqa: E402


@pytest.mark.promise('a training that needs more memory than there is')
@pytest.mark.parametrize(
    'error',
    [
        torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 MiB'),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:114] data. DefaultCPUAllocator: can't allocate memory: you tried ..."
        ),
    ],
)
def test_memory_that_is_used_up_is_told_in_one_line(error: RuntimeError) -> None:
    with pytest.raises(UserError, match='the memory is used up: lower batch_size_per_gpu'), ended_cleanly():
        raise error


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match=r'^something else$'), ended_cleanly():
        raise RuntimeError('something else')
