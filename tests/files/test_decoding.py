"""Images of every depth and kind are read as they look, or refused; the oracle is what was written."""

import io
import os
import struct
import subprocess
import zlib
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from converse_basicsr.files import decoding, picture
from converse_basicsr.files.decoding import BadImage
from converse_basicsr.files.images import GREY, HAD_MORE_IMAGES, HAD_OPAQUE_ALPHA, WAS_16_BIT, read_image

RAMP = np.linspace(0, 1, 12).reshape(3, 4)
PGM = 'PGM or PPM whose white is not 255 or 65535 (1023, 4095, 100)'
DEPTHS = 'other depths and kinds of BMP, TIFF and PNG'
BROKEN = 'a PNG with right checksums and bad data, or any other image that makes a decoder fail'
SEVERAL = 'several images in one file (TIFF pages, APNG, animated WebP and GIF, MPO)'
KEYED = 'a grey PNG that marks one grey value as transparent'
NO_FILE = 'a pipe, socket, device or folder as image, kernel or checkpoint; a file far larger than its image needs'


def levels(peak: int) -> np.ndarray:
    return np.round(RAMP * peak).astype(np.uint16)


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))


def png(
    width: int, height: int, depth: int, colour: int, rows: bytes, *, extra: bytes = b'', data: bytes = b''
) -> bytes:
    header = struct.pack('>IIBBBBB', width, height, depth, colour, 0, 0, 0)
    data = data or zlib.compress(rows)
    return b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header) + extra + chunk(b'IDAT', data) + chunk(b'IEND', b'')


def bmp_16(green_bits: int, pixels: tuple[int, ...]) -> bytes:
    masks = {6: (0xF800, 0x7E0, 0x1F), 5: (0x7C00, 0x3E0, 0x1F)}[green_bits]
    body = struct.pack(f'<{len(pixels)}H', *pixels)
    header = struct.pack('<IiiHHIIiiII3I', 40, len(pixels), 1, 1, 16, 3, len(body), 0, 0, 0, 0, *masks)
    return b'BM' + struct.pack('<IHHI', 14 + len(header) + len(body), 0, 0, 14 + len(header)) + header + body


def tiff(image: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, image, **{'photometric': 'minisblack', **options})
    return buffer.getvalue()


def saved(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


@pytest.fixture
def refused(tmp_path: Path) -> Callable[[bytes, str], None]:
    """Both readers refuse the bytes, with a text that holds the given one."""

    def check(data: bytes, message: str) -> None:
        path = tmp_path / 'image.png'
        path.write_bytes(data)
        for read in (picture.read, read_image):
            with pytest.raises(BadImage) as caught:
                read(path)
            assert message in str(caught.value)
            assert '\n' not in str(caught.value)

    return check


@pytest.mark.promise(PGM)
@pytest.mark.parametrize('peak', [1, 15, 100, 254, 255, 256, 1023, 4095, 65534, 65535])
@pytest.mark.parametrize('kind', [b'P2', b'P3', b'P5', b'P6'])
def test_white_is_white_in_grey_and_colour_maps(tmp_path: Path, kind: bytes, peak: int) -> None:
    colour = kind in (b'P3', b'P6')
    values = np.stack([levels(peak), peak - levels(peak), levels(peak)], -1) if colour else levels(peak)[..., None]
    if kind in (b'P2', b'P3'):
        body = b' '.join(b'%d' % value for value in values.ravel()) + b'  # the end'
    else:
        body = values.astype('u1' if peak < 256 else '>u2').tobytes()
    path = tmp_path / 'a.pgm'
    path.write_bytes(kind + b'\n# a camera\n4 3\n%d\n' % peak + body)
    found = picture.read(path)
    assert found.pixels.dtype == (np.uint8 if peak < 256 else np.uint16)
    assert np.abs(found.pixels / found.peak - values / peak).max() <= 0.5 / found.peak + 1e-9
    assert (found.pixels[values == peak] == found.peak).all()
    image, notes = read_image(path)
    shown = image[..., ::-1] if colour else image[..., None]
    assert np.abs(shown - values / peak * 255).max() <= 0.51
    assert (WAS_16_BIT in notes, GREY in notes) == (peak > 255, not colour)


@pytest.mark.promise(PGM)
@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'P5 2 2 100 \1\2\3', 'ends after 3 of 4 values'),
        (b'P5 2 2 1023 \0\1\0\2\0\3\4', 'ends after 3 of 4 values'),
        (b'P5 2 2 100 \1\2\3\xff', 'holds 255, but states 100 as its white'),
        (b'P2 2 2 100 1 2 3 101', 'is damaged'),
        (b'P2 2 2 100 1 2 3 x', 'is damaged'),
        (b'P2 2 2 100 1 2 3 -1', 'is damaged'),
        (b'P5 2 2 0 \1\2\3\4', 'is damaged'),
        (b'P5 2 2 70000 \1\2\3\4', 'is damaged'),
        (b'P5 99999 99999 255 \1', 'is too large to be opened safely'),
        (b'Pf\n2 2\n-1.0\n' + bytes(16), 'holds float32 values'),
        (b'P7\nWIDTH 1\nHEIGHT 1\nDEPTH 1\nMAXVAL 100\nTUPLTYPE GRAYSCALE\nENDHDR\n\x64', 'is damaged'),
    ],
)
def test_maps_that_are_not_whole_are_refused(refused, data: bytes, message: str) -> None:
    refused(data, message)


