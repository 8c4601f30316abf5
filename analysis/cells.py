"""Breaking a headline down: one estimate a cell, small cells hidden by the one rule."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import pandas as pd

from analysis.estimate import Estimate, hide_small
from analysis.season import Season

__all__ = ["breakdown", "hidden", "hidden_within", "limited", "shares"]


def breakdown(
    season: Season,
    frame: pd.DataFrame,
    column: str,
    estimate: Callable[[pd.DataFrame], Estimate],
    cells: Iterable[str] | None = None,
) -> dict[str, Estimate]:
    """`estimate` of the part of `frame` in each cell of `column`; `cells` fixes which and their order.

    Persons without a value in `column` are in no cell.
    """
    names = list(cells) if cells is not None else sorted(frame[column].dropna().unique())
    made = {str(name): estimate(frame[frame[column] == name]) for name in names}
    return hidden(season, made)


def hidden(season: Season, cells: Mapping[str, Estimate]) -> dict[str, Estimate]:
    """The cells with the programme's limits applied."""
    rules = season.programme.rules
    return hide_small(
        cells, suppress_below=rules.suppress_below, indicative_below=rules.indicative_below
    )


def hidden_within(
    season: Season, cells: Mapping[str, Estimate], group_of: Mapping[str, str]
) -> dict[str, Estimate]:
    """The limits applied inside each group whose total is shown too (courses inside provinces).

    A lone small course could else be had from its province's figures.
    """
    out: dict[str, Estimate] = {}
    for group in sorted({group_of.get(key, "") for key in cells}):
        out |= hidden(season, {k: c for k, c in cells.items() if group_of.get(k, "") == group})
    return {key: out[key] for key in cells}


def limited(season: Season, estimate: Estimate) -> Estimate:
    """A figure on persons outside any breakdown, hidden or marked by the same limits."""
    return hidden(season, {"": estimate})[""]


def shares(part: int, whole: int, unit: str = "%", method: str = "count") -> Estimate:
    """100·part/whole of a full count (no interval: nobody was sampled); refused when whole is 0."""
    if whole == 0:
        return Estimate(None, unit, 0, status="refused", reason="no_rows")
    return Estimate(100 * part / whole, unit, whole, method=method)
