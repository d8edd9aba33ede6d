import os
from collections.abc import Callable
from pathlib import Path

import pytest

from converse_basicsr.files import meta_info
from converse_basicsr.files.meta_info import Entry


def write(folder: Path, text: str) -> None:
    (folder / meta_info.FILE_NAME).write_text(text, encoding='utf-8')


def test_what_is_written_is_read_again_sorted_by_key(tmp_path: Path) -> None:
    images = [Entry('b', 12, 34, 3, 1), Entry('a', 5, 6, 1, 9)]
    meta_info.write(tmp_path, images)
    assert (tmp_path / 'meta_info.txt').read_bytes() == b'a.png (5,6,1) 9\nb.png (12,34,3) 1\n'
    assert meta_info.entries(tmp_path) == images[::-1]
    assert [path.name for path in tmp_path.iterdir()] == ['meta_info.txt']


@pytest.mark.parametrize(
    'line', ['', 'a', 'a.b.png (2,3,1) 1', 'a.jpg (2,3,1) 1', 'a.png (2,3) 1', 'a.png (2,3,1)', 'a.png (-2,3,1) 1']
)
def test_a_malformed_line_is_named_with_its_number_and_content(tmp_path: Path, line: str) -> None:
    write(tmp_path, f'x.png (2,3,1) 1\n{line}\n')
    with pytest.raises(ValueError, match='malformed line 2') as caught:
        meta_info.entries(tmp_path)
    assert str(caught.value) == f'{tmp_path} has a malformed line 2 in meta_info.txt: {line!r}'


def test_an_image_listed_twice_is_named(tmp_path: Path) -> None:
    write(tmp_path, 'a.png (2,3,1) 1\na.png (2,3,1) 1\n')
    with pytest.raises(ValueError, match='lists a twice'):
        meta_info.entries(tmp_path)


def test_a_survey_tells_every_problem_and_reads_the_rest(tmp_path: Path) -> None:
    write(tmp_path, 'bad\na.png (2,3,1) 1\na.png (2,3,1) 1\nb.png (4,5,3) 0')
    images, problems = meta_info.survey(tmp_path)
    assert images == [Entry('a', 2, 3, 1, 1), Entry('b', 4, 5, 3, 0)]
    assert problems == ["has a malformed line 1 in meta_info.txt: 'bad'", 'lists a twice in meta_info.txt']


def test_an_empty_list_has_no_images_and_a_missing_one_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        meta_info.entries(tmp_path)
    write(tmp_path, '')
    assert meta_info.entries(tmp_path) == []


def test_line_endings_of_windows_are_understood(tmp_path: Path) -> None:
    (tmp_path / meta_info.FILE_NAME).write_bytes(b'a.png (2,3,1) 1\r\n')
    assert meta_info.entries(tmp_path) == [Entry('a', 2, 3, 1, 1)]


@pytest.mark.promise('a `meta_info.txt` of garbage, of absurd sizes or lengths, or that is no file')
@pytest.mark.parametrize(
    ('content', 'problem'),
    [
        (bytes(range(256)) * 4, "has a malformed line 1 in meta_info.txt: '\\x00"),
        (b'a.png (' + b'9' * 5000 + b',3,1) 1\n', 'has a malformed line 1 in meta_info.txt'),
        (b'a.png (9999999999,3,1) 1\n', 'has a malformed line 1 in meta_info.txt'),
        (b'x' * 10_000_000, 'has a malformed line 1 in meta_info.txt'),
        (b'\n' * 100_000, "has a malformed line 1 in meta_info.txt: '' and 99999 more"),
        (b'a.png (2,3,1) 1\n' * 1000, 'lists a twice in meta_info.txt and 998 more'),
    ],
    ids=['binary', 'digits', 'size', 'one line', 'empty lines', 'twice'],
)
def test_a_hostile_list_is_one_short_problem(tmp_path: Path, content: bytes, problem: str) -> None:
    (tmp_path / meta_info.FILE_NAME).write_bytes(content)
    _, problems = meta_info.survey(tmp_path)
    assert len(problems) == 1
    assert problems[0].startswith(problem)
    assert len(problems[0]) < 400


@pytest.mark.parametrize('make', [lambda path: path.mkdir(), os.mkfifo, lambda path: path.symlink_to('/dev/zero')])
def test_a_list_that_is_no_file_does_not_hang(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / meta_info.FILE_NAME)
    with pytest.raises(ValueError, match='not a file'):
        meta_info.entries(tmp_path)


def test_a_list_of_absurd_length_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / meta_info.FILE_NAME).open('wb') as file:
        file.truncate(2**40)
    with pytest.raises(ValueError, match='bytes, more than'):
        meta_info.entries(tmp_path)


def test_many_lines_are_read(tmp_path: Path) -> None:
    write(tmp_path, ''.join(f'{number}.png (480,480,3) 1\n' for number in range(20_000)))
    assert len(meta_info.entries(tmp_path)) == 20_000
