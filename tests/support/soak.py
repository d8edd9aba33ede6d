"""Train, stop, kill and resume again and again in two long-lived processes, and see that nothing grows or is lost.

    python tests/support/soak.py --cycles 2000

Two processes (gloo, CPU) call ``train`` over and over, as a batch job does that is queued again: each cycle goes on by
``--auto_resume``, saves at every iteration, and ends after a few by a signal that one of the two gets. In every third
cycle two copies of fresh processes take their place and are killed (SIGKILL), both or one of them, half of the times
while a checkpoint is being written. After each cycle the newest state must be whole and at least as new as the newest
that was ever complete. Memory, open files, threads and child processes of the long-lived ones are measured after each
of their cycles. In the end everything must equal, to the last bit, a run that was left alone. Linux.
"""

import argparse
import dataclasses
import gc
import multiprocessing
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import yaml
from tiny_driver import register_tiny
from tiny_processes import checkpoint, same
from tiny_run import smooth_image, tiny_options, write_lmdb

RUN = Path('experiments/tiny')
MOST = 10**6
"""More iterations than any soak gets to."""


@dataclass
class Soak:
    """What happened.

    Attributes:
        cycles: Times that a training was started.
        stopped: How many of them ended by a signal, with everything saved.
        killed: How many were killed.
        in_write: How many of those left an unfinished file.
        iterations: Iteration that the last cycle reached.
        lost: Cycles after which a state that had been complete was gone or damaged.
        growth: Of each long-lived process, by which its memory (MiB), open files, threads and child processes grew from
            the first to the last quarter of its cycles, as medians.
        equal: Whether the run ended exactly where one that was left alone ends.
        unexpected: Ends of cycles that should not be.
    """

    cycles: int = 0
    stopped: int = 0
    killed: int = 0
    in_write: int = 0
    iterations: int = 0
    lost: int = 0
    growth: list[dict[str, float]] = field(default_factory=list)
    equal: bool = False
    unexpected: list[str] = field(default_factory=list)


def options(folder: Path) -> dict[str, Any]:
    """A run of a few milliseconds an iteration, with LMDBs, EMA, dropout, validation and TensorBoard."""
    rng = np.random.default_rng(0)
    images = {f'{number:04d}': smooth_image(rng, 32, 32) for number in range(20)}
    small = {name: cv2.resize(image, (8, 8), interpolation=cv2.INTER_AREA) for name, image in images.items()}
    for name, content in (('gt', images), ('lq', small)):
        write_lmdb(folder / f'{name}.lmdb', content)
        (folder / f'val_{name}').mkdir()
        cv2.imwrite(str(folder / f'val_{name}/0.png'), content['0000'])
        cv2.imwrite(str(folder / f'val_{name}/1.png'), content['0001'])
    run = tiny_options(folder, num_gpu=0)
    run.update(model_type='RestorationModel', network_g={'type': 'NoisyNet'})
    run['train'].update(total_iter=MOST, ema_decay=0.9)
    run['val'].update(val_freq=7)
    run['logger'].update(save_checkpoint_freq=1, print_freq=3, keep_last=3, use_tb_logger=True)
    return run


def train(rank: int, port: int, folder: Path, stop_after: int = 0) -> str:
    """Train in this process as a rank of two; with ``stop_after``, send SIGTERM to itself after so many steps.

    Returns:
        How it ended: ``stopped``, ``done``, or what went wrong.
    """
    from converse_basicsr.models.training_model import TrainingModel
    from converse_basicsr.options.file import read_option_file
    from converse_basicsr.processes.stopping import Stopped
    from converse_basicsr.training import pipeline

    os.environ.update(RANK=str(rank), WORLD_SIZE='2', MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port))
    optimize, steps = TrainingModel.optimize_parameters, 0

    def optimize_and_stop(self: Any, current_iter: int) -> None:
        nonlocal steps
        optimize(self, current_iter)
        steps += 1
        if steps == stop_after:
            os.kill(os.getpid(), signal.SIGTERM)

    TrainingModel.optimize_parameters = optimize_and_stop
    try:
        pipeline.train(read_option_file('run.yml', []), str(folder), launcher='pytorch', auto_resume=True)
    except Stopped:
        return 'stopped'
    except BaseException as error:
        return f'{type(error).__name__}: {error}'
    finally:
        TrainingModel.optimize_parameters = optimize
    return 'done'


def measure() -> dict[str, float]:
    """What this process holds of the system."""
    gc.collect()
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return {
        'memory': pages * os.sysconf('SC_PAGE_SIZE') / 2**20,
        'files': len(os.listdir('/proc/self/fd')),
        'threads': len(os.listdir('/proc/self/task')),
        'children': len(Path(f'/proc/self/task/{os.getpid()}/children').read_text().split()),
    }


def serve(rank: int, folder: Path, orders: Connection) -> None:
    """Be a long-lived process: train as often as the other end asks for."""
    _enter(folder)
    while (order := orders.recv()) is not None:
        orders.send((train(rank, *order), measure()))


