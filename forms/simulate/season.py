"""A simulated season: every submission in the order phones would send it, and what is true of it.

The season's chance is drawn when it is made (a second or so at full size); submissions are built while
they are iterated, so that 50,000 of them take no memory, and can be iterated again with the same
result. Each purpose has its own stream of random numbers: other faults do not make other people.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from typing import Any, Literal

import numpy as np

from forms.model import Submission
from forms.programme import Programme
from forms.simulate.activities import activities
from forms.simulate.aftermath import expertise, outputs, visits
from forms.simulate.attendance import Attendance, Wave, attend
from forms.simulate.dirt import buddhist_dates, soil
from forms.simulate.field import File, Report, field_of
from forms.simulate.ledger import Dirt, Extra, Fault, Written
from forms.simulate.papers import answered_test, evaluation, registration
from forms.simulate.people import draw_people
from forms.simulate.plan import Plan
from forms.simulate.processes import processes
from forms.simulate.responses import design, responses
from forms.simulate.settings import Simulation, load_simulation
from forms.simulate.truth import truth_of

__all__ = ["Season", "Sent", "season"]

Kind = Literal["new", "resend", "edit"]
RECIPES = {
    "activity": activities,
    "process": processes,
    "output": outputs,
    "followup": visits,
    "expertise": expertise,
}


@dataclass(frozen=True, slots=True)
class Sent:
    """A submission on its way; `files` are its attachments (name, content, media type).

    `new` is to be answered 201, `resend` 202 (the server has it), `edit` 201. Round 2 must not begin
    before round 1 has arrived.
    """

    form_id: str
    submission: Submission
    kind: Kind
    round: Literal[1, 2]
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class Season:
    """What `season` made; `truth` and `ledger` are ready, submissions are built on demand."""

    programme: Programme
    simulation: Simulation
    seed: int
    attendance: Attendance
    dirt: Dirt
    reports: tuple[Report, ...]

    @property
    def plan(self) -> Plan:
        return self.attendance.design.plan

    @property
    def ledger(self) -> list[Fault]:
        """Every declared fault, in a fixed order."""
        return self.dirt.faults

    @cached_property
    def truth(self) -> dict[str, Any]:
        """What is true of this season and what must be found; JSON-able."""
        return truth_of(self)

    @cached_property
    def rows(self) -> dict[str, int]:
        """Rows each form must have on a server that got everything."""
        a, dirt = self.attendance, self.dirt
        n = self.plan.enrolments
        lost = Counter(form for form, _ in dirt.without)
        rows = Counter(
            {
                a.blanks["registration"].form_id: n - lost["registration"],
                a.blanks["pre"].form_id: n - lost["pre"],
                a.blanks["post"].form_id: int(a.drawn.stayed.sum()) - lost["post"],
                a.blanks["evaluation"].form_id: int(a.answered.sum()),
            }
        )
        rows.update(a.blanks[extra.form].form_id for extra in dirt.extras if extra.kind == "new")
        rows.update(report.submission.form_id for report in self.reports)
        return {form_id: rows[form_id] for form_id in self.programme.forms}

    @property
    def total(self) -> dict[int, int]:
        """How many submissions each round sends."""
        second = sum(extra.kind != "new" for extra in self.dirt.extras)
        return {1: sum(self.rows.values()), 2: second}

    def submissions(self) -> Iterator[Sent]:
        """Every submission in sending order: by day and course, then resends and edits."""
        yield from self.first_round()
        for extra in self.in_order("resend", "edit"):
            form_id = self.attendance.blanks[extra.form].form_id
            yield Sent(form_id, extra.make(), extra.kind, 2)

    def first_round(self) -> Iterator[Sent]:
        # (day, course or project, part of the day, number): a heap of markers, not of submissions
        marks: list[tuple[date, str, int, int]] = []
        for index, course in enumerate(self.plan.courses):
            marks.append((course.start, course.code, 0, index))
            marks.append((course.end, course.code, 1, index))
        extras = self.in_order("new")
        marks += [(extra.day, extra.course, 2, n) for n, extra in enumerate(extras)]
        marks += [(report.day, "~", 3, n) for n, report in enumerate(self.reports)]
        for _, _, part, number in sorted(marks):
            if part == 0:
                yield from self.arrival(number)
            elif part == 1:
                yield from self.closing(number)
            elif part == 2:
                form_id = self.attendance.blanks[extras[number].form].form_id
                yield Sent(form_id, extras[number].make(), "new", 1)
            else:
                report = self.reports[number]
                yield Sent(report.submission.form_id, report.submission, "new", 1, report.files)

    def in_order(self, *kinds: Kind) -> list[Extra]:
        extras = [extra for extra in self.dirt.extras if extra.kind in kinds]
        return sorted(extras, key=lambda extra: (extra.day, extra.course))

    def enrolments(self, course: int) -> range:
        return range(int(self.plan.first[course]), int(self.plan.first[course + 1]))

    def arrival(self, course: int) -> Iterator[Sent]:
        """The first morning: registration, then the first test."""
        a, form_id = self.attendance, self.attendance.blanks["registration"].form_id
        for e in self.enrolments(course):
            said = self.dirt.written.get(("registration", e), Written())
            made = registration(a, e, written=said.code, birth_year=said.birth_year)
            yield Sent(form_id, made, "new", 1)
        for e in self.enrolments(course):
            if ("pre", e) not in self.dirt.without:
                yield self.tested("pre", e)

    def closing(self, course: int) -> Iterator[Sent]:
        """The last afternoon: the last test and the evaluation of those who stayed."""
        a, form_id = self.attendance, self.attendance.blanks["evaluation"].form_id
        stayed = [e for e in self.enrolments(course) if a.drawn.stayed[e]]
        for e in stayed:
            yield self.tested("post", e)
        for e in stayed:
            if a.answered[e]:
                yield Sent(form_id, evaluation(a, e), "new", 1)

    def tested(self, wave: Wave, enrolment: int) -> Sent:
        a = self.attendance
        said = self.dirt.written.get((wave, enrolment), Written())
        made = answered_test(a, wave, enrolment, written=said.code, paper=said.paper)
        return Sent(a.blanks[wave].form_id, made, "new", 1)


def season(
    programme: Programme,
    *,
    seed: int | None = None,
    people: int | None = None,
    simulation: Simulation | None = None,
) -> Season:
    """A season of `programme`, all of it or about `people` people in whole courses.

    `seed` defaults to that of simulation.toml; the same seed gives the same season, byte for byte.
    Raises `ProgrammeProblem` when simulation.toml cannot be used, `UsageProblem` for `people`.
    """
    simulation = simulation or load_simulation(programme.folder)
    if seed is not None:
        simulation = simulation.model_copy(update={"seed": seed})
    made = design(programme, simulation, people=people)
    answers, persons, forms, field, faults, dates = (
        np.random.Generator(np.random.PCG64(child))
        for child in np.random.SeedSequence(simulation.seed).spawn(6)
    )
    drawn = responses(made, answers)
    crowd = draw_people(programme, simulation, made.plan, persons)
    attendance = attend(programme, simulation, made, drawn, crowd, forms)
    dirt = soil(attendance, faults)
    ground = field_of(programme, simulation, made, crowd, drawn.stayed, field)
    roles = {spec.role for spec in programme.forms.values()}
    reports: list[Report] = []
    # one stream each, so that a setting of one form leaves the others as they are
    for stream, (role, recipe) in zip(field.spawn(len(RECIPES)), RECIPES.items(), strict=True):
        if role in roles:
            reports += recipe(replace(ground, rng=stream))
    buddhist_dates(reports, attendance, dirt, dates)
    reports.sort(key=lambda report: report.day)
    return Season(programme, simulation, simulation.seed, attendance, dirt, tuple(reports))
