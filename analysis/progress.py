"""Progress: people against targets, projects and money against the plan, instruments against people."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

import pandas as pd

from analysis.cells import breakdown, hidden, shares
from analysis.estimate import Estimate, refused
from analysis.indicators import Measured, indicator
from analysis.season import Season
from forms.tables import Disbursement
from forms.values import add_months

__all__ = [
    "disbursed_share",
    "pro_1",
    "pro_2",
    "pro_3",
    "pro_4",
    "pro_5",
    "pro_9",
    "within_months",
    "within_share",
]


@indicator("PRO-1")
def pro_1(season: Season) -> Measured:
    """100 · unique persons registered / target persons, on each target base. Per cent.

    Bases: the sum of the targets by province, the total the plan states, and the seats planned in
    courses ended by the as-of date. A full count: no interval. By sex and age group: persons.
    """
    programme = season.programme
    people = int(season.persons["n"].sum())
    total = sum(programme.targets.values())
    stated = programme.file.targets.persons_stated
    to_date = sum(
        course.planned_n
        for course in programme.courses
        if course.end <= season.as_of and course.status != "cancelled"
    )
    measures = {
        f"of_sum_{total}": share_of_target(people, total),
        f"of_stated_{stated}": share_of_target(people, stated),
        "of_planned_to_date": share_of_target(people, to_date),
        "persons": Estimate(people, "persons", people, method="count"),
    }
    cells = {
        province: share_of_target(int(part["n"].sum()), target)
        for province, target in programme.targets.items()
        for part in [season.persons[season.persons["home"] == province]]
    }

    def persons(frame: pd.DataFrame) -> Estimate:
        n = int(frame["n"].sum())
        return Estimate(n, "persons", n, method="count")

    return Measured(
        measures,
        headline=f"of_sum_{total}",
        by={
            "province": hidden(season, cells),
            "sex": breakdown(season, season.persons, "sex", persons),
            "age_group": breakdown(season, season.persons, "age_group", persons),
        },
    )


def share_of_target(people: int, target: int) -> Estimate:
    """Persons over a target in per cent; `n` is the persons."""
    if target == 0:
        return refused("no_target_declared", "%", n=people)
    return Estimate(100 * people / target, "%", people, method="count")


@indicator("PRO-2")
def pro_2(season: Season) -> Measured:
    """Projects approved and recorded, of the projects of the plan; 100 · approved / frame. Count."""
    rows = [row for row in season.programme.summary if row.level != "total"]
    projects = len(season.programme.disbursements)
    approved = sum(row.projects_approved for row in rows)
    recorded = sum(row.projects_recorded for row in rows)
    frame = sum(row.frame for row in rows)
    measures = {
        "approved": Estimate(approved, "projects", projects, method="count"),
        "recorded": Estimate(recorded, "projects", projects, method="count"),
        "approved_share": Estimate(
            100 * sum(row.approved for row in rows) / frame, "%", projects, method="sum of amounts"
        )
        if frame
        else refused("no_rows", "%"),
    }
    levels = {
        row.level: Estimate(
            row.projects_approved, "projects", row.projects_approved, method="count"
        )
        for row in rows
    }
    return Measured(measures, headline="approved", by={"level": levels})


def disbursed_share(season: Season, rows: Iterable[Disbursement]) -> Estimate:
    """100 · satang transferred by the as-of date / satang approved; `n` is the projects."""
    chosen = list(rows)
    approved = sum(row.approved for row in chosen)
    if not approved:
        return refused("no_rows", "%")
    moved = sum(row.transferred_by(season.as_of) for row in chosen)
    return Estimate(100 * moved / approved, "%", len(chosen), method="sum of amounts")


@indicator("PRO-3")
def pro_3(season: Season) -> Measured:
    """100 · instalments transferred by the as-of date / budget approved (transfer, not spending)."""
    rows = season.programme.disbursements
    moved = sum(row.transferred_by(season.as_of) for row in rows)
    return Measured(
        {
            "overall": disbursed_share(season, rows),
            "disbursed": Estimate(moved / 100, "baht", len(rows), method="sum of amounts"),
            "approved": Estimate(
                sum(row.approved for row in rows) / 100, "baht", len(rows), method="sum of amounts"
            ),
        },
        by={
            "province": {
                province: disbursed_share(season, [r for r in rows if r.province == province])
                for province in season.programme.targets
            },
            "level": {
                level: disbursed_share(season, [r for r in rows if r.level == level])
                for level in sorted({row.level for row in rows})
            },
        },
    )


def within_share(season: Season, row: Disbursement) -> bool:
    """Whether the first instalment keeps the share rule, compared in whole satang."""
    limit = round(season.programme.budget.first_instalment_max * 10_000)
    return row.instalment1 * 10_000 <= limit * row.approved


def within_months(season: Season, row: Disbursement) -> bool | None:
    """Whether the first transfer came in time; None while it has not come and still may."""
    last = add_months(row.approved_on, season.programme.budget.transfer_within_months)
    if row.transferred1_on is None or row.transferred1_on > season.as_of:
        return None if season.as_of <= last else False
    return row.transferred1_on <= last


@indicator("PRO-4")
def pro_4(season: Season) -> Measured:
    """Projects whose first instalment is at most the declared share of the approved sum, in satang."""
    rows = season.programme.disbursements
    kept = sum(within_share(season, row) for row in rows)
    cells = {
        row.project: Estimate(100 * row.instalment1 / row.approved, "%", 1, method="sum of amounts")
        for row in rows
        if row.approved
    }
    return Measured(
        {"overall": Estimate(kept, "projects", len(rows), method="count")}, by={"project": cells}
    )


@indicator("PRO-5")
def pro_5(season: Season) -> Measured:
    """Projects whose first transfer came within the declared calendar months of approval. Count.

    Measures the days from approval to transfer: median, least, most. Transfers after the as-of date
    have not happened yet.
    """
    rows = season.programme.disbursements
    kept = sum(within_months(season, row) is True for row in rows)
    days = {
        row.project: (row.transferred1_on - row.approved_on).days
        for row in rows
        if row.transferred1_on and row.transferred1_on <= season.as_of
    }
    measures = {"overall": Estimate(kept, "projects", len(rows), method="count")}
    for name, of in (("median_days", median), ("min_days", min), ("max_days", max)):
        measures[name] = (
            Estimate(float(of(days.values())), "days", len(days), method="count")
            if days
            else refused("no_rows", "days")
        )
    return Measured(
        measures,
        by={
            "project": {
                project: Estimate(n, "days", 1, method="count") for project, n in days.items()
            }
        },
    )


@indicator("PRO-9")
def pro_9(season: Season) -> Measured:
    """100 · enrolments with registration, pre-test and post-test / enrolments registered. Per cent.

    An enrolment is a (person, course). A full count: no interval.
    """

    def of(frame: pd.DataFrame) -> Estimate:
        complete = frame["has_pre"] & frame["has_post"]
        return shares(int(frame.loc[complete, "n"].sum()), int(frame["n"].sum()))

    frame = season.enrolments
    registration = season.programme.form_of("registration")
    overall = of(frame)
    counted = Estimate(
        overall.value,
        overall.unit,
        overall.n,
        method=overall.method,
        excluded=season.cohort.reasons(registration),
        status=overall.status,
        reason=overall.reason,
    )
    by_province = {
        province: of(frame[frame["home"] == province]) for province in season.programme.targets
    }
    return Measured({"overall": counted}, by={"province": hidden(season, by_province)})
