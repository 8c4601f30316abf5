"""Perception: statements answered 5 to 1, a person's score, the composite and its Thai band.

A person's score is the mean of the statements answered, when enough were; the composite is the mean of
persons with a CR2 interval. Means are rounded half up in exact arithmetic before they are put into a
band (Boonchom Srisa-ard B.E. 2545, p. 103: 4.51, 3.51, 2.51, 1.51; or equal widths of 0.80).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pandas as pd

from analysis.estimate import Estimate
from analysis.gains import cluster_sums, mean_of, share_of

__all__ = [
    "BANDS",
    "Scores",
    "band",
    "bands_crossed",
    "composite",
    "high_share",
    "item_rows",
    "scores",
]

BANDS: Mapping[str, tuple[Decimal, ...]] = {
    "4.51": tuple(Decimal(cut) for cut in ("4.51", "3.51", "2.51", "1.51")),
    "0.80": tuple(Decimal(cut) for cut in ("4.21", "3.41", "2.61", "1.81")),
}
SCORE = "score 1-5"


@dataclass(frozen=True)
class Scores:
    """Persons' scores on a scale: frame with course, home, sex, role, answered, total, n; who is left out."""

    frame: pd.DataFrame
    too_few: int

    @property
    def values(self) -> pd.Series:
        """Each row's score, 1…5."""
        return self.frame["total"] / self.frame["answered"]


def scores(frame: pd.DataFrame, statements: int, answered_share: float) -> Scores:
    """Keep persons who answered at least the share of statements (0.8 of 6: 5), count the others."""
    needed = math.ceil(Fraction(str(answered_share)) * statements)
    enough = frame["answered"] >= max(1, needed)
    return Scores(frame[enough].reset_index(drop=True), int(frame.loc[~enough, "n"].sum()))


def composite(given: Scores, strata: Mapping[str, str], excluded: Mapping[str, int]) -> Estimate:
    """Mean of persons' scores with CR2 interval over courses."""
    left_out = {**excluded, **({"too_few_answers": given.too_few} if given.too_few else {})}
    return mean_of(cluster_sums(given.frame, given.values, strata), SCORE, left_out)


def high_share(given: Scores, cut: float, excluded: Mapping[str, int]) -> Estimate:
    """Per cent of persons whose score reaches `cut`, Wilson interval with design effect."""
    exact = Fraction(str(cut))
    reached = (given.frame["total"] >= float(exact) * given.frame["answered"]).astype(float)
    left_out = {**excluded, **({"too_few_answers": given.too_few} if given.too_few else {})}
    return share_of(cluster_sums(given.frame, reached, {}), left_out)


def exact_mean(given: Scores) -> Fraction | None:
    """The composite as an exact fraction."""
    frame = given.frame
    people = int(frame["n"].sum())
    if not people:
        return None
    total = sum(
        (
            Fraction(int(n) * int(points), int(answered))
            for n, points, answered in zip(
                frame["n"], frame["total"], frame["answered"], strict=True
            )
        ),
        start=Fraction(0),
    )
    return total / people


def band(mean: Fraction | float | None, rule: str) -> int | None:
    """Band 5 (most) to 1 (least) of a mean, rounded half up to two decimals first."""
    if mean is None:
        return None
    exact = mean if isinstance(mean, Fraction) else Fraction(mean)
    rounded = (Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(
        Decimal("0.01"), ROUND_HALF_UP
    )
    return 1 + sum(rounded >= cut for cut in BANDS[rule])


def bands_crossed(estimate: Estimate, rule: str) -> list[int]:
    """The bands the interval reaches, low to high; more than one means “between levels”."""
    if estimate.low is None or estimate.high is None:
        return []
    low, high = band(estimate.low, rule), band(estimate.high, rule)
    assert low is not None
    assert high is not None
    return list(range(low, high + 1))


def item_rows(frame: pd.DataFrame, rule: str) -> list[dict[str, object]]:
    """One row a statement: item, n, mean, sd, band, counts of 1…5, not_taught (`na`)."""
    rows: list[dict[str, object]] = []
    for item, part in frame.groupby("item", sort=False):
        by_value = {
            str(v): int(n) for v, n in zip(part["value"], part["n"], strict=True) if pd.notna(v)
        }
        counts = [by_value.get(str(value), 0) for value in range(1, 6)]
        n = sum(counts)
        total = sum(count * value for value, count in enumerate(counts, start=1))
        squares = sum(count * value**2 for value, count in enumerate(counts, start=1))
        mean = Fraction(total, n) if n else None
        rows.append(
            {
                "item": str(item),
                "n": n,
                "mean": float(mean) if mean is not None else None,
                "sd": math.sqrt((squares - total**2 / n) / (n - 1)) if n > 1 else None,
                "band": band(mean, rule),
                "counts": counts,
                "not_taught": by_value.get("na", 0),
            }
        )
    return rows
