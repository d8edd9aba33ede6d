"""Data that cannot serve: each is refused in one line that names the file, before anything is written."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import lmdb
import numpy as np
import pytest
from PIL import Image
from tiny_run import smooth_image, write_lmdb

Run = Callable[..., int]


def encode(image: np.ndarray, mode: str = 'RGB', kind: str = 'PNG') -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).convert(mode).save(file, kind)
    return file.getvalue()


GT = smooth_image(np.random.default_rng(3), 32, 32)
LQ = cv2.resize(GT, (8, 8), interpolation=cv2.INTER_AREA)
PNG, JPEG = encode(GT), encode(GT, kind='JPEG')
DEEP = cv2.imencode('.png', GT.astype(np.uint16) * 257)[1].tobytes()
HUGE = PNG[:16] + (100_000).to_bytes(4, 'big') * 2 + PNG[24:]
SMALL = encode(smooth_image(np.random.default_rng(4), 8, 8))


@pytest.fixture
def folders(run_options: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The tiny run, with training pairs in folders ``gt`` and ``lq`` of the current directory: four pairs."""
    for folder, image in (('gt', GT), ('lq', LQ)):
        (tmp_path / folder).mkdir()
        for number in range(4):
            (tmp_path / folder / f'{number}.png').write_bytes(encode(image))
    run_options['datasets']['train'].update(dataroot_gt='gt', dataroot_lq='lq', io_backend={'type': 'disk'})
    return run_options


