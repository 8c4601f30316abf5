"""The invented people of a season: codes, names, ages, roles, where they live, how to reach them.

Nobody here exists. National numbers carry a right check digit but belong to a registration office
that there is not; names are put together from the word lists of simulation.toml.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from forms.programme import Programme
from forms.simulate.blank import Blank, choose, several
from forms.simulate.plan import Plan
from forms.simulate.settings import Simulation
from forms.values import BUDDHIST_OFFSET, is_participant_code, participant_code, thai_id

T = TypeVar("T")

__all__ = ["People", "codes_of", "draw_people", "places_of", "unused_code"]


@dataclass(frozen=True, slots=True)
class People:
    """One entry a person in every list; an empty string is what the person did not tell."""

    code: list[str]
    sex: list[str]
    title: list[str]
    first_name: list[str]
    last_name: list[str]
    id_kind: list[str]
    national_id: list[str]
    precision: list[str]
    birth: list[date]
    education: list[str]
    role: list[str]
    issues: list[str]
    province: list[str]
    district: list[str]
    tambon: list[str]
    phone: list[str]


def codes_of(programme: Programme, plan: Plan) -> list[str]:
    """A code for each person, none of them in a list that the test's own media carry."""
    blank = Blank(programme, programme.form_of("test", "pre"), 0)
    listed = {
        row["name"]
        for question in blank.form.questions
        if question.type == "select_one_from_file"
        for row in blank.rows(question.name)
        if is_participant_code(row.get("name", ""))
    }
    last = dict.fromkeys(plan.provinces, 0)
    codes: list[str] = []
    for home in plan.home.tolist():
        province = plan.provinces[home]
        while True:
            last[province] += 1
            code = participant_code(province, programme.fiscal_year_be, last[province])
            if code not in listed:
                break
        codes.append(code)
    return codes


def unused_code(programme: Programme, province: str, number: int) -> str:
    """A right code that nobody has: numbers are given out from 1 upwards, this counts from the top."""
    return participant_code(province, programme.fiscal_year_be, 99_999 - number)


def places_of(blank: Blank) -> dict[str, list[tuple[str, str]]]:
    """(district, tambon) of each province, as the form's own lists have them."""
    found: dict[str, list[tuple[str, str]]] = {}
    for row in blank.rows("tambon"):
        found.setdefault(row.get("province", ""), []).append((row.get("district", ""), row["name"]))
    return found


def draw_people(
    programme: Programme,
    simulation: Simulation,
    plan: Plan,
    rng: np.random.Generator,
    size: int = 0,
) -> People:
    """Draw the people of `plan`; `size` draws so many further people, without a code, instead."""
    settings, words, traits = simulation.people, simulation.words, programme.traits
    blank = Blank(programme, programme.form_of("registration"), simulation.seed)
    home = (plan.home if not size else plan.home[np.arange(size) % plan.people]).tolist()
    n = len(home)
    weights = settings.weights

    def drawn(question: str, key: str = "") -> list[str]:
        codes = blank.codes(question)
        if not codes:
            return [""] * n
        return [codes[i] for i in choose(codes, weights.get(key or question, {}), rng.random(n))]

    sex = drawn(traits.sex)
    titles = {code: drawn("title", f"title_{code}") for code in dict.fromkeys(sex)}
    women, men = words.first_f, words.first_m
    either = {"f": women, "m": men}
    first = rng.random(n)
    halves = rng.random((n, 2))
    no_surname = rng.random(n) < settings.no_surname
    age = np.clip(
        rng.normal(settings.age_mean, settings.age_sd, n).round(), *settings.age_range
    ).astype(int)
    year = programme.fiscal_year_be - BUDDHIST_OFFSET
    birthday = rng.integers(0, 365, n)
    precise = rng.random(n)
    gives_id = rng.random(n) < settings.national_id
    numbers = rng.integers(0, 10**7, n)
    prefix = rng.integers(0, len(settings.national_id_prefixes), n)
    withheld = drawn("id_kind")
    place = rng.random(n)
    places = places_of(blank)
    everywhere = [pair for pairs in places.values() for pair in pairs] or [("", "")]
    where = [
        at(places.get(plan.provinces[h]) or everywhere, u)
        for h, u in zip(home, place.tolist(), strict=True)
    ]
    return People(
        code=codes_of(programme, plan) if not size else [""] * n,
        sex=sex,
        title=[titles[code][i] for i, code in enumerate(sex)],
        first_name=[
            at(either.get(code, women + men), u)
            for code, u in zip(sex, first.tolist(), strict=True)
        ],
        last_name=[
            "" if none else at(words.surname_first, a) + at(words.surname_second, b)
            for none, (a, b) in zip(no_surname.tolist(), halves.tolist(), strict=True)
        ],
        id_kind=[
            blank.pick("id_kind", "thai13") if yes else other
            for yes, other in zip(gives_id.tolist(), withheld, strict=True)
        ],
        national_id=[
            thai_id(f"{settings.national_id_prefixes[p]}{number:07}") if yes else ""
            for yes, p, number in zip(
                gives_id.tolist(), prefix.tolist(), numbers.tolist(), strict=True
            )
        ],
        precision=[
            precision(blank, simulation, years, u)
            for years, u in zip(age.tolist(), precise.tolist(), strict=True)
        ],
        birth=[
            date(year - years, 1, 1) + timedelta(days)
            for years, days in zip(age.tolist(), birthday.tolist(), strict=True)
        ],
        education=drawn(traits.education),
        role=drawn(traits.role),
        issues=several(
            blank.codes("issues"), weights.get("issues", {}), rng, n, none=settings.issues_none
        ),
        province=[plan.provinces[h] for h in home],
        district=[pair[0] for pair in where],
        tambon=[pair[1] for pair in where],
        phone=phones(settings.phone_prefixes, settings.phone, rng, n),
    )


def at(words: Sequence[T], u: float) -> T:
    """The word at a uniform number's place in the list."""
    return words[int(u * len(words))]


def precision(blank: Blank, simulation: Simulation, age: int, u: float) -> str:
    """How much of the birth date is known: old people often know the year only."""
    settings = simulation.people
    if u < settings.birth_unknown:
        return blank.pick("dob_precision", "unknown")
    elder = settings.elder_year_only if age >= settings.elder else 0.0
    return blank.pick("dob_precision", "year" if u < settings.birth_unknown + elder else "full")


def phones(prefixes: Sequence[str], share: float, rng: np.random.Generator, size: int) -> list[str]:
    """Ten-digit mobile numbers, no two alike; empty for those who give none."""
    given = rng.random(size) < share
    prefix = rng.integers(0, len(prefixes), size)
    rest: NDArray[np.int64] = rng.permutation(10**6)[:size] * 97 % 10**8 + rng.integers(0, 97, size)
    return [
        f"{prefixes[p]}{number:0{10 - len(prefixes[p])}}" if yes else ""
        for yes, p, number in zip(given.tolist(), prefix.tolist(), rest.tolist(), strict=True)
    ]
