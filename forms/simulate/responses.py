"""Answers to the test before and after, drawn from a declared model.

A person of ability θ answers an item right with probability ``g + (1 - g) · logistic(a (θ + u - b))``,
u being the level of the course (three-parameter logistic: Birnbaum 1968). After the course the logit
is shifted on the modules the course taught by ``a · s (1 + c + w)``: s is fixed by province and
curriculum, c is normal between courses, w between persons; on modules not taught by a small practice
shift. s and the mean of θ are solved so that the expected scores are the points of 100 declared in
simulation.toml. Inside the logistic everything is normal, so an expected score is a one-dimensional
Gauss–Hermite integral an item; `gain` has the true gains.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from forms.problems import ProgrammeProblem
from forms.programme import Programme
from forms.simulate.plan import Plan, plan_season
from forms.simulate.settings import Dropout, Model, Simulation, load_simulation

__all__ = ["Design", "Floats", "Responses", "design", "expected", "responses", "score_after"]

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
NODES = 96


@dataclass(frozen=True, slots=True)
class Design:
    """A plan with the model solved for it: all that a draw needs.

    `taught` is courses × items; `shift` (courses) and `home_ability` (the plan's provinces) are in
    logits; `weights` (items) add up to 100, so that ``right @ weights`` is a score in points of 100.
    """

    plan: Plan
    model: Model
    dropout: Dropout
    items: tuple[str, ...]
    modules: tuple[str, ...]
    weights: Floats
    difficulty: Floats
    taught: Bools
    shift: Floats
    home_ability: Floats


@dataclass(frozen=True, slots=True)
class Responses:
    """One draw: `pre` and `post` (enrolments × items) say what was answered right.

    `course_index` and `person_index` say whose row it is; `stayed` is false for those who left before
    the second test (their `post` is what they would have answered). `course_level` (logits) and
    `course_gain` (share of the shift) are the courses' effects.
    """

    course_index: NDArray[np.int64]
    person_index: NDArray[np.int64]
    pre: Bools
    post: Bools
    stayed: Bools
    ability: Floats
    course_level: Floats
    course_gain: Floats
    weights: Floats

    @property
    def pre_score(self) -> Floats:
        """Points of 100 before, one an enrolment."""
        return self.pre @ self.weights

    @property
    def post_score(self) -> Floats:
        """Points of 100 after, one an enrolment."""
        return self.post @ self.weights


@cache
def nodes() -> tuple[Floats, Floats]:
    """Nodes and weights for the expectation over a standard normal variable."""
    points, weights = np.polynomial.hermite_e.hermegauss(NODES)
    return points, weights / weights.sum()


def right(logit: Floats, model: Model) -> Floats:
    """Probability of a right answer."""
    return model.guessing + (1 - model.guessing) / (1 + np.exp(-logit))


def expected(mean: Floats, sd: Floats, model: Model) -> Floats:
    """Probability of a right answer when the logit is normal; shapes broadcast."""
    points, weights = nodes()
    return right(np.asarray(mean)[..., None] + np.asarray(sd)[..., None] * points, model) @ weights


def solve(score: Callable[[Floats], Floats], wanted: Floats, low: float, high: float) -> Floats:
    """Where the rising function `score` is `wanted`, by bisection; NaN where it never is."""
    left, rightmost = np.full(len(wanted), low), np.full(len(wanted), high)
    reachable = (score(left) <= wanted) & (score(rightmost) >= wanted)
    for _ in range(60):
        middle = (left + rightmost) / 2
        below = score(middle) < wanted
        left, rightmost = np.where(below, middle, left), np.where(below, rightmost, middle)
    return np.where(reachable, (left + rightmost) / 2, np.nan)


def spread_before(model: Model) -> float:
    """SD of the logit before the course."""
    return model.slope * float(np.hypot(model.ability_sd, model.course_level_sd))


def spread_after(model: Model, shift: Floats) -> Floats:
    """SD of the logit after the course on a taught item."""
    gain = np.hypot(model.course_gain_sd, model.person_gain_sd) * model.slope * shift
    return np.hypot(spread_before(model), gain)


def design(
    programme: Programme, simulation: Simulation | None = None, *, people: int | None = None
) -> Design:
    """The model of `simulation` (default: the programme's simulation.toml) solved for a season.

    Raises `ProgrammeProblem` when declared points cannot be reached with these items.
    """
    simulation = simulation or load_simulation(programme.folder)
    plan, model = plan_season(programme, people), simulation.model
    modules = {module.code: frozenset(module.units) for module in programme.modules}
    weights = np.array([item.weight for item in programme.items], dtype=float)
    weights *= 100 / weights.sum()
    difficulty = np.array([model.difficulty.get(item.name, 0.0) for item in programme.items])
    taught = np.array(
        [[not modules[i.module].isdisjoint(c.units) for i in programme.items] for c in plan.courses]
    )

    def score_before(mean: Floats) -> Floats:
        logit = model.slope * (mean[:, None] - difficulty)
        return expected(logit, np.full_like(logit, spread_before(model)), model) @ weights

    homes = (*plan.provinces, *sorted({c.province for c in plan.courses} - {*plan.provinces}))
    before = np.array([model.pre.of(home) for home in homes])
    mean = solve(score_before, before, -8.0, 8.0)
    refuse_unreachable(mean, [f"model.pre, province {home}" for home in homes])

    place = np.array([homes.index(course.province) for course in plan.courses])
    gain = np.array([model.gain.of_course(c.province, c.curriculum) for c in plan.courses])
    shift = solve(
        lambda trial: score_after(model, mean[place], trial, taught, difficulty) @ weights,
        before[place] + gain,
        -4.0,
        12.0,
    )
    refuse_unreachable(shift, [f"model.gain, course {course.code}" for course in plan.courses])
    return Design(
        plan=plan,
        model=model,
        dropout=simulation.dropout,
        items=tuple(item.name for item in programme.items),
        modules=tuple(item.module for item in programme.items),
        weights=weights,
        difficulty=difficulty,
        taught=taught,
        shift=shift,
        home_ability=mean[: len(plan.provinces)],
    )


def refuse_unreachable(solution: Floats, names: list[str]) -> None:
    """Raise `ProgrammeProblem` for declared points that no parameter value gives."""
    for name, value in zip(names, solution, strict=True):
        if np.isnan(value):
            raise ProgrammeProblem.at(
                f"simulation.toml, {name}",
                "these points cannot be reached with the items' difficulty and guessing",
                "declare a score between guessing and 100, with room for the gain",
            )


def score_after(
    model: Model, mean: Floats, shift: Floats, taught: Bools, difficulty: Floats
) -> Floats:
    """Probability of a right answer after, rows × items; one mean ability and one shift a row."""
    moved = np.where(taught, shift[:, None], model.practice)
    spread = np.where(taught, spread_after(model, shift)[:, None], spread_before(model))
    return expected(model.slope * (mean[:, None] - difficulty + moved), spread, model)


def responses(design: Design, rng: np.random.Generator) -> Responses:
    """Draw a season's answers; courses, persons and answers are new, the plan is the design's."""
    plan, model = design.plan, design.model
    course, person = plan.course_of, plan.person_of
    level = rng.standard_normal(len(plan.courses)) * model.course_level_sd
    lift = rng.standard_normal(len(plan.courses)) * model.course_gain_sd
    above = rng.standard_normal(plan.people)
    eager = rng.standard_normal(plan.enrolments) * model.person_gain_sd
    leaves = rng.random(plan.enrolments)
    ability = design.home_ability[plan.home] + model.ability_sd * above
    logit = (model.slope * (ability[person] + level[course]))[:, None] - (
        model.slope * design.difficulty
    )
    pre = rng.random(logit.shape) < right(logit, model)
    moved = design.shift[course] * (1 + lift[course] + eager)
    logit += model.slope * np.where(design.taught[course], moved[:, None], model.practice)
    post = rng.random(logit.shape) < right(logit, model)
    return Responses(
        course_index=course,
        person_index=person,
        pre=pre,
        post=post,
        stayed=leaves >= leaving(design.dropout, above[person]),
        ability=ability,
        course_level=level,
        course_gain=lift,
        weights=design.weights,
    )


def leaving(dropout: Dropout, above: Floats) -> Floats:
    """Probability of leaving before the second test, given ability in SDs above the mean."""
    if dropout.share == 0:
        return np.zeros_like(above)
    odds = np.log(dropout.share / (1 - dropout.share)) + dropout.on_ability * above
    return 1 / (1 + np.exp(-odds))
