"""How people rate a course: marks, “not covered”, the parts attended, intentions and obstacles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from forms.programme import Programme
from forms.simulate.blank import Blank, scale, several
from forms.simulate.responses import Design, Responses
from forms.simulate.settings import Simulation

__all__ = ["Ratings", "draw_ratings"]

NOT_COVERED = "na"


@dataclass(frozen=True, slots=True)
class Ratings:
    """Answers by question, one an enrolment."""

    answers: Mapping[str, list[str]]

    def named(self, enrolment: int) -> dict[str, str]:
        """One person's answers by question."""
        return {name: given[enrolment] for name, given in self.answers.items()}


def draw_ratings(
    programme: Programme,
    simulation: Simulation,
    design: Design,
    drawn: Responses,
    blank: Blank,
    rng: np.random.Generator,
) -> Ratings:
    """Draw every enrolment's answers to the evaluation form, whoever then hands it in."""
    settings, plan = simulation.evaluation, design.plan
    n, course = plan.enrolments, plan.course_of
    provinces = sorted({c.province for c in plan.courses})
    by_province = rng.standard_normal(len(provinces)) * settings.province_sd
    place = np.array([provinces.index(c.province) for c in plan.courses])
    # a course that teaches well is also liked a little better
    learnt = drawn.course_gain / max(design.model.course_gain_sd, 1e-9)
    by_course = settings.course_sd * (
        0.5 * learnt + np.sqrt(0.75) * rng.standard_normal(len(plan.courses))
    )
    liking = (by_province[place] + by_course)[course]
    liking += settings.person_sd * rng.standard_normal(n)
    straight = rng.random(n) < settings.straight_liners
    scale_of = {
        item: name
        for name, spec in programme.scales.items()
        if spec.form == blank.form_id
        for item in spec.items
    }
    answers: dict[str, list[str]] = {}
    for name in blank.ratings():
        codes = blank.codes(name)
        marks = scale(codes)
        mean = settings.means.get(scale_of.get(name, ""), settings.means.get("default", 4.0))
        own = 0.12 * rng.standard_normal()
        latent = mean + own + liking + settings.noise_sd * rng.standard_normal(n)
        if name in settings.reversed:
            latent = marks[0] + marks[-1] - latent
        given = np.clip(latent.round(), marks[0], marks[-1]).astype(int)
        given = np.where(straight, marks[-1], given)
        missed = rng.random(n) < not_covered(programme, simulation, design, name)[course]
        missed &= ~straight & (NOT_COVERED in codes)
        answers[name] = [
            NOT_COVERED if no else str(mark)
            for no, mark in zip(missed.tolist(), given.tolist(), strict=True)
        ]
    if blank.asks("modules"):
        answers["modules"] = attended(blank, design, rng)
    for name in ("intent", "obstacle"):
        if blank.asks(name):
            answers[name] = several(
                blank.codes(name),
                simulation.people.weights.get(name, {}),
                rng,
                n,
                none=settings.none_chosen,
            )
    return Ratings(answers)


def not_covered(
    programme: Programme, simulation: Simulation, design: Design, name: str
) -> np.ndarray:
    """By course: the chance that a statement is answered “not covered”."""
    settings = simulation.evaluation
    topics = settings.topics.get(name, ())
    units = {unit for module in programme.modules if module.code in topics for unit in module.units}
    taught = np.array([not topics or bool(units & {*c.units}) for c in design.plan.courses])
    return np.where(taught, settings.not_taught_wrong, settings.not_taught_said)


def attended(blank: Blank, design: Design, rng: np.random.Generator) -> list[str]:
    """Parts of the course each person says to have attended; a code stands for the units it begins."""
    codes = blank.codes("modules")
    taught = [
        [code for code in codes if any(unit.startswith(code) for unit in course.units)] or codes[:1]
        for course in design.plan.courses
    ]
    kept = rng.random((design.plan.enrolments, len(codes))) < 0.95
    found: list[str] = []
    for course, there in zip(design.plan.course_of.tolist(), kept.tolist(), strict=True):
        parts = taught[course]
        found.append(" ".join(c for c, yes in zip(parts, there, strict=False) if yes) or parts[0])
    return found
