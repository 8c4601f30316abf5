"""Activity reports: before and after each course, month by month on the other work of a project.

Counts and money are cumulative and every sub-activity keeps its number; money is spent only after it
came, and never more of it than came.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from forms.simulate.blank import Blank
from forms.simulate.field import Field, Report, money, started
from forms.tables import Course, Disbursement

__all__ = ["activities"]


@dataclass(frozen=True, slots=True)
class Count:
    """People who took part so far, and baht spent so far."""

    female: int = 0
    male: int = 0
    other: int = 0
    spent: float = 0.0

    @property
    def total(self) -> int:
        return self.female + self.male + self.other

    def part(self, share: float) -> Count:
        whole = (int(n * share) for n in (self.female, self.male, self.other))
        return Count(*whole, spent=round(self.spent * share, -1))


@dataclass(frozen=True, slots=True)
class Activity:
    """One sub-activity of a project as planned, and what it came to in the end."""

    project: Disbursement
    number: str
    sub: int
    name: str
    course: str
    start: date
    end: date
    target: int
    done: Count


def activities(f: Field) -> list[Report]:
    """Reports on every sub-activity: before and after each course, monthly on the other work."""
    blank = Blank(f.programme, f.programme.form_of("activity"), f.simulation.seed)
    reports: list[Report] = []
    for project, courses in f.projects():
        for activity in trainings(f, project, courses):
            ends = f.month_ends(started(project))
            if before := [day for day in ends if day < activity.start]:
                reports.append(report(f, blank, activity, before[-1], "planned", 0))
            after = [day for day in ends if day >= activity.end]
            day = after[0] if after else f.end
            reports.append(report(f, blank, activity, day, "done", 100))
        for activity in others(f, blank, project):
            reports.extend(monthly(f, blank, activity))
    return reports


def trainings(f: Field, project: Disbursement, courses: list[int]) -> list[Activity]:
    """The project's courses; their cost stays within its share of the first instalment."""
    work, plan = f.simulation.fieldwork, f.design.plan
    traits = f.people.sex
    came = {course: f.members(course) for course in courses}
    people = max(1, sum(len(members) for members in came.values()))
    cost = min(
        f.between(work.cost_per_trained),
        project.instalment1 / 100 * work.first_instalment_share / people,
    )
    found = []
    for turn, index in enumerate(courses, start=1):
        course: Course = plan.courses[index]
        sexes = [traits[plan.person_of[e]] for e in came[index]]
        female, male = sexes.count("f"), sexes.count("m")
        spent = round(cost * len(sexes) * f.between((0.96, 1.04)), -1)
        count = Count(female, male, len(sexes) - female - male, spent)
        found.append(
            Activity(
                project,
                f.programme.rules.training_activity,
                turn,
                course.label,
                course.code,
                course.start,
                course.end,
                course.planned_n,
                count,
            )
        )
    return found


def others(f: Field, blank: Blank, project: Disbursement) -> list[Activity]:
    """One sub-activity of each other kind, sharing the money set aside for them."""
    kinds = [c for c in blank.codes("activity_no") if c != f.programme.rules.training_activity]
    shares = f.rng.dirichlet(np.full(len(kinds), 4.0)) if kinds else []
    budget = project.instalment1 / 100 * f.simulation.fieldwork.other_activities_share
    found = []
    for kind, share in zip(kinds, shares, strict=True):
        start = started(project) + f.days(5, 60)
        end = min(start + f.days(40, 120), f.end - timedelta(7))
        female, male = int(f.rng.integers(8, 30)), int(f.rng.integers(8, 25))
        count = Count(female, male, int(f.u() < 0.1), round(budget * float(share), -1))
        target = max(10, count.total + int(f.rng.integers(-6, 7)))
        found.append(
            Activity(project, kind, 1, f.say("activity_name"), "", start, end, target, count)
        )
    return found


def monthly(f: Field, blank: Blank, activity: Activity) -> list[Report]:
    """Month by month: planned, under way, done; or delayed, or called off."""
    work, luck = f.simulation.fieldwork, f.u()
    slow = luck < work.delayed
    called_off = work.delayed <= luck < work.delayed + work.cancelled
    length = (activity.end - activity.start).days or 1
    reports: list[Report] = []
    percent = 0
    for day in f.month_ends(started(activity.project)):
        share = min(max((day - activity.start).days / length, 0.0), 1.0)
        if slow:
            share *= 0.55
        if share == 0 and day < activity.start:
            reports.append(report(f, blank, activity, day, "planned", 0))
        elif called_off and share > 0.4:
            reports.append(report(f, blank, activity, day, "cancelled", percent))
            break
        elif share >= 1:
            reports.append(report(f, blank, activity, day, "done", 100))
            break
        else:
            late = slow and day > activity.end
            percent = max(5, int(share * 100))
            reports.append(report(f, blank, activity, day, "delayed" if late else "doing", percent))
    return reports


def report(
    f: Field, blank: Blank, activity: Activity, day: date, state: str, percent: int
) -> Report:
    """One report on a sub-activity; counts and money up to that day."""
    project = activity.project
    now = activity.done if percent == 100 else activity.done.part(min(percent, 60) / 100)
    status = blank.pick("status", state)
    named = f.begin(blank, day, project.province)
    named |= {
        "project_no": project.project,
        "activity_no": activity.number,
        "activity_name": activity.name,
        "sub_no": str(activity.sub),
        blank.spec.course: activity.course,
        "level": f.level(blank, project.province),
        "planned_start": activity.start.isoformat(),
        "planned_end": activity.end.isoformat(),
        "status": status,
        "pct_done": str(percent),
        "n_target": str(activity.target),
        "n_female": str(now.female),
        "n_male": str(now.male),
        "n_other": str(now.other),
        "n_total": str(now.total),
        "instalment": blank.pick("instalment", "1" if now.spent else "0"),
        "spent_baht": money(now.spent),
        "cost_pp": money(now.spent / now.total) if now.total else "0",
        "partners": f.codes(blank, "partners") if f.u() < 0.6 else "",
        "in_codi_pm": f.yes(blank, "in_codi_pm", f.simulation.fieldwork.recorded),
    }
    if state in ("doing", "done", "delayed"):
        named["actual_start"] = activity.start.isoformat()
    if state == "done":
        named["actual_end"] = min(activity.end, day).isoformat()
    if state in ("delayed", "cancelled"):
        named["reason"] = f.say("reason")
    key = f"{project.project}/{activity.number}/{activity.sub}/{day}"
    return Report(day, blank.submission(key, named))
