"""The course of a run: which training states of its folder led to where it is, and which belong to one given up.

Whoever goes on from an earlier state (``path: resume_state``) gives up what was trained after it. The files of that
remain, newer by their numbers than those of the new course. So each state says which course it is of, and a file beside
``training_states`` says it from the start of a new course to its first state.
"""

import dataclasses
import json
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from converse_basicsr.files import atomic
from converse_basicsr.files.inside import same_file
from converse_basicsr.files.reading import read_text

KEY = 'course'
"""Under which a training state tells its course."""

NOTE = 'course.json'
"""Beside ``training_states``: the course of a run that went on from a state which was not the newest."""

_MOST_BYTES = 2**24

_STATE = re.compile(r'([1-9][0-9]{0,17})\.state')


def states_in(folder: Path) -> dict[int, Path]:
    """Return the training states of a folder by iteration, ascending: ``N.state`` exactly, and nothing else."""
    matches = [(_STATE.fullmatch(path.name), path) for path in (folder.iterdir() if folder.is_dir() else ())]
    return dict(sorted((int(match[1]), path) for match, path in matches if match))


@dataclass(frozen=True)
class Course:
    """A course of training, possibly one that left another.

    Attributes:
        generation: Its number in its folder; the folder is on the course of the highest.
        lineage: Names of the courses that led to it, itself last, each with the iteration after which it began.
        saved: The iterations whose files it wrote and has not deleted.
    """

    generation: int
    lineage: tuple[tuple[str, int], ...]
    saved: tuple[int, ...] = ()

    @classmethod
    def new(cls) -> 'Course':
        """Begin the course of a run that starts from nothing."""
        return cls(1, ((secrets.token_hex(8), 0),))

    @classmethod
    def parse(cls, value: Any) -> 'Course':
        """Read what :meth:`plain` returned; anything else, as in states that know no courses, is the first one."""
        try:
            generation, saved = int(value['generation']), tuple(int(number) for number in value['saved'])
            lineage = tuple((str(name), int(start)) for name, start in value['lineage'])
        except (KeyError, TypeError, ValueError, OverflowError):
            return EARLIEST
        return cls(generation, lineage, saved)

    def plain(self) -> dict[str, Any]:
        """Return the course in plain values, for a training state or JSON."""
        return {
            'generation': self.generation,
            'lineage': [list(part) for part in self.lineage],
            'saved': list(self.saved),
        }

    def holds(self, other: 'Course', iteration: int) -> bool:
        """Say whether the state that another course saved after an iteration is one that this course passed through."""
        name = self._at(iteration)
        return name is not None and name == other._at(iteration)

    def left(self, iteration: int, generation: int) -> 'Course':
        """Begin a course that leaves this one after an iteration."""
        kept = [part for part in self.lineage if part[1] < iteration]
        saved = tuple(number for number in self.saved if number <= iteration)
        return Course(generation, (*kept, (secrets.token_hex(8), iteration)), saved)

    def _at(self, iteration: int) -> str | None:
        return next((name for name, start in reversed(self.lineage) if start < iteration), None)


EARLIEST = Course(0, (('', 0),))
"""The course of states that name none: of BasicSR itself, and of versions before 0.2."""


@dataclass(frozen=True)
class Courses:
    """The courses of the training states in a folder.

    Attributes:
        states: The states by iteration, ascending.
        of: Their courses; of a state that cannot be read, ``None``.
        current: The course that the folder is on.
    """

    states: Mapping[int, Path]
    of: Mapping[int, Course | None]
    current: Course

    @classmethod
    def read(cls, folder: Path) -> 'Courses':
        """Find out the courses in a ``training_states`` folder."""
        states = states_in(folder)
        of = {number: _of_state(path) for number, path in states.items()}
        known = [(course.generation, number, course) for number, course in of.items() if course is not None]
        current = max(known, key=lambda entry: entry[:2])[2] if known else EARLIEST
        noted = _of_note(folder.parent / NOTE)
        if noted.generation > current.generation:
            current = noted
        return cls(states, of, current)

    @property
    def candidates(self) -> list[int]:
        """The iterations of the current course's states, ascending, with those that cannot be read."""
        return [number for number, course in self.of.items() if course is None or self.current.holds(course, number)]

    def without(self, course: Course) -> list[int]:
        """Return the iterations of the states that another course than this one has saved."""
        return [number for number, other in self.of.items() if other is not None and not course.holds(other, number)]

    def after(self, path: Path, iteration: int, course: Course) -> Course:
        """Return the course of a run that goes on from a state.

        Args:
            path: The state's file.
            iteration: The iteration after which it was saved.
            course: What the state says of its course.

        Returns:
            The folder's current course if the state is its newest, else a new one.
        """
        own = self.states.get(iteration)
        if own is None or not same_file(own, path):  # of another run, whose files are not here
            return Course(0, ()).left(iteration, self.current.generation + 1)
        stays = iteration == max(self.candidates, default=0)
        left = self.current if stays else course
        saved = course.saved or tuple(
            number for number, other in self.of.items() if other is not None and left.holds(other, number)
        )
        left = dataclasses.replace(left, saved=tuple(sorted({*saved, iteration})))
        return left if stays else left.left(iteration, self.current.generation + 1)


def keep_note(course: Course, folder: Path) -> None:
    """Note the course that a run is on, in the run's folder, until states tell it."""
    atomic.write_text(folder / NOTE, json.dumps(course.plain()))


def _of_note(path: Path) -> Course:
    try:
        return Course.parse(json.loads(read_text(path, _MOST_BYTES)))
    except (OSError, ValueError, RecursionError):
        return EARLIEST


def _of_state(path: Path) -> Course | None:
    import torch

    try:
        state = torch.load(path, map_location='cpu', weights_only=True, mmap=True)  # tensors stay on the disk
        return Course.parse(state.get(KEY)) if isinstance(state, dict) else None
    except Exception:  # torch.load raises almost every class on damaged files
        return None
