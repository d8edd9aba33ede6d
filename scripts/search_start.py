"""Try starts of the reverse convolution, kernels, lam and how they learn, by short trainings: docs/training/search.csv.

python scripts/search_start.py options/small/denoise.yml                        # trains what is not in the table yet
python scripts/search_start.py options/small/srresnet_x4.yml --only conv lam_0.1 --seeds 0 1 2 --iterations 1500

A candidate is trained as the option file says, but for its start and the number of iterations, into
``start_NAME_ITERATIONS_CANDIDATE_sSEED`` below ``experiments/`` and ``tb_logger/``. One that has such a folder is not
trained again.
"""

import argparse
import functools
import itertools
import math
import subprocess
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from converse_basicsr import Converse2D
from converse_basicsr.archs.converse_usrnet import DATA_EPS, ConverseDataStep
from converse_basicsr.blocks import DepthwiseConv2d, DepthwiseConvTranspose2d
from converse_basicsr.compare.curves import read_curves
from converse_basicsr.evaluation.tables import csv_text, read_rows
from converse_basicsr.files import atomic
from converse_basicsr.ops.start import gabor, initial_logit, small_normal, softmax, unit_normal
from converse_basicsr.options.file import OptionFile, read_option_file

TABLE = Path(__file__).resolve().parents[1] / 'docs' / 'training' / 'search.csv'
COLUMNS = ('network', 'iterations', 'candidate', 'seed', 'quantity', 'value')

Law = Callable[[torch.Tensor], torch.Tensor]


def identity(kernels: torch.Tensor) -> torch.Tensor:
    """One at the centre."""
    rows, columns = kernels.shape[-2:]
    result = torch.zeros_like(kernels)
    result[..., rows // 2, columns // 2] = 1
    return result


def warm_softmax(temperature: float) -> Law:
    """Softmax of normal draws divided by a temperature: the higher, the closer to a box."""
    return lambda kernels: (torch.randn_like(kernels) / temperature).flatten(-2).softmax(-1).view_as(kernels)


def signed_softmax(kernels: torch.Tensor) -> torch.Tensor:
    """Softmax kernels times a random sign per channel."""
    return softmax(kernels) * torch.randint(0, 2, (1, kernels.shape[1], 1, 1)).mul(2).sub(1)


def times(factor: float, law: Law) -> Law:
    """Kernels of a law times a factor."""
    return lambda kernels: factor * law(kernels)


def inverse_blur(low: float, high: float) -> Law:
    """(1 + s) delta - s softmax, s uniform over the channels: the filter is a low-pass of gain at most 1 for s > 0."""

    def law(kernels: torch.Tensor) -> torch.Tensor:
        s = torch.empty(1, kernels.shape[1], 1, 1).uniform_(low, high)
        return (1 + s) * identity(kernels) - s * softmax(kernels)

    return law


def identity_and_noise(norm: float) -> Law:
    """The identity plus normal draws of a norm."""
    return lambda kernels: identity(kernels) + norm * unit_normal(kernels)


def identity_and_softmax(share: float) -> Law:
    """A share of the identity, the rest softmax kernels."""
    return lambda kernels: share * identity(kernels) + (1 - share) * softmax(kernels)


def orthogonal(kernels: torch.Tensor) -> torch.Tensor:
    """Random orthonormal bases."""
    taps = kernels[0, 0].numel()
    bases = [torch.linalg.qr(torch.randn(taps, taps))[0] for _ in range(math.ceil(kernels.shape[1] / taps))]
    return torch.cat(bases)[: kernels.shape[1]].view_as(kernels)


def zero_insertion(kernels: torch.Tensor) -> torch.Tensor:
    """Kernels of an upsampler, at lam 1.1e-3, that put each sample at one random place of its block of zeros."""
    a = -(1 + math.sqrt(1 - 8 * 1.1e-3)) / 4
    result = torch.full_like(kernels, a)
    place = torch.randint(0, kernels[0, 0].numel(), (kernels.shape[1],))
    result.flatten(-2)[0, torch.arange(kernels.shape[1]), place] = -a
    return result


def _unit(kernels: torch.Tensor) -> torch.Tensor:
    return kernels / kernels.square().sum((-2, -1), keepdim=True).sqrt()


@dataclass
class Candidate:
    """A start; what is None stays as the option file has it.

    Attributes:
        title: What the table calls it.
        kernel: Law of the kernels.
        lam: Initial lam.
        lam_from_to: Initial lams of the first and of the last block, those between by a geometric sequence.
        lam_between: Initial lams drawn log-uniformly between two.
        up_kernel: Law of the upsamplers' kernels.
        up_lam: Initial lam of the upsamplers.
        data_lam: Initial lam of the data step of Converse-USRNet.
        kernel_lr: Factor of the kernels' learning rate.
        lam_lr: Factor of the learning rate of lam's logit.
        network: Arguments of the network.
        train: Options of ``train``.
    """

    title: str
    kernel: Law | None = None
    lam: float | None = None
    lam_from_to: tuple[float, float] | None = None
    lam_between: tuple[float, float] | None = None
    up_kernel: Law | None = None
    up_lam: float | None = None
    data_lam: float | None = None
    kernel_lr: float = 1
    lam_lr: float = 1
    network: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)


