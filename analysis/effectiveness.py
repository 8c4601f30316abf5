"""Effectiveness: did participants learn, how much of what could be learned, how many pass, what is weak?

The headline is the raw paired gain with courses as clusters. None of it says that the course caused the
gain; the gain on taught modules beside that on untaught ones is the evidence of contribution there is.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd

from analysis import gains
from analysis.cells import breakdown, hidden_within, limited
from analysis.estimate import Estimate, refused
from analysis.indicators import Measured, indicator
from analysis.relevance import perceived
from analysis.season import Season

__all__ = ["eft_1", "eft_2", "eft_3", "eft_4", "eft_6", "gain_of"]

POINTS = gains.POINTS


def gain_of(season: Season, frame: pd.DataFrame, maximum: float | None = None) -> Estimate:
    """Mean gain of some pairs in points of 100, CR2 over courses in provinces."""
    return gains.mean_gain(frame, maximum or season.max_points, season.strata)


@indicator("EFT-1")
def eft_1(season: Season) -> Measured:
    """Paired mean of post minus pre, points of 100: first valid pre, last valid post per enrolment.

    CR2 (Bell & McCaffrey 2002) with Satterthwaite df, clusters courses, strata provinces. Sensitivity:
    provinces as clusters; Wilcoxon's p and the Hodges–Lehmann shift. `d_av` (Cumming 2012) beside it.
    """
    frame, maximum = season.pairs, season.max_points
    n = int(frame["n"].sum())
    overall = gains.mean_gain(frame, maximum, season.strata, excluded=season.pairing)
    by_home = frame.assign(course=frame["home"])
    provinces = gains.mean_gain(by_home, maximum, {}, method="CR2, provinces")
    measures = {"overall": overall, "province_clustered": provinces}
    for name, value, unit, method in (
        ("pre_mean", mean_points(frame, maximum, "pre"), POINTS, "mean"),
        ("post_mean", mean_points(frame, maximum, "post"), POINTS, "mean"),
        ("hodges_lehmann", gains.hodges_lehmann(frame, maximum), POINTS, "Hodges-Lehmann"),
        ("wilcoxon_p", gains.wilcoxon_p(frame, maximum) if n else None, "p", "Wilcoxon, persons"),
        ("d_av", gains.d_av(frame), "SD", "d_av"),
    ):
        measures[name] = (
            refused("undefined", unit, n=n)
            if value is None
            else Estimate(value, unit, n, method=method)
        )

    def of(part: pd.DataFrame) -> Estimate:
        return gain_of(season, part)

    by = {
        "province": breakdown(season, frame, "home", of, season.programme.targets),
        "course": hidden_within(
            season,
            {str(code): of(part) for code, part in frame.groupby("course", sort=True)},
            season.strata,
        ),
    }
    by |= {
        trait: breakdown(season, frame, trait, of) for trait in ("sex", "education", "age_group")
    }
    return Measured({name: limited(season, one) for name, one in measures.items()}, by=by)


def mean_points(frame: pd.DataFrame, maximum: float, column: str) -> float | None:
    """Mean of a wave's scores in points of 100."""
    n = frame["n"].sum()
    return float(100 * (frame[column] * frame["n"]).sum() / (n * maximum)) if n else None


