import io
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from converse_basicsr.errors import UserError
from converse_basicsr.files import picture as image_file
from converse_basicsr.files.decoding import ORIENTATION, BadImage, area
from converse_basicsr.files.picture import Picture


def pixels(channels: int, dtype: type = np.uint8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (6, 9, channels), dtype, endpoint=True)


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16])
@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('with_alpha', [False, True])
def test_what_is_written_is_read_again(tmp_path: Path, dtype: type, channels: int, with_alpha: bool) -> None:
    alpha = pixels(1, dtype)[..., 0] if with_alpha else None
    picture = Picture(pixels(channels, dtype), alpha)
    image_file.write(picture, tmp_path / 'new' / 'a.png')
    again = image_file.read(tmp_path / 'new' / 'a.png')
    assert again.pixels.dtype == dtype
    assert again.peak == np.iinfo(dtype).max
    assert (again.pixels == picture.pixels).all()  # grey with alpha comes back as three equal channels
    assert (again.alpha is None) if alpha is None else np.array_equal(again.alpha, alpha)
    assert [file.name for file in (tmp_path / 'new').iterdir()] == ['a.png']


@pytest.mark.parametrize('orientation', range(1, 9))
@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.tif', '.webp'])
def test_orientation_is_applied_as_pillow_does(tmp_path: Path, orientation: int, suffix: str) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    options = {'lossless': True} if suffix == '.webp' else {}
    Image.fromarray(pixels(3)).save(tmp_path / f'a{suffix}', exif=exif, **options)
    with Image.open(tmp_path / f'a{suffix}') as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert('RGB'))
    found = image_file.read(tmp_path / f'a{suffix}').pixels
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).max() <= (2 if suffix == '.jpg' else 0)  # two decoders of JPEG


def test_grey_with_alpha_stays_grey(tmp_path: Path) -> None:
    content = pixels(2)
    Image.fromarray(content, 'LA').save(tmp_path / 'a.png')
    picture = image_file.read(tmp_path / 'a.png')
    assert np.array_equal(picture.pixels, content[..., :1])
    assert np.array_equal(picture.alpha, content[..., 1])


def test_the_colour_profile_is_kept_where_it_describes_the_result(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    Image.fromarray(pixels(3)).save(tmp_path / 'a.png', icc_profile=profile)
    picture = image_file.read(tmp_path / 'a.png')
    image_file.write(picture, tmp_path / 'b.png')
    with Image.open(tmp_path / 'b.png') as image:
        assert image.info['icc_profile'] == profile
        image.load()
        assert np.array_equal(np.asarray(image), picture.pixels)
    image_file.write(Picture(picture.pixels[..., :1], None, profile), tmp_path / 'c.png')
    with Image.open(tmp_path / 'c.png') as image:
        assert 'icc_profile' not in image.info


def test_files_that_cannot_be_used_say_why(tmp_path: Path) -> None:
    path = tmp_path / 'a.png'

    def refused(match: str) -> None:
        with pytest.raises(BadImage, match=match):
            image_file.read(path)

    refused('cannot be read: No such file')
    path.write_bytes(b'')
    refused('is empty')
    whole = cv2.imencode('.png', pixels(3))[1].tobytes()
    path.write_bytes(whole[:60])
    refused('is damaged')
    assert area(path) == 54
    path.write_bytes(b'no image')
    refused('is damaged')
    assert area(path) == 0
    tiff = io.BytesIO()
    Image.fromarray(pixels(3)).save(tiff, 'TIFF', save_all=True, append_images=[Image.fromarray(pixels(3))])
    path.write_bytes(tiff.getvalue())
    refused('holds 2 images')
    path.write_bytes(cv2.imencode('.tif', pixels(1).astype(np.float32))[1].tobytes())
    refused('holds float32 values')


def test_an_unwritable_place_is_named(tmp_path: Path) -> None:
    (tmp_path / 'file').write_text('')
    with pytest.raises(UserError, match=r'file/a.png cannot be written'):
        image_file.write(Picture(pixels(1)), tmp_path / 'file' / 'a.png')
