"""A whole training step of an option file: where its time goes, its memory, and how it scales with processes."""

import contextlib
import copy
import functools
import json
import os
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
import torch.distributed

from converse_basicsr import devices
from converse_basicsr.benchmark import loader_rates, timing
from converse_basicsr.errors import UserError
from converse_basicsr.options.complete import complete
from converse_basicsr.options.file import OptionFile
from converse_basicsr.processes import distributed, launch

WARM_UP = 3
PHASES = ('data', 'forward', 'backward', 'all_reduce', 'optimizer', 'rest')


def measure(
    option_file: OptionFile, counts: Sequence[int] = (1,), *, repeats: int = 20, threads: int | None = None
) -> dict[str, Any]:
    """Measure one run after the other with different numbers of processes on this machine.

    Args:
        option_file: Options of a training; its model may be any of BasicSR with one main network.
        counts: The numbers of processes.
        repeats: Number of iterations that medians are taken of.
        threads: CPU threads of each process; torch's choice if not given.

    Returns:
        The machine, and one case per number of processes.

    Raises:
        UserError: If a run fails; its own message is on standard error.
    """
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix='basicsr_') as folder:
        for count in counts:
            path = Path(folder, f'{count}.json')
            launch.require_startable(count, 'none')
            status = launch.run(count, _command_line(option_file, repeats, threads, path))
            if status:
                raise UserError(f'the run with {count} process(es) ended with status {status}; see its message above')
            result = json.loads(path.read_text(encoding='utf-8'))
            results = {**result, 'cases': [*results.get('cases', []), *result['cases']]}
    return results


def _command_line(option_file: OptionFile, repeats: int, threads: int | None, path: Path) -> list[str]:
    """Return the arguments of ``basicsr`` with which the processes of a run measure it and write the results."""
    arguments = ['benchmark', 'train', '-opt', str(option_file.path), '--repeats', str(repeats), '--json', str(path)]
    if threads is not None:
        arguments += ['--threads', str(threads)]
    return [*arguments, '--force_yml', *option_file.overrides] if option_file.overrides else arguments


def measure_here(option_file: OptionFile, *, repeats: int = 20, threads: int | None = None) -> dict[str, Any] | None:
    """Measure the run to which this process belongs; torchrun or ``--nproc`` has started it.

    Args:
        option_file: Options of a training; its model may be any of BasicSR with one main network.
        repeats: Number of iterations that medians are taken of.
        threads: CPU threads of this process; torch's choice if not given.

    Returns:
        The figures of all processes, on rank 0; ``None`` on the others.

    Raises:
        UserError: If the options cannot work.
    """
    from converse_basicsr.register import load_plugins

    load_plugins()
    timing.prepare('cpu', threads)
    loader_rates.require_trainable(option_file)
    world_size = int(os.environ.get('WORLD_SIZE', '1'))
    run = complete(
        option_file.options,
        is_train=True,
        dist=world_size > 1,
        rank=int(os.environ.get('RANK', '0')),
        world_size=world_size,
        most_gpus=1,
    )
    if run['dist']:
        backend = (run.get('dist_params') or {}).get('backend')
        distributed.start('pytorch', on_gpus=run['num_gpu'] != 0, backend=backend)
    figures = _measure_rank(run, repeats)
    ranks = [figures]
    if run['dist']:
        ranks = [{}] * run['world_size']
        torch.distributed.all_gather_object(ranks, figures)
        distributed.leave()
    if run['rank'] != 0:
        return None
    step = statistics.fmean(rank['step'] for rank in ranks)
    case = {
        'processes': run['world_size'],
        'batch_size': figures['batch_size'] * run['world_size'],
        'samples_per_second': figures['batch_size'] * run['world_size'] / step,
        'ranks': ranks,
    }
    device = f'cuda:{torch.cuda.current_device()}' if run['num_gpu'] else 'cpu'
    return {
        'machine': timing.describe_machine(device),
        'benchmark': 'train',
        'option_file': str(option_file.path),
        'network': run['network_g']['type'],
        'model': run['model_type'],
        'cases': [case],
    }


