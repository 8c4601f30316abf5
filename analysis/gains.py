"""Learning gains from (pre, post) count tables.

Every function takes a frame with columns course, pre, post, n (points before and after, persons) and
the maximum of points; gains come out in points of 100. Pure functions of small frames.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from analysis.clusters import clustered_mean, design_effect, icc, wilson
from analysis.estimate import LEVEL, Estimate, refused

__all__ = [
    "MIN_COURSES",
    "cluster_sums",
    "d_av",
    "hodges_lehmann",
    "mean_gain",
    "normalized_change",
    "normalized_gain_by_course",
    "pass_share",
    "pass_share_change",
    "wilcoxon_p",
]

MIN_COURSES = 5
"""With fewer clusters a cell's value describes this group only and carries no interval."""

POINTS = "points (0-100)"
CR2 = "CR2, courses in provinces"
GROUP_ONLY = "this group only"


@dataclass(frozen=True, slots=True)
class Sums:
    """Persons, Σd and Σd² of each cluster, and the stratum it lies in."""

    n: NDArray[np.float64]
    total: NDArray[np.float64]
    squares: NDArray[np.float64]
    stratum: NDArray[np.object_]


def cluster_sums(
    frame: pd.DataFrame, values: pd.Series, strata: Mapping[str, str], cluster: str = "course"
) -> Sums:
    """Add a value up over clusters; `strata` maps a cluster to its stratum (absent: one stratum)."""
    codes, names = pd.factorize(frame[cluster], sort=True)
    n = frame["n"].to_numpy(float)
    d = values.to_numpy(float)
    there = codes >= 0  # rows without a cluster are in none
    codes, n, d = codes[there], n[there], d[there]
    size = len(names)
    return Sums(
        added_up(codes, n, size),
        added_up(codes, n * d, size),
        added_up(codes, n * d**2, size),
        np.array([strata.get(str(name), "") for name in names], dtype=object),
    )


def added_up(
    codes: NDArray[np.intp], weight: NDArray[np.float64], size: int
) -> NDArray[np.float64]:
    """The sum of `weight` in each of `size` groups."""
    return np.bincount(codes, weight, size).astype(np.float64)


def mean_of(sums: Sums, unit: str, excluded: Mapping[str, int], method: str = CR2) -> Estimate:
    """A clustered mean as an `Estimate`; without interval under `MIN_COURSES`, refused when empty."""
    n = int(sums.n.sum())
    if n == 0:
        return refused("no_rows", unit, excluded=excluded)
    if n == 1:
        return refused("n_below_2", unit, n=1, excluded=excluded)
    value = float(sums.total.sum()) / n
    fitted = (
        clustered_mean(sums.n, sums.total, sums.stratum) if sums.n.size >= MIN_COURSES else None
    )
    if fitted is None:
        return Estimate(
            value, unit, n, method=GROUP_ONLY, excluded=excluded, reason="fewer_than_5_courses"
        )
    return Estimate(fitted.mean, unit, n, fitted.low, fitted.high, LEVEL, method, excluded=excluded)


def mean_gain(
    frame: pd.DataFrame,
    maximum: float,
    strata: Mapping[str, str],
    *,
    excluded: Mapping[str, int] | None = None,
    cluster: str = "course",
    method: str = CR2,
) -> Estimate:
    """Mean of post minus pre in points of 100, with its CR2 interval.

    methods: raw gain; clusters are courses and strata provinces unless `cluster` says otherwise.
    """
    gain = 100 * (frame["post"] - frame["pre"]) / maximum
    return mean_of(cluster_sums(frame, gain, strata, cluster), POINTS, excluded or {}, method)


def pass_share(frame: pd.DataFrame, maximum: float, mark: float, column: str = "post") -> Estimate:
    """Per cent of pairs at or above the pass mark (points of 100): Wilson with design effect."""
    passed = (100 * frame[column] >= mark * maximum).astype(float)
    sums = cluster_sums(frame, passed, {})
    return share_of(sums, {})


def share_of(sums: Sums, excluded: Mapping[str, int]) -> Estimate:
    """A share (Σd of 0/1 values) in per cent, Wilson interval with the design effect of clusters."""
    n = int(sums.n.sum())
    if n == 0:
        return refused("no_rows", "%", excluded=excluded)
    value = 100 * float(sums.total.sum()) / n
    if sums.n.size < MIN_COURSES:
        return Estimate(
            value, "%", n, method=GROUP_ONLY, excluded=excluded, reason="fewer_than_5_courses"
        )
    effect = design_effect(sums.n, icc(sums.n, sums.total, sums.squares))
    low, high = wilson(float(sums.total.sum()), n, effect)
    return Estimate(
        value, "%", n, 100 * low, 100 * high, LEVEL, "Wilson, design effect", excluded=excluded
    )


