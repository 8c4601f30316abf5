"""Tables of opinion: every statement's mean, S.D. and band, and the composite of each scale."""

from __future__ import annotations

from typing import Any

from analysis import counts, perception
from analysis.estimate import Estimate
from analysis.indicators import Measured
from analysis.season import Season

__all__ = ["likert_rows"]

Row = dict[str, Any]


def likert_rows(season: Season, measured: dict[str, Measured]) -> list[Row]:
    """One row a statement, and one a scale (item null) with the composite."""
    rule = season.programme.rules.likert_bands
    headlines = {"relevance": "REL-1", "efficiency": "EFF-5", "effectiveness": "EFT-6"}
    rows: list[Row] = []
    for scale, spec in season.programme.scales.items():
        indicator = headlines.get(scale, "")
        form = season.programme.form(spec.form)
        frame = counts.item_values(season.cohort, spec)
        by_item = {row["item"]: row for row in perception.item_rows(frame, rule)}
        for item in spec.items:
            if item in by_item:
                words = form.by_name[item].labels
                rows.append(
                    {
                        "scale": scale,
                        "indicator": indicator,
                        "th": words.get("th", item),
                        "en": words.get("en", item),
                        **by_item[item],
                    }
                )
        rows.append(composite_row(season, scale, indicator, measured))
    return rows


def composite_row(season: Season, scale: str, indicator: str, measured: dict[str, Measured]) -> Row:
    """The composite of a scale as a row of the table of means."""
    rule = season.programme.rules.likert_bands
    given = season.scores(scale)
    found = measured.get(indicator)
    estimate = found.main if found else Estimate(None, "score 1-5", 0, status="refused")
    n = given.frame["n"].astype(float)
    spread = None
    if n.sum() > 1:
        mean = float((given.values * n).sum() / n.sum())
        spread = float((((given.values - mean) ** 2 * n).sum() / (n.sum() - 1)) ** 0.5)
    return {
        "scale": scale,
        "indicator": indicator,
        "item": None,
        "th": None,
        "en": None,
        "n": estimate.n,
        "mean": estimate.value,
        "sd": spread if estimate.known else None,
        "band": perception.band(perception.exact_mean(given), rule) if estimate.known else None,
        "bands_in_interval": perception.bands_crossed(estimate, rule),
        "counts": None,
        "not_taught": 0,
    }
