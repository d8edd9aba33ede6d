"""Measure time and memory of any function, and describe the machine."""

import functools
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable
from typing import Any

import torch

from converse_basicsr import devices, import_path


def prepare(device: str, threads: int | None) -> torch.device:
    """Return the device of a name (:func:`converse_basicsr.devices.choose`); set the number of threads, if given.

    Raises:
        ArgumentError: If the device cannot be used.
    """
    chosen = devices.choose(device)
    if threads is not None:
        torch.set_num_threads(threads)
    return chosen


def describe_machine(device: str | torch.device) -> dict[str, Any]:
    """Return what the figures depend on: processor, cores, threads, torch version and device."""
    name = platform.machine()
    if os.path.exists('/proc/cpuinfo'):
        with open('/proc/cpuinfo', encoding='utf-8') as file:
            models = [line.split(':', 1)[1].strip() for line in file if line.startswith('model name')]
        name = models[0] if models else name
    return {
        'processor': devices.name_of(torch.device(device)) or name,
        'cores': os.cpu_count(),
        'threads': torch.get_num_threads(),
        'torch': torch.__version__,
        'device': str(device),
    }


def interleaved_medians(
    candidates: dict[str, Callable[[], Any]], repeats: int, device: str | torch.device, warm_up: int = 3
) -> dict[str, float]:
    """Return the median seconds of each candidate, run in turns: other load on the machine then affects all of them."""
    synchronize = functools.partial(devices.synchronize, torch.device(device))
    times: dict[str, list[float]] = {name: [] for name in candidates}
    for turn in range(warm_up + repeats):
        for name, candidate in candidates.items():
            synchronize()
            start = time.perf_counter()
            candidate()
            synchronize()
            if turn >= warm_up:
                times[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in times.items()}


def saved_bytes(forward: Callable[[], torch.Tensor], excluded: list[torch.Tensor]) -> int:
    """Count the bytes that autograd keeps from forward to backward pass: every storage once, none of ``excluded``."""
    known = {tensor.untyped_storage().data_ptr() for tensor in excluded}
    kept: dict[int, int] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        output = forward()
    del output
    return sum(kept.values())


def peak_growth(module: str, spec: dict[str, Any]) -> int | None:
    """Return the bytes by which a fresh process grows that runs ``module SPEC``; None where not on Linux."""
    if not os.path.exists('/proc/self/clear_refs'):
        return None
    command = [*import_path.command(module), json.dumps(spec)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f'measuring the memory of {spec} failed:\n{done.stderr}')
    return int(done.stdout.split()[-1])


def resident_growth(work: Callable[[], Any]) -> int:
    """Return the bytes by which the resident set of this process rises above its present size while ``work`` runs."""
    try:
        with open('/proc/self/clear_refs', 'w', encoding='ascii') as file:
            file.write('5')  # sets the high-water mark back to the present size
    except PermissionError:
        pass  # the mark then includes the start-up, which is smaller than what is measured
    before = _resident('VmRSS')
    work()
    return max(0, _resident('VmHWM') - before)


def _resident(field: str) -> int:
    with open('/proc/self/status', encoding='utf-8') as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(field))