def refused(basicsr: Run, options: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> str:
    """Train, and return what refuses it, a line a problem; nothing may have been written."""
    before = {path: path.stat().st_mtime_ns for path in Path().rglob('*')}
    assert basicsr('train', options) == 2
    after = {path: path.stat().st_mtime_ns for path in Path().rglob('*') if path.name != 'run.yml'}
    assert after == {path: time for path, time in before.items() if path.name != 'run.yml'}
    error = capsys.readouterr().err
    assert all(line.startswith('basicsr: error: run.yml:') for line in error.splitlines())
    return error


def test_folders_that_are_right_are_accepted(basicsr: Run, folders: dict[str, Any]) -> None:
    assert basicsr('check', folders) == 0


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        (b'', 'dataroot_gt: gt: 2.png is empty'),
        (b'no image', '2.png is no image that can be read'),
        (PNG[: len(PNG) // 2], '2.png is truncated or damaged'),
        (PNG[:20], '2.png is no image that can be read'),
        (JPEG[:-20], '2.png is truncated or damaged'),
        (HUGE, '2.png claims to be 100000 x 100000 pixels'),
        (encode(GT[:1, :1]), 'do not fit scale 4: the first, 2.png, is 1 x 1 in dataroot_gt and 8 x 8 here'),
        (encode(GT[:31]), 'do not fit scale 4: the first, 2.png, is 31 x 32'),
    ],
    ids=['empty', 'text', 'truncated-png', 'header-only', 'truncated-jpeg', 'huge', 'one-pixel', 'other-size'],
)
@pytest.mark.promise('sizes that do not fit the scale')
@pytest.mark.promise('zero-byte, truncated, or no image; a header that claims more pixels than OpenCV reads')
def test_a_bad_image_is_named(
    basicsr: Run, folders: dict[str, Any], capsys: pytest.CaptureFixture[str], content: bytes, message: str
) -> None:
    Path('gt/2.png').write_bytes(content)
    assert message in refused(basicsr, folders, capsys)


@pytest.mark.parametrize(
    ('content', 'note'),
    [
        (DEEP, '2.png: 16 bits per channel, of which 8 are used'),
        (encode(GT, 'RGBA'), '2.png: an alpha channel, which is left out'),
        (encode(GT, 'L'), '2.png: grey, read as three equal channels'),
        (encode(GT, 'CMYK', 'JPEG'), '2.png: CMYK, converted to RGB without its profile'),
    ],
    ids=['16-bit', 'alpha', 'grey', 'cmyk'],
)
@pytest.mark.promise('grey image where colour is read')
@pytest.mark.promise('16 bits per channel')
@pytest.mark.promise('alpha channel')
@pytest.mark.promise('CMYK')
def test_an_unusual_image_is_noted_and_read(
    basicsr: Run, folders: dict[str, Any], capsys: pytest.CaptureFixture[str], content: bytes, note: str
) -> None:
    Path('gt/2.png').write_bytes(content)
    assert basicsr('train', folders) == 0
    assert f'note: run.yml:7 datasets:train: {note}' in capsys.readouterr().err


def remove(path: str) -> Callable[[dict[str, Any]], object]:
    return lambda options: Path(path).unlink()


def set_train(**keys: Any) -> Callable[[dict[str, Any]], object]:
    return lambda options: options['datasets']['train'].update(keys)


def empty(options: dict[str, Any]) -> None:
    for path in Path('gt').iterdir():
        path.unlink()


def shrink(options: dict[str, Any]) -> None:
    Path('gt/2.png').write_bytes(SMALL)
    Path('lq/2.png').write_bytes(encode(LQ[:2, :2]))


def list_files(text: str) -> Callable[[dict[str, Any]], object]:
    def change(options: dict[str, Any]) -> None:
        Path('list.txt').write_text(text)
        options['datasets']['train']['meta_info_file'] = 'list.txt'

    return change


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (remove('lq/1.png'), 'dataroot_lq: holds 3 images, dataroot_gt 4; they must be pairs'),
        (lambda options: Path('lq/1.png').rename('lq/one.png'), 'dataroot_lq: lacks 1.png'),
        (set_train(filename_tmpl='{}x4'), 'dataroot_lq: lacks 0x4.png and 3 more'),
        (set_train(filename_tmpl='{'), 'filename_tmpl: must be text with one pair of braces'),
        (set_train(filename_tmpl='{0.__class__.x}'), 'filename_tmpl: must be text with one pair of braces'),
        (empty, 'dataroot_gt: gt holds no image'),
        (shrink, 'gt_size: 1 images have fewer than 16 pixels on a side'),
        (set_train(gt_size=40), 'gt_size: 4 images have fewer than 40 pixels on a side'),
        (set_train(gt_size=18), 'gt_size: must be a multiple of the scale 4, got 18'),
        (list_files(''), 'meta_info_file: list.txt lists no image'),
        (list_files('../../etc/passwd (1,1,3)\n'), "lists '../../etc/passwd', which is outside"),
        (list_files('/etc/passwd (1,1,3)\n'), "lists '/etc/passwd', which is outside"),
        (list_files('0.png (32,32,3)\ngone.png (32,32,3)\n'), 'dataroot_gt: gt: gone.png No such file'),
    ],
)
@pytest.mark.promise("a `scale` that is not the network's, a `gt_size` that is no multiple of it")
@pytest.mark.promise('an empty folder, one that cannot be read, a file in place of a folder')
@pytest.mark.promise('ground truth and input of different number or names')
@pytest.mark.promise("images smaller than `gt_size`, than SSIM's window or than NIQE's 192 pixels")
@pytest.mark.promise('a `meta_info` that lists paths outside of the data set')
def test_folders_that_do_not_fit_are_refused(
    basicsr: Run,
    folders: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], object],
    message: str,
) -> None:
    change(folders)
    assert message in refused(basicsr, folders, capsys)


