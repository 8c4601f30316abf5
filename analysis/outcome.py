"""Outcome and output: leaders developed."""

from __future__ import annotations

import pandas as pd

from analysis.cells import breakdown
from analysis.estimate import Estimate
from analysis.indicators import Measured, indicator
from analysis.season import Season

__all__ = ["out_1"]


@indicator("OUT-1")
def out_1(season: Season) -> Measured:
    """Unique persons with a registration and a valid post-test (= trained). Persons; a full count."""
    trained = season.persons[season.persons["trained"]]

    def of(frame: pd.DataFrame) -> Estimate:
        n = int(frame["n"].sum())
        return Estimate(n, "persons", n, method="count")

    return Measured(
        {"overall": of(trained)},
        by={
            "province": breakdown(season, trained, "home", of, season.programme.targets),
            "sex": breakdown(season, trained, "sex", of),
            "age_group": breakdown(season, trained, "age_group", of),
        },
    )
