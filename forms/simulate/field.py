"""The ground working groups stand on when they fill in a form: the season as it went, and chance.

Recipes for their forms (`activities`, `processes`, `aftermath`) draw from a `Field` and give
`Report`s: submissions with the day they are made.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from forms.model import Submission
from forms.programme import Programme
from forms.simulate.blank import Blank, choose, instance_id, several
from forms.simulate.people import People
from forms.simulate.responses import Design
from forms.simulate.settings import Simulation
from forms.tables import Disbursement
from forms.values import BUDDHIST_OFFSET

__all__ = ["Field", "File", "Report", "field_of", "money", "started"]

File = tuple[str, bytes, str]
"""An attachment as it travels: name, content, media type."""


@dataclass(frozen=True, slots=True)
class Report:
    """A submission of a working group and the day it is made."""

    day: date
    submission: Submission
    files: tuple[File, ...] = ()


@dataclass(frozen=True)
class Field:
    """What every recipe here needs: the season as it went, and chance."""

    programme: Programme
    simulation: Simulation
    design: Design
    people: People
    stayed: NDArray[np.bool_]
    rng: np.random.Generator
    end: date

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.programme.time_zone)

    def u(self) -> float:
        return float(self.rng.random())

    def between(self, bounds: tuple[float, float]) -> float:
        return float(self.rng.uniform(*bounds))

    def days(self, low: int, high: int) -> timedelta:
        return timedelta(int(self.rng.integers(low, high + 1)))

    def members(self, course: int) -> NDArray[np.int64]:
        """Enrolments of a course whose people stayed to the end."""
        first, last = self.design.plan.first[course], self.design.plan.first[course + 1]
        return np.arange(first, last)[self.stayed[first:last]]

    def code(self, blank: Blank, name: str, key: str = "") -> str:
        """One code of a question, by the weights of simulation.toml."""
        codes = blank.codes(name)
        if not codes:
            return ""
        weights = self.simulation.fieldwork.weights.get(key or name, {})
        return codes[int(choose(codes, weights, self.rng.random(1))[0])]

    def codes(self, blank: Blank, name: str, *, most: int = 3, none: float = 0.0) -> str:
        """Several codes of a question."""
        if not blank.codes(name):
            return ""
        weights = self.simulation.people.weights.get(name, {})
        return several(blank.codes(name), weights, self.rng, 1, most=most, none=none)[0]

    def yes(self, blank: Blank, name: str, share: float = 1.0) -> str:
        return blank.pick(name, "yes" if self.u() < share else "no")

    def say(self, name: str) -> str:
        """A phrase for a free text."""
        texts = self.simulation.texts.get(name, ("ไม่มี",))
        return texts[int(self.u() * len(texts))]

    def begin(self, blank: Blank, day: date, place: str) -> dict[str, str]:
        """The beginning of a form filled in at an office of `place`."""
        device = instance_id(self.simulation.seed, "office", place)[:13].replace("-", "")
        lasting = 180 + 600 * self.u()
        seconds = 8.5 * 3600 + 7 * 3600 * self.u()
        named = blank.moments(day, seconds, lasting, self.zone, device, f"enum-{place}")
        named[blank.spec.event_date] = day.isoformat()
        return named

    def level(self, blank: Blank, province: str) -> str:
        regional = province not in self.design.plan.provinces
        return blank.pick("level", "region" if regional else "province")

    def projects(self) -> list[tuple[Disbursement, list[int]]]:
        """Projects that hold courses in this season, with the courses' places in the plan."""
        found = []
        for project in self.programme.disbursements:
            courses = [
                i for i, c in enumerate(self.design.plan.courses) if c.project == project.project
            ]
            if courses:
                found.append((project, courses))
        return found

    def month_ends(self, after: date) -> list[date]:
        """Last days of the months from `after` to the season's end."""
        found, day = [], after.replace(day=1)
        while True:
            following = (day + timedelta(32)).replace(day=1)
            if following - timedelta(1) > self.end:
                return found
            if following - timedelta(1) >= after:
                found.append(following - timedelta(1))
            day = following


def field_of(
    programme: Programme,
    simulation: Simulation,
    design: Design,
    people: People,
    stayed: NDArray[np.bool_],
    rng: np.random.Generator,
) -> Field:
    """The field of a season that ends with the Thai fiscal year, on 30 September."""
    end = date(programme.fiscal_year_be - BUDDHIST_OFFSET, 9, 30)
    return Field(programme, simulation, design, people, stayed, rng, end)


def money(value: float) -> str:
    """Baht as XPath writes a rounded number: `743.5`, `0`."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


def started(project: Disbursement) -> date:
    """From when a project can work: the first transfer, or else the approval."""
    return project.transferred1_on or project.approved_on
