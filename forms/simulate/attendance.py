"""A season of the four forms that people fill in, drawn as arrays before any form is filled.

Registration, the test before and after, and the evaluation of the course: `papers` builds any one of
them from an `Attendance` when it is asked for, so that a season takes the memory of its arrays and a
submission can be built again, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from forms.programme import Programme
from forms.simulate.blank import Blank, choose
from forms.simulate.people import People
from forms.simulate.ratings import Ratings, draw_ratings
from forms.simulate.responses import Design, Responses
from forms.simulate.settings import Simulation
from forms.tables import Course

__all__ = ["Attendance", "Wave", "attend"]

Wave = Literal["pre", "post"]


@dataclass(frozen=True)
class Attendance:
    """The drawn season of the four forms; arrays and lists have one entry an enrolment.

    `options[wave]` (enrolments × items) chooses among the wrong answers; `picks` and `notes` are answers
    by form and question; `habits` are further uniform numbers, one column for each use.
    """

    programme: Programme
    simulation: Simulation
    design: Design
    drawn: Responses
    people: People
    zone: ZoneInfo
    blanks: Mapping[str, Blank]
    wrong: tuple[tuple[str, ...], ...]
    options: Mapping[str, NDArray[np.float64]]
    habits: Mapping[str, NDArray[np.float64]]
    picks: Mapping[str, Mapping[str, list[str]]]
    notes: Mapping[str, Mapping[int, Mapping[str, str]]]
    selves: Mapping[str, Mapping[str, list[str]]]
    answered: NDArray[np.bool_]
    anonymous: NDArray[np.bool_]
    ratings: Ratings

    def course(self, enrolment: int) -> Course:
        return self.design.plan.courses[self.design.plan.course_of[enrolment]]

    def person(self, enrolment: int) -> int:
        return int(self.design.plan.person_of[enrolment])

    def code(self, enrolment: int) -> str:
        return self.people.code[self.person(enrolment)]

    def key(self, enrolment: int) -> str:
        """What makes the ids of an enrolment's submissions."""
        return f"{self.code(enrolment)}/{self.course(enrolment).code}"


def attend(
    programme: Programme,
    simulation: Simulation,
    design: Design,
    drawn: Responses,
    people: People,
    rng: np.random.Generator,
) -> Attendance:
    """Draw everything about the four forms that is not a test answer or a person."""
    blanks = {
        "registration": programme.form_of("registration"),
        "pre": programme.form_of("test", "pre"),
        "post": programme.form_of("test", "post"),
        "evaluation": programme.form_of("evaluation"),
    }
    made = {name: Blank(programme, form_id, simulation.seed) for name, form_id in blanks.items()}
    n, items = design.plan.enrolments, len(design.items)
    streams = rng.spawn(7)
    correct = {item.name: item.correct for item in programme.items}
    stayed = drawn.stayed
    settings = simulation.evaluation
    return Attendance(
        programme=programme,
        simulation=simulation,
        design=design,
        drawn=drawn,
        people=people,
        zone=ZoneInfo(programme.time_zone),
        blanks=made,
        wrong=tuple(
            tuple(c for c in made["pre"].codes(name) if c != correct[name]) or (correct[name],)
            for name in design.items
        ),
        options={wave: streams[0].random((n, items)) for wave in ("pre", "post")},
        habits={name: streams[1].random((n, 9)) for name in made},
        picks={name: picked(blank, simulation, streams[5], n) for name, blank in made.items()},
        notes={name: noted(blank, simulation, streams[6], n) for name, blank in made.items()},
        selves={
            wave: self_ratings(made[wave], simulation, design, drawn, wave, streams[2])
            for wave in ("pre", "post")
        },
        answered=stayed & (streams[3].random(n) < settings.answered),
        anonymous=streams[3].random(n) < settings.anonymous,
        ratings=draw_ratings(programme, simulation, design, drawn, made["evaluation"], streams[4]),
    )


def self_ratings(
    blank: Blank,
    simulation: Simulation,
    design: Design,
    drawn: Responses,
    wave: Wave,
    rng: np.random.Generator,
) -> dict[str, list[str]]:
    """How people rate themselves on the test form's own statements, by question."""
    work = simulation.fieldwork
    mean = work.self_before if wave == "pre" else work.self_after
    ability = drawn.ability - drawn.ability.mean()
    found: dict[str, list[str]] = {}
    for name in blank.ratings(but=design.items):
        noise = 0.8 * rng.standard_normal(design.plan.enrolments)
        marks = mean + 0.35 * ability[design.plan.person_of] + noise
        found[name] = [str(mark) for mark in np.clip(marks.round(), 1, 5).astype(int).tolist()]
    return found


def picked(
    blank: Blank, simulation: Simulation, rng: np.random.Generator, size: int
) -> dict[str, list[str]]:
    """Answers drawn by the weights of simulation.toml: how the code is given, the mode, consents.

    Consent questions, whatever they are called, go by the weights of their list.
    """
    found: dict[str, list[str]] = {}
    for question in blank.form.answerable():
        key = question.list_name if question.list_name == "consent" else question.name
        if key in ("pid_mode", "mode", "consent"):
            codes = blank.codes(question.name)
            weights = simulation.people.weights.get(key, {})
            found[question.name] = [codes[i] for i in choose(codes, weights, rng.random(size))]
    return found


def noted(
    blank: Blank, simulation: Simulation, rng: np.random.Generator, size: int
) -> dict[int, dict[str, str]]:
    """The free texts that a few people fill in, by enrolment."""
    found: dict[int, dict[str, str]] = {}
    for name in blank.optional_texts(simulation.texts):
        texts = simulation.texts[name]
        place = rng.integers(0, len(texts), size)
        for enrolment in np.flatnonzero(rng.random(size) < simulation.people.comment).tolist():
            found.setdefault(enrolment, {})[name] = texts[place[enrolment]]
    return found
