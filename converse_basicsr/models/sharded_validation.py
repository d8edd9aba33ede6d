"""Validation by all processes, each on a share of the images, with exactly the result of a single process."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.distributed
from torch.utils.data import DataLoader

from converse_basicsr.processes import stopping

_recorded: list[Any] | None = None


def recording(calculate_metric: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap BasicSR's ``calculate_metric`` so that a sharded validation sees the values of single images.

    ``better`` is for the model that keeps the best value; BasicSR passes it to metrics, which need not take it.
    """

    @functools.wraps(calculate_metric)
    def calculate(data: Any, opt: Any) -> Any:
        value = calculate_metric(data, {key: content for key, content in opt.items() if key != 'better'})
        if _recorded is not None:
            _recorded.append(value)
        return value

    return calculate


def validate(model: Any, dataloader: Any, current_iter: int, tb_logger: Any, save_img: bool) -> None:
    """Replace ``SRModel.dist_validation``.

    Process r of N validates the images r, r + N, r + 2N, ... by the model's own ``nondist_validation``. The values of
    single images are then gathered and summed in the order of the dataset, as a single process does. So the mean and
    the best value are the same on all processes, and equal to those of a single process to the last digit.

    Args:
        model: The model.
        dataloader: The validation loader: one image per batch, in the order of its dataset.
        current_iter: Iteration that the results are logged under.
        tb_logger: TensorBoard writer of rank 0, else ``None``.
        save_img: Whether to save the restored images; each process saves its own.

    Raises:
        converse_basicsr.processes.stopping.ValidationStopped: On all processes, if one of them was stopped.
    """
    rank, world_size = torch.distributed.get_rank(), torch.distributed.get_world_size()
    dataset = dataloader.dataset
    metrics = list(model.opt['val'].get('metrics') or {})
    indices = range(rank, len(dataset), world_size)
    shard: Any = DataLoader(dataset, batch_size=1, sampler=indices, pin_memory=dataloader.pin_memory)
    shard.generator = dataloader.generator
    request = stopping.current_request()
    if request is not None and model.is_train:
        shard = stopping.WatchedLoader(shard, request)
    signum = 0
    with _silent(model), _recorder() as values:
        try:
            if indices:  # BasicSR's loop fails on an empty loader
                model.nondist_validation(shard, current_iter, tb_logger, save_img)
        except stopping.ValidationStopped as stopped:
            signum = stopped.signum
    if not signum and len(values) != len(indices) * len(metrics):
        raise RuntimeError(
            f'{type(model).__name__} must call calculate_metric once per image and metric to be validated on several '
            f'processes, got {len(values)} calls for {len(indices)} images and {len(metrics)} metrics'
        )
    gathered: list[Any] = [None] * world_size
    torch.distributed.all_gather_object(gathered, (signum, values))
    signum = max(signum for signum, _ in gathered)
    if signum:
        raise stopping.ValidationStopped(signum)
    if not metrics:
        return
    name = dataset.opt['name']
    model._initialize_best_metric_results(name)
    model.metric_results = {}
    for column, metric in enumerate(metrics):
        total = 0
        for index in range(len(dataset)):
            total += gathered[index % world_size][1][index // world_size * len(metrics) + column]
        model.metric_results[metric] = total / len(dataset)
        model._update_best_metric_result(name, metric, model.metric_results[metric], current_iter)
    model._log_validation_metric_values(current_iter, name, tb_logger)


@contextlib.contextmanager
def _recorder() -> Iterator[list[Any]]:
    global _recorded
    values: list[Any] = []
    _recorded = values
    try:
        yield values
    finally:
        _recorded = None


@contextlib.contextmanager
def _silent(model: Any) -> Iterator[None]:
    """Keep BasicSR from logging the mean of a share of the images, and from recording it as the best value."""
    names = ('_update_best_metric_result', '_log_validation_metric_values')
    for name in names:
        setattr(model, name, lambda *_: None)
    try:
        yield
    finally:
        for name in names:
            delattr(model, name)
