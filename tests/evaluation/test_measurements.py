"""The record of measurements: cut off anywhere, damaged, or of another program."""

import os
from pathlib import Path

import pytest

from converse_basicsr.errors import UserError
from converse_basicsr.evaluation.measurements import FIELDS, HEADER, Record

DAMAGED = 'records and tables of earlier work that are damaged, cut off or of other programs'


def line(image: str, psnr: str = '30.000000') -> dict[str, str]:
    return dict(zip(FIELDS, ('row', 'digest', 'Set5', image, psnr, '28.000000')))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / 'results' / 'table.csv'


@pytest.mark.promise(DAMAGED)
def test_cut_off_at_any_byte_it_goes_on(path: Path) -> None:
    for image in ('a', 'b"c,d', 'e'):
        Record(path).add(line(image))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        record = Record(path)
        assert [found['image'] for found in record.lines] == ['a', 'b"c,d', 'e'][: len(record.lines)]
        assert whole[:length].count(b'\n') <= len(record.lines) + 1
        for image in ('a', 'b"c,d', 'e'):
            if ('Set5', image) not in record.measured('row', 'digest'):
                record.add(line(image))
        assert Record(path).lines == [line(image) for image in ('a', 'b"c,d', 'e')]


@pytest.mark.promise(DAMAGED)
@pytest.mark.parametrize(
    'damaged',
    [
        b'row,digest,Set5,x,nan,28\n', b'row,digest,Set5,x,high,28\n', b'row,digest,Set5,x,30\n',
        b'row,digest,Set5,x,30,28,1\n', b'row,digest,,x,30,28\n', b'\xff\xfe\x00\x00\n', b'"\n', b'\n\n',
        b'row,digest,Set5,' + b'x' * 200_000 + b',30,28\n', b'row,digest,Set5,x,-inf,28\n', b'row,digest,Set5,x,30,\n',
    ],
)  # fmt: skip
def test_lines_that_are_no_measurements_are_measured_again(path: Path, damaged: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(HEADER.encode() + damaged + b'row,digest,Set5,y,inf,28\n')
    record = Record(path)
    assert [found['image'] for found in record.lines] == ['y']
    record.add(line('x'))
    assert [found['image'] for found in Record(path).lines] == ['y', 'x']


@pytest.mark.promise(DAMAGED)
@pytest.mark.parametrize(
    'content', [b'my,own\n1,2\n', b'\x00' * 1000, b'row,weights,dataset,image,psnr\n', b'PK\x03\x04']
)
def test_what_is_no_record_is_refused_and_kept(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(UserError, match='is no record of this command'):
        Record(path)
    assert path.read_bytes() == content


def test_a_pipe_is_refused(path: Path) -> None:
    path.parent.mkdir()
    os.mkfifo(path)
    with pytest.raises(UserError, match='is a pipe, not a file'):
        Record(path)


@pytest.mark.parametrize('image', ['=1+1', '-x', 'a\nb', '\x1b[2J', "'=1"])
def test_odd_names_are_found_again(path: Path, image: str) -> None:
    Record(path).add(line(image))
    record = Record(path)
    assert ('Set5', image) in record.measured('row', 'digest')
    assert ('Set5', image) not in record.measured('row', 'other weights')
    record.add(line(image, '31.000000'))
    assert [found['psnr'] for found in Record(path).lines] == ['31.000000']


def test_a_record_of_an_earlier_version_is_read(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(HEADER + 'row,digest,Set5,-x,30.000000,28.000000\nrow,digest,Set5,=y,30.000000,28.000000\n')
    measured = Record(path).measured('row', 'digest')
    assert ('Set5', '-x') in measured
    assert ('Set5', '=y') in measured