def pass_share_change(
    frame: pd.DataFrame, maximum: float, mark: float, strata: Mapping[str, str]
) -> Estimate:
    """Change of the share at the pass mark, in percentage points, CR2 interval over courses."""
    after = (100 * frame["post"] >= mark * maximum).astype(float)
    before = (100 * frame["pre"] >= mark * maximum).astype(float)
    return mean_of(cluster_sums(frame, 100 * (after - before), strata), "percentage points", {})


def normalized_gain_by_course(frame: pd.DataFrame, maximum: float) -> pd.Series:
    """(mean post - mean pre)/(max - mean pre) of each course (Hake 1998, Am. J. Phys. 66, 64).

    Courses whose mean pre-score is the maximum are left out: nothing could be learned there.
    """
    weighted = pd.DataFrame(
        {
            "course": frame["course"],
            "n": frame["n"],
            "pre": frame["n"] * frame["pre"],
            "post": frame["n"] * frame["post"],
        }
    )
    sums = weighted.groupby("course", sort=True).sum()
    pre, post = sums["pre"] / sums["n"], sums["post"] / sums["n"]
    room = maximum - pre
    return ((post - pre) / room)[room > 0]


def normalized_change(frame: pd.DataFrame, maximum: float) -> tuple[float | None, int, int]:
    """Mean normalized change c, persons it rests on, persons dropped (Marx & Cummings 2007).

    c is d/(max - pre) for a gain, d/pre for a loss, 0 for no change; persons with pre = post at 0 or at
    the maximum are dropped (Am. J. Phys. 75, 87–91).
    """
    pre = frame["pre"].to_numpy(float)
    post = frame["post"].to_numpy(float)
    n = frame["n"].to_numpy(float)
    dropped = (pre == post) & ((pre == 0) | (pre == maximum))
    d = post - pre
    base = np.where(d > 0, maximum - pre, np.where(d < 0, pre, 1.0))
    kept = ~dropped
    count = int(n[kept].sum())
    mean = float(np.sum(n[kept] * d[kept] / base[kept]) / count) if count else None
    return mean, count, int(n[dropped].sum())


def d_av(frame: pd.DataFrame) -> float | None:
    """mean(d)/√((s₁²+s₂²)/2), the effect size of a paired design (Cumming 2012; Bonett 2008)."""
    n = frame["n"].to_numpy(float)
    if n.sum() < 2:
        return None
    pre, post = frame["pre"].to_numpy(float), frame["post"].to_numpy(float)
    spread = (np.cov(pre, fweights=n.astype(int)) + np.cov(post, fweights=n.astype(int))) / 2
    return None if spread <= 0 else float(np.average(post - pre, weights=n) / np.sqrt(spread))


def histogram(frame: pd.DataFrame, maximum: float) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distinct gains in points of 100 and how many persons have each."""
    gain = 100 * (frame["post"] - frame["pre"]) / maximum
    counts = frame["n"].groupby(gain).sum().sort_index()
    return counts.index.to_numpy(float), counts.to_numpy(np.int64)


def wilcoxon_p(frame: pd.DataFrame, maximum: float) -> float | None:
    """Two-sided p of Wilcoxon's signed-rank test, zeros dropped, normal approximation with ties.

    A sensitivity line: it takes persons for independent. None when every gain is zero.
    """
    values, counts = histogram(frame, maximum)
    if not np.any(values != 0):
        return None
    result = stats.wilcoxon(
        np.repeat(values, counts), zero_method="wilcox", correction=False, method="asymptotic"
    )
    return float(result.pvalue)  # pyright: ignore[reportAttributeAccessIssue]  # stubs lack pvalue


def hodges_lehmann(frame: pd.DataFrame, maximum: float) -> float | None:
    """Median of the Walsh averages (d_i + d_j)/2, i ≤ j (Hodges & Lehmann 1963), from counts."""
    values, counts = histogram(frame, maximum)
    if not values.size:
        return None
    rows, columns = np.triu_indices(values.size)
    averages = (values[rows] + values[columns]) / 2
    pairs = np.where(
        rows == columns,
        counts[rows] * (counts[rows] + 1) // 2,
        counts[rows] * counts[columns],
    )
    order = np.argsort(averages, kind="stable")
    averages, reached = averages[order], np.cumsum(pairs[order])
    everything = int(reached[-1])
    lower = averages[np.searchsorted(reached, (everything + 1) // 2)]
    upper = averages[np.searchsorted(reached, everything // 2 + 1)]
    return float((lower + upper) / 2)
