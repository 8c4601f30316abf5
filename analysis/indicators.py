"""The registry of indicators: one function each, found by id.

An indicator's function takes the `Season` (everything counted, as of a day) and returns `Measured`:
named estimates, the one that is the headline, and the headline broken down. Which indicators there are,
their questions, targets and bands, is the programme's table; an id that nobody has registered is listed
in the coverage as not built.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from analysis.estimate import Estimate
from analysis.season import Season
from forms.programme import Programme
from forms.tables import IndicatorSpec

__all__ = ["REGISTRY", "Measured", "indicator", "light"]


@dataclass(frozen=True)
class Measured:
    """What an indicator found: estimates by name, the headline's name, breakdowns of the headline."""

    measures: Mapping[str, Estimate]
    headline: str = "overall"
    by: Mapping[str, Mapping[str, Estimate]] = field(default_factory=dict)

    @property
    def main(self) -> Estimate:
        return self.measures[self.headline]


Function = Callable[[Season], Measured]
REGISTRY: dict[str, Function] = {}


def indicator(identifier: str) -> Callable[[Function], Function]:
    """Register the function of an indicator under its id; a second one replaces the first."""

    def register(function: Function) -> Function:
        REGISTRY[identifier] = function
        return function

    return register


def registered(programme: Programme) -> Iterator[tuple[IndicatorSpec, Function | None]]:
    """The programme's indicators with their functions, in the order of its table."""
    for spec in programme.indicators:
        yield spec, REGISTRY.get(spec.id)


def light(spec: IndicatorSpec, estimate: Estimate, mid: float | None = None) -> tuple[str, str]:
    """Traffic light and reason code of a headline.

    With `mid` (the minimum important difference) the rule is: met when the lower limit exceeds 0 and
    the estimate reaches `mid`; not assessed when the interval holds both 0 and `mid`, or is missing;
    else not met. Without it the table's bands decide, in the indicator's direction.
    """
    value = estimate.value
    if value is None:
        return "none", "no_data" if estimate.reason == "no_rows" else "refused"
    if mid is not None:
        if estimate.low is None or estimate.high is None:
            return "none", "not_assessed"
        if estimate.low > 0 and value >= mid:
            return "green", "met"
        if estimate.low <= 0 and estimate.high >= mid:
            return "none", "not_assessed"
        return "red", "not_met"
    if spec.green is None or spec.amber is None or spec.direction not in ("higher", "lower"):
        return "none", "no_target" if spec.target_status != "none" else "descriptive"
    sign = 1 if spec.direction == "higher" else -1
    if sign * value >= sign * spec.green:
        return "green", "meets_green"
    if sign * value >= sign * spec.amber:
        return "amber", "between"
    return "red", "below_amber"
