"""Efficiency: what a trained leader costs, and whether the course was well run."""

from __future__ import annotations

from analysis.cells import hidden
from analysis.estimate import Estimate, refused
from analysis.indicators import Measured, indicator
from analysis.relevance import perceived
from analysis.season import Season

__all__ = ["eff_1", "eff_5", "spent_in", "spent_on_training", "trained_by_province"]


def spent_on_training(season: Season) -> dict[str, int]:
    """Satang spent on the training activity by project, latest records."""
    frame = season.spent
    rows = frame[frame["activity_no"] == season.programme.rules.training_activity]
    return {
        str(project): int(spent)
        for project, spent in zip(rows["project_no"], rows["spent"], strict=True)
    }


def spent_in(season: Season, province: str, spent: dict[str, int]) -> int:
    """Satang spent by all projects of a province."""
    rows = season.programme.disbursements
    return sum(spent.get(row.project, 0) for row in rows if row.province == province)


def trained_by_province(season: Season) -> dict[str, int]:
    """Unique persons with a registration and a valid post-test, by home province."""
    rows = season.persons[season.persons["trained"]]
    return {str(home): int(n) for home, n in rows.groupby("home")["n"].sum().items()}


def cost(satang: int, persons: int) -> Estimate:
    """Baht per person; refused without spending or without persons."""
    if satang == 0:
        return refused("no_spending_recorded", "baht/person", n=persons)
    if persons == 0:
        return refused("nobody_trained", "baht/person")
    return Estimate(satang / 100 / persons, "baht/person", persons, method="ratio of totals")


@indicator("EFF-1")
def eff_1(season: Season) -> Measured:
    """Baht spent on the training activity / trained persons (registration and valid post-test).

    Spending is the latest cumulative record of each sub-activity. Both are full counts: no interval.
    """
    spent = spent_on_training(season)
    trained = trained_by_province(season)
    total = sum(spent.values())
    return Measured(
        {
            "overall": cost(total, sum(trained.values())),
            "spent": Estimate(total / 100, "baht", len(spent), method="sum of amounts"),
        },
        by={
            "province": hidden(
                season,
                {
                    province: cost(spent_in(season, province, spent), trained.get(province, 0))
                    for province in season.programme.targets
                },
            )
        },
    )


@indicator("EFF-5")
def eff_5(season: Season) -> Measured:
    """Mean over respondents of their mean over the efficiency statements, score 1-5, CR2 interval."""
    return perceived(season, "efficiency")
