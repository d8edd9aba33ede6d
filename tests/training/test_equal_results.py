"""How samples are divided among processes, micro-batches and workers does not change what is learned."""

from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
from tiny_processes import checkpoint, same, train

pytestmark = pytest.mark.slow

# processes, samples of one micro-batch, micro-batches, loader workers
DIVISIONS = {
    'one process': (1, 8, 1, 1),
    'two processes': (2, 4, 1, 1),
    'accumulated': (1, 4, 2, 0),
    'both': (2, 2, 2, 0),
}


def run(folder: Path, options: dict[str, Any], division: str) -> dict[str, torch.Tensor]:
    """Twenty steps on eight samples each; the parameters."""
    nproc, batch, accum_iter, workers = DIVISIONS[division]
    options['datasets']['train'].update(batch_size_per_gpu=batch, num_worker_per_gpu=workers)
    options['train']['accum_iter'] = accum_iter
    output = train(folder / division, options, nproc=nproc)
    assert f'one optimizer step on 8 samples: {nproc} processes' in output
    return checkpoint(folder / division, 20)['networks']['params']


@pytest.mark.parametrize(
    ('precision', 'optimizer', 'divisions', 'tolerance'),
    [
        ('float64', {'type': 'Adam', 'lr': 1e-4}, ['two processes', 'accumulated', 'both'], 1e-10),
        ('float32', {'type': 'SGD', 'lr': 1e-2}, ['two processes', 'accumulated'], 1e-5),
    ],
)
@pytest.mark.promise('a batch divided among processes, or accumulated')
def test_divisions_of_a_batch(
    run_options: dict[str, Any],
    tmp_path: Path,
    precision: str,
    optimizer: dict[str, Any],
    divisions: list[str],
    tolerance: float,
) -> None:
    """BasicSR's own dataset on an LMDB, read by spawned loader workers where there are several processes.

    Sixteen channels: with four, LayerNorm divides by deviations near zero, and rounding grows tenfold with every step.
    """
    run_options['network_g']['num_feat'] = 16
    run_options['model_type'] = {'float64': 'DoubleModel', 'float32': 'RestorationModel'}[precision]
    run_options['datasets']['train'].update(dataset_enlarge_ratio=10)
    run_options['train'].update(total_iter=20, optim_g=optimizer)
    run_options['logger']['save_checkpoint_freq'] = 20
    reference = run(tmp_path, run_options, 'one process')
    assert {value.dtype for value in reference.values()} == {getattr(torch, precision)}
    for division in divisions:
        parameters = run(tmp_path, run_options, division)
        largest = max(float((parameters[name] - value).abs().max()) for name, value in reference.items())
        print(f'{precision} {division}: largest difference {largest:.1e}')
        assert largest < tolerance


@pytest.mark.promise('validation by one process or several')
def test_sharded_validation_equals_that_of_one_process(
    run_options: dict[str, Any], pairs: Path, tmp_path: Path
) -> None:
    """Five images on two and three processes, and two images on three; the images that are saved too."""
    images = {
        'gt': [pairs / f'val_gt/val{number % 2}.png' for number in range(5)],
        'lq': [pairs / f'val_lq/val{number % 2}.png' for number in range(5)],
    }
    for kind, paths in images.items():
        (tmp_path / kind).mkdir()
        for number, path in enumerate(paths):
            # Of different widths, so that no two have the same value.
            width = (24 + 4 * number) // (1 if kind == 'gt' else 4)
            cv2.imwrite(str(tmp_path / kind / f'five{number}.png'), cv2.imread(str(path))[:, :width])
    five = {**run_options['datasets']['val'], 'name': 'five'}
    five.update(dataroot_gt=str(tmp_path / 'gt'), dataroot_lq=str(tmp_path / 'lq'))
    run_options['datasets']['val_five'] = five
    # Nothing is learned, so that all validate the same network.
    run_options['train'].update(total_iter=4, optim_g={'type': 'Adam', 'lr': 1e-30})
    run_options['val'].update(val_freq=2, save_img=True)
    run_options['val']['metrics']['ssim'] = {'type': 'calculate_ssim_uint8', 'crop_border': 2, 'test_y_channel': True}
    run_options['logger']['save_checkpoint_freq'] = 4
    results, saved = [], []
    for nproc in (1, 2, 3):
        output = train(tmp_path / str(nproc), run_options, nproc=nproc)
        assert output.count('Validation five') == 3
        results.append(checkpoint(tmp_path / str(nproc), 4)['state']['best_metric_results'])
        folder = tmp_path / str(nproc) / 'experiments/tiny/visualization'
        saved.append({str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob('*.png')})
    assert results[0]['five']['psnr']['val'] != results[0]['val']['psnr']['val'] > 5
    assert same(results[1], results[0])
    assert same(results[2], results[0])
    assert saved[0] == saved[1] == saved[2]
    assert len(saved[0]) == 7 * 2
