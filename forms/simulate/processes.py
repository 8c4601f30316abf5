"""Reviews of inputs and process (CIPP): a few marks, and problems that stay open until they are solved.

A problem keeps its number in its project; later reviews tell of it again until one says it is closed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import numpy as np

from forms.simulate.blank import Blank, scale
from forms.simulate.field import Field, Report, started
from forms.tables import Disbursement

__all__ = ["processes"]


@dataclass(frozen=True, slots=True)
class Trouble:
    """A problem of a project, from the day it is first told to the day it is solved, if ever."""

    number: int
    told: date
    solved: date | None
    answers: Mapping[str, str] = field(default_factory=dict)


def processes(f: Field) -> list[Report]:
    """A review per project and quarter by two groups, and one after some courses."""
    blank = Blank(f.programme, f.programme.form_of("process"), f.simulation.seed)
    year = f.end.year
    quarters = [date(year - 1, 12, 31), date(year, 3, 31), date(year, 6, 30), f.end]
    begins = [date(year - 1, 10, 1)] + [day + timedelta(1) for day in quarters[:-1]]
    reports: list[Report] = []
    for project, courses in f.projects():
        troubles: list[Trouble] = []
        for index in courses:
            course = f.design.plan.courses[index]
            if f.u() >= f.simulation.fieldwork.course_cipp:
                continue
            day = min(course.end + f.days(1, 5), f.end)
            new = [trouble(f, blank, len(troubles) + 1, day, course.start)] if f.u() < 0.3 else []
            troubles += new
            review = reviewed(f, blank, project, day, course.start, course.end, new, course.code)
            reports.append(review)
        for begin, end in zip(begins, quarters, strict=True):
            if end < started(project):
                continue
            low, high = f.simulation.fieldwork.problems
            wanted = int(f.rng.integers(low, high + 1)) if end == quarters[-3] else int(f.u() < 0.4)
            for _ in range(wanted):
                troubles.append(trouble(f, blank, len(troubles) + 1, end, begin))
            open_ones = [
                t for t in troubles if t.told <= end and (t.solved is None or t.solved >= begin)
            ]
            reports.append(reviewed(f, blank, project, end, begin, end, open_ones, "", 0))
            reports.append(reviewed(f, blank, project, end, begin, end, [], "", 1))
    return reports


def trouble(f: Field, blank: Blank, number: int, told: date, begin: date) -> Trouble:
    """A new problem; two of three are solved one to four months later."""
    types = [code for code in blank.codes("prob_type") if code not in ("none", "other")]
    solved = told + f.days(20, 120) if f.u() < 0.65 else None
    answers = {
        "prob_no": str(number),
        "prob_type": types[int(f.u() * len(types))] if types else "",
        "prob_text": f.say("prob_text"),
        "prob_sev": f.code(blank, "prob_sev"),
        "prob_fix": f.say("prob_fix"),
        "prob_owner": f.say("prob_owner"),
        "prob_due": (max(told, begin) + f.days(15, 90)).isoformat(),
    }
    return Trouble(number, told, solved, answers)


def reviewed(
    f: Field,
    blank: Blank,
    project: Disbursement,
    day: date,
    begin: date,
    end: date,
    troubles: list[Trouble],
    course: str,
    turn: int = 0,
) -> Report:
    """One review with the problems known to the reviewer, as they stand that day."""
    named = f.begin(blank, day, project.province)
    named |= {
        "project_no": project.project,
        blank.spec.course: course,
        "period_start": begin.isoformat(),
        "period_end": end.isoformat(),
        "respondent_role": f.code(blank, "respondent_role"),
        "has_problem": blank.pick("has_problem", "yes" if troubles else "no"),
    }
    ratings = blank.ratings()
    draws = np.clip((3.8 + 0.8 * f.rng.standard_normal(len(ratings))).round(), 1, 5).astype(int)
    for name, mark in zip(ratings, draws.tolist(), strict=True):
        codes = blank.codes(name)
        marks = scale(codes)
        unknown = "0" in codes and f.u() < 0.03
        named[name] = "0" if unknown else str(min(max(mark, marks[0]), marks[-1]))
    key = f"{project.project}/{course or day}/{turn}"
    turns = [as_of(blank, known, day, begin) for known in troubles]
    return Report(day, blank.submission(key, named, {"problem": turns}))


def as_of(blank: Blank, known: Trouble, day: date, begin: date) -> dict[str, str]:
    """A problem as it stands on a day."""
    named = dict(known.answers)
    # a due date before the period reported on would be refused by the form
    if named["prob_due"] < begin.isoformat():
        named["prob_due"] = ""
    if known.solved is not None and known.solved <= day:
        closed = {"prob_status": blank.pick("prob_status", "closed")}
        return named | closed | {"prob_closed": known.solved.isoformat()}
    return named | {
        "prob_status": blank.pick("prob_status", "open" if known.told >= begin else "doing")
    }
