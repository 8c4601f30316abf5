"""What has arrived of each course and province: counts by SQL, never more than the database's work.

A submission counts for its form's step: registration, test before, test after, evaluation. Not
counted are submissions that the office has marked "not approved" and, where a programme's form is on
the server twice (somebody tried it out), those of the copy that `watphon publish` did not make.
Of one person's several submissions in a course one counts; evaluations may be anonymous, and each
of those counts.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, case, distinct, func, select

from forms.model import SIMULATED
from forms.programme import Programme
from server.board.reindex import UNDER_WAY
from server.state.schema import assets, clock, deployed_media, settings, submissions

__all__ = [
    "EMPTY",
    "REGION",
    "STEPS",
    "CourseCounts",
    "ProvinceCounts",
    "Season",
    "Stamp",
    "Tally",
    "assets_of_steps",
    "counted",
    "season",
    "stamp_of",
    "step_of_form",
]

STEPS = ("registered", "pre", "post", "evaluated")
"""What a course's people do, in this order."""

REGION = "00"
"""The province of courses that are for the whole region."""
REJECTED = "validation_status_not_approved"
MOST_UNKNOWN = 200
"""Unknown course codes that are shown; more of them are nobody's courses."""

Stamp = tuple[int, str, str]
"""Moves with every change of a submission, every step of sorting rows anew, every change of a form
or of the lists that go with it."""


@dataclass(frozen=True, slots=True)
class Tally:
    """One step of a course: submissions, different persons, submissions that name nobody."""

    received: int = 0
    persons: int = 0
    anonymous: int = 0
    last: str = ""
    simulated: bool = False

    @property
    def people(self) -> int:
        """Persons, where whoever names nobody is one."""
        return self.persons + self.anonymous


EMPTY = Tally()


@dataclass(frozen=True, slots=True)
class CourseCounts:
    """What has arrived of a course (of an unknown one: from one province)."""

    code: str | None
    province: str | None
    steps: Mapping[str, Tally] = field(default_factory=dict)

    def step(self, name: str) -> Tally:
        return self.steps.get(name, EMPTY)

    @property
    def last(self) -> str:
        """UTC text of the last submission's arrival; `""`: none came."""
        return max((tally.last for tally in self.steps.values()), default="")


@dataclass(frozen=True, slots=True)
class ProvinceCounts:
    """Different persons of a province by step; `paired` took both tests in the same course."""

    registered: int = 0
    pre: int = 0
    post: int = 0
    paired: int = 0


@dataclass(frozen=True, slots=True)
class Season:
    """Everything the first page counts, at one moment."""

    stamp: Stamp
    courses: Mapping[str, CourseCounts]
    unknown: Sequence[CourseCounts]
    provinces: Mapping[str | None, ProvinceCounts]

    @property
    def sorting(self) -> bool:
        """Whether earlier rows are being sorted just now."""
        return bool(self.stamp[1])

    @property
    def simulated(self) -> bool:
        """Whether invented submissions are among those counted."""
        every = (*self.courses.values(), *self.unknown)
        return any(tally.simulated for course in every for tally in course.steps.values())


def stamp_of(connection: Connection) -> Stamp:
    """The stamp now; a read of few and small rows."""
    row = connection.execute(
        select(
            clock.c.change,
            select(settings.c.value).where(settings.c.name == UNDER_WAY).scalar_subquery(),
            select(func.max(assets.c.modified_at)).scalar_subquery(),
            select(func.count(assets.c.id)).scalar_subquery(),
            select(func.max(deployed_media.c.id)).scalar_subquery(),
        )
    ).one()
    change, sorting, *forms = row
    return change, sorting or "", " ".join(map(str, forms))


def step_of_form(programme: Programme, form_id: str) -> str | None:
    """The step a form of the programme counts for; None for all other forms."""
    spec = programme.forms.get(form_id)
    if spec is None or not spec.course:
        return None
    if spec.role == "test":
        return spec.wave
    return {"registration": "registered", "evaluation": "evaluated"}.get(spec.role)


def assets_of_steps(connection: Connection, programme: Programme) -> dict[str, list[int]]:
    """The deployed forms that count for each step."""
    rows = connection.execute(
        select(assets.c.id, assets.c.form_id, assets.c.settings)
        .where(assets.c.deployment_uuid.isnot(None))
        .order_by(assets.c.id)
    ).all()
    published = {row.id for row in rows if marker(programme.id, row.form_id).search(row.settings)}
    by_marker = {row.form_id for row in rows if row.id in published}
    found: dict[str, list[int]] = {step: [] for step in STEPS}
    for row in rows:
        step = step_of_form(programme, row.form_id)
        if step and (row.id in published or row.form_id not in by_marker):
            found[step].append(row.id)
    return found