@indicator("EFT-2")
def eft_2(season: Season) -> Measured:
    """Class normalized gain (ȳ - x̄)/(max - x̄) per course (Hake 1998): median and quartiles over courses.

    `pooled` is labelled so; `normalized_change` is the mean of Marx & Cummings (2007) with the persons
    dropped counted. Descriptive: no traffic light.
    """
    frame, maximum = season.pairs, season.max_points
    limit = season.programme.rules.suppress_below
    size = frame.groupby("course")["n"].sum()
    large = frame[frame["course"].isin(size[size >= limit].index)]
    per_course = gains.normalized_gain_by_course(large, maximum)
    left_out = int((size < limit).sum())
    excluded = {"course_below_limit": left_out} if left_out else {}
    if per_course.empty:
        return Measured({"overall": refused("no_rows", "0-1", excluded=excluded)})
    quartiles = np.quantile(per_course, [0.25, 0.5, 0.75])
    mean, kept, dropped = gains.normalized_change(frame, maximum)
    pre, post = mean_points(frame, maximum, "pre"), mean_points(frame, maximum, "post")
    assert pre is not None
    assert post is not None
    n = int(frame["n"].sum())
    measures = {
        "overall": Estimate(
            float(quartiles[1]),
            "0-1",
            len(per_course),
            method="median of courses",
            excluded=excluded,
        ),
        "quartile_1": Estimate(float(quartiles[0]), "0-1", len(per_course), method="quartile"),
        "quartile_3": Estimate(float(quartiles[2]), "0-1", len(per_course), method="quartile"),
        "pooled": Estimate((post - pre) / (100 - pre), "0-1", n, method="pooled")
        if pre < 100
        else refused("no_room_to_learn", "0-1", n=n),
        "normalized_change": Estimate(
            mean,
            "-1 to 1",
            kept,
            method="Marx & Cummings",
            excluded={"no_change_at_limit": dropped} if dropped else {},
        )
        if mean is not None
        else refused("no_rows", "-1 to 1"),
    }

    def of(part: pd.DataFrame) -> Estimate:
        values = gains.normalized_gain_by_course(part, maximum)
        people = int(part["n"].sum())
        if values.empty:
            return refused("no_rows", "0-1", n=people)
        return Estimate(float(np.median(values)), "0-1", people, method="median of courses")

    home = large.assign(province=large["course"].map(season.strata))
    return Measured(
        measures,
        by={"province": breakdown(season, home, "province", of, season.programme.targets)},
    )


@indicator("EFT-3")
def eft_3(season: Season) -> Measured:
    """100 · pairs at or above the pass mark after the course / pairs. Per cent, Wilson with design effect.

    `pre_share` is the same before; `change` their difference in percentage points with a CR2 interval
    (McNemar's question, asked with courses as clusters).
    """
    frame, maximum = season.pairs, season.max_points
    mark = season.programme.test.pass_mark

    def of(part: pd.DataFrame) -> Estimate:
        return gains.pass_share(part, maximum, mark)

    return Measured(
        {
            "overall": limited(season, replace(of(frame), excluded=season.pairing)),
            "pre_share": limited(season, gains.pass_share(frame, maximum, mark, "pre")),
            "change": limited(season, gains.pass_share_change(frame, maximum, mark, season.strata)),
        },
        by={"province": breakdown(season, frame, "home", of, season.programme.targets)},
    )


@indicator("EFT-4")
def eft_4(season: Season) -> Measured:
    """Mean gain per module in points of 100, and gain on taught minus gain on untaught modules.

    The difference (a non-equivalent dependent variable; Shadish, Cook & Campbell 2002, ch. 5) uses
    courses that taught some modules and not others; headline is that difference.
    """
    worth = {
        module.code: sum(i.weight for i in season.programme.items if i.module == module.code)
        for module in season.programme.modules
    }
    cells = {
        code: limited(season, gain_of(season, frame, worth[code]))
        for code, frame in season.modules.items()
    }
    taught = season.taught
    if taught.empty:
        none = refused("no_untaught_module", POINTS)
        return Measured(
            {"taught_minus_untaught": none}, headline="taught_minus_untaught", by={"module": cells}
        )
    both = {
        "taught_minus_untaught": taught["taught"] - taught["untaught"],
        "taught": taught["taught"],
        "untaught": taught["untaught"],
    }
    measures = {
        name: limited(
            season, gains.mean_of(gains.cluster_sums(taught, values, season.strata), POINTS, {})
        )
        for name, values in both.items()
    }
    return Measured(measures, headline="taught_minus_untaught", by={"module": cells})


@indicator("EFT-6")
def eft_6(season: Season) -> Measured:
    """Mean over respondents of their mean over the effectiveness statements (not taught left out)."""
    return perceived(season, "effectiveness")
