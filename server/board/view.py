"""What a visitor sees of the counts: which courses in which order, which names, the text for LINE.

Whoever may see names sees those of the visitor's provinces. In a course of these provinces a guest
from another one is told by code, so that the person can be found in the room; in a course of the
whole region the others are only counted. Whoever may see totals only sees no names and no codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from forms.programme import Programme
from forms.tables import Course
from forms.words import Words
from server.board.counts import REGION, CourseCounts, ProvinceCounts, Season
from server.board.course import CourseBoard, Person
from server.people.rights import Right, Visitor

__all__ = [
    "SHOWN",
    "Asked",
    "Group",
    "Row",
    "Standing",
    "days_of",
    "group",
    "in_sight",
    "line_text",
    "ordered",
    "sees_course",
    "standings",
    "unknown_in_sight",
]

SHOWN = 40
"""Courses on the first page before somebody asks for all."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What a visitor looks for: a province, a day, words; and whether the whole list."""

    province: str = ""
    day: date | None = None
    words: str = ""
    all: bool = False

    @property
    def anything(self) -> bool:
        return bool(self.province or self.day or self.words)

    @property
    def query(self) -> dict[str, str]:
        """As an address asks for it; without the whole list."""
        day = self.day.isoformat() if self.day else ""
        told = {"province": self.province, "day": day, "q": self.words}
        return {name: value for name, value in told.items() if value}

    def fits(self, course: Course) -> bool:
        """Whether a course is among what is looked for."""
        if self.province and course.province != self.province:
            return False
        if self.day and not course.start <= self.day <= course.end:
            return False
        text = f"{course.code} {course.label}".casefold()
        return all(word in text for word in self.words.casefold().split())


@dataclass(frozen=True, slots=True)
class Row:
    """A course on the first page."""

    course: Course
    counts: CourseCounts
    today: bool


@dataclass(frozen=True, slots=True)
class Standing:
    """A province against its target; `target` 0: none is set. Codes are None for "not told"."""

    code: str | None
    target: int
    counts: ProvinceCounts

    @property
    def percent(self) -> int | None:
        """Registered persons of 100 to be trained."""
        return round(100 * self.counts.registered / self.target) if self.target else None


@dataclass(frozen=True, slots=True)
class Group:
    """People as a visitor may see them: with names, by code only, and only counted."""

    named: tuple[Person, ...] = ()
    by_code: tuple[Person, ...] = ()
    others: int = 0


def sees_course(visitor: Visitor, province: str) -> bool:
    """Whether a course of this province is on the visitor's board; the region's are on everybody's."""
    return province == REGION or visitor.sees_province(province)


def in_sight(programme: Programme, visitor: Visitor) -> list[Course]:
    """The courses on the visitor's board."""
    return [course for course in programme.courses if sees_course(visitor, course.province)]


def ordered(courses: Iterable[Course], season: Season, asked: Asked, today: date) -> list[Row]:
    """Rows: today's courses, then where something came last, then what comes next, then the past."""

    def counts(course: Course) -> CourseCounts:
        return season.courses.get(course.code) or CourseCounts(course.code, course.province)

    rows = [
        Row(course, counts(course), course.start <= today <= course.end)
        for course in courses
        if asked.fits(course)
    ]
    rows.sort(key=lambda row: (row.course.start, row.course.code))
    now = [row for row in rows if row.today]
    active = [row for row in rows if not row.today and row.counts.last]
    rest = [row for row in rows if not row.today and not row.counts.last]
    return [
        *sorted(now, key=lambda row: row.counts.last, reverse=True),
        *sorted(active, key=lambda row: row.counts.last, reverse=True),
        *(row for row in rest if row.course.start > today),
        *reversed([row for row in rest if row.course.end < today]),
    ]


def days_of(courses: Iterable[Course], most: int = 31) -> list[date]:
    """The days on which these courses are held."""
    found: set[date] = set()
    for course in courses:
        length = min((course.end - course.start).days, most)
        found.update(course.start + timedelta(n) for n in range(length + 1))
    return sorted(found)


def unknown_in_sight(season: Season, visitor: Visitor) -> list[CourseCounts]:
    """Unknown courses whose people are of the visitor's provinces; what somebody typed as a course
    may name people, so only those see it who see names."""
    if not visitor.may(Right.NAMES):
        return []
    return [one for one in season.unknown if visitor.sees_province(one.province)]


def standings(programme: Programme, season: Season, visitor: Visitor) -> list[Standing]:
    """Provinces in the programme's order; persons of no province of it last."""
    known = [province.code for province in programme.provinces]
    rest = sorted((code for code in season.provinces if code not in known), key=str)
    return [
        Standing(
            code, programme.targets.get(code or "", 0), season.provinces.get(code, ProvinceCounts())
        )
        for code in (*known, *rest)
        if visitor.sees_province(code)
    ]


def group(people: Sequence[Person], visitor: Visitor, course: Course | None) -> Group:
    """People of a course as the visitor may see them."""
    if not visitor.may(Right.NAMES):
        return Group(others=len(people))
    named = tuple(one for one in people if visitor.sees_province(one.province))
    guests = tuple(one for one in people if not visitor.sees_province(one.province))
    if course is not None and visitor.sees_province(course.province):
        return Group(named, guests)
    return Group(named, others=len(guests))


def line_text(board: CourseBoard, moment: str, say: Words) -> str:
    """A course for a LINE group: counts only, at most ten lines, no name and no code.

    A code that is no course of the programme is not told either: somebody may have typed anything.
    """
    registered = board.step("registered").persons
    left = max(0, board.expected - registered)
    title = " ".join(board.course.label.split()) if board.course else say("A course of no list")

    def line(words: str, missing: int, told: object = True) -> str:
        """A line and how many are missing; neither is told where nothing is expected."""
        if not told:
            return words
        return f"{words} {say('(missing {n})', n=f'{missing:,}') if missing else say('(complete)')}"

    def count(step: str) -> str:
        return f"{board.step(step).people:,}"

    missing = {step: one.count for step, one in board.missing.items()}
    lines = [
        title,
        say("Expected: {n} persons", n=f"{board.expected:,}") if board.expected else "",
        line(say("Registered: {n} persons", n=f"{registered:,}"), left, board.expected),
        line(say("Test before: {n} persons", n=count("pre")), missing["pre"], registered),
        line(say("Test after: {n} persons", n=count("post")), missing["post"], registered),
        line(say("Evaluations: {n}", n=count("evaluated")), missing["evaluated"], registered),
        say("Received until {time}", time=moment) if moment else say("Nothing has arrived yet."),
    ]
    return "\n".join(line for line in lines if line)