def train_once(rank: int, port: int, folder: Path) -> None:
    """Be a process that is killed."""
    _enter(folder)
    train(rank, port, folder)


def _enter(folder: Path) -> None:
    os.chdir(folder)
    output = os.open('output.txt', os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, 1)
    os.dup2(output, 2)
    os.close(output)
    torch.set_num_threads(1)
    signal.signal(signal.SIGINT, signal.default_int_handler)


def soak(folder: Path, cycles: int, seed: int = 0) -> Soak:
    """Soak in an empty folder."""
    from converse_basicsr.checkpoints.course import states_in
    from converse_basicsr.checkpoints.training_state import newest_intact
    from converse_basicsr.processes.launch import free_port

    register_tiny()
    import basicsr.train  # noqa: F401  (what all copies of this process need)

    from converse_basicsr.training import pipeline  # noqa: F401

    gc.freeze()  # what all copies share needs not be looked at in each cycle
    rng, result, context = random.Random(seed), Soak(), multiprocessing.get_context('fork')
    disturbed, whole = folder / 'disturbed', folder / 'whole'
    for place in (disturbed, whole):
        place.mkdir()
    run_options = options(folder)
    (disturbed / 'run.yml').write_text(yaml.safe_dump(run_options, sort_keys=False))
    states = disturbed / RUN / 'training_states'
    connections, servers, measured = [], [], [[], []]
    for rank in range(2):
        here, there = context.Pipe()
        servers.append(context.Process(target=serve, args=(rank, disturbed, there), daemon=True))
        servers[-1].start()
        connections.append(here)

    def ask(orders: list[tuple[Any, ...]]) -> list[str]:
        for connection, order in zip(connections, orders):
            connection.send(order)
        answers = [connection.recv() for connection in connections]
        for values, (_, figures) in zip(measured, answers):
            values.append(figures)
        return [end for end, _ in answers]

    reached = 0
    while result.cycles < cycles:
        result.cycles += 1
        port = free_port()
        if result.cycles % 3:
            told, steps = rng.randrange(2), rng.randint(1, 6)
            ends = ask([(port, disturbed, steps if rank == told else 0) for rank in range(2)])
            result.stopped += ends == ['stopped', 'stopped']
            if ends != ['stopped', 'stopped']:
                result.unexpected.append(f'cycle {result.cycles}: {ends}')
        else:
            copies = [context.Process(target=train_once, args=(rank, port, disturbed)) for rank in range(2)]
            for process in copies:
                process.start()
            in_write, delay = bool(rng.randrange(2)), rng.uniform(0, 0.3)
            end = time.monotonic() + 120
            while not any(number > reached for number in states_in(states)) and time.monotonic() < end:
                time.sleep(0.001)
            since = time.monotonic()
            while time.monotonic() < end:
                if any((disturbed / RUN).glob('*/.*.tmp')) if in_write else time.monotonic() > since + delay:
                    break
            for process in copies[rng.randrange(3) // 2 :]:  # both, or the second alone
                process.kill()
            for process in copies:
                process.join(60)
                process.kill()
                process.join()
            result.killed += 1
            result.in_write += any((disturbed / RUN).glob('*/.*.tmp'))
        path = newest_intact(states)
        now = int(path.stem) if path else 0
        result.lost += now < reached
        reached = now
        if result.cycles % 50 == 0:
            print(f'{dataclasses.replace(result, iterations=reached)}', flush=True)
            print('   ', [values[-1] for values in measured], flush=True)
    result.iterations = reached
    result.growth = [growth(values) for values in measured]
    run_options['train']['total_iter'] = reached + 2
    for place in (disturbed, whole):
        (place / 'run.yml').write_text(yaml.safe_dump(run_options, sort_keys=False))
    ends = ask([(free_port(), disturbed)] * 2)
    for connection in connections:
        connection.send(None)
    port = free_port()
    others = [context.Process(target=train_once, args=(rank, port, whole)) for rank in range(2)]
    for process in others:
        process.start()
    for process in (*others, *servers):
        process.join()
    result.equal = ends == ['done', 'done'] and all(
        same(checkpoint(whole, number), checkpoint(disturbed, number))
        for number in (reached + 1, reached + 2, 'latest')
    )
    return result


def growth(values: list[dict[str, float]]) -> dict[str, float]:
    """By how much the last quarter of measurements is above the first, without the first tenth, which warms up."""
    values = values[len(values) // 10 :]
    quarter = max(1, len(values) // 4)
    return {
        name: round(
            statistics.median(one[name] for one in values[-quarter:])
            - statistics.median(one[name] for one in values[:quarter]),
            1,
        )
        for name in values[0]
    }


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--cycles', type=int, default=300, metavar='N', help='trainings to start (default: 300)')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='of what happens when (default: 0)')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        outcome = soak(Path(temporary), args.cycles, args.seed)
        print(outcome)
        grown = [one[name] for one in outcome.growth for name in ('files', 'threads', 'children')]
        sys.exit(0 if outcome.equal and not outcome.lost and not outcome.unexpected and not any(grown) else 1)
