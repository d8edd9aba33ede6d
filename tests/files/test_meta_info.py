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