def test_bitmaps_are_black_and_white(tmp_path: Path) -> None:
    (tmp_path / 'a.pgm').write_bytes(b'P4\n8 1\n\x0f')
    assert picture.read(tmp_path / 'a.pgm').pixels.ravel().tolist() == [255] * 4 + [0] * 4


FULL = {
    'BMP 565': bmp_16(6, (0, 0xFFFF)),
    'BMP 555': bmp_16(5, (0, 0x7FFF)),
    'PNG 1': png(2, 1, 1, 0, b'\0\x40'),
    'PNG 2': png(2, 1, 2, 0, b'\0\x30'),
    'PNG 4': png(2, 1, 4, 0, b'\0\x0f'),
    'PNG palette': png(2, 1, 2, 3, b'\0\x10', extra=chunk(b'PLTE', b'\0\0\0\xff\xff\xff')),
    'PNG 16': png(2, 1, 16, 0, b'\0\0\0\xff\xff'),
    'TIFF 8': tiff(np.uint8([[0, 255]])),
    'TIFF 8, white 0': tiff(np.uint8([[255, 0]]), photometric='miniswhite'),
    'TIFF 16': tiff(np.uint16([[0, 65535]])),
    'TIFF 16, big end': tiff(np.uint16([[0, 65535]]), byteorder='>'),
    'TIFF planes': tiff(np.uint8([[[0, 255]]] * 3), photometric='rgb', planarconfig='separate'),
    'TIFF palette': tiff(np.uint8([[0, 255]]), photometric='palette', colormap=np.uint16([np.arange(256) * 257] * 3)),
}


@pytest.mark.promise(DEPTHS)
@pytest.mark.parametrize('name', FULL)
def test_black_is_black_and_white_is_white(tmp_path: Path, name: str) -> None:
    path = tmp_path / 'a.png'
    path.write_bytes(FULL[name])
    found = picture.read(path)
    assert found.pixels.shape[:2] == (1, 2)
    assert (found.pixels[0, 0] == 0).all()
    assert (found.pixels[0, 1] == found.peak).all()
    assert (read_image(path)[0][0] == np.array([0, 255]).reshape(2, *[1] * (read_image(path)[0].ndim - 2))).all()


def packed_tiff(bits: int, photometric: int) -> bytes:
    """A TIFF of 2 x 1 pixels, black and white, of a depth that tifffile does not write."""
    body = int(('0' * bits + '1' * bits).ljust(32, '0'), 2).to_bytes(4, 'big')
    tags = {256: 2, 257: 1, 258: bits, 259: 1, 262: photometric, 273: 8, 277: 1, 278: 1, 279: len(body)}
    entries = b''.join(struct.pack('<HHII', tag, 4, 1, value) for tag, value in tags.items())
    return b'II*\0' + struct.pack('<I', 8 + len(body)) + body + struct.pack('<H', len(tags)) + entries + bytes(4)


@pytest.mark.promise(DEPTHS)
@pytest.mark.parametrize('bits', [1, 2, 4, 6, 10, 12, 14])
@pytest.mark.parametrize('photometric', [0, 1])
def test_odd_depths_of_tiff_are_right_or_refused(tmp_path: Path, bits: int, photometric: int) -> None:
    path = tmp_path / 'a.tif'
    path.write_bytes(packed_tiff(bits, photometric))
    try:
        found = picture.read(path)
    except BadImage:
        assert bits in (6, 10, 14) or (bits == 12 and photometric == 0)
        return
    expected = [0, found.peak] if photometric else [found.peak, 0]
    assert found.pixels.ravel().tolist() == expected


