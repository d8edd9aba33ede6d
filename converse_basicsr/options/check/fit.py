"""Do data, networks and metrics fit each other? A sample of each data set goes through networks without memory.

Only for models and datasets of BasicSR and of this package: how those of other plugins call their networks is left to
``basicsr check --dry-run`` and to the run.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from converse_basicsr.archs.conditions import CONDITIONS, conditions_of
from converse_basicsr.data.bad_samples import GuardedDataset
from converse_basicsr.options.check import registered
from converse_basicsr.options.check.attempt import device_of, generators_kept, one_line, quiet
from converse_basicsr.options.check.data_sets import build_dataset
from converse_basicsr.options.check.problem import Problem
from converse_basicsr.options.check.sections import section
from converse_basicsr.options.networks import build_network

if TYPE_CHECKING:
    import torch
    from torch import nn

IMAGES = frozenset({'SRModel', 'RestorationModel', 'SwinIRModel', 'SRGANModel', 'ESRGANModel'})
VIDEOS = frozenset({'VideoBaseModel', 'EDVRModel', 'VideoRecurrentModel', 'VideoGANModel', 'VideoRecurrentGANModel'})
"""Models whose network gets ``lq`` and makes what is compared with ``gt``."""

RECURRENT = frozenset({'VideoRecurrentModel', 'VideoRecurrentGANModel'})
"""Models whose network takes clips of any length."""

TRIED = 5
"""Samples of a data set that are tried until one can be read."""

FRAMES = 15
"""Frames to which clips are cut there."""

CROP = 64
"""Pixels to which images are cut, by a multiple of this, where a network has to compute to tell whether they fit."""

MOST_SAMPLES = 2**30
"""Samples of an epoch, whose order is held in memory."""

KeyPath = tuple[str, ...]
Sample = Mapping[str, Any]


def fit_problems(
    options: Mapping[str, Any],
    datasets: Mapping[str, Any],
    networks: Mapping[str, 'nn.Module'],
    at_fault: Collection[KeyPath],
) -> Iterator[Problem]:
    """Name data sets whose samples do not suit the networks, the model or the metrics.

    Args:
        options: Options of the file.
        datasets: The data sets that could be built.
        networks: The networks that could be built, without memory.
        at_fault: Keys with problems.
    """
    model = options.get('model_type')
    if not isinstance(model, str) or model not in IMAGES | VIDEOS or ('network_g',) in at_fault:
        return
    if 'train' in datasets and (problem := _batch_problem(options, len(datasets['train']), at_fault)):
        yield problem
    if 'network_g' in networks and (problem := _ensemble_problem(options, networks['network_g'])):
        yield problem
    for name, dataset in datasets.items():
        if name != 'train' and not section(options, 'val'):
            continue  # nothing is scored
        fit = _Fit(options, name, networks)
        for variant in fit.variants(dataset):
            try:
                sample = _first(GuardedDataset(variant, name))
            except Exception as error:  # whatever a dataset raises
                yield Problem(
                    ('datasets', name), f'none of {min(len(variant), TRIED)} samples can be read: {one_line(error)}'
                )
                break
            problems = list(fit.problems(sample))
            yield from problems
            if problems:
                break


def _batch_problem(options: Mapping[str, Any], count: int, at_fault: Collection[KeyPath]) -> Problem | None:
    """Say so if not even one process of a run would find a full batch in its data, or none could order an epoch."""
    dataset, train = options['datasets']['train'], section(options, 'train')
    ratio, place = dataset.get('dataset_enlarge_ratio', 1), ('datasets', 'train', 'dataset_enlarge_ratio')
    splits = getattr(registered.find('model', options['model_type']), 'splits_batches', False)
    parts = train.get('accum_iter', 1) if splits and ('train', 'accum_iter') not in at_fault else 1
    batch = dataset['batch_size_per_gpu'] * parts
    images = f'{count} images x dataset_enlarge_ratio {ratio}'
    if count * ratio > MOST_SAMPLES:
        return Problem(place, f'makes an epoch of {images}, more than {MOST_SAMPLES}, whose order fills the memory')
    if int(count * ratio) < batch:
        return Problem(place, f'{images} fill no batch of {batch}; raise it, or lower batch_size_per_gpu')
    return None


def _ensemble_problem(options: Mapping[str, Any], network: 'nn.Module') -> Problem | None:
    """Say so if self-ensemble cannot work: a flipped image would have been decimated on another grid."""
    scales = [
        dataset.get('scale', 1)
        for name, dataset in section(options, 'datasets').items()
        if name != 'train' and isinstance(dataset, dict)
    ]
    asked = options.get('model_type') == 'RestorationModel' and section(options, 'val').get('self_ensemble')
    if asked and 'kernel' in conditions_of(network) and {*scales, options.get('scale', 1)} != {1}:
        return Problem(('val', 'self_ensemble'), 'must be false for a network with a kernel and a scale above 1')
    return None


def _first(dataset: Any) -> Sample:
    """Return the first sample that can be read: a damaged one is a matter of ``on_bad_sample``."""
    count = len(dataset)
    places = [number * count // TRIED for number in range(TRIED)] if count > TRIED else range(count)
    last: Exception = ValueError('it has none')
    with generators_kept(), quiet():
        for place in places:
            try:
                sample: Sample = dataset[place]
            except Exception as error:
                last = error
            else:
                return sample
    raise last


def _of(error: Exception) -> str:
    return f'{one_line(error)} ({type(error).__name__})'


@dataclass
class _Fit:
    """What one data set gives, beside what the networks and metrics take.

    Attributes:
        options: Options of the file.
        name: The section of ``datasets``.
        networks: The networks that could be built.
    """

    options: Mapping[str, Any]
    name: str
    networks: Mapping[str, 'nn.Module']

    @property
    def trains(self) -> bool:
        return self.name == 'train'

    @property
    def section(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.options['datasets'][self.name]
        return found

    def variants(self, dataset: Any) -> Iterator[Any]:
        """Yield the dataset, or where training draws a scale for each batch, one of each scale."""
        scales = self.section.get('scales') if self.trains else None
        if not scales:
            yield dataset
        for scale in dict.fromkeys(scales or ()):
            yield build_dataset(self.options, self.name, scales=[scale])

    def problem(self, text: str, *keys: str) -> Problem:
        return Problem(('datasets', self.name, *keys), text)

    def problems(self, sample: Sample) -> Iterator[Problem]:
        """Compare a sample with what training or validation takes from it."""
        needed = {'lq': 'the input'}
        if not self.trains:
            is_video = self.options['model_type'] in VIDEOS
            needed.update({'folder': 'the clip'} if is_video else {'lq_path': 'the name of the input'})
        metrics = [
            name
            for name, metric in section(self.options, 'val', 'metrics').items()
            if isinstance(metric, dict) and registered.takes_ground_truth(metric.get('type'))
        ]
        if self.trains or metrics:
            needed['gt'] = 'the ground truth'
        kind = self.section['type']
        for key, meaning in needed.items():
            if key not in sample:
                user = 'training' if self.trains else f'the metric {metrics[0]}' if key == 'gt' else 'validation'
                yield self.problem(f'{kind} gives no {key} ({meaning}), which {user} needs', 'type')
                return
        if 'network_g' not in self.networks:
            return
        try:
            conditions = self._conditions(sample)
        except LookupError as error:
            yield self.problem(str(error.args[0]), 'type')
            return
        yield from self._output_problems(sample, conditions, compared='gt' in needed)
        if self.trains and 'network_d' in self.networks:
            yield from self._judgement_problems(sample)

    def _conditions(self, sample: Sample) -> dict[str, Any]:
        """Return what RestorationModel gives to its network beside ``lq``."""
        taken = conditions_of(self.networks['network_g'])
        network, model = self.options['network_g']['type'], self.options['model_type']
        if model != 'RestorationModel':
            required = [name for name, is_required in taken.items() if is_required]
            if required:
                raise LookupError(
                    f'does not suit: {network} needs {" and ".join(required)}, which model_type RestorationModel '
                    f'gives it and {model} does not'
                )
            return {}
        found = {name: sample[name] for name in CONDITIONS if name in taken and name in sample}
        if 'scale' in taken:
            found['scale'] = int(found.get('scale', self.options.get('scale', 1)))
        lacking = [name for name, is_required in taken.items() if is_required and name not in found]
        if lacking:
            raise LookupError(f'{self.section["type"]} gives no {" and no ".join(lacking)}, which {network} needs')
        return found

    def _output_problems(self, sample: Sample, conditions: dict[str, Any], *, compared: bool) -> Iterator[Problem]:
        network, lq, gt = self.options['network_g']['type'], sample['lq'], sample.get('gt')
        given = f'{self.section["type"]} gives inputs of {_shape(lq)}'
        try:
            output, lq, gt = self._run(lq, gt, conditions)
        except Exception as error:
            channels = [count for count in (1, 3) if count != lq.shape[-3] and self._takes(lq, conditions, count)]
            if channels:
                remedy = 'color: gray reads one' if channels == [1] else f'the network takes {channels[0]}'
                text = f'{given}, channels first, and {network} (network_g) takes {channels[0]} channel(s); {remedy}'
            else:
                text = f'{given}, on which {network} (network_g) fails: {_of(error)}'
            yield self.problem(text)
            return
        if not compared or self._shows_a_part():
            return
        if tuple(output.shape[1:]) != tuple(gt.shape):
            yield self.problem(
                f'{given} and ground truth of {_shape(gt)}, but {network} (network_g) makes {_shape(output[0])} of it; '
                'channels, scale and sizes must agree',
                *(['scales'] if self.section.get('scales') and self.trains else []),
            )

    def _shows_a_part(self) -> bool:
        val = section(self.options, 'val')
        return bool(val.get('center_frame_only')) and not self.trains

    def _run(self, lq: Any, gt: Any, conditions: dict[str, Any]) -> tuple[Any, Any, Any]:
        """Compute the output for a sample: without memory or, where that fails, on a part of it."""
        try:
            return self._forward(self.networks['network_g'].to('meta'), lq, conditions), lq, gt
        except Exception:  # what fits may fail too: some networks look at values
            pass
        with generators_kept(), quiet():
            network = build_network(self.options['network_g']).to(device_of(self.options))
        factor = 1 if gt is None else max(1, gt.shape[-1] // lq.shape[-1])
        sides = [side if side < 2 * CROP else CROP + side % CROP for side in lq.shape[-2:]]
        lq = lq[..., : sides[0], : sides[1]]
        if self.options['model_type'] in RECURRENT:
            lq, gt = lq[:FRAMES], None if gt is None else gt[:FRAMES]
        gt = None if gt is None else gt[..., : sides[0] * factor, : sides[1] * factor]
        return self._forward(network, lq, conditions), lq, gt

    def _takes(self, lq: Any, conditions: dict[str, Any], channels: int) -> bool:
        """Say whether the network takes such an input with another number of channels."""
        try:
            self._run(lq[..., :1, :, :].expand(*lq.shape[:-3], channels, -1, -1), None, conditions)
        except Exception:
            return False
        return True

    def _forward(self, network: 'nn.Module', lq: 'torch.Tensor', conditions: dict[str, Any]) -> Any:
        import torch

        device = next(network.parameters(), lq).device
        count = 2 if self.trains else 1  # BatchNorm needs more than one value
        image = torch.stack([lq.to(device)] * count)
        given = {
            name: torch.stack([value.to(device)] * count) if isinstance(value, torch.Tensor) else value
            for name, value in conditions.items()
        }
        network.train(self.trains)
        with torch.no_grad(), generators_kept(), quiet():
            if self.options['model_type'] == 'SwinIRModel' and not self.trains:
                return self._padded_to_windows(network, image)
            return network(image, **given)

    def _padded_to_windows(self, network: 'nn.Module', image: 'torch.Tensor') -> Any:
        """Pad as SwinIRModel does when it validates."""
        from torch.nn import functional

        window, scale = self.options['network_g']['window_size'], self.options.get('scale', 1)
        height, width = image.shape[-2:]
        image = functional.pad(image, (0, -width % window, 0, -height % window), 'reflect')
        return network(image)[..., : height * scale, : width * scale]

    def _judgement_problems(self, sample: Sample) -> Iterator[Problem]:
        discriminator = self.networks['network_d'].to('meta').train()
        try:
            import torch

            gt = torch.stack([sample['gt'].to('meta')] * 2)
            with torch.no_grad(), generators_kept(), quiet():
                discriminator(gt if self.options['model_type'] in IMAGES else gt[:, 0])
        except Exception as error:
            kind = self.options['network_d']['type']
            yield Problem(('network_d',), f'{kind} fails on the ground truth of {_shape(sample["gt"])}: {_of(error)}')


def _shape(tensor: Any) -> str:
    return ' x '.join(map(str, tensor.shape))
