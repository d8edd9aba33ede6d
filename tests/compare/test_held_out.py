"""Sets that are held out are scored once, by final weights; scores of anything else are never taken for theirs."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from tiny_comparison import finish, write

from converse_basicsr.compare import figures
from converse_basicsr.compare.comparison import read_comparison
from converse_basicsr.compare.held_out import KEPT, samples_digest
from converse_basicsr.errors import UserError
from converse_basicsr.evaluation.evaluate import evaluate, latest_weights
from converse_basicsr.register import load_plugins

PROMISE = 'a test set that is held out (`compare: held_out`)'
RECORD = Path('experiments/tiny_converse_s0', KEPT)


@pytest.fixture
def finished(held_out: dict[str, Any]) -> dict[str, Any]:
    """A comparison of one network, trained with one seed."""
    held_out['compare'].update(seeds=[0], runs=held_out['compare']['runs'][:1])
    finish(read_comparison(write(held_out)).runs[0])
    return held_out


def scores() -> dict[str, float]:
    return figures.score_held_out(read_comparison('tiny.yml'))['tiny_converse_s0']


@pytest.mark.promise(PROMISE)
def test_the_scores_are_those_of_the_final_weights(finished: dict[str, Any]) -> None:
    finished['val']['metrics']['ssim'] = {'type': 'calculate_ssim', 'crop_border': 4}
    finish(read_comparison(write(finished)).runs[0])
    run = read_comparison('tiny.yml').runs[0]
    run.option_file.options['datasets'] = {'val_x': {'name': 'x', **finished['compare']['held_out']['Kodak']}}
    images = [image.metrics for image in evaluate(run.option_file, latest_weights(run.name), {'val_x'})]
    assert len(images) == 2
    assert scores() == {
        f'Kodak/{metric}': pytest.approx(sum(image[metric][1] for image in images) / 2) for metric in ('psnr', 'ssim')
    }


@pytest.mark.promise(PROMISE)
def test_what_was_scored_is_not_scored_again(finished: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    first = scores()
    monkeypatch.setattr('converse_basicsr.compare.held_out.evaluate', None)
    assert scores() == first
    finished['compare'].update(title='another', picture=None)
    finished['compare']['held_out'] = {'Other name': finished['compare']['held_out'].pop('Kodak')}
    write(finished)
    assert scores() == {'Other name/psnr': first['Kodak/psnr']}


def other_weights(options: dict[str, Any]) -> None:
    finish(read_comparison('tiny.yml').runs[0], seed=1)


def other_metric(options: dict[str, Any]) -> None:
    options['val']['metrics']['psnr']['crop_border'] = 0


def other_data(options: dict[str, Any]) -> None:
    section = options['compare']['held_out']['Kodak']
    section['dataroot_gt'] = shutil.copytree('held_out/val_gt', 'held_out/other')
    change_image(Path('held_out/other/val1.png'))


def same_folder_other_image(options: dict[str, Any]) -> None:
    change_image(Path('held_out/val_gt/val1.png'))


def other_input(options: dict[str, Any]) -> None:
    change_image(Path('held_out/val_lq/val0.png'))


def fewer_images(options: dict[str, Any]) -> None:
    for folder in ('val_gt', 'val_lq'):
        Path('held_out', folder, 'val1.png').unlink()


def change_image(path: Path) -> None:
    image = cv2.imread(str(path))
    image[:20] = 255 - image[:20]
    cv2.imwrite(str(path), image)


@pytest.mark.promise(PROMISE)
@pytest.mark.parametrize(
    'change', [other_weights, other_metric, other_data, same_folder_other_image, other_input, fewer_images]
)
def test_scores_of_something_else_are_not_taken(
    finished: dict[str, Any], change: Callable[[dict[str, Any]], None]
) -> None:
    before = scores()
    change(finished)
    write(finished)
    after = scores()
    assert after != before
    assert len(json.loads(RECORD.read_text())) == 2
    RECORD.unlink()
    assert scores() == after  # as if nothing had been scored before


@pytest.mark.parametrize(
    ('section', 'change'),
    [
        ({'type': 'GaussianNoiseDataset', 'sigma': 25}, {'sigma': 15}),
        ({'type': 'BicubicSRDataset'}, {'scale': 2}),
        ({'type': 'BlurDataset', 'sigma': 2.55, 'kernels': ['kernel.npy']}, {'sigma': 7.65}),
    ],
)
def test_degradations_made_on_the_fly_are_the_same_each_time(
    comparison: dict[str, Any], section: dict[str, Any], change: dict[str, Any]
) -> None:
    load_plugins()
    np.save('kernel.npy', np.full((3, 3), 1 / 9))
    del comparison['scale']
    section = {'scale': 4, **comparison['datasets']['val'], **section}
    section.pop('dataroot_lq')
    option_file = read_comparison(write(comparison)).option_file
    assert samples_digest(option_file, section) == samples_digest(option_file, section)
    assert samples_digest(option_file, section) != samples_digest(option_file, {**section, **change})


DAMAGED = ['', '{', '[]', '7', '[' * 100_000, '{"a": 1}', '{"a": {"psnr": "x"}}', '{"a": {"psnr": 1' + '0' * 400 + '}}']


@pytest.mark.promise('records and tables of earlier work that are damaged, cut off or of other programs')
@pytest.mark.parametrize('content', DAMAGED, ids=lambda content: content[:20])
def test_a_damaged_record_is_none(finished: dict[str, Any], content: str) -> None:
    before = scores()
    RECORD.write_text(content)
    assert scores() == before
    assert len(json.loads(RECORD.read_text())) == 1


def test_a_record_without_one_of_the_metrics_is_none(finished: dict[str, Any]) -> None:
    before = scores()
    RECORD.write_text(RECORD.read_text().replace('psnr', 'ssim'))
    assert scores() == before


def test_an_image_that_cannot_be_scored_is_named(finished: dict[str, Any]) -> None:
    Path('held_out/val_lq/val1.png').write_bytes(b'none')
    with pytest.raises(UserError, match='Kodak'):
        scores()
    assert not RECORD.exists()


def test_a_run_may_set_an_argument_back_to_none(comparison: dict[str, Any]) -> None:
    load_plugins()
    from converse_basicsr.compare.needs import require_needs

    comparison['network_g']['lam_init'] = 0.1
    comparison['compare']['seeds'] = [0]
    with pytest.raises(UserError, match=r'lam_init.*\(in the run Conv \(twin\)\)'):
        require_needs([read_comparison(write(comparison))], Path('comparison'))
    comparison['compare']['runs'][1]['network_g']['lam_init'] = None
    plan = read_comparison(write(comparison))
    require_needs([plan], Path('comparison'))
    assert plan.runs[1].option_file.options['network_g'] == {
        **comparison['network_g'],
        'operator': 'conv',
        'lam_init': None,
    }
