"""Joining the processes of a run, and putting its networks on their devices."""

import functools
from collections.abc import Iterator
from typing import Any

from converse_basicsr.compat.replacement import Replacement, everywhere


def joining() -> Iterator[Replacement]:
    """Let ``--launcher`` run on machines without a GPU (gloo), and give each process the GPU of its local rank.

    BasicSR supports NCCL and CUDA devices only, and chooses the GPU by the rank in the whole run, so that too many
    processes share one and hang. Can go when ``init_dist`` works without CUDA and chooses by ``LOCAL_RANK``.
    """
    import torch
    from basicsr.utils import dist_util

    from converse_basicsr.processes import distributed

    original = dist_util.init_dist

    @functools.wraps(original)
    def init_dist(launcher: str, backend: str = 'nccl', port: int | None = None) -> None:
        if not torch.distributed.is_initialized():
            distributed.start(launcher, on_gpus=torch.cuda.is_available(), port=port, backend=backend)

    yield from everywhere(original, init_dist)


def networks_on_cpus() -> Iterator[Replacement]:
    """Let several processes share a training on CPUs: BasicSR asks for the current CUDA device.

    Can go when ``model_to_device`` does so on CUDA devices only.
    """
    import torch
    from basicsr.models.base_model import BaseModel

    original = BaseModel.model_to_device

    @functools.wraps(original)
    def model_to_device(self: Any, net: Any) -> Any:
        if not self.opt['dist'] or self.device.type == 'cuda':
            return original(self, net)
        return torch.nn.parallel.DistributedDataParallel(
            net.to(self.device), find_unused_parameters=self.opt.get('find_unused_parameters', False)
        )

    yield Replacement(BaseModel, 'model_to_device', model_to_device)