_at_0_1 = functools.partial(Candidate, lam=0.1)
_small = functools.partial(_at_0_1, kernel=small_normal)
CANDIDATES = {
    'conv': Candidate('depthwise twin', network={'operator': 'conv'}),
    'convtranspose': Candidate('transposed twin', network={'operator': 'convtranspose'}),
    'conv_replicate': Candidate(
        'depthwise twin, replicated border', network={'operator': 'conv', 'padding_mode': 'replicate'}
    ),
    'conv_constant': Candidate(
        'depthwise twin, border of zeros', network={'operator': 'conv', 'padding_mode': 'constant'}
    ),
    'conv_kernel_lr_3': Candidate(
        'depthwise twin, kernels at 3 times the rate', kernel_lr=3, network={'operator': 'conv'}
    ),
    'conv_beta2_0.95': Candidate(
        'depthwise twin, beta2 0.95', network={'operator': 'conv'}, train={'optim_g': {'betas': [0.9, 0.95]}}
    ),
    'paper': Candidate("the paper's: softmax kernels, lam 1.3e-4"),
    'lam_0.01': Candidate('softmax, lam 0.01', lam=0.01),
    'lam_0.03': Candidate('softmax, lam 0.03', lam=0.03),
    'lam_0.1': _at_0_1('softmax, lam 0.1'),
    'lam_0.3': Candidate('softmax, lam 0.3', lam=0.3),
    'lam_between_0.01_1': Candidate('softmax, lam log-uniform in [0.01, 0.9]', lam_between=(0.01, 0.9)),
    'lam_depth_0.3_0.03': Candidate('softmax, lam from 0.3 (first block) to 0.03 (last)', lam_from_to=(0.3, 0.03)),
    'lam_depth_0.03_0.3': Candidate('softmax, lam from 0.03 (first block) to 0.3 (last)', lam_from_to=(0.03, 0.3)),
    'lam_0.1_lam_lr_10': _at_0_1("softmax, lam 0.1, lam's logit at 10 times the rate", lam_lr=10),
    'lam_0.1_lam_lr_30': _at_0_1("softmax, lam 0.1, lam's logit at 30 times the rate", lam_lr=30),
    'lam_0.2_lam_lr_10': Candidate("softmax, lam 0.2, lam's logit at 10 times the rate", lam=0.2, lam_lr=10),
    'lam_0.05_lam_lr_10': Candidate("softmax, lam 0.05, lam's logit at 10 times the rate", lam=0.05, lam_lr=10),
    'lam_0.1_kernel_lr_0.3': _at_0_1('softmax, lam 0.1, kernels at 0.3 times the rate', kernel_lr=0.3),
    'lam_0.1_kernel_lr_3': _at_0_1('softmax, lam 0.1, kernels at 3 times the rate', kernel_lr=3),
    'lam_0.1_lam_lr_10_kernel_lr_2': _at_0_1(
        "softmax, lam 0.1, lam's logit at 10 times the rate, kernels at twice the rate", lam_lr=10, kernel_lr=2
    ),
    'lam_0.1_beta2_0.999': _at_0_1('softmax, lam 0.1, beta2 0.999', train={'optim_g': {'betas': [0.9, 0.999]}}),
    'lam_0.1_clip_0.1': _at_0_1('softmax, lam 0.1, gradients clipped to norm 0.1', train={'grad_clip': 0.1}),
    'lam_0.1_warmup_300': _at_0_1('softmax, lam 0.1, warm-up of 300 iterations', train={'warmup_iter': 300}),
    'lam_0.1_lam_lr_10_beta2_0.999': _at_0_1(
        "softmax, lam 0.1, lam's logit at 10 times the rate, beta2 0.999",
        lam_lr=10,
        train={'optim_g': {'betas': [0.9, 0.999]}},
    ),
    'lam_0.1_lam_lr_10_clip_0.1': _at_0_1(
        "softmax, lam 0.1, lam's logit at 10 times the rate, gradients clipped to norm 0.1",
        lam_lr=10,
        train={'grad_clip': 0.1},
    ),
    'lam_0.1_lam_lr_10_kernel_lr_0.5': _at_0_1(
        "softmax, lam 0.1, lam's logit at 10 times the rate, kernels at half the rate", lam_lr=10, kernel_lr=0.5
    ),
    'temperature_0.5_lam_0.1': _at_0_1('softmax of temperature 0.5, lam 0.1', kernel=warm_softmax(0.5)),
    'temperature_2_lam_0.1': _at_0_1('softmax of temperature 2, lam 0.1', kernel=warm_softmax(2)),
    'signed_lam_0.1': _at_0_1('softmax with random signs, lam 0.1', kernel=signed_softmax),
    'signed_lam_0.1_lam_lr_10': _at_0_1(
        "softmax with random signs, lam 0.1, lam's logit at 10 times the rate", kernel=signed_softmax, lam_lr=10
    ),
    'scaled_3_lam_0.9': Candidate('3 softmax, lam 0.9', kernel=times(3, softmax), lam=0.9),
    'unit_normal_lam_0.1': _at_0_1('normal of norm 1, lam 0.1', kernel=unit_normal),
    'orthogonal_lam_0.1': _at_0_1('orthonormal, lam 0.1', kernel=orthogonal),
    'gabor_lam_0.1': _at_0_1('Gabor of norm 1, lam 0.1', kernel=gabor),
    'gabor_lam_0.1_lam_lr_10': _at_0_1(
        "Gabor of norm 1, lam 0.1, lam's logit at 10 times the rate", kernel=gabor, lam_lr=10
    ),
    'gabor_lam_0.1_lam_lr_10_replicate': _at_0_1(
        "Gabor of norm 1, lam 0.1, lam's logit at 10 times the rate, replicated border",
        kernel=gabor,
        lam_lr=10,
        network={'padding_mode': 'replicate'},
    ),
    'gabor_lam_0.1_lam_lr_10_constant': _at_0_1(
        "Gabor of norm 1, lam 0.1, lam's logit at 10 times the rate, border of zeros",
        kernel=gabor,
        lam_lr=10,
        network={'padding_mode': 'constant'},
    ),
    'gabor_lam_0.1_lam_lr_10_kernel_lr_0.3': _at_0_1(
        "Gabor of norm 1, lam 0.1, lam's logit at 10 times the rate, kernels at 0.3 times the rate",
        kernel=gabor,
        lam_lr=10,
        kernel_lr=0.3,
    ),
    'gabor_lam_0.1_lam_lr_10_kernel_lr_0.1': _at_0_1(
        "Gabor of norm 1, lam 0.1, lam's logit at 10 times the rate, kernels at 0.1 times the rate",
        kernel=gabor,
        lam_lr=10,
        kernel_lr=0.1,
    ),
    'gabor_lam_0.1_lam_lr_10_clip_0.1': _at_0_1(
        "Gabor of norm 1, lam 0.1, lam's logit at 10 times the rate, gradients clipped to norm 0.1",
        kernel=gabor,
        lam_lr=10,
        train={'grad_clip': 0.1},
    ),
    'gabor_lam_0.1_lam_lr_10_beta2_0.999': _at_0_1(
        "Gabor of norm 1, lam 0.1, lam's logit at 10 times the rate, beta2 0.999",
        kernel=gabor,
        lam_lr=10,
        train={'optim_g': {'betas': [0.9, 0.999]}},
    ),
    'gabor_lam_0.1_lam_lr_10_beta2_0.95': _at_0_1(
        "Gabor of norm 1, lam 0.1, lam's logit at 10 times the rate, beta2 0.95",
        kernel=gabor,
        lam_lr=10,
        train={'optim_g': {'betas': [0.9, 0.95]}},
    ),
    'gabor_lam_0.1_lam_lr_10_beta2_0.9': _at_0_1(
        "Gabor of norm 1, lam 0.1, lam's logit at 10 times the rate, beta2 0.9",
        kernel=gabor,
        lam_lr=10,
        train={'optim_g': {'betas': [0.9, 0.9]}},
    ),
    'gabor_lam_0.3_lam_lr_10': Candidate(
        "Gabor of norm 1, lam 0.3, lam's logit at 10 times the rate", kernel=gabor, lam=0.3, lam_lr=10
    ),
    'gabor_lam_0.03_lam_lr_10': Candidate(
        "Gabor of norm 1, lam 0.03, lam's logit at 10 times the rate", kernel=gabor, lam=0.03, lam_lr=10
    ),
    'gabor_0.5_lam_0.1_lam_lr_10': _at_0_1(
        "Gabor of norm 0.5, lam 0.1, lam's logit at 10 times the rate",
        kernel=times(0.5, gabor),
        lam_lr=10,
    ),
    'small_normal_lam_0.1_kernel_lr_0.1': _small(
        'normal of norm 0.1, lam 0.1, kernels at 0.1 times the rate', kernel_lr=0.1
    ),
    'small_normal_lam_0.1_lam_lr_10_kernel_lr_0.3': _small(
        "normal of norm 0.1, lam 0.1, lam's logit at 10 times the rate, kernels at 0.3 times the rate",
        lam_lr=10,
        kernel_lr=0.3,
    ),
    'small_normal_lam_0.1_kernel_lr_0.3': _small(
        'normal of norm 0.1, lam 0.1, kernels at 0.3 times the rate', kernel_lr=0.3
    ),
    'small_normal_lam_0.1_lam_lr_10_kernel_lr_0.1': _small(
        "normal of norm 0.1, lam 0.1, lam's logit at 10 times the rate, kernels at 0.1 times the rate",
        lam_lr=10,
        kernel_lr=0.1,
    ),
    'small_normal_lam_0.1_kernel_lr_0.1_up_normal': _small(
        'normal of norm 0.1, lam 0.1, kernels at 0.1 times the rate; upsamplers: normal of norm 1',
        kernel_lr=0.1,
        up_kernel=unit_normal,
    ),
    'small_normal_lam_0.1_kernel_lr_0.1_data_lam_0.1': _small(
        'normal of norm 0.1, lam 0.1, kernels at 0.1 times the rate; data step: lam 0.1',
        kernel_lr=0.1,
        data_lam=0.1,
    ),
    'small_normal_lam_0.3_kernel_lr_0.3': Candidate(
        'normal of norm 0.3, lam 0.3, kernels at 0.3 times the rate',
        kernel=times(0.3, unit_normal),
        lam=0.3,
        kernel_lr=0.3,
    ),
    'gabor_lam_0.1_lam_lr_10_up_normal': _at_0_1(
        "Gabor of norm 1, lam 0.1, lam's logit at 10 times the rate; upsamplers: normal of norm 1",
        kernel=gabor,
        lam_lr=10,
        up_kernel=unit_normal,
    ),
    'gabor_lam_0.1_lam_lr_10_data_lam_0.1': _at_0_1(
        "Gabor of norm 1, lam 0.1, lam's logit at 10 times the rate; data step: lam 0.1",
        kernel=gabor,
        lam_lr=10,
        data_lam=0.1,
    ),
    'gabor_lam_0.1_lam_lr_10_data_lam_0.5': _at_0_1(
        "Gabor of norm 1, lam 0.1, lam's logit at 10 times the rate; data step: lam 0.5",
        kernel=gabor,
        lam_lr=10,
        data_lam=0.5,
    ),
    'inverse_0_4': Candidate('(1 + s) delta - s softmax, s in [0, 4], lam 1.3e-4', kernel=inverse_blur(0, 4)),
    'inverse_0_4_lam_0.1': _at_0_1('(1 + s) delta - s softmax, s in [0, 4], lam 0.1', kernel=inverse_blur(0, 4)),
    'inverse_-0.5_2_lam_0.1': _at_0_1(
        '(1 + s) delta - s softmax, s in [-0.5, 2], lam 0.1', kernel=inverse_blur(-0.5, 2)
    ),
    'identity_noise_0.5_lam_0.1': _at_0_1('delta + 0.5 normal of norm 1, lam 0.1', kernel=identity_and_noise(0.5)),
    'identity_noise_0.5_lam_0.1_kernel_lr_3': _at_0_1(
        'delta + 0.5 normal of norm 1, lam 0.1, kernels at 3 times the rate',
        kernel=identity_and_noise(0.5),
        kernel_lr=3,
    ),
    'half_identity_lam_0.1': _at_0_1('half delta, half softmax, lam 0.1', kernel=identity_and_softmax(0.5)),
    'lam_0.1_data_lam_0.1': _at_0_1('softmax, lam 0.1; data step: lam 0.1', data_lam=0.1),
    'lam_0.1_data_lam_0.01': _at_0_1('softmax, lam 0.1; data step: lam 0.01', data_lam=0.01),
    'lam_0.1_lam_lr_10_data_lam_0.01': _at_0_1(
        "softmax, lam 0.1, lam's logit at 10 times the rate; data step: lam 0.01", lam_lr=10, data_lam=0.01
    ),
    'paper_data_lam_0.1': Candidate("the paper's; data step: lam 0.1", data_lam=0.1),
    'lam_0.1_lam_lr_10_data_lam_0.1': _at_0_1(
        "softmax, lam 0.1, lam's logit at 10 times the rate; data step: lam 0.1", lam_lr=10, data_lam=0.1
    ),
    'lam_0.1_lam_lr_10_data_lam_0.5': _at_0_1(
        "softmax, lam 0.1, lam's logit at 10 times the rate; data step: lam 0.5", lam_lr=10, data_lam=0.5
    ),
    'lam_0.1_up_lam_0.1': _at_0_1('softmax, lam 0.1; upsamplers: lam 0.1', up_lam=0.1),
    'lam_0.1_up_insertion': _at_0_1('softmax, lam 0.1; upsamplers: zero insertion', up_kernel=zero_insertion),
    'lam_0.1_up_normal': _at_0_1('softmax, lam 0.1; upsamplers: normal of norm 1', up_kernel=unit_normal),
    'lam_0.1_lam_lr_10_up_normal': _at_0_1(
        "softmax, lam 0.1, lam's logit at 10 times the rate; upsamplers: normal of norm 1",
        lam_lr=10,
        up_kernel=unit_normal,
    ),
}


