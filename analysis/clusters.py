"""Means and shares of people who come in clusters: intervals that know it.

Everything here works on one row per cluster (n, Σd, Σd²), which merges by addition. People in one
course resemble each other, so the course is the unit that varies; provinces are strata because all of
them are there (a census, not a sample).

CR2: Bell & McCaffrey (2002), Survey Methodology 28(2), 169–181; Satterthwaite degrees of freedom as in
Pustejovsky & Tipton (2018), J. Bus. Econ. Stat. 36(4), 672–683, here in closed form for a mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from analysis.estimate import LEVEL

__all__ = ["ClusteredMean", "clustered_mean", "collapse", "design_effect", "icc", "wilson"]


@dataclass(frozen=True, slots=True)
class ClusteredMean:
    """A person-weighted mean with its CR2 standard error and Satterthwaite degrees of freedom."""

    mean: float
    se: float
    df: float
    low: float
    high: float
    n: int
    clusters: int


def clustered_mean(
    n: ArrayLike, total: ArrayLike, stratum: ArrayLike | None = None
) -> ClusteredMean | None:
    """Mean of d with clusters as the unit that varies, inside fixed strata.

    Parameters: per cluster `n` (persons, > 0), `total` (Σd), `stratum` (any labels; None: one stratum).
    With S_j the sum of cluster j's residuals from its stratum's mean and N_h the persons of its
    stratum h, Var = Σ S_j²/(1 - n_j/N_h) / N². Satterthwaite: P has p_jj = n_j and
    p_jk = -A_j A_k n_j n_k / N_h with A_j² = 1/(1 - n_j/N_h); df = tr(P)²/tr(P²).
    Strata of a single cluster are collapsed. None when fewer than two clusters are there.
    """
    size = np.asarray(n, dtype=float)
    sums = np.asarray(total, dtype=float)
    if size.size < 2:
        return None
    codes = collapse(np.zeros(size.size) if stratum is None else stratum)
    persons = np.bincount(codes, weights=size)
    mean_of = np.bincount(codes, weights=sums) / persons
    share = size / persons[codes]
    residual = sums - size * mean_of[codes]
    everyone = float(size.sum())
    variance = float(np.sum(residual**2 / (1 - share))) / everyone**2
    off = size * share / (1 - share)
    trace_of_square = float(
        np.sum(size**2) + np.sum(np.bincount(codes, weights=off) ** 2) - np.sum(off**2)
    )
    df = everyone**2 / trace_of_square
    se = float(np.sqrt(variance))
    mean = float(sums.sum()) / everyone
    margin = float(stats.t.ppf(0.5 + LEVEL / 2, df)) * se
    return ClusteredMean(mean, se, df, mean - margin, mean + margin, int(everyone), size.size)


def collapse(stratum: ArrayLike) -> NDArray[np.intp]:
    """Stratum codes 0…H-1 in which every stratum has at least two clusters.

    Strata of one cluster carry no information on their own spread: they are put together, and a last
    single one joins the smallest other stratum (collapsed strata; Cochran 1977, §5A.12). The interval
    is wider for it, never narrower.
    """
    _, codes = np.unique(np.asarray(stratum), return_inverse=True)
    counts = np.bincount(codes)
    single = np.flatnonzero(counts == 1)
    if single.size:
        codes = np.where(np.isin(codes, single), single[0], codes)
        if single.size == 1 and counts.size > 1:
            others = np.flatnonzero(counts > 1)
            smallest = others[np.argmin(counts[others])]
            codes = np.where(codes == single[0], smallest, codes)
        _, codes = np.unique(codes, return_inverse=True)
    return codes


def icc(n: ArrayLike, total: ArrayLike, squares: ArrayLike) -> float | None:
    """Intraclass correlation by one-way analysis of variance (Donner 1986, Int. Stat. Rev. 54, 67).

    `squares` is Σd² per cluster. May be negative; None when it is undefined (one cluster, no spread).
    """
    size = np.asarray(n, dtype=float)
    sums = np.asarray(total, dtype=float)
    squared = np.asarray(squares, dtype=float)
    groups, everyone = size.size, float(size.sum())
    if groups < 2 or everyone <= groups:
        return None
    between = float(np.sum(sums**2 / size)) - float(sums.sum()) ** 2 / everyone
    within = float(np.sum(squared - sums**2 / size))
    msb, msw = between / (groups - 1), within / (everyone - groups)
    n0 = (everyone - float(np.sum(size**2)) / everyone) / (groups - 1)
    spread = msb + (n0 - 1) * msw
    return None if spread <= 0 else (msb - msw) / spread


def design_effect(n: ArrayLike, correlation: float | None) -> float:
    """1 + (m_w - 1)·ICC with m_w = Σn²/N (Kish 1965); never below 1, since that would claim a gain."""
    size = np.asarray(n, dtype=float)
    weighted = float(np.sum(size**2) / size.sum())
    return max(1.0, 1 + (weighted - 1) * (correlation or 0.0))


def wilson(successes: float, n: float, deff: float = 1.0) -> tuple[float, float]:
    """Wilson score interval of a share (Wilson 1927) with n divided by the design effect.

    Returns proportions in 0…1; `n` > 0.
    """
    effective = n / deff
    p = successes / n
    z = float(stats.norm.ppf(0.5 + LEVEL / 2))
    centre = p + z**2 / (2 * effective)
    margin = z * np.sqrt(p * (1 - p) / effective + z**2 / (4 * effective**2))
    scale = 1 + z**2 / effective
    return max(0.0, float((centre - margin) / scale)), min(1.0, float((centre + margin) / scale))
