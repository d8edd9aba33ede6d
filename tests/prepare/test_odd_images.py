"""Images that are damaged, deep, transparent, grey or too small."""

import json

import cv2
import numpy as np
import pytest
from PIL import Image
from prepare_commands import photograph, raw_lmdb, read_lmdb, sr_command

from converse_basicsr.errors import UserError


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
@pytest.mark.promise('images that `basicsr prepare` cannot use')
def test_unusable_images_are_named_and_the_rest_is_kept(photographs, tmp_path, suffix):
    _, data = cv2.imencode(suffix, photograph(48, 48))
    (photographs / f'cut{suffix}').write_bytes(data.tobytes()[: len(data) // 2])
    (photographs / f'empty{suffix}').write_bytes(b'')
    (photographs / f'text{suffix}').write_text('no image')
    (photographs / 'notes.txt').write_text('no image either')
    with pytest.raises(UserError, match=r'3 images cannot be used.*cut.*empty.*text.*--skip-bad'):
        sr_command(photographs, tmp_path / 'out')
    assert not (tmp_path / 'out/gt.lmdb').exists()
    assert sr_command(photographs, tmp_path / 'out', '--skip-bad') == 0
    record = json.loads((tmp_path / 'out/prepare.json').read_text())
    assert sorted(record['left_out']) == [f'cut{suffix}', f'empty{suffix}', f'text{suffix}']
    assert record['ignored'] == ['notes.txt']


def test_an_unusable_image_put_right_completes_the_work(photographs, tmp_path):
    good = (photographs / '0001.png').read_bytes()
    (photographs / '0001.png').write_bytes(b'')
    with pytest.raises(UserError, match=r'0001.png is empty'):
        sr_command(photographs, tmp_path / 'out')
    (photographs / '0001.png').write_bytes(good)
    assert sr_command(photographs, tmp_path / 'out') == 0
    sr_command(photographs, tmp_path / 'at_once')
    assert raw_lmdb(tmp_path / 'out/gt.lmdb') == raw_lmdb(tmp_path / 'at_once/gt.lmdb')


def test_cmyk_and_transparency_are_refused(tmp_path):
    (tmp_path / 'in').mkdir()
    Image.new('CMYK', (24, 24)).save(tmp_path / 'in/print.jpg')
    Image.new('RGBA', (24, 24), (1, 2, 3, 4)).save(tmp_path / 'in/glass.png')
    with pytest.raises(UserError, match=r'glass.png has transparent pixels.*print.jpg is CMYK'):
        sr_command(tmp_path / 'in', tmp_path / 'out')


def test_16_bit_alpha_and_grey_are_converted_and_reported(tmp_path, capsys):
    folder = tmp_path / 'in'
    folder.mkdir()
    image = photograph(24, 24)
    cv2.imwrite(str(folder / 'deep.png'), image.astype(np.uint16) * 257 + 100)
    cv2.imwrite(str(folder / 'alpha.png'), np.dstack([image, np.full((24, 24), 255, np.uint8)]))
    cv2.imwrite(str(folder / 'grey.png'), photograph(24, 24, channels=1))
    cv2.imwrite(str(folder / 'small.png'), photograph(23, 40))
    sr_command(folder, tmp_path / 'out')
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


def test_nothing_large_enough_is_an_error(tmp_path):
    (tmp_path / 'in').mkdir()
    cv2.imwrite(str(tmp_path / 'in/small.png'), photograph(20, 20))
    with pytest.raises(UserError, match=r'every image was left out .*smaller than the crop: 1 of 1'):
        sr_command(tmp_path / 'in', tmp_path / 'out')
    # Nothing was made, so there is nothing that other parameters could spoil.
    assert sr_command(tmp_path / 'in', tmp_path / 'out', '--crop', 20, '--step', 4) == 0
