"""Who sits in which course, before any chance comes in.

Provincial courses are filled with people of their province, one seat a person; regional courses with
people who also attend a course of their own province, under the same code. The plan is the same for
every seed, so that the true gain is one number. `people` scales a season down by whole courses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forms.problems import UsageProblem
from forms.programme import Programme
from forms.tables import Course

__all__ = ["Plan", "plan_season"]

REGIONAL_SHARE = 0.25
"""Regional courses are kept while their seats are at most this share of the people kept."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Courses kept, people and enrolments.

    `courses` are ordered by start and code; `course_of` and `person_of` (one entry an enrolment,
    grouped by course) index `courses` and the people; `first[c]:first[c + 1]` are the enrolments of
    course `c`; `home` (one entry a person) indexes `provinces`; `number` counts people in a province
    from 1.
    """

    courses: tuple[Course, ...]
    provinces: tuple[str, ...]
    course_of: NDArray[np.int64]
    person_of: NDArray[np.int64]
    first: NDArray[np.int64]
    home: NDArray[np.int64]
    number: NDArray[np.int64]

    @property
    def people(self) -> int:
        return len(self.home)

    @property
    def enrolments(self) -> int:
        return len(self.course_of)


def plan_season(programme: Programme, people: int | None = None) -> Plan:
    """The plan of a season, all of it or about `people` people in whole courses.

    Raises `UsageProblem` when `people` is not between 1 and the seats there are.
    """
    codes = tuple(province.code for province in programme.provinces)
    local = [course for course in programme.courses if course.province in codes]
    seats = sum(course.planned_n for course in local)
    if people is not None and not 1 <= people <= seats:
        raise UsageProblem.at(
            "--people", f"{people} is not between 1 and {seats:,}", f"name a number up to {seats:,}"
        )
    if people is not None and people < seats:
        local = about(local, codes, people)
    local = sorted(local, key=in_time)
    kept = sum(course.planned_n for course in local)
    regional: list[Course] = []
    for course in sorted((c for c in programme.courses if c.province not in codes), key=in_time):
        if sum(c.planned_n for c in (*regional, course)) <= REGIONAL_SHARE * kept:
            regional.append(course)
    return seated(local, regional, codes)


def in_time(course: Course) -> tuple[str, str]:
    return course.start.isoformat(), course.code


def about(local: Sequence[Course], codes: Sequence[str], people: int) -> list[Course]:
    """Whole courses of about `people` seats, from as many provinces and curricula as possible."""
    queues: list[list[Course]] = []
    for place, code in enumerate(codes):
        queue = sorted((course for course in local if course.province == code), key=in_time)
        turn = (
            place % len(queue) if queue else 0
        )  # else every province would give its first course,
        queues.append(queue[turn:] + queue[:turn])  # and those are often of one curriculum
    taken: list[Course] = []
    filled = 0
    for depth in range(max(len(queue) for queue in queues)):
        for queue in queues:
            if depth >= len(queue):
                continue
            course = queue[depth]
            if taken and filled + course.planned_n / 2 > people:
                return taken
            taken.append(course)
            filled += course.planned_n
    return taken


def seated(local: Sequence[Course], regional: Sequence[Course], codes: tuple[str, ...]) -> Plan:
    """People for every seat of the local courses, and their second seats in the regional ones."""
    home: list[int] = []
    number: list[int] = []
    own: list[Course] = []
    counted = dict.fromkeys(codes, 0)
    members: dict[str, list[int]] = {}
    for course in local:
        members[course.code] = list(range(len(home), len(home) + course.planned_n))
        for _ in range(course.planned_n):
            counted[course.province] += 1
            home.append(codes.index(course.province))
            number.append(counted[course.province])
            own.append(course)
    taken: set[int] = set()
    for course in regional:
        free = [
            person
            for person, other in enumerate(own)
            if person not in taken and (other.end < course.start or other.start > course.end)
        ]
        chosen = spread(free, course.planned_n)
        taken.update(chosen)
        members[course.code] = chosen
    courses = tuple(sorted((*local, *regional), key=in_time))
    sizes = np.array([len(members[course.code]) for course in courses], dtype=np.int64)
    return Plan(
        courses=courses,
        provinces=codes,
        course_of=np.repeat(np.arange(len(courses)), sizes),
        person_of=np.array([p for course in courses for p in members[course.code]], dtype=np.int64),
        first=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
        home=np.array(home, dtype=np.int64),
        number=np.array(number, dtype=np.int64),
    )


def spread(among: Sequence[int], wanted: int) -> list[int]:
    """`wanted` of `among` (all, when there are fewer), evenly spaced."""
    wanted = min(wanted, len(among))
    return [among[int((place + 0.5) * len(among) / wanted)] for place in range(wanted)]
