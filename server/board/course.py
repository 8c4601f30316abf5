"""One course: how far its people are, and by name who is still missing.

Missing are persons who registered here and have not yet done a step; whoever is on the list of
participants and has not registered; and what somebody should look at: a test after without a test
before, a test without registration, one person twice in a step.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
from sqlalchemy import Connection, select

from forms.model import SIMULATED
from forms.programme import Programme
from forms.tables import Course
from forms.values import is_participant_code
from server.board.counts import (
    EMPTY,
    STEPS,
    Stamp,
    Tally,
    assets_of_steps,
    counted,
    stamp_of,
)
from server.board.names import full_name, thai_order
from server.board.roster import roster
from server.state.blobs import Blobs
from server.state.schema import documents, submissions

__all__ = ["CourseBoard", "Missing", "Person", "Repeated", "course_board"]

MOST_ROWS = 5_000
"""Submissions of one course that are looked at: a code that is nobody's course may gather many."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody of a course; `name` is empty where nothing here tells it."""

    code: str
    name: str
    province: str | None
    sorted_as: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """Registered persons who have not done a step; `perhaps` of them may have, without a name."""

    step: str
    people: tuple[Person, ...]
    perhaps: int = 0

    @property
    def count(self) -> int:
        """So many at least are missing."""
        return max(0, len(self.people) - self.perhaps)


@dataclass(frozen=True, slots=True)
class Repeated:
    """A person with several submissions in one step."""

    person: Person
    step: str
    times: int


@dataclass(frozen=True, slots=True)
class CourseBoard:
    """A course at one moment; `course` is None for a code that the programme does not have."""

    stamp: Stamp
    code: str
    course: Course | None
    expected: int
    listed: int
    steps: Mapping[str, Tally]
    missing: Mapping[str, Missing]
    unregistered: tuple[Person, ...] = ()
    no_pretest: tuple[Person, ...] = ()
    strangers: tuple[Person, ...] = ()
    repeated: tuple[Repeated, ...] = ()
    devices: tuple[str, ...] = ()

    def step(self, name: str) -> Tally:
        return self.steps.get(name, EMPTY)

    @property
    def last(self) -> str:
        """UTC text of the last submission's arrival; `""`: none came."""
        return max((tally.last for tally in self.steps.values()), default="")

    @property
    def simulated(self) -> bool:
        """Whether invented submissions are among those counted."""
        return any(tally.simulated for tally in self.steps.values())


@dataclass(slots=True)
class Seen:
    """What the rows of one step tell."""

    times: Counter[str] = field(default_factory=Counter)
    newest: dict[str, Any] = field(default_factory=dict)
    tally: Tally = EMPTY

    def add(self, row: Any) -> None:
        before = self.tally
        self.tally = replace(
            before,
            received=before.received + 1,
            anonymous=before.anonymous + (row.person is None),
            last=max(before.last, row.submitted_at),
            simulated=before.simulated or (row.device or "").startswith(SIMULATED),
        )
        if row.person is not None:
            self.times[row.person] += 1
            self.newest[row.person] = row


def course_board(
    connection: Connection,
    blobs: Blobs,
    programme: Programme,
    code: str,
    provinces: frozenset[str] = frozenset(),
) -> CourseBoard:
    """The board of a course; of a code that is no course, what came from these provinces (none: all).

    Inside one transaction.
    """
    stamp = stamp_of(connection)
    steps = assets_of_steps(connection, programme)
    course = next((one for one in programme.courses if one.code == code), None)
    rows = rows_of(connection, steps, code, provinces if course is None else frozenset())
    seen = {step: Seen() for step in STEPS}
    step_of = {asset: step for step, ids in steps.items() for asset in ids}
    for row in rows:
        seen[step_of[row.asset_id]].add(row)
    expected = roster(connection, blobs, programme, steps["registered"])
    listed = expected.courses.get(code, ())
    registered = seen["registered"].newest
    names = written(connection, programme, registered)

    def person(who: str) -> Person:
        known = expected.names.get(who, "")
        name, sorted_as = names.get(who) or (known, known)
        return Person(who, name, province(who, seen), sorted_as)

    def people(codes: set[str]) -> tuple[Person, ...]:
        found = [person(who) for who in codes]
        # whose name is not known comes last
        return tuple(
            sorted(found, key=lambda one: (not one.name, thai_order(one.sorted_as), one.code))
        )

    here, pre, post = set(registered), set(seen["pre"].newest), set(seen["post"].newest)
    named = set(seen["evaluated"].newest)
    missing = {
        "pre": Missing("pre", people(here - pre)),
        "post": Missing("post", people(here - post)),
        "evaluated": Missing("evaluated", people(here - named), seen["evaluated"].tally.anonymous),
    }
    return CourseBoard(
        stamp,
        code,
        course,
        (course.planned_n if course else 0) or len(listed),
        len(listed),
        {
            step: replace(one.tally, persons=len(one.newest))
            for step, one in seen.items()
            if one.tally.received
        },
        missing,
        people({one.code for one in listed} - here),
        people(post - pre),
        people((pre | post | named) - here),
        tuple(
            Repeated(person(who), step, times)
            for step in STEPS
            for who, times in sorted(seen[step].times.items())
            if times > 1
        ),
        tuple(sorted({row.device for row in rows if row.device})),
    )


def rows_of(
    connection: Connection, steps: Mapping[str, list[int]], code: str, provinces: frozenset[str]
) -> Sequence[Any]:
    """The course's submissions that count, oldest first."""
    query = (
        select(
            submissions.c.asset_id,
            submissions.c.document_id,
            submissions.c.person,
            submissions.c.province,
            submissions.c.device,
            submissions.c.submitted_at,
        )
        .where(
            counted([asset for ids in steps.values() for asset in ids]),
            submissions.c.course == code,
        )
        .limit(MOST_ROWS)
    )
    if provinces:
        query = query.where(submissions.c.province.in_(sorted(provinces)))
    return sorted(
        connection.execute(query).all(), key=lambda row: (row.submitted_at, row.document_id)
    )


def province(who: str, seen: Mapping[str, Seen]) -> str | None:
    """A person's province: by the code, else by the submission that tells of the person."""
    if is_participant_code(who):
        return who[:2]
    found = next((one.newest[who] for one in seen.values() if who in one.newest), None)
    return found.province if found else None


def written(
    connection: Connection, programme: Programme, registered: Mapping[str, Any]
) -> dict[str, tuple[str, str]]:
    """Names by code, as the newest registration of each person gives them, and as they sort."""
    patterns = [
        (form_id, spec.name)
        for form_id, spec in programme.forms.items()
        if spec.role == "registration" and spec.name
    ]
    if not registered or not patterns:
        return {}
    form_id, pattern = patterns[0]
    form = programme.form(form_id)
    by_document = {row.document_id: who for who, row in registered.items()}
    bodies = connection.execute(
        select(documents.c.id, documents.c.body).where(documents.c.id.in_(list(by_document)))
    )
    found: dict[str, tuple[str, str]] = {}
    for number, body in bodies:
        # by name: a question may have stood in another group when this was asked
        answers = {
            path.rpartition("/")[2]: said
            for path, said in orjson.loads(body).items()
            if isinstance(said, str)
        }
        if name := full_name(pattern, form, answers):
            found[by_document[number]] = (name, full_name(pattern, form, answers, titles=False))
    return found
