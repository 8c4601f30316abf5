"""simulation.toml read into one checked value: how the simulated season of a programme comes about.

Everything a team may want to change about the simulation is a setting here, in the programme's own
codes; the Python beside it knows no province, course, item or choice by name.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from forms.problems import Finding, ProgrammeProblem

__all__ = ["DirtRates", "Simulation", "load_simulation"]

FILE = "simulation.toml"
Weights = dict[str, float]


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Level(Section):
    """A mean in points of 100: the programme's, and those of provinces that differ from it."""

    default: float
    province: dict[str, float] = {}

    def of(self, province: str) -> float:
        return self.province.get(province, self.default)


class Gain(Level):
    """Mean gain in points of 100 by the course's province, plus what its curriculum adds."""

    curriculum: dict[str, float] = {}

    def of_course(self, province: str, curriculum: str) -> float:
        return self.of(province) + self.curriculum.get(curriculum, 0.0)


class Model(Section):
    """Parameters of the three-parameter logistic test model; logits unless said otherwise."""

    slope: float = Field(gt=0)
    guessing: float = Field(ge=0, lt=1)
    ability_sd: float = Field(ge=0)
    course_level_sd: float = Field(ge=0)
    course_gain_sd: float = Field(ge=0)
    person_gain_sd: float = Field(ge=0)
    practice: float
    difficulty: dict[str, float] = {}
    pre: Level
    gain: Gain


class Dropout(Section):
    """Share who leave before the second test, and its log-odds per SD of ability (0: at random)."""

    share: float = Field(ge=0, lt=1)
    on_ability: float = 0.0


class PeopleSettings(Section):
    """Who takes part: shares, ages, and weights of answers by question name."""

    age_mean: float
    age_sd: float = Field(ge=0)
    age_range: tuple[int, int]
    elder: int
    elder_year_only: float
    birth_unknown: float
    no_surname: float
    national_id: float
    national_id_prefixes: tuple[str, ...] = Field(min_length=1)
    phone: float
    phone_prefixes: tuple[str, ...] = Field(min_length=1)
    line_name: float
    issues_none: float
    comment: float
    weights: dict[str, Weights] = {}


class EvaluationSettings(Section):
    """How people rate a course: means by scale, spreads in points of 1 to 5, habits of answering."""

    answered: float
    anonymous: float
    straight_liners: float
    reversed: tuple[str, ...] = ()
    province_sd: float
    course_sd: float
    person_sd: float
    noise_sd: float
    none_chosen: float
    not_taught_said: float
    not_taught_wrong: float
    means: dict[str, float]
    topics: dict[str, tuple[str, ...]] = {}


class FieldworkSettings(Section):
    """Rates of the forms that working groups fill in; money in baht, times in days."""

    cost_per_trained: tuple[float, float]
    first_instalment_share: float
    other_activities_share: float
    delayed: float
    cancelled: float
    course_cipp: float
    problems: tuple[int, int]
    plans_per_course: float
    stage_days: tuple[int, int]
    visits_per_course: float
    leaders_met: tuple[int, int]
    photos: int
    expertise: float
    recorded: float
    self_before: float
    self_after: float
    level_of: dict[str, str] = {}
    weights: dict[str, Weights] = {}


class DirtRates(Section):
    """Share of enrolments that suffer each fault; every kind with a share above 0 happens at least once."""

    resend_identical: float = 0.0
    duplicate_identical: float = 0.0
    second_pre: float = 0.0
    second_post: float = 0.0
    post_without_pre: float = 0.0
    mistyped_code: float = 0.0
    unregistered_code: float = 0.0
    two_people_one_code: float = 0.0
    late_edit: float = 0.0
    thai_digits: float = 0.0
    padded_code: float = 0.0
    be_date: float = 0.0


class Words(Section):
    """Invented names; a surname is one of the first halves followed by one of the second."""

    first_f: tuple[str, ...] = Field(min_length=1)
    first_m: tuple[str, ...] = Field(min_length=1)
    surname_first: tuple[str, ...] = Field(min_length=1)
    surname_second: tuple[str, ...] = Field(min_length=1)
    nicknames: tuple[str, ...] = Field(min_length=1)


class Simulation(Section):
    """simulation.toml as it stands."""

    seed: int = Field(ge=0)
    model: Model
    dropout: Dropout
    people: PeopleSettings
    evaluation: EvaluationSettings
    fieldwork: FieldworkSettings
    dirt: DirtRates
    words: Words
    texts: dict[str, tuple[str, ...]] = {}


def load_simulation(folder: Path) -> Simulation:
    """The settings in `folder`; raises `ProgrammeProblem` naming every setting that is wrong."""
    try:
        text = (folder / FILE).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise ProgrammeProblem.at(
            FILE,
            f"cannot be read ({error.strerror})",
            "copy it from the shipped programme: without it a season cannot be simulated",
            code="file_missing",
        ) from error
    except UnicodeDecodeError as error:
        raise ProgrammeProblem.at(FILE, "is not UTF-8 text", "save it as UTF-8") from error
    try:
        return Simulation.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise ProgrammeProblem.at(
            FILE, str(error), "mend the line it names", code="toml"
        ) from error
    except ValidationError as error:
        raise ProgrammeProblem(
            Finding(
                "toml",
                "error",
                f"{FILE}, {'.'.join(str(part) for part in fault['loc'])}",
                "is not a known setting" if fault["type"] == "extra_forbidden" else fault["msg"],
                "correct or remove it",
            )
            for fault in error.errors()
        ) from error
