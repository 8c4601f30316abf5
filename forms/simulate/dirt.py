"""Declared faults: whom they befall, drawn apart from everything else.

Every fault befalls another person, one who sits in one course only and stays to the end, so that each
has one effect and stands in the ledger with the code of the exclusion or finding it should lead to.
Without faults the same people give the same answers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from forms.simulate.attendance import Attendance
from forms.simulate.faults import KINDS
from forms.simulate.field import Report
from forms.simulate.ledger import Dirt, Fault
from forms.simulate.people import draw_people
from forms.values import BUDDHIST_OFFSET, iso_date

__all__ = ["buddhist_dates", "soil"]


def soil(a: Attendance, rng: np.random.Generator) -> Dirt:
    """Draw the faults of the four forms that people fill in."""
    plan, rates = a.design.plan, a.simulation.dirt
    courses_of = np.bincount(plan.person_of, minlength=plan.people)
    eligible = np.flatnonzero(a.drawn.stayed & (courses_of[plan.person_of] == 1))
    victims: Iterator[int] = iter(rng.permutation(eligible).tolist())
    size = 8 * happens(rates.two_people_one_code, plan.enrolments) + 20
    strangers = draw_people(a.programme, a.simulation, plan, rng.spawn(1)[0], size)
    dirt = Dirt(strangers, set(range(size)))
    for kind, make in KINDS.items():
        for number in range(happens(getattr(rates, kind), plan.enrolments)):
            enrolment = next(victims, None)
            if enrolment is not None:
                make(a, dirt, enrolment, number, rng)
    return dirt


def happens(share: float, among: int) -> int:
    """How often a fault happens: its share, but at least once unless it is switched off."""
    return max(1, round(share * among)) if share > 0 else 0


def buddhist_dates(
    reports: list[Report], a: Attendance, dirt: Dirt, rng: np.random.Generator
) -> None:
    """In a few activity reports, give the planned start with a Buddhist year; mends `reports`."""
    programme = a.programme
    if not any(spec.role == "activity" for spec in programme.forms.values()):
        return
    form_id = programme.form_of("activity")
    path = programme.form(form_id).by_name["planned_start"].path
    places = [n for n, report in enumerate(reports) if report.submission.form_id == form_id]
    wanted = min(len(places), happens(a.simulation.dirt.be_date, len(places)))
    for number, place in enumerate(sorted(rng.choice(places, wanted, replace=False).tolist())):
        report = reports[place]
        submission = report.submission
        day = iso_date(submission.record.answers[path])
        wrong = f"{day.year + BUDDHIST_OFFSET}-{day:%m-%d}"
        record = replace(submission.record, answers={**submission.record.answers, path: wrong})
        reports[place] = replace(report, submission=replace(submission, record=record))
        course = programme.forms[form_id].course
        dirt.faults.append(
            Fault(
                id=f"be_date-{number + 1:04}",
                kind="be_date",
                form=form_id,
                root_id=submission.root_id,
                participant_id="",
                course=submission.record.answers.get(course, ""),
                expected="buddhist_year",
                also="",
                where=f"findings of the tables: {form_id} {path}",
                detectable=True,
                value=wrong,
            )
        )
