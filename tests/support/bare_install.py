"""Run commands as one who has installed this package and what it requires, and nothing else.

``python bare_install.py FOLDER`` works in an empty folder and prints what became of everything, as JSON.
"""

import contextlib
import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hidden import hide

ABSENT = ('basicsr', 'lmdb', 'matplotlib', 'safetensors', 'scipy', 'skimage', 'tensorboard', 'torchvision')
"""What the package does not require; some of it is imported by others that it requires, if it is there."""

NETWORKS: dict[str, dict[str, Any]] = {
    'ConverseDnCNN': {'num_feat': 4, 'num_block': 1},
    'ConverseNet': {'num_feat': 4, 'num_block': 1, 'num_iter': 1},
    'ConverseSRResNet': {'num_feat': 4, 'num_block': 1, 'upscale': 2},
    'ConverseUSRNet': {'num_feat': 4, 'num_block': 1, 'num_iter': 1, 'num_kernel_feat': 3},
    'ConverseUpSRResNet': {'num_feat': 4, 'num_block': 1, 'upscale': 3},
    'DnCNN': {'num_feat': 4, 'num_layer': 3},
    'USRNet': {'num_feat': 4, 'num_block': 1, 'num_iter': 1, 'num_hidden': 4},
}
TAKES_KERNEL = ('ConverseUSRNet', 'USRNet')

OPTIONS = ['-opt', 'options/demo/converse_srresnet_x4.yml']
IMAGES = ['--input', 'images', '--output', 'made']

REFUSED = {
    'train': ['train', *OPTIONS],
    'train --nproc': ['train', *OPTIONS, '--nproc', '2'],
    'test': ['test', '-opt', 'options/test/converse_srresnet_x4.yml'],
    'check': ['check', *OPTIONS],
    'check --dry-run': ['check', *OPTIONS, '--dry-run'],
    'report': ['report', *OPTIONS],
    'reproduce': ['reproduce', 'srresnet'],
    'compare': ['compare', 'options/small/denoise.yml'],
    'benchmark data': ['benchmark', 'data', *OPTIONS],
    'benchmark train': ['benchmark', 'train', *OPTIONS],
    'prepare sr': ['prepare', 'sr', *IMAGES, '--crop', '16', '--step', '16'],
    'prepare testset': ['prepare', 'testset', *IMAGES],
    'prepare demo': ['prepare', 'demo'],
    'prepare denoise': ['prepare', 'denoise', *IMAGES],
    'prepare deblur': ['prepare', 'deblur', *IMAGES, '--crop', '16'],
    'prepare kernels': ['prepare', 'kernels'],
    'restore': ['restore', 'images', '--checkpoint', 'EDSR.pth', '--output', 'made'],
    'export': ['export', '--checkpoint', 'EDSR.pth', '--format', 'torchscript', '--output', 'made.pt'],
    'inspect': ['inspect', '--checkpoint', 'EDSR.pth'],
    'inspect -opt': ['inspect', '-opt', 'EDSR.yml'],
}
"""Commands that need what is absent."""

WORKING = {
    '--version': ['--version'],
    'list': ['list', '--json'],
    'options': ['options'],
    'schema': ['schema'],
    'export': [
        'export',
        '--checkpoint',
        'DnCNN.pth',
        '--format',
        'torchscript',
        '--size',
        '8',
        '8',
        '--output',
        'a.pt',
    ],
    'inspect': ['inspect', '--checkpoint', 'ConverseNet.pth', '--grid', '8'],
    'inspect -opt': ['inspect', '-opt', 'start.yml', '--grid', '8'],
    'benchmark operator': ['benchmark', 'operator', '--cases', 'quick', '--no-memory', '--repeats', '1'],
    'benchmark network': ['benchmark', 'network', '--size', '8', '--repeats', '1'],
}
for _name in NETWORKS:
    _kernel = ['--kernel', 'kernel.npy'] if _name in TAKES_KERNEL else []
    WORKING[f'restore {_name}'] = ['restore', 'images', '--checkpoint', f'{_name}.pth', '--output', _name, *_kernel]


