"""The ``basicsr prepare`` command from the outside: arguments in, data sets or one-line errors out."""

import argparse
import errno
import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import cv2
import lmdb
import numpy as np
import pytest
from PIL import Image

from converse_basicsr import prepare
from converse_basicsr.errors import UserError
from converse_basicsr.prepare import demo, div2k, job
from converse_basicsr.prepare.downsample import downsample, load_imresize
from converse_basicsr.prepare.lmdb_writer import LmdbWriter, check_lmdb
from converse_basicsr.prepare.tasks import crop_starts


def command(*argv: object) -> int:
    parser = argparse.ArgumentParser(prog='basicsr prepare')
    prepare.add_arguments(parser)
    return prepare.run(parser.parse_args([str(word) for word in argv]))


def prepare_sr(source: Path, output: Path, *argv: object) -> int:
    return command('sr', '--input', source, '--output', output, '--crop', 24, '--step', 12, '--workers', 1, *argv)


def photograph(height: int, width: int, seed: int = 0, channels: int = 3) -> np.ndarray:
    """Make a smooth image with some noise: neither PNG nor bicubic has a trivial case on it."""
    rng = np.random.default_rng(seed)
    shape = (height, width) if channels == 1 else (height, width, channels)
    return cv2.GaussianBlur(rng.integers(0, 256, shape, dtype=np.uint8), (0, 0), 1.5)


def read_lmdb(path: Path) -> dict[str, np.ndarray]:
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return {
            key.decode(): cv2.imdecode(np.frombuffer(value, np.uint8), cv2.IMREAD_UNCHANGED)
            for key, value in transaction.cursor()
        }


def raw_lmdb(path: Path) -> tuple[dict[bytes, bytes], str]:
    with lmdb.open(str(path), readonly=True, lock=False) as environment, environment.begin() as transaction:
        return dict(transaction.cursor()), (path / 'meta_info.txt').read_text()


@pytest.fixture
def photographs(tmp_path: Path) -> Path:
    """Five images of several sizes, one of them no multiple of the scales."""
    folder = tmp_path / 'photographs'
    folder.mkdir()
    for index, (height, width) in enumerate([(48, 60), (50, 49), (24, 24), (36, 72), (60, 48)]):
        cv2.imwrite(str(folder / f'{index:04d}.png'), photograph(height, width, index))
    return folder


class TestArguments:
    def test_help_of_every_command_shows_an_example_and_needs_no_heavy_import(self):
        code = textwrap.dedent("""
            import argparse, sys
            from converse_basicsr import prepare
            parser = argparse.ArgumentParser(prog='basicsr prepare')
            prepare.add_arguments(parser)
            for name in prepare.COMMANDS:
                try:
                    parser.parse_args([name, '--help'])
                except SystemExit as stop:
                    assert stop.code == 0
            print(sorted({'torch', 'cv2', 'numpy', 'basicsr', 'lmdb'} & set(sys.modules)))
        """)
        done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
        assert done.stdout.endswith('[]\n')
        for name in prepare.COMMANDS:
            assert f'basicsr prepare {name}' in done.stdout.split('examples:')[1 + list(prepare.COMMANDS).index(name)]

    @pytest.mark.parametrize(
        ('argv', 'text'),
        [
            (['--crop', 50], '--crop must be a multiple of --scale 4, got 50: give 48 or 52'),
            (['--step', 2], '--step must be a multiple of --scale 4, got 2: give 4'),
            (['--crop', 20, '--scale', 2, 3], '--crop must be a multiple of --scale 3, got 20: give 18 or 21'),
            (['--crop', 24, '--step', 48], '--step must be at most --crop 24, got 48'),
        ],
    )
    def test_grid_off_the_small_images_pixels_is_refused(self, photographs, tmp_path, argv, text):
        with pytest.raises(UserError, match=text):
            command('sr', '--input', photographs, '--output', tmp_path / 'out', '--workers', 1, *argv)
        assert not (tmp_path / 'out').exists()

    @pytest.mark.parametrize('value', ['0', '-1', 'two'])
    def test_workers_must_be_positive(self, value, capsys):
        with pytest.raises(SystemExit):
            command('demo', '--workers', value)
        assert 'must be an integer of at least 1' in capsys.readouterr().err

    def test_missing_folder_no_image_and_file_for_folder_are_named(self, tmp_path):
        (tmp_path / 'empty' / 'inner').mkdir(parents=True)
        (tmp_path / 'file').write_text('')
        for name, text in [('none', 'does not exist'), ('empty', 'holds no image.*inner'), ('file', 'is a file')]:
            with pytest.raises(UserError, match=text):
                prepare_sr(tmp_path / name, tmp_path / 'out')


