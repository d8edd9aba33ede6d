"""What the check of data sets learns from the first and last bytes of an image."""

import os
from pathlib import Path

import pytest

from converse_basicsr.files.image_header import ImageHeader, read_header

PGM = 'PGM or PPM whose white is not 255 or 65535 (1023, 4095, 100)'
NO_FILE = 'a pipe, socket, device or folder as image, kernel or checkpoint; a file far larger than its image needs'


@pytest.mark.promise(PGM)
@pytest.mark.parametrize('peak', [1, 100, 1023, 4095])
def test_a_map_that_basicsr_reads_too_dark_is_refused(tmp_path: Path, peak: int) -> None:
    path = tmp_path / 'a.pgm'
    path.write_bytes(b'P5\n# a camera\n2 2\n%d\n' % peak + bytes(8))
    with pytest.raises(ValueError, match=f'has the white {peak}, which BasicSR takes for 255 or 65535'):
        read_header(path)


@pytest.mark.parametrize('peak', [255, 65535])
def test_other_maps_have_a_size(tmp_path: Path, peak: int) -> None:
    path = tmp_path / 'a.pgm'
    path.write_bytes(b'P5 3 2 %d ' % peak + bytes(12))
    assert read_header(path) == ImageHeader(2, 3, 8, 'grey' if peak == 255 else 'colour')


@pytest.mark.promise(NO_FILE)
def test_what_is_no_file_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / 'pipe.png')
    (tmp_path / 'zero.png').symlink_to('/dev/zero')
    (tmp_path / 'sparse.png').touch()
    os.truncate(tmp_path / 'sparse.png', 10**11)
    for name, message in (('pipe', 'is a pipe'), ('zero', 'is a device'), ('sparse', 'has 100000000000 bytes')):
        with pytest.raises(ValueError, match=message):
            read_header(tmp_path / f'{name}.png')