def operators(net: torch.nn.Module) -> list[Any]:
    """The depthwise operators of a network, in order."""
    kinds = (Converse2D, DepthwiseConv2d, DepthwiseConvTranspose2d)
    return [module for module in net.modules() if isinstance(module, kinds)]


@torch.no_grad()
def start(net: torch.nn.Module, candidate: Candidate) -> None:
    """Give a network's reverse convolutions the start of a candidate."""
    modules = [module for module in operators(net) if isinstance(module, Converse2D)]
    blocks = [module for module in modules if module.scale == 1]
    for number, module in enumerate(blocks):
        if candidate.kernel:
            module.weight.copy_(candidate.kernel(module.weight))
        lam = candidate.lam
        if candidate.lam_from_to:
            first, last = candidate.lam_from_to
            lam = first * (last / first) ** (number / max(1, len(blocks) - 1))
        if candidate.lam_between:
            low, high = map(math.log, candidate.lam_between)
            lams = torch.empty(module.in_channels).uniform_(low, high).exp().tolist()
            module.bias.copy_(torch.tensor([initial_logit(one, module.eps) for one in lams]).view_as(module.bias))
        elif lam is not None:
            module.bias.fill_(initial_logit(lam, module.eps))
    for module in modules:
        if module.scale > 1 and candidate.up_kernel:
            module.weight.copy_(candidate.up_kernel(module.weight))
        if module.scale > 1 and candidate.up_lam is not None:
            module.bias.fill_(initial_logit(candidate.up_lam, module.eps))
    for module in net.modules():
        if isinstance(module, ConverseDataStep) and candidate.data_lam is not None:
            module.alpha.fill_(initial_logit(candidate.data_lam, DATA_EPS))


