"""A season as of a day: the programme, its counted data, and nothing read twice.

`Season` is what every indicator looks at. Count tables are made when first asked for and kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import cached_property

import pandas as pd

from analysis import counts, perception, records
from analysis.cohort import Cohort, build
from analysis.engine import Rows, Tables, number
from forms.programme import Programme

__all__ = ["Season"]


@dataclass(frozen=True)
class Season:
    """Everything an indicator may look at."""

    programme: Programme
    tables: Tables
    as_of: date

    @cached_property
    def cohort(self) -> Cohort:
        return build(self.programme, self.tables, self.as_of)

    @cached_property
    def paired(self) -> Rows:
        return self.tables.keep("paired", counts.paired(self.cohort, self.programme))

    @cached_property
    def pairs(self) -> pd.DataFrame:
        """(pre, post) counts by course, home and traits."""
        return counts.pair_counts(self.paired)

    @cached_property
    def modules(self) -> dict[str, pd.DataFrame]:
        return counts.module_counts(self.paired, self.programme)

    @cached_property
    def taught(self) -> pd.DataFrame:
        return counts.taught_counts(self.paired, self.programme)

    @cached_property
    def enrolments(self) -> pd.DataFrame:
        """Registered (person, course) by traits and by which tests they have."""
        return counts.people_counts(self.cohort)

    @cached_property
    def persons(self) -> pd.DataFrame:
        """Unique registered persons by traits and whether they are trained."""
        return counts.persons(self.cohort)

    @cached_property
    def spent(self) -> pd.DataFrame:
        """Satang by project and activity, latest records."""
        return records.spending(self.programme, self.tables, self.as_of)

    @cached_property
    def _scores(self) -> dict[str, perception.Scores]:
        return {}

    def scores(self, scale: str) -> perception.Scores:
        """Persons' scores on one of the programme's scales."""
        if scale not in self._scores:
            spec = self.programme.scales[scale]
            frame = counts.answered_scale(self.cohort, spec)
            self._scores[scale] = perception.scores(
                frame, len(spec.items), self.programme.rules.likert_answered
            )
        return self._scores[scale]

    @cached_property
    def strata(self) -> dict[str, str]:
        """Province of each course."""
        return {course.code: course.province for course in self.programme.courses}

    @property
    def max_points(self) -> float:
        """Points of a test answered right throughout."""
        return sum(item.weight for item in self.programme.items)

    @cached_property
    def pairing(self) -> dict[str, int]:
        """Why tests make no pair: unusable rows by reason, and valid tests without their partner."""
        reasons: dict[str, int] = {}
        for wave in ("pre", "post"):
            for reason, n in self.cohort.reasons(self.programme.form_of("test", wave)).items():
                reasons[reason] = reasons.get(reason, 0) + n
        valid = {wave: number(getattr(self.cohort, wave).count()) for wave in ("pre", "post")}
        both = int(self.pairs["n"].sum())
        for reason, n in (("no_post", valid["pre"] - both), ("no_pre", valid["post"] - both)):
            if n:
                reasons[reason] = n
        return reasons

    @cached_property
    def held(self) -> frozenset[str]:
        """Courses that ended by the as-of date, are not cancelled, and have a registration."""
        registered = set(self.enrolments["course"])
        return frozenset(
            course.code
            for course in self.programme.courses
            if course.end <= self.as_of
            and course.status != "cancelled"
            and course.code in registered
        )