@pytest.mark.promise(DEPTHS)
@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (tiff(levels(65535), photometric='miniswhite'), 'counts grey from white to black'),
        (
            tiff(np.stack([levels(65535)] * 3), photometric='rgb', planarconfig='separate'),
            'one channel after the other',
        ),
        (
            tiff(np.dstack([levels(65535)] * 4), photometric='rgb', extrasamples=['assocalpha']),
            'colours are multiplied by its transparency',
        ),
        (tiff(RAMP.astype(np.float32)), 'holds float32 values'),
        (tiff(levels(255).astype(np.int8)), 'holds int8 values'),
        (tiff(levels(255).astype(np.int16)), 'holds int16 values'),
        (tiff(levels(255).astype(np.uint32)), 'holds uint32 values'),
        (saved(Image.new('CMYK', (4, 3)), 'TIFF'), 'is CMYK'),
    ],
)
def test_what_would_be_read_wrongly_is_refused(refused, data: bytes, message: str) -> None:
    refused(data, message)


@pytest.mark.promise(DEPTHS)
def test_colours_below_transparency_are_not_darkened(tmp_path: Path) -> None:
    content = np.uint8([[[200, 100, 50, 128], [10, 20, 30, 0]]])
    for name, scale in (('8.tif', 1), ('16.tif', 257)):
        dtype = np.uint8 if scale == 1 else np.uint16
        (tmp_path / name).write_bytes(
            tiff(content.astype(dtype) * dtype(scale), photometric='rgb', extrasamples=['unassalpha'])
        )
        found = picture.read(tmp_path / name)
        assert np.array_equal(found.pixels // scale, content[..., :3])
        assert np.array_equal(found.alpha // scale, content[..., 3])
    grey = np.uint8([[[200, 128], [10, 0]]])
    (tmp_path / 'grey.tif').write_bytes(tiff(grey, extrasamples=['unassalpha']))
    found = picture.read(tmp_path / 'grey.tif')
    assert np.array_equal(np.dstack([found.pixels, found.alpha]), grey)
    with pytest.raises(BadImage, match='has transparent pixels'):
        read_image(tmp_path / 'grey.tif')


@pytest.mark.promise(KEYED)
@pytest.mark.parametrize('depth', [1, 2, 4, 8, 16])
def test_a_key_of_transparency_becomes_alpha(tmp_path: Path, depth: int) -> None:
    path, full = tmp_path / 'a.png', 2**depth - 1
    row = b'\0\0\0\xff\xff' if depth == 16 else b'\0\0\xff' if depth == 8 else b'\0' + bytes([full << (8 - 2 * depth)])
    for key, alpha in ((0, [0, 1]), (full, [1, 0])):
        path.write_bytes(png(2, 1, depth, 0, row, extra=chunk(b'tRNS', struct.pack('>H', key))))
        found = picture.read(path)
        assert (found.alpha // found.peak).ravel().tolist() == alpha
        assert found.pixels.shape == (1, 2, 1)
        with pytest.raises(BadImage, match='has transparent pixels'):
            read_image(path)
    if depth > 1:  # a value that no pixel has
        path.write_bytes(png(2, 1, depth, 0, row, extra=chunk(b'tRNS', struct.pack('>H', 1))))
        assert HAD_OPAQUE_ALPHA in read_image(path)[1]


@pytest.mark.promise(KEYED)
@pytest.mark.parametrize('depth', [8, 16])
def test_grey_with_alpha_is_told(tmp_path: Path, depth: int) -> None:
    path, size = tmp_path / 'a.png', depth // 8
    path.write_bytes(png(2, 1, depth, 4, b'\0' + b'\x07' * size + b'\xff' * size + b'\x09' * size + b'\xff' * size))
    assert picture.read(path).pixels.shape == (1, 2, 1)
    assert HAD_OPAQUE_ALPHA in read_image(path)[1]
    path.write_bytes(png(1, 1, depth, 4, b'\0' + b'\x07' * size + b'\x01' * size))
    with pytest.raises(BadImage, match='has transparent pixels'):
        read_image(path)


def two(file_format: str, **options: object) -> bytes:
    first, second = (Image.new('RGB', (8, 8), colour) for colour in ('red', 'blue'))
    return saved(first, file_format, save_all=True, append_images=[second], **options)


@pytest.mark.promise(SEVERAL)
@pytest.mark.parametrize(
    'data',
    [two('TIFF'), two('PNG'), two('PNG', default_image=True), two('WEBP', lossless=True), two('GIF')],
    ids=['TIFF', 'APNG', 'APNG, default', 'WebP', 'GIF'],
)
def test_several_images_in_one_file_are_refused(refused, data: bytes) -> None:
    refused(data, 'holds 2 images: save the one you want by itself')


@pytest.mark.promise(SEVERAL)
def test_of_a_cameras_mpo_the_photograph_is_taken_and_told(tmp_path: Path) -> None:
    path = tmp_path / 'a.jpg'
    path.write_bytes(two('MPO', quality=95))
    image, notes = read_image(path)
    assert notes == [HAD_MORE_IMAGES]
    assert image[..., 2].min() > 200
    with pytest.raises(BadImage, match='holds 2 images'):
        picture.read(path)


STREAM = zlib.compress(bytes(2 * 3))


@pytest.mark.promise(BROKEN)
@pytest.mark.parametrize(
    'data',
    [
        png(2, 2, 8, 0, b'', data=b'garbage'),
        png(2, 2, 8, 0, b'', data=STREAM[:-3] + b'xxx'),
        png(2, 2, 8, 0, b'\0\1'),
        png(2, 2, 8, 0, b'\x09\1\2\x09\3\4'),
        png(2, 2, 8, 7, b'\0\1\2\0\3\4'),
        png(0, 2, 8, 0, b'\0\0'),
        png(2, 2, 8, 0, b'', extra=chunk(b'zTXt', b'a\0\0' + zlib.compress(bytes(2**27)))),
        b'\x89PNG\r\n\x1a\n',
        b'GIF89a\xff\xff\xff\xff\0\0\0',
        b'RIFF\xff\xff\xff\xffWEBPVP8 ',
        b'II*\0\x08\0\0\0\xff\xff',
        b'\xff\xd8\xff\xe0\0\0',
        b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n',
        saved(Image.new('RGB', (8, 8)), 'JPEG')[:-60],
    ],
)
def test_a_failing_decoder_is_a_reason(refused, data: bytes) -> None:
    refused(data, 'is damaged')


def test_no_image_starts_a_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow hands PostScript to Ghostscript, whatever the file is called."""
    started = []
    for name in ('Popen', 'call', 'check_call', 'check_output', 'run'):
        monkeypatch.setattr(subprocess, name, lambda *args, **_: started.append(args))
    monkeypatch.setattr('PIL.EpsImagePlugin.gs_binary', 'gs')
    (tmp_path / 'a.png').write_bytes(b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 4 4\n%%EndComments\nshowpage\n')
    for read in (picture.read, read_image):
        with pytest.raises(BadImage, match='none of BMP, GIF, JPEG, PNG, PPM, TIFF, WEBP'):
            read(tmp_path / 'a.png')
    assert decoding.area(tmp_path / 'a.png') == 0
    assert started == []


@pytest.mark.promise(BROKEN)
def test_images_that_memory_does_not_hold_are_refused(refused, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = png(1, 1, 8, 0, b'\0\0')
    refused(png(40000, 40000, 8, 0, b'\0'), 'is too large to be opened safely')
    for error, message in (
        (MemoryError(), 'needs more memory than there is'),
        (RuntimeError('odd'), 'is damaged: odd'),
        (KeyError(), 'is damaged: KeyError'),
        (cv2.error('no'), 'cannot be decoded by OpenCV'),
    ):
        monkeypatch.setattr(cv2, 'imdecode', lambda *_, error=error: (_ for _ in ()).throw(error))
        refused(whole, message)


@pytest.mark.promise(NO_FILE)
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe.png')
    (tmp_path / 'folder.png').mkdir()
    (tmp_path / 'zero.png').symlink_to('/dev/zero')
    for name, message in (('pipe', 'is a pipe'), ('folder', 'is a folder'), ('zero', 'is a device')):
        for read in (picture.read, read_image):
            with pytest.raises(BadImage, match=message):
                read(tmp_path / f'{name}.png')
        assert decoding.area(tmp_path / f'{name}.png') == 0


@pytest.mark.promise(NO_FILE)
@pytest.mark.parametrize('start', [b'', png(2, 2, 8, 0, b'\0\1\2\0\3\4')], ids=['zeros', 'PNG'])
def test_sparse_files_are_refused_without_reading_them(tmp_path: Path, start: bytes) -> None:
    path = tmp_path / 'sparse.png'
    path.write_bytes(start)
    os.truncate(path, 10**11)
    for read in (picture.read, read_image):
        with pytest.raises(BadImage, match='has 100000000000 bytes' if start else 'is damaged'):
            read(path)
