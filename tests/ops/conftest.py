import pytest
import torch


@pytest.fixture(autouse=True, scope='session')
def _one_thread():
    """Maps of a few pixels gain nothing from threads, and lose a lot to them on a busy machine."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