def run_name(network: str, iterations: int, candidate: str, seed: int) -> str:
    """The name of a candidate's training."""
    return f'start_{network}_{iterations}_{candidate}_s{seed}'


def options_of(path: str, name: str, seed: int, iterations: int) -> OptionFile:
    """The options of a candidate's training."""
    option_file = read_option_file(path, [])
    options, candidate = option_file.options, CANDIDATES[name]
    options.pop('compare', None)
    options.update(name=run_name(options['name'], iterations, name, seed), manual_seed=seed)
    for key in ('kernel_init', 'lam_init', 'up_kernel_init', 'up_lam_init', 'data_lam_init'):
        options['network_g'].pop(key, None)
    for key in ('kernel_lr_mult', 'lam_lr_mult'):
        options['train']['optim_g'].pop(key, None)
    options['network_g'].update(candidate.network)
    options['train']['total_iter'] = iterations
    options['train']['scheduler']['periods'] = [iterations]
    for key, value in candidate.train.items():
        if isinstance(value, dict):
            options['train'][key].update(value)
        else:
            options['train'][key] = value
    options['val']['val_freq'] = options['logger']['save_checkpoint_freq'] = iterations
    return option_file


def train(option_file: OptionFile, candidate: Candidate) -> None:
    """Train in this process."""
    from converse_basicsr.register import load_plugins

    load_plugins()
    from converse_basicsr.models.training_model import TrainingModel
    from converse_basicsr.training.pipeline import train as train_run

    get_optimizer = TrainingModel.get_optimizer

    def get_optimizer_of_candidate(self: Any, kind: str, params: Iterable[Any], lr: float, **arguments: Any) -> Any:
        net = self.get_bare_model(self.net_g)
        start(net, candidate)
        roles = [[getattr(module, name) for module in operators(net)] for name in ('weight', 'bias')]
        roles[1] += [module.alpha for module in net.modules() if isinstance(module, ConverseDataStep)]
        own = {id(parameter) for parameters in roles for parameter in parameters}
        groups = [
            {'params': [parameter for parameter in params if id(parameter) not in own]},
            {'params': roles[0], 'lr': lr * candidate.kernel_lr},
            {'params': roles[1], 'lr': lr * candidate.lam_lr},
        ]
        return get_optimizer(self, kind, groups, lr, **arguments)

    TrainingModel.get_optimizer = get_optimizer_of_candidate  # type: ignore[method-assign]
    train_run(option_file, str(Path.cwd()))


