"""The gain a declared model truly has, by numerical integration; no draw is looked at.

The estimand: the mean over planned enrolments, provinces fixed, courses and persons random.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forms.programme import Programme
from forms.simulate.responses import (
    Design,
    Floats,
    Responses,
    design,
    expected,
    score_after,
    spread_before,
)
from forms.simulate.settings import Simulation

__all__ = ["TrueGain", "course_gains", "true_gain"]


@dataclass(frozen=True, slots=True)
class TrueGain:
    """Expected gains in points of 100, weighted by planned enrolments; `pre` and `post` likewise.

    `province` goes by the course's province, `person_province` by the person's; `course` is the
    expectation before the course's own effect is drawn. Gains of a module are in points of 100 of
    that module.
    """

    pre: float
    post: float
    overall: float
    province: dict[str, float]
    person_province: dict[str, float]
    curriculum: dict[str, float]
    course: dict[str, float]
    module: dict[str, float]
    module_taught: dict[str, float]
    module_untaught: dict[str, float]
    curriculum_module: dict[str, dict[str, float]]


def true_gain(
    programme: Programme,
    simulation: Simulation | None = None,
    *,
    people: int | None = None,
    solved: Design | None = None,
) -> TrueGain:
    """Expected gain of the planned enrolments: provinces fixed, courses and persons random."""
    made = solved or design(programme, simulation, people=people)
    plan, model = made.plan, made.model
    # an enrolment's expectation depends on its course and on where the person is at home
    home = plan.home[plan.person_of]
    cells, count = np.unique(np.stack([plan.course_of, home]), axis=1, return_counts=True)
    course, place = cells
    mean = made.home_ability[place]
    logit = model.slope * (mean[:, None] - made.difficulty)
    before = expected(logit, np.full_like(logit, spread_before(model)), model)
    taught = made.taught[course]
    after = score_after(model, mean, made.shift[course], taught, made.difficulty)
    size = count.astype(float)[:, None] * made.weights  # cells × items: what each counts for

    def points(values: Floats, where: Any = True) -> float:
        weight = size * where
        return float(100 * (weight * values).sum() / weight.sum())

    gain = after - before
    provinces = np.array([c.province for c in plan.courses])[course]
    curricula = np.array([c.curriculum for c in plan.courses])[course]
    modules = np.array(made.modules)

    def by_row(labels: NDArray[Any]) -> dict[str, float]:
        return {str(label): points(gain, (labels == label)[:, None]) for label in in_order(labels)}

    def by_module(where: Any = True) -> dict[str, float]:
        kept = {str(label): (modules == label) & where for label in in_order(modules)}
        return {label: points(gain, mask) for label, mask in kept.items() if (size * mask).any()}

    return TrueGain(
        pre=points(before),
        post=points(after),
        overall=points(gain),
        province=by_row(provinces),
        person_province=by_row(np.array(plan.provinces)[place]),
        curriculum=by_row(curricula),
        course=by_row(np.array([c.code for c in plan.courses])[course]),
        module=by_module(),
        module_taught=by_module(taught),
        module_untaught=by_module(~taught),
        curriculum_module={
            str(name): by_module((curricula == name)[:, None]) for name in in_order(curricula)
        },
    )


def in_order(labels: NDArray[Any]) -> list[Any]:
    """Each label once, in the order of its first appearance."""
    return list(dict.fromkeys(labels.tolist()))


def course_gains(made: Design, drawn: Responses) -> dict[str, float]:
    """Expected gain of each course given the effects it drew; persons and answers still random."""
    plan, model = made.plan, made.model
    home = plan.home[plan.person_of]
    cells, count = np.unique(np.stack([plan.course_of, home]), axis=1, return_counts=True)
    course, place = cells
    logit = model.slope * (
        (made.home_ability[place] + drawn.course_level[course])[:, None] - made.difficulty
    )
    own, shift = model.slope * model.ability_sd, made.shift[course]
    eager = model.slope * model.person_gain_sd * shift
    taught = made.taught[course]
    moved = np.where(taught, (shift * (1 + drawn.course_gain[course]))[:, None], model.practice)
    wider = np.where(taught, np.hypot(own, eager)[:, None], own)
    before = expected(logit, np.full_like(logit, own), model)
    gain = (expected(logit + model.slope * moved, wider, model) - before) @ made.weights
    total = np.bincount(course, gain * count, len(plan.courses))
    mean = total / np.bincount(course, count, len(plan.courses))
    return {c.code: float(value) for c, value in zip(plan.courses, mean, strict=True)}
