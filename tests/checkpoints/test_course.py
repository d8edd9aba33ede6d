"""Which states of a folder are of the course that the run is on."""

from pathlib import Path
from typing import Any

import pytest
import torch

from converse_basicsr.checkpoints.course import EARLIEST, NOTE, Course, Courses, keep_note
from converse_basicsr.checkpoints.training_state import newest_intact


class Run:
    """A run that saves states and nothing else."""

    def __init__(self, folder: Path, course: Course | None) -> None:
        self.folder = folder / 'training_states'
        self.course = course
        for name in ('training_states', 'models'):
            (folder / name).mkdir(exist_ok=True)

    def save(self, *iterations: int) -> 'Run':
        for number in iterations:
            state: dict[str, Any] = {'iter': number, 'epoch': 0, 'optimizers': [], 'schedulers': []}
            if self.course is not None:
                saved = tuple(sorted({*self.course.saved, number}))
                self.course = Course(self.course.generation, self.course.lineage, saved)
                state['course'] = self.course.plain()
            torch.save(state, self.folder / f'{number}.state')
        return self

    def resumed(self, number: int, folder: Path | None = None) -> 'Run':
        """Go on from a state, in the same or another folder."""
        path = self.folder / f'{number}.state'
        folder = folder or self.folder.parent
        (folder / 'training_states').mkdir(parents=True, exist_ok=True)
        courses = Courses.read(folder / 'training_states')
        course = courses.after(path, number, Course.parse(torch.load(path).get('course')))
        if course.generation > courses.current.generation:
            keep_note(course, folder)
        return Run(folder, course)


@pytest.fixture(params=['this version', 'an earlier version'])
def first(request: pytest.FixtureRequest, tmp_path: Path) -> Run:
    """A run that saved 2, 4, 6 and 8."""
    return Run(tmp_path, Course.new() if request.param == 'this version' else None).save(2, 4, 6, 8)


def newest(run: Run) -> int:
    path = newest_intact(run.folder, networks=())
    return int(path.stem) if path else 0


def test_a_course_that_was_given_up_is_not_resumed(first: Run) -> None:
    assert newest(first) == 8
    back = first.resumed(4)
    assert newest(back) == 4  # although nothing has been saved since
    back.save(5)
    assert newest(back) == 5
    assert Courses.read(back.folder).without(back.course) == [6, 8]
    again = back.resumed(5).save(6, 7)
    assert newest(again) == 7
    assert again.course.saved == (2, 4, 5, 6, 7)


def test_going_on_from_the_newest_begins_no_other_course(first: Run) -> None:
    on = first.resumed(8).save(10).resumed(10).save(12)
    assert on.course.saved == (2, 4, 6, 8, 10, 12)
    assert len(on.course.lineage) == 1
    assert not (on.folder.parent / NOTE).exists()


def test_a_course_can_be_left_again_and_taken_up_again(first: Run) -> None:
    back = first.resumed(4).save(5, 7)
    assert newest(first.resumed(8)) == 8
    forth = first.resumed(8).save(9)
    assert newest(forth) == 9
    assert forth.course.saved == (2, 4, 6, 8, 9)
    assert newest(back.resumed(5)) == 5
    assert back.resumed(5).save(6).course.saved == (2, 4, 5, 6)
    assert newest(first) == 6


def test_without_the_note_the_states_tell(first: Run) -> None:
    back = first.resumed(4).save(5)
    (back.folder.parent / NOTE).unlink()
    assert newest(back) == 5


def test_a_state_that_cannot_be_read_is_no_reason_to_go_to_another_course(first: Run) -> None:
    back = first.resumed(4).save(5, 7)
    (back.folder / '7.state').write_bytes(b'damaged')
    assert newest(back) == 5
    again = back.resumed(5).save(6)
    assert newest(again) == 6
    assert again.course.saved == (2, 4, 5, 6)


def test_a_run_that_goes_on_from_anothers_state_owns_nothing_of_the_folder(first: Run, tmp_path: Path) -> None:
    (tmp_path / 'other').mkdir()
    Run(tmp_path / 'other', Course.new()).save(1, 3, 5)
    run = first.resumed(4, folder=tmp_path / 'other').save(6)
    assert run.course.saved == (6,)
    assert newest(run) == 6
    assert Courses.read(run.folder).without(run.course) == [1, 3, 5]


@pytest.mark.parametrize(
    'value',
    [
        None,
        [],
        'x',
        {},
        {'generation': 'many', 'lineage': [], 'saved': []},
        {'generation': 1e999, 'lineage': [], 'saved': []},
        {'generation': 1, 'lineage': [['a']], 'saved': []},
        {'generation': 1, 'lineage': 3, 'saved': []},
        {'generation': 1, 'lineage': [], 'saved': ['x']},
    ],
)
def test_what_tells_no_course_is_of_the_first(value: object) -> None:
    assert Course.parse(value) == EARLIEST


@pytest.mark.parametrize('content', [b'', b'{', b'[]', b'\xff', b'[' * 100_000, b'{"generation": 9}'])
def test_a_note_that_says_nothing_is_left_out(first: Run, content: bytes) -> None:
    (first.folder.parent / NOTE).write_bytes(content)
    assert newest(first) == 8
