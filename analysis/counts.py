"""The count tables: all that grows with the data is read once, here, and becomes counts.

For integer scores the joint (pre, post) count table per course is lossless: every statistic of a pair
can be had from it, and it merges by addition. Frames that leave are small, ordered, and hold counts of
persons in `n`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable
from functools import reduce

import ibis
import pandas as pd

from analysis.cohort import Cohort
from analysis.engine import Expression, Rows, fetch
from forms.programme import Programme, Scale

__all__ = [
    "answered_scale",
    "item_values",
    "module_counts",
    "pair_counts",
    "paired",
    "people_counts",
    "taught_counts",
]

TRAITS = ("sex", "age_group", "education", "role")


def paired(cohort: Cohort, programme: Programme) -> Rows:
    """One row a pair: person, course, home, traits, points before and after, in all and by module."""
    pre, post = (
        scored(rows, programme, wave) for rows, wave in ((cohort.pre, "pre"), (cohort.post, "post"))
    )
    joined = pre.join(post, ["person", "course"]).join(cohort.people, "person")
    return joined


def scored(rows: Rows, programme: Programme, wave: str) -> Rows:
    """Points of each test, `pre`/`post` in all and `pre_MODULE`/`post_MODULE`; no answer is no point."""
    points = {
        item.name: (rows[item.name] == item.correct).fill_null(False).cast("int64") * item.weight
        for item in programme.items
    }
    columns: dict[str, Expression] = {wave: total(points.values())}
    for module in programme.modules:
        inside = [points[item.name] for item in programme.items if item.module == module.code]
        if inside:
            columns[f"{wave}_{module.code}"] = total(inside)
    return rows.select("person", "course", **columns)


def total(values: Iterable[Expression]) -> Expression:
    """The sum of several columns, as one expression."""
    return reduce(operator.add, values)


def pair_counts(pairs: Rows) -> pd.DataFrame:
    """Columns course, home, sex, age_group, education, role, pre, post, n."""
    return counted(pairs, ["course", "home", *TRAITS, "pre", "post"])


def module_counts(pairs: Rows, programme: Programme) -> dict[str, pd.DataFrame]:
    """For each module that is tested: columns course, pre, post, n."""
    out: dict[str, pd.DataFrame] = {}
    for module in programme.modules:
        if f"pre_{module.code}" in pairs.columns:
            rows = pairs.select(
                "course", pre=pairs[f"pre_{module.code}"], post=pairs[f"post_{module.code}"]
            )
            out[module.code] = counted(rows, ["course", "pre", "post"])
    return out


def taught_counts(pairs: Rows, programme: Programme) -> pd.DataFrame:
    """Gain in points of 100 on modules the course taught and on those it did not.

    Columns course, taught, untaught, n; only courses that have both kinds of module.
    """
    worth = {
        module.code: sum(item.weight for item in programme.items if item.module == module.code)
        for module in programme.modules
    }
    tested = [module for module in programme.modules if worth[module.code]]
    rows = []
    for course in programme.courses:
        taught = [m.code for m in tested if set(m.units) & set(course.units)]
        if taught and len(taught) < len(tested):
            rows.append(
                {"course": course.code} | {f"in_{m.code}": float(m.code in taught) for m in tested}
            )
    if not rows:
        return pd.DataFrame(columns=["course", "taught", "untaught", "n"])
    joined = pairs.join(ibis.memtable(pd.DataFrame(rows)), "course")
    gains = {m.code: joined[f"post_{m.code}"] - joined[f"pre_{m.code}"] for m in tested}
    inside = {m.code: joined[f"in_{m.code}"] for m in tested}
    taught_points = total([gains[m] * inside[m] for m in gains])
    taught_worth = total([inside[m] * worth[m] for m in gains])
    other_points = total([gains[m] * (1 - inside[m]) for m in gains])
    other_worth = total([(1 - inside[m]) * worth[m] for m in gains])
    return counted(
        joined.select(
            "course",
            taught=100 * taught_points / taught_worth,
            untaught=100 * other_points / other_worth,
        ),
        ["course", "taught", "untaught"],
    )


def people_counts(cohort: Cohort) -> pd.DataFrame:
    """How many persons and enrolments are where, and what they have completed.

    Columns person-level traits (home, sex, age_group, role), course, has_pre, has_post, n (enrolments).
    """
    pre = cohort.pre.select("person", "course", has_pre=ibis.literal(True))
    post = cohort.post.select("person", "course", has_post=ibis.literal(True))
    rows = (
        cohort.enrolments.left_join(pre, ["person", "course"])
        .drop("person_right", "course_right")
        .left_join(post, ["person", "course"])
        .drop("person_right", "course_right")
        .join(cohort.people, "person")
    )
    rows = rows.mutate(
        has_pre=rows.has_pre.fill_null(False), has_post=rows.has_post.fill_null(False)
    )
    return counted(rows, ["course", "home", *TRAITS, "has_pre", "has_post"])


def persons(cohort: Cohort) -> pd.DataFrame:
    """Unique persons: columns home, sex, age_group, education, role, trained (has a post-test), n."""
    trained = cohort.post.select("person").distinct().mutate(trained=ibis.literal(True))
    rows = cohort.people.left_join(trained, "person").drop("person_right")
    rows = rows.mutate(trained=rows.trained.fill_null(False))
    return counted(rows, ["home", *TRAITS, "trained"])


def answered_scale(cohort: Cohort, scale: Scale) -> pd.DataFrame:
    """Scores on a scale: columns course, home, sex, age_group, education, role, answered, total, n.

    `answered` counts the statements answered 1…5 (not taught and blank do not count), `total` their sum.
    """
    rows = cohort.evaluations.left_join(cohort.people, "person").drop("person_right")
    values = [rows[item].try_cast("int64") for item in scale.items]
    usable: list[Expression] = [
        ibis.cases((value.between(1, 5), value), else_=None) for value in values
    ]
    rows = rows.mutate(
        answered=total([value.notnull().cast("int64") for value in usable]),
        total=total([value.fill_null(0) for value in usable]),
    )
    return counted(rows, ["course", "home", *TRAITS, "answered", "total"])


def item_values(cohort: Cohort, scale: Scale) -> pd.DataFrame:
    """How often each answer was given: columns item, value (as stored, null for blank), n."""
    rows = cohort.evaluations
    parts = [
        rows.select(item=ibis.literal(item), value=rows[item].cast("string"))
        for item in scale.items
    ]
    long = reduce(lambda above, below: above.union(below), parts)
    return counted(long, ["item", "value"])


def counted(rows: Rows, by: list[str]) -> pd.DataFrame:
    """Rows per combination, in a fixed order."""
    return fetch(rows.group_by(by).aggregate(n=ibis._.count()).order_by(by))