def collect(network: str, iterations: int, seeds: Iterable[int]) -> None:
    """Write the table anew: the scores at the ends of finished trainings, and what it holds of others."""
    rows = {tuple(row[:5]): row[5] for row in (read_rows(TABLE)[1:] if TABLE.is_file() else [])}
    for name in CANDIDATES:
        for seed in seeds:
            folder = Path('tb_logger', run_name(network, iterations, name, seed))
            points = read_curves(folder)[0] if folder.is_dir() else []
            for point in points:
                if '/' in point.quantity and point.iteration == iterations:
                    rows[network, str(iterations), name, str(seed), point.quantity] = f'{point.value:.4f}'
    atomic.write_text(TABLE, csv_text([COLUMNS, *([*key, value] for key, value in sorted(rows.items()))]))


def main() -> None:
    """Train candidates, one after the other, and put their scores into the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('option_file', help='a file of options/small/')
    parser.add_argument('--iterations', type=int, default=1500)
    parser.add_argument('--seeds', type=int, nargs='+', default=[0])
    parser.add_argument('--only', choices=CANDIDATES, nargs='+', default=list(CANDIDATES), metavar='CANDIDATE')
    parser.add_argument('--one', action='store_true', help='train the first of them in this process')
    parser.add_argument('--collect', action='store_true', help='train nothing: write the table')
    args = parser.parse_args()
    if args.one:
        name, seed = args.only[0], args.seeds[0]
        train(options_of(args.option_file, name, seed, args.iterations), CANDIDATES[name])
        return
    network = read_option_file(args.option_file, []).options['name']
    for seed, name in itertools.product([] if args.collect else args.seeds, args.only):
        run = run_name(network, args.iterations, name, seed)
        if not Path('experiments', run).exists():
            own = ['--one', '--only', name, '--seeds', str(seed), '--iterations', str(args.iterations)]
            status = subprocess.run([sys.executable, __file__, args.option_file, *own], check=False).returncode
            print(f'{run}: {"trained" if status == 0 else f"ended with status {status}"}', flush=True)
    collect(network, args.iterations, args.seeds)


if __name__ == '__main__':
    main()