def marker(programme_id: str, form_id: str) -> re.Pattern[str]:
    """The line that publishing leaves in a form's description, inside JSON text."""
    return re.compile(rf"watphon:{re.escape(programme_id)}/{re.escape(form_id)}(?![\w.-])")


def counted(ids: Sequence[int]) -> ColumnElement[bool]:
    """The submissions of these forms that count."""
    return and_(submissions.c.asset_id.in_(ids), submissions.c.status_uid != REJECTED)


def season(
    connection: Connection,
    programme: Programme,
    provinces: frozenset[str] = frozenset(),
    *,
    totals: bool = True,
) -> Season:
    """Count the courses of provinces and of the region (none named: all courses), and with `totals`
    the persons of each province; inside one transaction."""
    stamp = stamp_of(connection)
    steps = assets_of_steps(connection, programme)
    every = {course.code: course.province for course in programme.courses}
    known = {
        code: province
        for code, province in every.items()
        if not provinces or province in provinces or province == REGION
    }
    found: dict[str, dict[str, Tally]] = {code: {} for code in known}
    course = submissions.c.course
    # a few courses are found by the index; of all of them the table is read through
    mine = course.in_(list(known)) if provinces else None
    for step, ids in steps.items():
        for row in tallies(connection, ids, (course,), mine):
            if row[0] in found:
                found[row[0]][step] = tally(row)
    return Season(
        stamp,
        {code: CourseCounts(code, known[code], by_step) for code, by_step in found.items()},
        unknown(connection, steps, every, provinces),
        of_provinces(connection, steps) if totals else {},
    )


def tallies(
    connection: Connection,
    ids: Sequence[int],
    by: Sequence[ColumnElement[str]],
    where: ColumnElement[bool] | None = None,
) -> Sequence[Sequence[Any]]:
    """Rows of `by` and the fields of a `Tally`."""
    if not ids:
        return []
    invented = case((submissions.c.device.startswith(SIMULATED), 1), else_=0)
    query = select(
        *by,
        func.count(),
        func.count(distinct(submissions.c.person)),
        func.count() - func.count(submissions.c.person),
        func.max(submissions.c.submitted_at),
        func.max(invented),
    ).where(counted(ids))
    if where is not None:
        query = query.where(where)
    return [tuple(row) for row in connection.execute(query.group_by(*by))]


def tally(row: Sequence[Any]) -> Tally:
    """The last five fields of a row."""
    received, persons, anonymous, last, invented = row[-5:]
    return Tally(received, persons, anonymous, last, bool(invented))


def unknown(
    connection: Connection,
    steps: Mapping[str, list[int]],
    known: Collection[str],
    provinces: frozenset[str],
) -> list[CourseCounts]:
    """Courses that the programme does not have, by the province of their people; newest first."""
    course, province = submissions.c.course, submissions.c.province
    ids = [asset for of_step in steps.values() for asset in of_step]
    told = select(course).where(submissions.c.asset_id.in_(ids)).distinct()
    strange = {code for code in connection.execute(told).scalars() if code not in known}
    codes = sorted(code for code in strange if code is not None)[:MOST_UNKNOWN]
    if not strange:
        return []
    where = course.in_(codes)
    if None in strange:
        where = where | course.is_(None)
    if provinces:
        where = where & province.in_(sorted(provinces))
    found: dict[tuple[str | None, str | None], dict[str, Tally]] = {}
    for step, of_step in steps.items():
        for row in tallies(connection, of_step, (course, province), where):
            found.setdefault((row[0], row[1]), {})[step] = tally(row)
    made = [
        CourseCounts(code, where_from, by_step) for (code, where_from), by_step in found.items()
    ]
    return sorted(made, key=lambda one: (one.last, one.code or ""), reverse=True)


def of_provinces(
    connection: Connection, steps: Mapping[str, list[int]]
) -> dict[str | None, ProvinceCounts]:
    """Persons of each province by step."""
    province, person = submissions.c.province, submissions.c.person
    found: dict[str | None, dict[str, int]] = {}

    def add(name: str, ids: Sequence[int], where: ColumnElement[bool] | None = None) -> None:
        query = select(province, func.count(distinct(person))).where(
            counted(ids), person.isnot(None)
        )
        if where is not None:
            query = query.where(where)
        for code, count in connection.execute(query.group_by(province)):
            found.setdefault(code, {})[name] = count

    for name in ("registered", "pre", "post"):
        if steps[name]:
            add(name, steps[name])
    if steps["pre"] and steps["post"]:
        later = submissions.alias()
        add(
            "paired",
            steps["pre"],
            select(later.c.id)
            .where(
                later.c.asset_id.in_(steps["post"]),
                later.c.status_uid != REJECTED,
                later.c.course == submissions.c.course,
                later.c.person == person,
            )
            .exists(),
        )
    return {code: ProvinceCounts(**counts) for code, counts in found.items()}