def main(folder: str) -> None:
    """Try everything in a folder and print it."""
    os.chdir(folder)
    hide(*ABSENT)
    import converse_basicsr

    results: dict[str, Any] = {'file': converse_basicsr.__file__}
    results['help'] = {name: run(arguments) for name, arguments in helps().items()}
    results['copy'] = run(['options', '--copy', 'options'])
    make_inputs()
    results['working'] = {name: run(arguments) for name, arguments in WORKING.items()}
    results['refused'] = {name: run(arguments) for name, arguments in REFUSED.items()}
    results['imported'] = [name for name in ABSENT if name in sys.modules]

    hide('basicsr')
    results['bridges'] = {bridge.__name__: caught(bridge) for bridge in (spandrel, mmcv, surgery, register)}
    # Last, since Python keeps what it finds: a BasicSR that is there and cannot be imported.
    hide()
    sys.path.insert(0, 'broken')
    for name in ('train', 'schema'):
        results[f'broken {name}'] = run({**REFUSED, **WORKING}[name])
    results['broken restore'] = run([*WORKING['restore DnCNN'], '--overwrite'])
    print(json.dumps(results))


def helps() -> dict[str, list[str]]:
    """Return the command lines that show help, of the commands and of those of ``prepare`` and ``benchmark``."""
    from converse_basicsr import cli
    from converse_basicsr.commands.prepare import group

    below = [('prepare', name) for name in group.COMMANDS] + [('benchmark', 'operator'), ('benchmark', 'train')]
    return {' '.join(words): [*words, '--help'] for words in [(), *((name,) for name in cli.COMMANDS), *below]}


def run(arguments: list[str]) -> dict[str, Any]:
    """Run a command; return its status, what it printed, and the files that are new."""
    from converse_basicsr import cli

    before = files()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status: Any = cli.main(arguments)
        except SystemExit as stop:
            status = stop.code
        except Exception as error:
            status = repr(error)
    return {'status': status, 'out': out.getvalue(), 'err': err.getvalue(), 'new': sorted(files() - before)}


def files() -> set[str]:
    """Return everything that is in the current folder."""
    return {path.as_posix() for path in Path().rglob('*')}


def make_inputs() -> None:
    """Make images, a kernel, weights of every network and of another, option files, and a BasicSR that is broken."""
    import cv2
    import numpy as np
    import torch

    from converse_basicsr import archs
    from converse_basicsr.checkpoints import files

    Path('images').mkdir()
    rng = np.random.default_rng(0)
    cv2.imwrite('images/small.png', rng.integers(0, 256, (20, 24, 3)).astype(np.uint8))
    np.save('kernel.npy', np.full((3, 3), 1 / 9))
    torch.manual_seed(0)
    for name, options in NETWORKS.items():
        net = getattr(archs, name)(**options)
        files.write({'params': net.state_dict(), 'network_g': {'type': name, **options}}, f'{name}.pth')
    files.write({'params': {'conv.weight': torch.rand(3)}, 'network_g': {'type': 'EDSR', 'num_in_ch': 3}}, 'EDSR.pth')
    Path('EDSR.yml').write_text('network_g: {type: EDSR, num_in_ch: 3}\n')
    Path('start.yml').write_text('network_g: {type: ConverseDnCNN, num_feat: 4, num_block: 1}\n')
    Path('broken/basicsr').mkdir(parents=True)
    Path('broken/basicsr/__init__.py').write_text('raise RuntimeError("compiled\\nfor another torch")\n')


def caught(step: Callable[[], Any]) -> Any:
    """Return what a step returns, or the error that it raises."""
    try:
        return step()
    except Exception as error:
        return f'{type(error).__name__}: {error}'


def spandrel() -> list[str]:
    """Load weights by the bridge to spandrel."""
    import converse_basicsr.spandrel

    return [type(converse_basicsr.spandrel.load_from_file('ConverseNet.pth').model).__name__]


def mmcv() -> list[str]:
    """Build the operator as a layer of mmcv."""
    import converse_basicsr.mmcv

    return [type(converse_basicsr.mmcv.MODELS.build({'type': 'Converse', 'in_channels': 2})).__name__]


def surgery() -> list[str]:
    """Exchange the operator of another network; return its layers."""
    import torch

    from converse_basicsr.surgery import replace

    net = torch.nn.Sequential(torch.nn.Conv2d(8, 32, 3, padding=1), torch.nn.PixelShuffle(2))
    return [type(module).__name__ for module in replace(net, input_shape=(1, 8, 8, 8)).modules()]


def register() -> None:
    """Register in BasicSR, which is hidden."""
    import converse_basicsr

    converse_basicsr.register()


if __name__ == '__main__':
    main(sys.argv[1])
