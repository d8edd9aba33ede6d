"""Joining the processes of a run, on machines without a GPU."""

from typing import Any

import pytest
import torch

from converse_basicsr import compat
from converse_basicsr.compat.patches import replaced

pytestmark = pytest.mark.skipif(torch.cuda.is_available(), reason='the defects show on machines without a GPU')


@pytest.fixture
def _alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a run of one process."""
    from converse_basicsr.processes.launch import free_port

    values = {'RANK': '0', 'WORLD_SIZE': '1', 'MASTER_ADDR': '127.0.0.1', 'MASTER_PORT': str(free_port())}
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.multiprocessing, 'set_start_method', lambda method: None)


@pytest.mark.usefixtures('_alone')
def test_processes_join_on_cpus() -> None:
    from basicsr.utils import dist_util

    with compat.disabled('joining'), pytest.raises(ZeroDivisionError):
        dist_util.init_dist('pytorch')
    dist_util.init_dist('pytorch')
    try:
        assert torch.distributed.get_backend() == 'gloo'
        dist_util.init_dist('pytorch')  # joined already
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.usefixtures('_alone')
def test_networks_are_shared_on_cpus() -> None:
    from basicsr.models.base_model import BaseModel
    from basicsr.utils import dist_util

    model: Any = BaseModel({'num_gpu': 0, 'is_train': True, 'dist': True})
    dist_util.init_dist('pytorch')
    try:
        with compat.disabled('networks_on_cpus'), pytest.raises((AssertionError, RuntimeError)):
            model.model_to_device(torch.nn.Linear(1, 1))
        wrapped = model.model_to_device(torch.nn.Linear(1, 1))
        assert isinstance(wrapped, torch.nn.parallel.DistributedDataParallel)
    finally:
        torch.distributed.destroy_process_group()


def test_without_the_patch_only_rank_0_validates() -> None:
    from basicsr.models.sr_model import SRModel

    class Model(SRModel):
        def __init__(self) -> None:
            self.opt = {'rank': 1}

        def nondist_validation(self, *_: Any) -> None:
            raise AssertionError('rank 1 validates')

    with compat.disabled('shared_validation'):
        Model().dist_validation(None, 1, None, False)  # does nothing
    assert (SRModel, 'dist_validation') in replaced()['shared_validation']
