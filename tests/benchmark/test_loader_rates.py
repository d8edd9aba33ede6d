import argparse
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import yaml

import converse_basicsr
from converse_basicsr.benchmark import loader_rates, result_tables, storage
from converse_basicsr.commands import benchmark
from converse_basicsr.errors import UserError
from converse_basicsr.files.lmdb_folder import check_lmdb


def run(*arguments: object) -> int:
    parser = argparse.ArgumentParser()
    benchmark.add_arguments(parser)
    return benchmark.run(parser.parse_args(['data', *(str(argument) for argument in arguments)]))


@pytest.fixture
def option_path(run_options: dict[str, Any], tmp_path: Path) -> Path:
    path = tmp_path / 'run.yml'
    path.write_text(yaml.safe_dump(run_options))
    return path


class Clock:
    """A clock that stands still but for what the test says something takes: in place of the module ``time``."""

    def __init__(self) -> None:
        self.now = 100.0

    def perf_counter(self) -> float:
        return self.now

    process_time = perf_counter

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


class Loader:
    """Batches of four that are ready at once for the first ``ahead``, then after ``seconds`` of waiting each."""

    batch_size = 4

    def __init__(self, clock: Clock, seconds: float, ahead: int = 0) -> None:
        self.clock, self.seconds, self.ahead = clock, seconds, ahead

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        self.clock.pass_by(3)  # the workers start
        for number in itertools.count():
            self.clock.pass_by(0 if number < self.ahead else self.seconds)
            yield {'gt': torch.zeros(4)}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(loader_rates, 'time', clock)
    return clock


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the command with passes of a fraction of a second."""
    original = loader_rates.pace
    monkeypatch.setattr(
        loader_rates, 'pace', lambda loader, workers, seconds, step=None: original(loader, workers, 0.1, step)
    )


class TestPace:
    def test_the_loader_alone(self, clock: Clock) -> None:
        rate = loader_rates.pace(Loader(clock, 0.5), 0, 5)
        assert rate == loader_rates.Rate(first_batch=3.5, samples_per_second=8, waiting=1, cpu_seconds=0.125)

    def test_loading_and_training_in_turns(self, clock: Clock) -> None:
        rate = loader_rates.pace(Loader(clock, 0.5), 0, 5, lambda batch: clock.pass_by(1.5))
        assert (rate.first_batch, rate.samples_per_second, rate.waiting) == (3.5, 2, 0.25)

    def test_slow_steps_are_measured_some_times(self, clock: Clock) -> None:
        steps = []
        loader_rates.pace(Loader(clock, 0.5), 0, 5, lambda batch: (steps.append(batch), clock.pass_by(60)))
        assert len(steps) == 1 + loader_rates.MIN_BATCHES

    def test_what_was_prepared_ahead_does_not_count(self, clock: Clock) -> None:
        rate = loader_rates.pace(Loader(clock, 0.5, ahead=1 + 2 * loader_rates.PREFETCHED), 2, 2)
        assert (rate.samples_per_second, rate.waiting) == (8, 1)


class TestStorage:
    def section(self, pairs: Path) -> dict[str, Any]:
        return {
            'name': 'pairs',
            'type': 'PairedImageDataset',
            'dataroot_gt': str(pairs / 'gt.lmdb'),
            'dataroot_lq': str(pairs / 'lq.lmdb'),
            'io_backend': {'type': 'lmdb'},
            'phase': 'val',
            'scale': 4,
        }

    def test_there_and_back_the_images_are_the_same(self, pairs: Path, tmp_path: Path) -> None:
        converse_basicsr.register()
        from basicsr.data import build_dataset

        (tmp_path / 'files').mkdir()
        (tmp_path / 'lmdb').mkdir()
        original = self.section(pairs)
        files = storage.copy_to_other(original, tmp_path / 'files', 7)
        back = storage.copy_to_other({**files, 'filename_tmpl': '{}'}, tmp_path / 'lmdb', 1000)
        assert check_lmdb(Path(back['dataroot_gt'])) == []
        expected, *copies = (build_dataset(dict(section)) for section in (original, files, back))
        assert [len(copy) for copy in copies] == [7, 7]
        by_name = {Path(expected[i]['gt_path']).stem: expected[i] for i in range(len(expected))}
        for copy in copies:
            for i in range(7):
                for key in ('gt', 'lq'):
                    torch.testing.assert_close(
                        copy[i][key], by_name[Path(copy[i]['gt_path']).stem][key], rtol=0, atol=0
                    )

    def test_files_are_paired_by_their_template(self, tmp_path: Path) -> None:
        for folder, name in (('gt', 'a.b'), ('lq', 'a.bx4')):
            (tmp_path / folder).mkdir()
            cv2.imwrite(str(tmp_path / folder / f'{name}.png'), np.zeros((8, 8), np.uint8))
        section = {
            'dataroot_gt': str(tmp_path / 'gt'),
            'dataroot_lq': str(tmp_path / 'lq'),
            'filename_tmpl': '{}x4',
            'io_backend': {'type': 'disk'},
        }
        copied = storage.copy_to_other(section, tmp_path, 5)
        lists = [Path(copied[key], 'meta_info.txt').read_text() for key in ('dataroot_gt', 'dataroot_lq')]
        assert lists[0] == lists[1]
        assert ' (8,8,1) 1' in lists[0]
        with pytest.raises(UserError, match=r'lq has no image a\.bx3, the counterpart of a\.b'):
            storage.copy_to_other({**section, 'filename_tmpl': '{}x3'}, tmp_path / 'gt', 5)


class TestCommand:
    def test_measures_both_storages_and_the_training(
        self, option_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], quick: None
    ) -> None:
        pytest.importorskip('matplotlib', reason='the plot is drawn with matplotlib')
        files = [tmp_path / name for name in ('figures.json', 'table.md', 'plot.svg')]
        outputs = [item for pair in zip(('--json', '--markdown', '--plot'), files) for item in pair]
        assert run('-opt', option_path, '--workers', 1, 0, '--repeats', 1, *outputs) == 0
        table = capsys.readouterr().out
        assert files[1].read_text() == table
        results = json.loads(files[0].read_text())
        assert [(case['storage'], case['workers']) for case in results['cases']] == [
            ('lmdb', 0), ('disk, copy', 0), ('lmdb', 1), ('disk, copy', 1),
        ]  # fmt: skip
        for case in results['cases']:
            assert case['samples_per_second'] > 0
            assert case['training_samples_per_second'] > 0
            assert 0 <= case['waiting'] <= 1
        assert 'A training step of ConverseSRResNet on 2 samples takes' in table
        assert '<svg' in files[2].read_text()
        assert set(tmp_path.iterdir()) == {*files, option_path}

    def test_the_loader_alone_needs_no_validation_data(
        self, option_path: Path, run_options: dict[str, Any], capsys: pytest.CaptureFixture[str], quick: None
    ) -> None:
        run_options['datasets']['val']['dataroot_gt'] = 'nowhere'
        option_path.write_text(yaml.safe_dump(run_options))
        assert run('-opt', option_path, '--workers', 0, '--no-network', '--images', 0) == 0
        table = capsys.readouterr().out
        assert 'training' not in table
        assert 'disk' not in table

    def test_overrides_count(
        self, option_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], quick: None
    ) -> None:
        force = ['--force_yml', 'datasets:train:batch_size_per_gpu=5', '--json', tmp_path / 'out.json']
        assert run('-opt', option_path, '--workers', 0, '--no-network', '--images', 0, *force) == 0
        assert json.loads((tmp_path / 'out.json').read_text())['batch_size'] == 5

    def test_what_is_missing_or_refused_is_told_in_one_line(self, option_path: Path) -> None:
        with pytest.raises(UserError, match=r'dataroot_gt: none.lmdb does not exist; make it with'):
            run('-opt', option_path, '--force_yml', 'datasets:train:dataroot_gt=none.lmdb')
        with pytest.raises(UserError, match='gt_size: 20 images have fewer than 64 pixels on a side'):
            run('-opt', option_path, '--force_yml', 'datasets:train:gt_size=64')
        with pytest.raises(UserError, match='nonsense'):
            run('-opt', option_path, '--force_yml', 'network_g:nonsense=1')


def test_table_says_which_numbers_of_workers_are_enough() -> None:
    cases = [
        {
            'storage': name,
            'workers': workers,
            'first_batch_seconds': 0.5,
            'samples_per_second': 1234.5,
            'training_samples_per_second': 50,
            'waiting': waiting,
        }
        | ({} if workers else {'cpu_seconds': 7e-4})
        for name, workers, waiting in [('lmdb', 0, 0.3), ('disk', 0, 0.4), ('lmdb', 2, 0.01), ('disk', 2, 0.2)]
    ]
    machine = {'processor': 'P', 'cores': 2, 'threads': 1, 'torch': '2', 'device': 'cpu'}
    results = {'machine': machine, 'batch_size': 16, 'step_seconds': 0.25, 'network': 'Net', 'cases': cases}
    table = result_tables.data_table(results)
    assert '| 0 | disk | 0.50 | 0.7 | 1234 | 50 | 40 % |' in table
    assert '| 2 | lmdb | 0.50 |  | 1234 | 50 | 1 % |' in table
    assert 'takes 250 ms, that is 64 samples/s' in table
    assert 'lmdb: 2 or more; disk: none of these.' in table


@pytest.mark.promise('keys of an LMDB that lead out of a folder (`benchmark data` copies images)')
@pytest.mark.parametrize('key', ['../x', '/tmp/x', 'a/../../x', 'a\\b', 'a\nb'])
def test_keys_that_lead_out_of_the_copy_are_refused(tmp_path: Path, key: str) -> None:
    from tiny_run import write_lmdb

    write_lmdb(tmp_path / 'gt.lmdb', {key: np.zeros((4, 4, 3), np.uint8)})
    with pytest.raises(UserError, match=r'gt\.lmdb'):
        storage._lmdb_to_files(tmp_path / 'gt.lmdb', [key], tmp_path / 'copy')
    assert list((tmp_path / 'copy').iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ['copy', 'gt.lmdb']
