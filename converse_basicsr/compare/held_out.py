"""Score finished runs on sets that were held out, once: the scores are kept beside the run that they belong to."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from converse_basicsr.compare.comparison import Run
from converse_basicsr.compare.networks import mean
from converse_basicsr.evaluation.evaluate import evaluate, latest_weights
from converse_basicsr.files import atomic
from converse_basicsr.files.digest import sha256
from converse_basicsr.files.reading import Unreadable, read_text
from converse_basicsr.messages import tell
from converse_basicsr.options.complete import complete
from converse_basicsr.options.file import OptionFile
from converse_basicsr.version import __version__

KEPT = 'held_out.json'
"""In the folder of a run: by :func:`_digest`, the mean of each metric."""

SECTION = 'val_held_out'
_MAX_BYTES = 2**22


def score(run: Run, section: Mapping[str, Any], samples: str) -> dict[str, float]:
    """Return the mean of each metric over a set, by the final weights of a run.

    Args:
        run: The run.
        section: The set, as a section of ``datasets``.
        samples: What the set holds (:func:`samples_digest`): scores of other samples, weights, options or versions of
            this package are not taken.

    Raises:
        UserError: If an image cannot be scored.
    """
    path, checkpoint = Path('experiments', run.name, KEPT), latest_weights(run.name)
    option_file = _with(run.option_file, section)
    metrics = option_file.options['val']['metrics']
    key = _digest(samples, sha256(checkpoint), {**run.option_file.options, 'datasets': None})
    kept = _kept(path)
    if kept.get(key, {}).keys() != metrics.keys():
        tell(f'scoring {run.name} on {section["name"]}')
        images = [image.metrics for image in evaluate(option_file, checkpoint, {SECTION})]
        kept[key] = {metric: mean(scores[metric][1] for scores in images) for metric in metrics}
        atomic.write_text(path, json.dumps(kept, indent=1))
    return kept[key]


def samples_digest(option_file: OptionFile, section: Mapping[str, Any]) -> str:
    """Return a digest of all that a network and the metrics get of a set."""
    import torch
    from basicsr.data import build_dataset

    from converse_basicsr.data.bad_samples import GuardedDataset

    completed = complete(_with(option_file, section).options, is_train=False)['datasets'][SECTION]
    dataset = GuardedDataset(build_dataset({'scale': 1, **completed}), completed['name'])
    digest = hashlib.sha256()
    for index in range(len(dataset)):
        for key, value in sorted(dataset[index].items()):
            if torch.is_tensor(value):
                digest.update(f'{key} {value.dtype} {value.shape}'.encode())
                digest.update(value.numpy().tobytes())
            else:
                digest.update(_digest(key, value).encode())
    return digest.hexdigest()


def _with(option_file: OptionFile, section: Mapping[str, Any]) -> OptionFile:
    return dataclasses.replace(option_file, options={**option_file.options, 'datasets': {SECTION: dict(section)}})


def _digest(*values: object) -> str:
    return hashlib.sha256(json.dumps([__version__, *values], sort_keys=True, default=repr).encode()).hexdigest()


def _kept(path: Path) -> dict[str, dict[str, float]]:
    """Return the scores in a file; none if it is missing or holds something else."""
    try:
        content = json.loads(read_text(path, _MAX_BYTES))
        return {key: {metric: float(value) for metric, value in scores.items()} for key, scores in content.items()}
    except (Unreadable, OSError, ValueError, TypeError, AttributeError, OverflowError, RecursionError):
        return {}