@pytest.mark.promise('an empty folder, one that cannot be read, a file in place of a folder')
def test_a_folder_that_cannot_be_read_is_refused(
    basicsr: Run, folders: dict[str, Any], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from converse_basicsr.options.check import data_sets as data

    def deny(path: str) -> Any:
        raise PermissionError(13, 'Permission denied', path)

    monkeypatch.setattr(data.os, 'scandir', deny)  # whoever runs the tests as root may read everything
    assert "the data cannot be read: [Errno 13] Permission denied: 'gt'" in refused(basicsr, folders, capsys)


@pytest.mark.promise('names beyond ASCII, in folders')
def test_names_beyond_ascii_are_read(basicsr: Run, folders: dict[str, Any]) -> None:
    for folder in ('gt', 'lq'):
        Path(folder, '2.png').rename(Path(folder, 'Bär 2 \U0001f43b.png'))
    assert basicsr('train', folders) == 0


@pytest.mark.promise('sizes that do not fit the scale')
def test_validation_pairs_may_be_larger_by_less_than_a_pixel_of_the_input(
    basicsr: Run, folders: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    val = folders['datasets']['val']
    val.update(dataroot_gt='vgt', dataroot_lq='vlq')
    for folder, image in (('vgt', smooth_image(np.random.default_rng(0), 43, 41)), ('vlq', GT[:10, :10])):
        Path(folder).mkdir()
        Path(folder, 'a.png').write_bytes(encode(image))
    assert basicsr('check', folders) == 0
    Path('vgt/a.png').write_bytes(encode(smooth_image(np.random.default_rng(0), 44, 40)))
    capsys.readouterr()
    assert 'datasets:val:dataroot_lq: 1 images do not fit scale 4' in refused(basicsr, folders, capsys)


@pytest.mark.parametrize(('metric', 'least'), [('calculate_niqe', 200), ('calculate_ssim', 19)])
@pytest.mark.promise("images smaller than `gt_size`, than SSIM's window or than NIQE's 192 pixels")
def test_images_too_small_for_a_metric_are_refused(
    basicsr: Run, folders: dict[str, Any], capsys: pytest.CaptureFixture[str], metric: str, least: int
) -> None:
    folders['val']['metrics'] = {'own': {'type': metric, 'crop_border': 4}}
    folders['datasets']['val'].update(dataroot_gt='gt', dataroot_lq='lq')
    if metric == 'calculate_ssim':
        assert basicsr('check', folders) == 0
        capsys.readouterr()
        folders['val']['metrics']['own']['crop_border'] = 11
        least = 33
    assert f'fewer than {least} pixels on a side' in refused(basicsr, folders, capsys)


@pytest.fixture
def own_lmdb(run_options: dict[str, Any], tmp_path: Path) -> dict[str, Any]:
    """The tiny run on LMDBs ``gt.lmdb`` and ``lq.lmdb`` of the current directory."""
    for name, image in (('gt', GT), ('lq', LQ)):
        write_lmdb(tmp_path / f'{name}.lmdb', {f'{number:04d}': image for number in range(40)})
    run_options['datasets']['train'].update(dataroot_gt='gt.lmdb', dataroot_lq='lq.lmdb')
    return run_options


def truncate(options: dict[str, Any]) -> None:
    path = Path('gt.lmdb/data.mdb')
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def drop_key(options: dict[str, Any]) -> None:
    with lmdb.open('gt.lmdb', map_size=2**24) as environment, environment.begin(write=True) as transaction:
        transaction.delete(b'0007')


def meta(text: Callable[[str], str]) -> Callable[[dict[str, Any]], object]:
    def change(options: dict[str, Any]) -> None:
        path = Path('gt.lmdb/meta_info.txt')
        path.write_text(text(path.read_text()))

    return change


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (truncate, 'gt.lmdb has a truncated data.mdb'),
        (drop_key, 'gt.lmdb lacks images that meta_info.txt lists: 1 of 40, the first is 0007'),
        (meta(lambda text: text[: len(text) // 2]), 'gt.lmdb'),
        (meta(lambda text: ''), 'gt.lmdb holds images that meta_info.txt does not list: 40 of 40'),
        (meta(lambda text: text.replace('0003.png', '../../x.png')), 'malformed line 4'),
        (lambda options: Path('gt.lmdb/meta_info.txt').unlink(), 'is no complete LMDB'),
        (lambda options: Path('gt.lmdb/data.mdb').write_bytes(b'x' * 5000), 'gt.lmdb has a data.mdb that is no LMDB'),
        (lambda options: Path('gt.lmdb/data.mdb').write_bytes(b''), 'gt.lmdb'),
        (lambda options: write_lmdb(Path('more.lmdb'), {'a': GT}), None),
    ],
)
@pytest.mark.promise('an LMDB without `meta_info.txt`, truncated, or with other keys than `meta_info.txt` lists')
def test_an_lmdb_that_is_not_whole_is_refused(
    basicsr: Run,
    own_lmdb: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    change: Callable[[dict[str, Any]], object],
    message: str | None,
) -> None:
    change(own_lmdb)
    if message is None:  # an LMDB of other keys
        own_lmdb['datasets']['train']['dataroot_gt'] = 'more.lmdb'
        message = 'dataroot_lq: its images and those of dataroot_gt differ: 0000 and 40 more are in one only'
    before = sorted(str(path) for path in Path().rglob('*') if path.name != 'run.yml')
    assert basicsr('train', own_lmdb) == 2
    error = capsys.readouterr().err
    assert message in error
    assert 'Traceback' not in error
    assert sorted(str(path) for path in Path().rglob('*') if path.name != 'run.yml') == before
