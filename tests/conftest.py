import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml
from tiny_run import smooth_image, tiny_options, write_lmdb

ON_DEVICE = {'archs', 'blocks', 'ops', 'surgery'}
"""Folders of tests that make their tensors and modules on the device under test."""
RUNS_ON_DEVICE = {'models', 'surgery'}
"""Folders of tests whose whole runs of BasicSR are on the device under test; all other runs are on the CPU."""

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A shell starts what it puts into the background so, and the commands that tests interrupt would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    default = os.environ.get('CONVERSE_BASICSR_TEST_DEVICE') or 'cpu'
    parser.addoption('--device', default=default, help=f'device of the tests of networks, such as cuda ({default})')


def pytest_configure(config: pytest.Config) -> None:
    try:
        torch.ones(1, device=config.getoption('--device')).sum().item()
    except (AssertionError, RuntimeError) as error:  # torch without CUDA raises the former
        reason = str(error).partition('\n')[0]
        raise pytest.UsageError(f'--device {config.getoption("--device")} cannot be used: {reason}') from error


@pytest.fixture(scope='session')
def device(pytestconfig: pytest.Config) -> torch.device:
    """The device that ``--device`` or the environment variable CONVERSE_BASICSR_TEST_DEVICE names; else the CPU."""
    return torch.device(pytestconfig.getoption('--device'))


@pytest.fixture(scope='session')
def num_gpu(device: torch.device) -> int:
    """The ``num_gpu`` of option files for runs on the device under test."""
    return int(device.type == 'cuda')


@pytest.fixture(autouse=True)
def _on_device(request: pytest.FixtureRequest, device: torch.device) -> Iterator[None]:
    """Make tensors and modules on the device under test, and let it compute as exactly as it can.

    Not in whole runs of BasicSR, whose data sets and loaders work on the CPU.
    """
    with contextlib.ExitStack() as stack:
        if device.type == 'cuda':
            exact = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
            stack.enter_context(exact)
        if device.type != 'cpu' and request.path.parent.name in ON_DEVICE and 'basicsr' not in request.fixturenames:
            stack.enter_context(device)
        yield


@pytest.fixture
def cpu_only(device: torch.device) -> None:
    """Skip a test of what happens on the CPU alone."""
    if device.type != 'cpu':
        pytest.skip(f'tests what is done on the CPU alone, and --device is {device}')


@pytest.fixture(autouse=True)
def _fresh_basicsr_logger() -> Iterator[None]:
    """Drop the log handlers a test made: they hold its captured, by then closed, standard error."""
    yield
    if 'basicsr.utils.logger' in sys.modules:
        sys.modules['basicsr.utils.logger'].initialized_logger.clear()
        logging.getLogger('basicsr').handlers.clear()


@pytest.fixture(scope='session')
def shared_data() -> Path:
    """The folder with the public test images (``data/``) and the released weights (``model_zoo/``)."""
    folder = os.environ.get('CONVERSE_BASICSR_DATA')
    if not folder:
        pytest.skip('needs the test images and released weights: set CONVERSE_BASICSR_DATA to their folder')
    return Path(folder)


@pytest.fixture(scope='session')
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty training pairs (32 x 32 and 8 x 8) as LMDBs, and two validation images as folders, at scale 4."""
    root = tmp_path_factory.mktemp('pairs')
    rng = np.random.default_rng(0)
    gts = {f'{number:04d}': smooth_image(rng, 32, 32) for number in range(20)}
    write_lmdb(root / 'gt.lmdb', gts)
    write_lmdb(
        root / 'lq.lmdb', {name: cv2.resize(gt, (8, 8), interpolation=cv2.INTER_AREA) for name, gt in gts.items()}
    )
    for number in range(2):
        gt = smooth_image(rng, 40, 48)
        for folder, image in (('val_gt', gt), ('val_lq', cv2.resize(gt, (12, 10), interpolation=cv2.INTER_AREA))):
            (root / folder).mkdir(exist_ok=True)
            cv2.imwrite(str(root / folder / f'val{number}.png'), image)
    return root


@pytest.fixture
def run_options(request: pytest.FixtureRequest, pairs: Path, num_gpu: int) -> dict[str, Any]:
    """Options of a training run that takes a second: 4 iterations of a tiny Converse-SRResNet from LMDB."""
    return tiny_options(pairs, num_gpu if request.path.parent.name in RUNS_ON_DEVICE else 0)


@pytest.fixture
def basicsr(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run the command line in an empty current directory: ``basicsr('train', options)`` returns the exit status."""
    from converse_basicsr import cli

    monkeypatch.chdir(tmp_path)

    def run(command: str, options: dict[str, Any] | None = None, *arguments: str) -> int:
        if options is None:
            return cli.main([command, *arguments])
        Path('run.yml').write_text(yaml.safe_dump(options, sort_keys=False))
        return cli.main([command, '-opt', 'run.yml', *arguments])

    return run
