"""Relevance: does the course fit area, plan and role, and were the right people and units reached?"""

from __future__ import annotations

import pandas as pd

from analysis.cells import breakdown, limited, shares
from analysis.estimate import Estimate, refused
from analysis.indicators import Measured, indicator
from analysis.perception import Scores, composite, high_share
from analysis.season import Season

__all__ = ["perceived", "rel_1", "rel_2", "rel_4", "rel_5"]

HIGH = 3.51
"""Lower limit of the band “high” (มาก) under the 4.51 rule."""


def perceived(season: Season, scale: str) -> Measured:
    """The composite of a perception scale, by province of the course, sex and role."""
    given = season.scores(scale)
    reasons = season.cohort.reasons(season.programme.scales[scale].form)

    def of(frame: pd.DataFrame) -> Estimate:
        return composite(Scores(frame, 0), season.strata, {})

    frame = given.frame.assign(province=given.frame["course"].map(season.strata))
    return Measured(
        {"overall": limited(season, composite(given, season.strata, reasons))},
        by={
            "province": breakdown(season, frame, "province", of, season.programme.targets),
            "sex": breakdown(season, frame, "sex", of),
            "role": breakdown(season, frame, "role", of),
        },
    )


@indicator("REL-1")
def rel_1(season: Season) -> Measured:
    """Mean over respondents of their mean over the relevance statements, score 1-5.

    At least the declared share of statements must be answered; CR2 interval over courses.
    """
    return perceived(season, "relevance")


@indicator("REL-2")
def rel_2(season: Season) -> Measured:
    """100 · share of respondents whose mean over the relevance statements is at least 3.51.

    Wilson (1927) interval with the design effect of courses (Kish 1965). Per cent.
    """
    given = season.scores("relevance")
    reasons = season.cohort.reasons(season.programme.scales["relevance"].form)
    frame = given.frame.assign(province=given.frame["course"].map(season.strata))
    return Measured(
        {"overall": limited(season, high_share(given, HIGH, reasons))},
        by={
            "province": breakdown(
                season,
                frame,
                "province",
                lambda part: high_share(Scores(part, 0), HIGH, {}),
                season.programme.targets,
            )
        },
    )


@indicator("REL-4")
def rel_4(season: Season) -> Measured:
    """100 · unique registered persons with a target role / unique persons registered. Per cent.

    Target roles are declared in programme.toml. A full count: no interval.
    """
    roles = season.programme.rules.target_roles
    if not roles:
        return Measured({"overall": refused("no_target_roles_declared", "%")})

    def of(frame: pd.DataFrame) -> Estimate:
        return shares(int(frame.loc[frame["role"].isin(roles), "n"].sum()), int(frame["n"].sum()))

    return Measured(
        {"overall": of(season.persons)},
        by={"province": breakdown(season, season.persons, "home", of, season.programme.targets)},
    )


@indicator("REL-5")
def rel_5(season: Season) -> Measured:
    """100 · distinct curriculum units taught in courses held by the as-of date / units of the curriculum.

    The curriculum is what the courses of the programme plan to teach in all; held means ended, not
    cancelled, and attended by at least one registered person. Per cent.
    """
    courses = season.programme.courses
    planned = {unit for course in courses for unit in course.units}
    held = [course for course in courses if course.code in season.held]

    def of(codes: set[str]) -> Estimate:
        if not planned:
            return refused("no_rows", "%")
        taught = {unit for course in held if course.code in codes for unit in course.units}
        return Estimate(
            100 * len(taught) / len(planned), "%", len(planned), method="count of units"
        )

    everywhere = of({course.code for course in courses})
    cells = {
        province: of({course.code for course in courses if course.province == province})
        for province in season.programme.targets
    }
    return Measured(
        {
            "overall": everywhere,
            "courses_held": Estimate(len(held), "courses", len(courses), method="count"),
        },
        by={"province": cells},
    )
