"""Kill a training again and again, often in the middle of writing a checkpoint, and see that nothing is ever lost.

    python tests/support/kill_trial.py --kills 50

A run saves at every iteration. It is killed (SIGKILL) at random moments, at least half of them while an unfinished file
lies beside the checkpoints, and restarted with ``--auto_resume``. After every kill the newest state that was ever
complete must still be whole, and at the end everything must equal, to the last bit, a run that was left alone. Linux
and macOS.
"""

import argparse
import functools
import random
import re
import signal
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tiny_processes import Training, checkpoint, same, train
from tiny_run import smooth_image

from converse_basicsr.checkpoints.course import states_in
from converse_basicsr.checkpoints.training_state import newest_intact


@dataclass
class Trial:
    """What happened.

    Attributes:
        kills: Number of kills.
        in_write: How many of them left an unfinished file.
        without_state: How many fell between the networks of an iteration and its state.
        skipped: States that a restart found damaged.
        lost: Kills after which a state that had been complete was gone or damaged.
        equal: Whether the run ended exactly where one that was left alone ends.
    """

    kills: int = 0
    in_write: int = 0
    without_state: int = 0
    skipped: int = 0
    lost: int = 0
    equal: bool = False


def options(folder: Path, milestone: int) -> dict[str, Any]:
    """A run without end, of some ten milliseconds an iteration, with checkpoints of some megabytes."""
    (folder / 'images').mkdir()
    rng = np.random.default_rng(0)
    for number in range(8):
        cv2.imwrite(str(folder / f'images/{number}.png'), smooth_image(rng, 32, 32))
    data = {'type': 'BicubicSRDataset', 'dataroot_gt': str(folder / 'images'), 'io_backend': {'type': 'disk'}}
    loader = {'gt_size': 16, 'use_hflip': True, 'use_rot': True, 'num_worker_per_gpu': 0, 'batch_size_per_gpu': 3}
    return {
        'name': 'tiny',
        'model_type': 'RestorationModel',
        'scale': 4,
        'num_gpu': 0,
        'manual_seed': 0,
        'datasets': {'train': {'name': 'train', **data, **loader}, 'val': {'name': 'val', **data}},
        'network_g': {'type': 'MSRResNet', 'num_feat': 48, 'num_block': 2, 'upscale': 4},
        'path': {'pretrain_network_g': None, 'resume_state': None},
        'train': {
            'ema_decay': 0.9,
            'optim_g': {'type': 'Adam', 'lr': 1e-3},
            'scheduler': {'type': 'MultiStepLR', 'milestones': [milestone]},
            'total_iter': 1_000_000,  # the kill may come late
            'pixel_opt': {'type': 'L1Loss'},
        },
        'val': {
            'val_freq': 10,
            'save_img': False,
            'metrics': {'psnr': {'type': 'calculate_psnr_uint8', 'crop_border': 4}},
        },
        'logger': {'print_freq': 10, 'save_checkpoint_freq': 1, 'keep_last': 3, 'use_tb_logger': False},
    }


def trial(folder: Path, kills: int, seed: int = 0) -> Trial:
    """Do the trial in an empty folder."""
    run_options = options(folder, milestone=kills)
    rng, result = random.Random(seed), Trial()
    run = folder / 'killed/experiments/tiny'

    def newest_complete() -> int:
        path = newest_intact(run / 'training_states')
        return int(path.stem) if path else 0

    reached = 0
    while result.kills < kills or result.in_write < kills // 2:
        training = Training(folder / 'killed', run_options, '--auto_resume')
        delay = None if result.in_write <= result.kills / 2 else rng.uniform(0, 0.1)
        moment = functools.partial(_moment_has_come, run, reached + 1, delay, [])
        if training.wait(kill_when=moment) != [-signal.SIGKILL]:
            raise RuntimeError(f'the run ended before it was killed:\n{training.output}')
        result.kills += 1
        result.in_write += any(run.glob('*/.*.tmp'))
        networks = max((int(path.stem[6:]) for path in (run / 'models').glob('net_g_[0-9]*.pth')), default=0)
        now = newest_complete()
        result.without_state += networks > now
        result.lost += now < reached
        reached = now
    run_options['train']['total_iter'] = total_iter = reached + 10
    train(folder / 'whole', run_options)
    output = train(folder / 'killed', run_options, '--auto_resume')
    result.skipped = len(re.findall('auto_resume: skipping', output))
    result.equal = all(
        same(checkpoint(folder / 'whole', number), checkpoint(folder / 'killed', number))
        for number in (total_iter - 1, total_iter, 'latest')
    )
    return result


def _moment_has_come(run: Path, first: int, delay: float | None, since: list[float]) -> bool:
    """Whether to kill now: not before iteration ``first`` or a later one is saved, so that the trial comes to an end.

    Then some seconds later or, without a delay, as soon as a file is being written.
    """
    if not any(number >= first for number in states_in(run / 'training_states')):
        return False
    since.append(time.monotonic())
    return any(run.glob('*/.*.tmp')) if delay is None else since[-1] - since[0] > delay


if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--kills', type=int, default=50, metavar='N', help='least number of kills (default: 50)')
    parser.add_argument('--seed', type=int, default=0, metavar='N', help='of the random moments (default: 0)')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        print(trial(Path(temporary), args.kills, args.seed))
