"""Run a network over the test sets of an option file, image by image."""

import contextlib
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from converse_basicsr.errors import UserError
from converse_basicsr.options.file import OptionFile

if TYPE_CHECKING:
    import numpy as np
    import torch


@dataclass
class Score:
    """One image of a test set.

    Attributes:
        dataset: Name of the test set.
        image: Name of the image, without extension.
        network: Type of the network.
        metrics: Metric name to (baseline, network): the baseline is the input itself, enlarged by MATLAB-style bicubic
            interpolation where the output is larger.
        lq: Input, 8-bit BGR or grey.
        baseline: That input, enlarged where need be to the size of the output.
        result: Output of the network.
        gt: Ground truth.
    """

    dataset: str
    image: str
    network: str
    metrics: dict[str, tuple[float, float]]
    lq: 'np.ndarray'
    baseline: 'np.ndarray'
    result: 'np.ndarray'
    gt: 'np.ndarray'

    def panels(self, network: str) -> list[tuple[str, 'np.ndarray']]:
        """Pair the images with captions that hold the first metric, for :func:`converse_basicsr.files.sheet.compare`.

        Args:
            network: What the caption of the result calls the network.
        """
        import cv2

        metric, (of_baseline, of_result) = next(iter(self.metrics.items()))
        panels = [(f'{network}\n{metric} {of_result:.2f}', self.result), ('ground truth', self.gt)]
        if self.lq.shape == self.gt.shape:
            return [(f'input\n{metric} {of_baseline:.2f}', self.lq), *panels]
        enlarged = cv2.resize(self.lq, self.gt.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        return [('input', enlarged), (f'bicubic\n{metric} {of_baseline:.2f}', self.baseline), *panels]


def latest_weights(experiment: str) -> Path:
    """Return the newest final weights below ``experiments/EXPERIMENT/``; the ``.pth`` path where there are none."""
    from converse_basicsr.checkpoints.training_state import network_file

    return network_file(Path('experiments', experiment, 'models'), 'g', 'latest')


def scored_sections(option_file: OptionFile) -> dict[str, dict[str, Any]]:
    """Return the validation and test sections of ``datasets``."""
    datasets = option_file.options['datasets']
    return {name: section for name, section in datasets.items() if name.split('_')[0] in ('val', 'test')}


def evaluate(
    option_file: OptionFile,
    checkpoint: Path,
    sections: Container[str],
    *,
    done: Container[tuple[str, str]] = (),
    device: 'torch.device | None' = None,
) -> Iterator[Score]:
    """Score the network of an option file by its own metrics, through BasicSR's model.

    A checkpoint that states its own network overrules ``network_g``
    (:func:`converse_basicsr.evaluation.stated_network.network_to_build`).

    Args:
        option_file: Its sections ``datasets``, ``network_g``, ``path`` and ``val: metrics`` are used.
        checkpoint: Weights; ``params_ema`` is taken where present.
        sections: Names of the ``datasets`` sections to run; their data must be there.
        done: Pairs of data set and image to leave out.
        device: Where the network computes; as ``num_gpu`` of the option file says if None.

    Yields:
        The scores, as soon as each is known.

    Raises:
        UserError: If there is no metric, the weights do not fit, or an image cannot be scored.
    """
    from basicsr.data import build_dataset
    from basicsr.metrics import calculate_metric
    from basicsr.models import build_model
    from basicsr.utils import tensor2img
    from torch.utils.data import default_collate

    from converse_basicsr.data.bad_samples import GuardedDataset
    from converse_basicsr.evaluation.stated_network import network_to_build
    from converse_basicsr.options.complete import complete

    state_device(option_file, device)
    metrics = (option_file.options.get('val') or {}).get('metrics')
    if not metrics:
        raise UserError(f'{option_file.where("val", "metrics")}: at least one metric is needed to score a network')
    run = complete(option_file.options, is_train=False, most_gpus=1)
    run['network_g'] = network_to_build(option_file, checkpoint)
    run['path'] |= {'pretrain_network_g': str(checkpoint), 'param_key_g': 'params_ema'}
    model = build_model(run)
    if device is not None:
        _move(model, device)

    for name in scored_sections(option_file):
        if name not in sections:
            continue
        section = run['datasets'][name]
        dataset = GuardedDataset(build_dataset({'scale': 1, **section}), section['name'])
        for index in range(len(dataset)):
            sample = default_collate([dataset[index]])
            image = Path(sample['lq_path'][0]).stem
            if (section['name'], image) in done:
                continue
            if 'gt' not in sample:
                raise UserError(f'{option_file.where("datasets", name)}: has no ground truth to score by')
            with _named(section['name'], image):
                model.feed_data(sample)
                model.test()
                visuals = model.get_current_visuals()
                # tensor2img clamps the tensor it is given in place.
                lq, result, gt = (tensor2img([visuals[key].clone()]) for key in ('lq', 'result', 'gt'))
                baseline = enlarge(sample['lq'], result)
                scores = {
                    metric: (
                        float(calculate_metric({'img': baseline, 'img2': gt}, how)),
                        float(calculate_metric({'img': result, 'img2': gt}, how)),
                    )
                    for metric, how in metrics.items()
                }
            yield Score(section['name'], image, run['network_g']['type'], scores, lq, baseline, result, gt)


def state_device(option_file: OptionFile, device: 'torch.device | None') -> None:
    """Let an option file ask for what a device is to BasicSR, a GPU or the CPU, as its checks have to know."""
    if device is not None:
        option_file.options['num_gpu'] = int(device.type == 'cuda')


def _move(model: Any, device: 'torch.device') -> None:
    """Let a model compute on any device: by itself BasicSR knows the CPU and ``cuda`` only."""
    from torch import nn

    model.device = device
    for part in vars(model).values():
        if isinstance(part, nn.Module):
            part.to(device)


@contextlib.contextmanager
def _named(dataset: str, image: str) -> Iterator[None]:
    """Name the image that the network or a metric cannot take."""
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:  # whatever a network or a metric, of a plugin perhaps, raises
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise UserError(f'{dataset} {image}: cannot be scored by this network and these metrics ({reason})') from error


def enlarge(lq: 'torch.Tensor', result: 'np.ndarray') -> 'np.ndarray':
    """Bring the input to the result's size by MATLAB-style bicubic interpolation, as an 8-bit image.

    Args:
        lq: Input, :math:`(1, C, H, W)`.
        result: The network's output, whose size is a multiple of the input's.
    """
    from basicsr.utils import tensor2img
    from basicsr.utils.matlab_functions import imresize

    scale = result.shape[0] / lq.shape[-2]
    return tensor2img([imresize(lq[0].float().cpu(), scale) if scale != 1 else lq[0].clone()])