class TestSr:
    def test_sub_images_are_cuts_of_the_image_and_of_its_whole_downsampled_version(self, photographs, tmp_path):
        assert prepare_sr(photographs, tmp_path / 'out', '--scale', 4) == 0
        gt, lq = read_lmdb(tmp_path / 'out/gt.lmdb'), read_lmdb(tmp_path / 'out/lq_x4.lmdb')
        expected_gt, expected_lq = {}, {}
        for path in sorted(photographs.iterdir()):
            image = cv2.imread(str(path))
            image = image[: image.shape[0] // 4 * 4, : image.shape[1] // 4 * 4]
            small = load_imresize()(image.astype(np.float32) / 255, 0.25)
            small = (small.clip(0, 1) * 255).round().astype(np.uint8)
            index = 0
            for top in crop_starts(image.shape[0], 24, 12):
                for left in crop_starts(image.shape[1], 24, 12):
                    index += 1
                    key = f'{path.stem}_s{index:03d}'
                    expected_gt[key] = image[top : top + 24, left : left + 24]
                    expected_lq[key] = small[top // 4 : top // 4 + 6, left // 4 : left // 4 + 6]
        for found, expected in ((gt, expected_gt), (lq, expected_lq)):
            assert found.keys() == expected.keys()
            for key in found:
                np.testing.assert_array_equal(found[key], expected[key])

    def test_basicsr_reads_the_pairs(self, photographs, tmp_path):
        from converse_basicsr import compat

        compat.apply()
        from basicsr.data.paired_image_dataset import PairedImageDataset

        prepare_sr(photographs, tmp_path / 'out', '--scale', 2)
        dataset = PairedImageDataset(
            {
                'dataroot_gt': str(tmp_path / 'out/gt.lmdb'),
                'dataroot_lq': str(tmp_path / 'out/lq_x2.lmdb'),
                'io_backend': {'type': 'lmdb'},
                'scale': 2,
                'phase': 'val',
            }
        )
        gt = read_lmdb(tmp_path / 'out/gt.lmdb')
        assert len(dataset) == len(gt)
        for index in (0, len(dataset) - 1):
            item = dataset[index]
            assert item['lq'].shape == (3, 12, 12)
            shown = np.rint(item['gt'].numpy().transpose(1, 2, 0)[:, :, ::-1] * 255)
            np.testing.assert_array_equal(shown, gt[item['gt_path']])

    def test_meta_info_has_basicsrs_lines(self, photographs, tmp_path):
        prepare_sr(photographs, tmp_path / 'out')
        lines = (tmp_path / 'out/lq_x4.lmdb/meta_info.txt').read_text().splitlines()
        assert lines[0] == '0000_s001.png (6,6,3) 1'
        assert lines == sorted(lines)
        assert check_lmdb(tmp_path / 'out/lq_x4.lmdb') == []

    def test_several_scales_share_one_ground_truth(self, photographs, tmp_path):
        prepare_sr(photographs, tmp_path / 'out', '--scale', 4, 2, 3)
        keys = read_lmdb(tmp_path / 'out/gt.lmdb').keys()
        assert {path.name for path in (tmp_path / 'out').iterdir()} == {
            'gt.lmdb', 'lq_x2.lmdb', 'lq_x3.lmdb', 'lq_x4.lmdb', 'prepare.json',
        }  # fmt: skip
        for scale in (2, 3, 4):
            small = read_lmdb(tmp_path / f'out/lq_x{scale}.lmdb')
            assert small.keys() == keys
            assert all(image.shape == (24 // scale, 24 // scale, 3) for image in small.values())

    def test_worker_processes_make_the_same_as_one(self, photographs, tmp_path):
        prepare_sr(photographs, tmp_path / 'one')
        prepare_sr(photographs, tmp_path / 'two', '--workers', 2)
        for name in ('gt.lmdb', 'lq_x4.lmdb'):
            assert raw_lmdb(tmp_path / 'one' / name) == raw_lmdb(tmp_path / 'two' / name)

    def test_the_grid_is_basicsrs(self):
        # Sizes of DIV2K's first three images and the numbers of their sub-images in BasicSR's published list.
        for height, width, count in [(1404, 2040, 40), (1848, 2040, 56), (1356, 2040, 40)]:
            assert len(crop_starts(height, 480, 240)) * len(crop_starts(width, 480, 240)) == count
        assert crop_starts(480, 480, 240) == [0]
        assert crop_starts(720, 480, 240) == [0, 240]
        assert crop_starts(721, 480, 240) == [0, 240, 241]

    def test_names_with_dots_spaces_and_letters_beyond_ascii_stay_apart(self, tmp_path):
        folder = tmp_path / 'in'
        folder.mkdir()
        for index, name in enumerate(['a.b', 'a b', 'größe', 'grösse', '図']):
            Image.fromarray(photograph(24, 24, index)).save(folder / f'{name}.png')
        prepare_sr(folder, tmp_path / 'out')
        gt = read_lmdb(tmp_path / 'out/gt.lmdb')
        assert len(gt) == 5
        assert all(key.isascii() and '.' not in key and ' ' not in key for key in gt)
        assert check_lmdb(tmp_path / 'out/gt.lmdb') == []

    @pytest.mark.parametrize(('first', 'second'), [('a.png', 'a.jpg'), ('A.png', 'a.png')])
    def test_names_of_which_one_would_replace_the_other_are_refused(self, tmp_path, first, second):
        (tmp_path / 'in').mkdir()
        for name in (first, second):
            cv2.imwrite(str(tmp_path / 'in' / name), photograph(24, 24))
        if len(list((tmp_path / 'in').iterdir())) == 1:
            pytest.skip('this file system does not tell upper from lower case')
        with pytest.raises(UserError, match=r'a\.(png|jpg) and (a|A)\.(png|jpg)|A\.png and a\.png'):
            prepare_sr(tmp_path / 'in', tmp_path / 'out')


class TestOddImages:
    @pytest.mark.parametrize('suffix', ['.png', '.jpg'])
    def test_unusable_images_are_named_and_the_rest_is_kept(self, photographs, tmp_path, suffix):
        _, data = cv2.imencode(suffix, photograph(48, 48))
        (photographs / f'cut{suffix}').write_bytes(data.tobytes()[: len(data) // 2])
        (photographs / f'empty{suffix}').write_bytes(b'')
        (photographs / f'text{suffix}').write_text('no image')
        (photographs / 'notes.txt').write_text('no image either')
        with pytest.raises(UserError, match=r'3 images cannot be used.*cut.*empty.*text.*--skip-bad'):
            prepare_sr(photographs, tmp_path / 'out')
        assert not (tmp_path / 'out/gt.lmdb').exists()
        assert prepare_sr(photographs, tmp_path / 'out', '--skip-bad') == 0
        record = json.loads((tmp_path / 'out/prepare.json').read_text())
        assert sorted(record['left_out']) == [f'cut{suffix}', f'empty{suffix}', f'text{suffix}']
        assert record['ignored'] == ['notes.txt']

    def test_an_unusable_image_put_right_completes_the_work(self, photographs, tmp_path):
        good = (photographs / '0001.png').read_bytes()
        (photographs / '0001.png').write_bytes(b'')
        with pytest.raises(UserError, match=r'0001.png is empty'):
            prepare_sr(photographs, tmp_path / 'out')
        (photographs / '0001.png').write_bytes(good)
        assert prepare_sr(photographs, tmp_path / 'out') == 0
        prepare_sr(photographs, tmp_path / 'at_once')
        assert raw_lmdb(tmp_path / 'out/gt.lmdb') == raw_lmdb(tmp_path / 'at_once/gt.lmdb')

    def test_cmyk_and_transparency_are_refused(self, tmp_path):
        (tmp_path / 'in').mkdir()
        Image.new('CMYK', (24, 24)).save(tmp_path / 'in/print.jpg')
        Image.new('RGBA', (24, 24), (1, 2, 3, 4)).save(tmp_path / 'in/glass.png')
        with pytest.raises(UserError, match=r'glass.png has transparent pixels.*print.jpg is CMYK'):
            prepare_sr(tmp_path / 'in', tmp_path / 'out')

    def test_16_bit_alpha_and_grey_are_converted_and_reported(self, tmp_path, capsys):
        folder = tmp_path / 'in'
        folder.mkdir()
        image = photograph(24, 24)
        cv2.imwrite(str(folder / 'deep.png'), image.astype(np.uint16) * 257 + 100)
        cv2.imwrite(str(folder / 'alpha.png'), np.dstack([image, np.full((24, 24), 255, np.uint8)]))
        cv2.imwrite(str(folder / 'grey.png'), photograph(24, 24, channels=1))
        cv2.imwrite(str(folder / 'small.png'), photograph(23, 40))
        prepare_sr(folder, tmp_path / 'out')
        gt = read_lmdb(tmp_path / 'out/gt.lmdb')
        np.testing.assert_array_equal(gt['deep_s001'], image)
        np.testing.assert_array_equal(gt['alpha_s001'], image)
        assert gt['grey_s001'].shape == (24, 24)
        assert 'grey_s001.png (24,24,1) 1' in (tmp_path / 'out/gt.lmdb/meta_info.txt').read_text()
        text = capsys.readouterr().out
        for line in (
            '16-bit: 1 image (deep.png)',
            'opaque alpha channel: 1 image (alpha.png)',
            'grey: 1 image (grey.png)',
            'left out, smaller than the crop: 1 image (small.png)',
        ):
            assert line in text

    def test_nothing_large_enough_is_an_error(self, tmp_path):
        (tmp_path / 'in').mkdir()
        cv2.imwrite(str(tmp_path / 'in/small.png'), photograph(20, 20))
        with pytest.raises(UserError, match=r'every image was left out .*smaller than the crop: 1 of 1'):
            prepare_sr(tmp_path / 'in', tmp_path / 'out')
        # Nothing was made, so there is nothing that other parameters could spoil.
        assert prepare_sr(tmp_path / 'in', tmp_path / 'out', '--crop', 20, '--step', 4) == 0


KILL = """
import argparse, os, signal, sys
from pathlib import Path
from converse_basicsr import prepare
from converse_basicsr.prepare import job
from converse_basicsr.prepare.lmdb_writer import LmdbWriter

def die_at(holder, name, number):
    original, calls = getattr(holder, name), []
    def call(*args, **kwargs):
        calls.append(None)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*args, **kwargs)
    setattr(holder, name, call)

if __name__ == '__main__':
    job.COMMIT_BYTES = 1
    die_at({'LmdbWriter': LmdbWriter, 'Path': Path, 'job': job}[sys.argv[1]], sys.argv[2], int(sys.argv[3]))
    parser = argparse.ArgumentParser()
    prepare.add_arguments(parser)
    sys.exit(prepare.run(parser.parse_args(sys.argv[4:])))
"""


@pytest.mark.skipif(sys.platform == 'win32', reason='Windows has no SIGKILL')
class TestKilled:
    def arguments(self, photographs: Path, output: Path, workers: int) -> list[str]:
        words = ['sr', '--input', photographs, '--output', output, '--crop', 24, '--step', 12, '--workers', workers]
        return [str(word) for word in [*words, '--scale', 2, 4]]

    @pytest.mark.parametrize(
        ('holder', 'method', 'number', 'workers'),
        [
            ('LmdbWriter', 'put', 50, 1),
            ('LmdbWriter', 'commit', 5, 1),  # between the commits of gt and lq: they differ by one image
            ('LmdbWriter', 'finish', 2, 1),  # gt has its meta_info.txt, the others not
            ('job', '_sync', 3, 1),  # data committed, the journal's line not yet certain
            ('Path', 'replace', 4, 1),  # the final record written, gt already moved to its place
            ('LmdbWriter', 'put', 50, 2),
        ],
    )
    def test_repeated_command_makes_the_same_database(self, photographs, tmp_path, holder, method, number, workers):
        script = tmp_path / 'kill.py'
        script.write_text(KILL)
        arguments = self.arguments(photographs, tmp_path / 'out', workers)
        killed = subprocess.run(
            [sys.executable, str(script), holder, method, str(number), *arguments], capture_output=True, timeout=120
        )
        assert killed.returncode == -signal.SIGKILL, killed.stderr.decode()
        assert (tmp_path / 'out/prepare.partial').exists()
        assert not (tmp_path / 'out/prepare.json').exists()
        for path in (tmp_path / 'out').glob('*.lmdb'):
            assert check_lmdb(path) == []
        assert command(*arguments) == 0
        prepare_sr(photographs, tmp_path / 'at_once', '--scale', 2, 4)
        for name in ('gt.lmdb', 'lq_x2.lmdb', 'lq_x4.lmdb'):
            assert raw_lmdb(tmp_path / 'out' / name) == raw_lmdb(tmp_path / 'at_once' / name)
        assert not (tmp_path / 'out/prepare.partial').exists()

    def test_finished_images_are_not_made_again(self, photographs, tmp_path, monkeypatch):
        script = tmp_path / 'kill.py'
        script.write_text(KILL)
        arguments = self.arguments(photographs, tmp_path / 'out', 1)
        subprocess.run([sys.executable, str(script), 'LmdbWriter', 'commit', '10', *arguments], capture_output=True)
        done = (tmp_path / 'out/prepare.partial/journal.jsonl').read_text().splitlines()
        assert 0 < len(done) < 5
        made = []
        original = job.run_tasks

        def spy(tasks, *, workers):
            made.extend(task.source.path.name for task in tasks)
            return original(tasks, workers=workers)

        monkeypatch.setattr(job, 'run_tasks', spy)
        command(*arguments)
        assert len(made) == 5 - len(done)
        assert {json.loads(line)['name'] for line in done}.isdisjoint(made)

    def test_half_written_journal_line_is_dropped(self, photographs, tmp_path):
        script = tmp_path / 'kill.py'
        script.write_text(KILL)
        arguments = self.arguments(photographs, tmp_path / 'out', 1)
        subprocess.run([sys.executable, str(script), 'LmdbWriter', 'commit', '10', *arguments], capture_output=True)
        journal = tmp_path / 'out/prepare.partial/journal.jsonl'
        journal.write_bytes(journal.read_bytes()[:-10])
        assert command(*arguments) == 0
        prepare_sr(photographs, tmp_path / 'at_once', '--scale', 2, 4)
        assert raw_lmdb(tmp_path / 'out/gt.lmdb') == raw_lmdb(tmp_path / 'at_once/gt.lmdb')

    @pytest.mark.skipif(not Path('/proc/self').exists(), reason='looks for processes in /proc')
    def test_workers_end_with_their_killed_parent(self, photographs, tmp_path):
        script = tmp_path / 'kill.py'
        script.write_text(KILL)
        arguments = self.arguments(photographs, tmp_path / 'out', 2)
        marker = f'MARKER_OF_THIS_TEST={tmp_path}\0'.encode()
        subprocess.run(
            [sys.executable, str(script), 'LmdbWriter', 'put', '5', *arguments],
            stderr=subprocess.DEVNULL,
            env={**os.environ, 'MARKER_OF_THIS_TEST': str(tmp_path)},
        )

        def survivors() -> list[int]:
            found = []
            for entry in Path('/proc').iterdir():
                try:
                    if entry.name.isdigit() and marker in (entry / 'environ').read_bytes():
                        found.append(int(entry.name))
                except OSError:  # ended meanwhile, or somebody else's
                    continue
            return found

        deadline = time.monotonic() + 30
        while survivors() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert survivors() == []

    def test_unfinished_work_with_other_parameters_is_refused_then_dropped(self, photographs, tmp_path):
        script = tmp_path / 'kill.py'
        script.write_text(KILL)
        arguments = self.arguments(photographs, tmp_path / 'out', 1)
        subprocess.run([sys.executable, str(script), 'LmdbWriter', 'commit', '10', *arguments], capture_output=True)
        with pytest.raises(UserError, match=r'prepare.partial holds unfinished work .*scale \[2, 4\] there, \[4\] now'):
            prepare_sr(photographs, tmp_path / 'out')
        cv2.imwrite(str(photographs / '0000.png'), photograph(60, 60, 9))
        with pytest.raises(UserError, match=r'1 have changed or gone \(the first is 0000.png\)'):
            command(*arguments)
        assert prepare_sr(photographs, tmp_path / 'out', '--overwrite') == 0
        assert {path.name for path in (tmp_path / 'out').iterdir()} == {'gt.lmdb', 'lq_x4.lmdb', 'prepare.json'}

    @pytest.mark.parametrize('workers', [1, 2])
    def test_ctrl_c_says_how_to_go_on(self, photographs, tmp_path, workers):
        script = tmp_path / 'kill.py'
        script.write_text(KILL.replace('SIGKILL', 'SIGINT'))
        arguments = self.arguments(photographs, tmp_path / 'out', workers)
        stopped = subprocess.run(
            [sys.executable, str(script), 'LmdbWriter', 'put', '50', *arguments],
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert stopped.returncode == 130
        assert 'repeat the command to go on' in stopped.stderr
        assert 'Traceback' not in stopped.stderr
        assert (tmp_path / 'out/prepare.partial/journal.jsonl').read_text()
        assert command(*self.arguments(photographs, tmp_path / 'out', 1)) == 0

    def test_second_process_on_the_same_output_is_refused(self, photographs, tmp_path):
        import fcntl

        work = tmp_path / 'out/prepare.partial'
        work.mkdir(parents=True)
        with (work / 'lock').open('a') as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            with pytest.raises(UserError, match='another process is working in'):
                prepare_sr(photographs, tmp_path / 'out')
        assert prepare_sr(photographs, tmp_path / 'out') == 0


class TestFinished:
    def test_same_command_succeeds_without_work(self, photographs, tmp_path, capsys, monkeypatch):
        prepare_sr(photographs, tmp_path / 'out')
        monkeypatch.setattr(job, 'run_tasks', None)
        assert prepare_sr(photographs, tmp_path / 'out') == 0
        assert 'nothing to do' in capsys.readouterr().out

    def test_other_parameters_or_images_are_refused_and_leave_the_data(self, photographs, tmp_path):
        prepare_sr(photographs, tmp_path / 'out')
        before = raw_lmdb(tmp_path / 'out/gt.lmdb')
        with pytest.raises(
            UserError, match=r'already made, but with other parameters \(scale \[4\] there, \[2\] now\)'
        ):
            prepare_sr(photographs, tmp_path / 'out', '--scale', 2)
        cv2.imwrite(str(photographs / 'new.png'), photograph(24, 24))
        with pytest.raises(UserError, match=r'1 of its images are new since \(the first is new.png\)'):
            prepare_sr(photographs, tmp_path / 'out')
        assert raw_lmdb(tmp_path / 'out/gt.lmdb') == before
        assert not (tmp_path / 'out/prepare.partial').exists()

    def test_overwrite_replaces_and_removes_what_no_longer_matches(self, photographs, tmp_path):
        prepare_sr(photographs, tmp_path / 'out', '--scale', 2, 4)
        assert prepare_sr(photographs, tmp_path / 'out', '--step', 24, '--overwrite') == 0
        assert not (tmp_path / 'out/lq_x2.lmdb').exists()
        assert read_lmdb(tmp_path / 'out/gt.lmdb').keys() == read_lmdb(tmp_path / 'out/lq_x4.lmdb').keys()

    def test_what_others_made_is_not_overwritten(self, photographs, tmp_path):
        (tmp_path / 'out/gt.lmdb').mkdir(parents=True)
        (tmp_path / 'out/gt.lmdb/data.mdb').write_text('precious')
        with pytest.raises(UserError, match=r'gt.lmdb exists and was not made by this command'):
            prepare_sr(photographs, tmp_path / 'out')
        assert (tmp_path / 'out/gt.lmdb/data.mdb').read_text() == 'precious'

    def test_damage_since_is_noticed(self, photographs, tmp_path):
        prepare_sr(photographs, tmp_path / 'out')
        (tmp_path / 'out/lq_x4.lmdb/meta_info.txt').unlink()
        with pytest.raises(UserError, match=r'lq_x4.lmdb was finished, but now lacks meta_info.txt'):
            prepare_sr(photographs, tmp_path / 'out')

    @pytest.mark.parametrize(
        'error',
        [
            OSError(errno.ENOSPC, 'No space left on device'),
            lmdb.DiskError('mdb_txn_commit: No space left on device'),
            lmdb.Error('mdb_txn_commit: Input/output error'),  # what a really full disk gives
        ],
    )
    def test_full_disk_keeps_the_work_and_says_so(self, photographs, tmp_path, monkeypatch, error):
        monkeypatch.setattr(job, 'COMMIT_BYTES', 1)
        monkeypatch.setattr(job.shutil, 'disk_usage', lambda path: argparse.Namespace(free=2**20))
        original, calls = LmdbWriter.commit, []

        def commit(self):
            calls.append(None)
            if len(calls) == 6:
                raise error
            original(self)

        monkeypatch.setattr(LmdbWriter, 'commit', commit)
        with pytest.raises(
            UserError, match=r'the disk of .* is full .*prepare.partial, make room and repeat the command'
        ):
            prepare_sr(photographs, tmp_path / 'out')
        assert not (tmp_path / 'out/gt.lmdb').exists()
        monkeypatch.undo()
        assert prepare_sr(photographs, tmp_path / 'out') == 0
        assert check_lmdb(tmp_path / 'out/gt.lmdb') == []

    def test_another_database_error_is_not_called_a_full_disk(self, photographs, tmp_path, monkeypatch):
        def commit(self):
            raise lmdb.Error('mdb_txn_commit: Input/output error')

        monkeypatch.setattr(LmdbWriter, 'commit', commit)
        monkeypatch.setattr(job.shutil, 'disk_usage', lambda path: argparse.Namespace(free=2**40))
        with pytest.raises(UserError, match=r'prepare.partial: the database cannot be written: .*Input/output error'):
            prepare_sr(photographs, tmp_path / 'out')

    def test_error_inside_a_worker_names_the_image(self, photographs, tmp_path, monkeypatch):
        def fail(image, scale):
            raise RuntimeError('broken on purpose')

        monkeypatch.setattr('converse_basicsr.prepare.tasks.downsample', fail)
        with pytest.raises(UserError, match=r'0000.png: RuntimeError: broken on purpose'):
            prepare_sr(photographs, tmp_path / 'out')


class TestTestset:
    def test_pairs_have_the_same_names_and_keep_colour_and_grey(self, tmp_path):
        folder = tmp_path / 'in'
        folder.mkdir()
        colour, grey = photograph(43, 50), photograph(40, 40, channels=1)
        cv2.imwrite(str(folder / 'a.colour.png'), colour)
        cv2.imwrite(str(folder / 'grey.bmp'), grey)
        assert command('testset', '--input', folder, '--output', tmp_path / 'out', '--scale', 4, '--workers', 1) == 0
        names = {'a.colour.png', 'grey.png'}
        for name in ('GTmod4', 'LRbicx4'):
            assert {path.name for path in (tmp_path / 'out' / name).iterdir()} == names
        for name, image in (('a.colour.png', colour[:40, :48]), ('grey.png', grey)):
            gt = cv2.imread(str(tmp_path / 'out/GTmod4' / name), cv2.IMREAD_UNCHANGED)
            lq = cv2.imread(str(tmp_path / 'out/LRbicx4' / name), cv2.IMREAD_UNCHANGED)
            np.testing.assert_array_equal(gt, image)
            np.testing.assert_array_equal(lq, downsample(image, 4))

    def test_output_defaults_to_the_input_folder_and_scales_come_one_by_one(self, photographs, capsys):
        assert command('testset', '--input', photographs, '--scale', 2, '--workers', 1) == 0
        assert command('testset', '--input', photographs, '--scale', 2, 4, '--workers', 1) == 0
        assert {path.name for path in photographs.iterdir() if not path.name.startswith('0')} == {
            'GTmod2', 'LRbicx2', 'GTmod4', 'LRbicx4', 'prepare_x2.json', 'prepare_x4.json',
        }  # fmt: skip
        assert 'no images' not in capsys.readouterr().out

    def test_image_below_the_kernel_is_named(self, tmp_path):
        (tmp_path / 'in').mkdir()
        cv2.imwrite(str(tmp_path / 'in/tiny.png'), photograph(15, 40))
        with pytest.raises(UserError, match=r'tiny.png is too small for x4: both sides must have 16 pixels'):
            command('testset', '--input', tmp_path / 'in', '--output', tmp_path / 'out', '--workers', 1)

    def test_set5_has_the_sizes_of_the_literature(self, shared_data, tmp_path):
        command('testset', '--input', shared_data / 'data/Set5', '--output', tmp_path, '--scale', 4, '--workers', 1)
        sizes = {path.stem: cv2.imread(str(path)).shape[:2] for path in (tmp_path / 'LRbicx4').iterdir()}
        assert sizes == {
            'baby': (128, 128),
            'bird': (72, 72),
            'butterfly': (64, 64),
            'head': (70, 70),
            'woman': (86, 57),
        }


class TestDiv2k:
    @pytest.fixture
    def small_div2k(self, tmp_path, monkeypatch) -> Path:
        monkeypatch.setattr(div2k, 'NUM_IMAGES', 3)
        folder = tmp_path / 'DIV2K/DIV2K_train_HR'
        folder.mkdir(parents=True)
        for number in (1, 2, 3):
            cv2.imwrite(str(folder / f'{number:04d}.png'), photograph(36, 48, number))
        return tmp_path / 'DIV2K'

    def test_names_are_those_of_the_option_files(self, small_div2k):
        argv = ['--root', small_div2k, '--crop', 24, '--step', 12, '--workers', 1]
        assert command('div2k', *argv) == 0
        assert len(read_lmdb(small_div2k / 'train_sub/gt.lmdb')) == 3 * 2 * 3
        assert check_lmdb(small_div2k / 'train_sub/lq_x4.lmdb') == []

    def test_missing_says_what_to_download_from_where_to_where(self, tmp_path):
        with pytest.raises(UserError, match=r'download https://.*/DIV2K_train_HR.zip .* unpack it in .*DIV2K'):
            command('div2k', '--root', tmp_path / 'DIV2K')

    def test_incomplete_or_foreign_images_are_refused(self, small_div2k):
        (small_div2k / 'DIV2K_train_HR/0002.png').rename(small_div2k / 'DIV2K_train_HR/cat.png')
        with pytest.raises(UserError, match=r'1 of 3 images are missing, the first is 0002.png and 1 do not belong'):
            command('div2k', '--root', small_div2k)


class TestDemo:
    def test_writes_training_and_validation_images_and_their_licences(self, tmp_path):
        assert command('demo', '--output', tmp_path / 'demo', '--workers', 1) == 0
        gt, lq = read_lmdb(tmp_path / 'demo/train/gt.lmdb'), read_lmdb(tmp_path / 'demo/train/lq_x4.lmdb')
        assert gt.keys() == lq.keys()
        trained_on = {key.rsplit('_s', 1)[0] for key in gt}
        for name in ('GTmod4', 'LRbicx4'):
            validated_on = {path.stem for path in (tmp_path / 'demo/val' / name).iterdir()}
            assert 'chelsea' in validated_on
            assert 2 <= len(validated_on) <= 4
            assert validated_on.isdisjoint(trained_on)
        text = (tmp_path / 'demo/SOURCES.txt').read_text(encoding='utf-8')
        assert all(f'{name}.' in text for name in trained_on | validated_on)

    def test_a_scikit_image_without_the_photographs_is_named(self, tmp_path, monkeypatch):
        monkeypatch.setitem(demo.CREDITS, 'unicorn.png', 'nobody')
        with pytest.raises(UserError, match=r'lacks unicorn.png'):
            command('demo', '--output', tmp_path / 'demo')