def _measure_rank(run: dict[str, Any], repeats: int) -> dict[str, Any]:
    """Build the training of this process and measure it; the model is gone before the processes part."""
    section = run['datasets']['train']
    batches = iter(loader_rates.build_loader(run, section, section['num_worker_per_gpu']))
    from basicsr.models import build_model

    model = build_model(copy.deepcopy(run))
    figures = _time_steps(model, batches, repeats)
    parameters = [parameter for parameter in model.net_g.parameters() if parameter.requires_grad]
    figures['gradient_bytes'] = sum(parameter.nbytes for parameter in parameters)
    figures['all_reduce_alone'] = _time_all_reduce(sum(p.numel() for p in parameters), model.device, repeats)
    figures['peak_bytes'] = _peak_bytes(model.device)
    return figures


def _time_steps(model: Any, batches: Iterator[Any], repeats: int) -> dict[str, Any]:
    """Return the medians of the phases of an iteration, in seconds.

    With several processes every other iteration exchanges no gradients: the difference between the two
    backward passes is the part of the exchange that is not hidden behind computation.
    """
    distributed_run = model.opt['dist']
    clock = _Clock(model.device)
    times: dict[str, list[float]] = {name: [] for name in (*PHASES, 'step', 'alone')}
    size = 0
    for turn in range(WARM_UP * 2 + repeats * (2 if distributed_run else 1)):
        exchanging = not distributed_run or turn % 2 == 0
        started = clock.now()
        batch = next(batches)
        waited = clock.now() - started
        size = len(batch['gt'])
        with _phases(model, clock) as spent, contextlib.nullcontext() if exchanging else model.net_g.no_sync():
            model.feed_data(batch)
            model.optimize_parameters(turn + 1)
        total = clock.now() - started
        if turn < WARM_UP * 2:
            continue
        if not exchanging:
            times['alone'].append(spent['backward'])
            continue
        for name, seconds in {**spent, 'data': waited, 'step': total}.items():
            times[name].append(seconds)
        times['rest'].append(total - waited - sum(spent.values()))
    figures: dict[str, Any] = {name: statistics.median(values) for name, values in times.items() if values}
    alone = figures.pop('alone', figures['backward'])
    figures['all_reduce'] = max(0.0, figures['backward'] - alone)
    figures['backward'] -= figures['all_reduce']
    figures['batch_size'] = size
    return figures


class _Clock:
    """A clock that waits for the GPU to finish its work before it is read."""

    def __init__(self, device: torch.device) -> None:
        self._wait = functools.partial(devices.synchronize, device)

    def now(self) -> float:
        self._wait()
        return time.perf_counter()


@contextlib.contextmanager
def _phases(model: Any, clock: _Clock) -> Iterator[dict[str, float]]:
    """Time forward passes of the main network, backward passes and optimizer steps, of any model."""
    spent = {'forward': 0.0, 'backward': 0.0, 'optimizer': 0.0}
    started: dict[str, float] = {}

    def begin(name: str) -> Callable[..., None]:
        return lambda *_: started.__setitem__(name, clock.now())

    def end(name: str) -> Callable[..., None]:
        return lambda *_: spent.__setitem__(name, spent[name] + clock.now() - started[name])

    backward = torch.Tensor.backward

    def timed_backward(self: torch.Tensor, *args: Any, **kwargs: Any) -> None:
        begin('backward')()
        backward(self, *args, **kwargs)
        end('backward')()

    net = getattr(model, 'trained_net', model.net_g)
    handles = [net.register_forward_pre_hook(begin('forward')), net.register_forward_hook(end('forward'))]
    for optimizer in model.optimizers:
        handles.append(optimizer.register_step_pre_hook(begin('optimizer')))
        handles.append(optimizer.register_step_post_hook(end('optimizer')))
    torch.Tensor.backward = timed_backward  # type: ignore[method-assign]
    try:
        yield spent
    finally:
        torch.Tensor.backward = backward  # type: ignore[method-assign]
        for handle in handles:
            handle.remove()


def _time_all_reduce(count: int, device: torch.device, repeats: int) -> float | None:
    """Return the median seconds of an all-reduce of ``count`` float32 numbers by itself; ``None`` for one process."""
    if not torch.distributed.is_initialized():
        return None
    gradients = torch.zeros(count, device=device)
    work = {'all_reduce': lambda: torch.distributed.all_reduce(gradients)}
    return timing.interleaved_medians(work, repeats, device.type)['all_reduce']


def _peak_bytes(device: torch.device) -> int:
    """Return the peak memory: of the GPU, or else the resident memory of this process."""
    if (peak := devices.peak_allocated(device)) is not None:
        return peak
    # Kibibytes, but bytes on macOS.
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)
