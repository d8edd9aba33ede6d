"""What each command needs beside this package: the one place that says so."""

from dataclasses import dataclass

SETUP = 'basicsr setup'

CORE = ('torch', 'numpy', 'cv2', 'PIL', 'yaml', 'tqdm')
"""Packages, by their names in ``import``, that come with this one."""

WITH_BASICSR = ('basicsr', 'torchvision', 'lmdb', 'scipy', 'skimage')
"""Packages that BasicSR needs, or brings, and that commands around it use."""

DISTRIBUTIONS = {
    'PIL': 'pillow',
    'cv2': 'opencv-python',
    'mmcv': 'mmcv-lite',
    'skimage': 'scikit-image',
    'yaml': 'pyyaml',
}
"""Names on the package index, where they are not those in ``import``."""


@dataclass(frozen=True)
class Need:
    """Commands, or other things to do, that need the same packages.

    Attributes:
        commands: What is done; names of commands and, where only a part of one is meant, what follows.
        packages: What it needs, by names in ``import``.
        remedy: The command that brings all of these.
    """

    commands: tuple[str, ...]
    packages: tuple[str, ...]
    remedy: str


def _extra(name: str) -> str:
    return f"pip install 'converse-basicsr[{name}]'"


NEEDS = (
    Need(
        (
            *('restore', 'inspect', 'export --format torchscript|torch.export', 'list', 'options', 'schema'),
            *('benchmark operator|network', 'prepare weights', 'setup', 'doctor'),
        ),
        CORE,
        'pip install converse-basicsr',
    ),
    Need(
        (
            *('train', 'test', 'check', 'report', 'reproduce', 'compare', 'benchmark data|train'),
            'prepare sr|div2k|denoise|deblur|kernels|testset|demo',
        ),
        (*CORE, *WITH_BASICSR),
        SETUP,
    ),
    Need(('export --format onnx',), ('onnx', 'onnxruntime', 'onnxscript'), _extra('export')),
    Need(('plots of inspect --output, benchmark --plot and compare',), ('matplotlib',), _extra('plot')),
    Need(('checkpoints as .safetensors',), ('safetensors',), _extra('safetensors')),
    Need(('converse_basicsr.spandrel',), ('spandrel',), _extra('spandrel')),
    Need(('converse_basicsr.mmcv',), ('mmengine', 'mmcv'), _extra('mmcv-lite')),
    Need(('use_tb_logger in option files',), ('tensorboard',), 'pip install tensorboard'),
    Need(('wandb in option files',), ('wandb',), 'pip install wandb'),
)


def remedy(need: Need, absent: list[str]) -> str:
    """Return the one command that brings what is absent; BasicSR, where it is there, is not set up again.

    Args:
        need: Whose packages they are.
        absent: Those that cannot be used, at least one.
    """
    if need.remedy == SETUP and 'basicsr' not in absent:
        return f'pip install {" ".join(DISTRIBUTIONS.get(name, name) for name in absent)}'
    return need.remedy
