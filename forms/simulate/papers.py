"""Registration, test and evaluation forms of one person, built from a drawn season.

Answers are what a phone would send: calculated fields filled, nothing where a question is not relevant.
"""

from __future__ import annotations

from datetime import date

import numpy as np
from numpy.typing import NDArray

from forms.model import Submission
from forms.simulate.attendance import Attendance, Wave
from forms.simulate.blank import instance_id
from forms.simulate.people import People
from forms.values import BUDDHIST_OFFSET

__all__ = ["answered_test", "evaluation", "registration"]

CLOCK = {"registration": 8.0, "pre": 9.6, "post": 14.4, "evaluation": 15.2}
"""Hour of the day from which each form is filled in."""

LASTING = {
    "registration": (90, 180),
    "pre": (300, 720),
    "post": (280, 680),
    "evaluation": (120, 260),
}
"""Seconds it takes, from and to."""


def phrase(a: Attendance, question: str, u: float) -> str:
    """A phrase for a free text, or nothing when there is none for it."""
    texts = a.simulation.texts.get(question, ())
    return texts[int(u * len(texts))] if texts else ""


def filled(a: Attendance, form: str, enrolment: int, day: date, later: float = 0) -> dict[str, str]:
    """The beginning of every form: when, on which phone, by whom, which course."""
    blank, course = a.blanks[form], a.course(enrolment)
    u = a.habits[form][enrolment].tolist()
    low, high = LASTING[form]
    seconds = (CLOCK[form] + 0.9 * u[0]) * 3600 + later
    helped = form == "registration"
    owner = f"{course.code}/{int(u[1] * 6)}" if helped else a.code(enrolment)
    device = instance_id(a.simulation.seed, "phone", owner)[:13].replace("-", "")
    named = blank.moments(
        day, seconds, low + (high - low) * u[2], a.zone, device, f"enum-{course.province}"
    )
    named[blank.spec.event_date] = day.isoformat()
    named[blank.spec.course] = course.code
    return named


def identified(a: Attendance, form: str, mode: str, written: str) -> dict[str, str]:
    """How the code came into the form: scanned or typed, and the calculated code."""
    return {"pid_mode": mode, f"pid_{mode}": written, a.blanks[form].spec.person: written}


def registration(
    a: Attendance,
    enrolment: int,
    *,
    key: str = "",
    written: str = "",
    birth_year: str = "",
    instead: People | None = None,
    instead_of: int = 0,
) -> Submission:
    """A person's registration in a course.

    `written` is the code as typed where it is not just the person's; `birth_year` likewise;
    `instead` (its entry `instead_of`) is another human who stands under the same code.
    """
    blank, course = a.blanks["registration"], a.course(enrolment)
    traits, u = a.programme.traits, a.habits["registration"][enrolment].tolist()
    who, i = (instead, instead_of) if instead else (a.people, a.person(enrolment))
    named = filled(a, "registration", enrolment, course.start, 1800 if instead else 0)
    named |= {name: given[enrolment] for name, given in a.picks["registration"].items()}
    mode = blank.pick("pid_mode", "type") if written else named.get("pid_mode", "")
    named |= identified(a, "registration", mode, written or a.code(enrolment))
    joined = blank.pick("line_joined", "yes" if u[4] < 0.7 else "no")
    named |= {
        "notice_ack": blank.pick("notice_ack", "yes"),
        "fiscal_year_be": str(course.fiscal_year_be),
        "badge_in_use": "0",
        "title": who.title[i],
        "title_other": phrase(a, "title_other", u[5]) if who.title[i] == "other" else "",
        "first_name": who.first_name[i],
        "last_name": who.last_name[i],
        traits.sex: who.sex[i],
        "id_kind": who.id_kind[i],
        "national_id": who.national_id[i],
        "dob_precision": who.precision[i],
        traits.education: who.education[i],
        traits.role: who.role[i],
        "position_text": phrase(a, "position_text", u[6]) if who.role[i] == "other" else "",
        "org_name": phrase(a, "org_name", u[7]),
        "issues": who.issues[i],
        "province": a.people.province[a.person(enrolment)],
        "district": a.people.district[a.person(enrolment)],
        "tambon": a.people.tambon[a.person(enrolment)],
        "moo": phrase(a, "moo", u[8]),
        "phone": who.phone[i],
        "line_joined": joined,
        "line_name": line_name(a, joined, u[3]),
    }
    named |= born(a, who.precision[i], who.birth[i], course.start)
    if birth_year and traits.birth_year in named:
        named[traits.birth_year] = birth_year
    for name, text in a.notes["registration"].get(enrolment, {}).items():
        named.setdefault(name, text)
    return blank.submission(key or a.key(enrolment), named)


def line_name(a: Attendance, joined: str, u: float) -> str:
    share = a.simulation.people.line_name
    if joined != "yes" or u >= share:
        return ""
    names = a.simulation.words.nicknames
    return names[int(u / share * len(names))]


def born(a: Attendance, known: str, birth: date, today: date) -> dict[str, str]:
    """Birth date in parts and what the form calculates from them; empty where it is not known."""
    traits, year = a.programme.traits, birth.year + BUDDHIST_OFFSET
    if known not in ("full", "year"):
        return {}
    age = today.year + BUDDHIST_OFFSET - year
    named = {traits.birth_year: str(year), traits.age: str(age)}
    if known == "full":
        ahead = (today.month, today.day) < (birth.month, birth.day)
        named |= {
            "birth_month": str(birth.month),
            "birth_day": str(birth.day),
            "birth_date_iso": birth.isoformat(),
            traits.age: str(age - ahead),
        }
    return named


def answered_test(
    a: Attendance,
    wave: Wave,
    enrolment: int,
    *,
    key: str = "",
    right: NDArray[np.bool_] | None = None,
    day: date | None = None,
    written: str = "",
    paper: bool = False,
    later: float = 0,
) -> Submission:
    """A person's test: `right` says which items are answered right where it is not as drawn.

    `written` is the code as typed, `paper` that it was copied from paper, `later` seconds of delay.
    """
    blank, course = a.blanks[wave], a.course(enrolment)
    options = a.options[wave][enrolment].tolist()
    drawn = (a.drawn.pre if wave == "pre" else a.drawn.post)[enrolment]
    good = (drawn if right is None else right).tolist()
    if day is None:
        day = course.start if wave == "pre" else course.end
    named = filled(a, wave, enrolment, day, later)
    named |= {name: given[enrolment] for name, given in a.picks[wave].items()}
    copied = blank.pick("mode", "paper")
    if paper:
        named["mode"] = copied
    typed = bool(written) or named.get("mode") == copied
    mode = blank.pick("pid_mode", "type") if typed else named.get("pid_mode", "")
    named |= identified(a, wave, mode, written or a.code(enrolment))
    named["test_point"] = wave
    for place, (item, known) in enumerate(zip(a.programme.items, good, strict=True)):
        wrong = a.wrong[place]
        named[item.name] = item.correct if known else wrong[int(options[place] * len(wrong))]
    for name, marks in a.selves[wave].items():
        named[name] = marks[enrolment]
    for name, text in a.notes[wave].get(enrolment, {}).items():
        named.setdefault(name, text)
    return blank.submission(key or a.key(enrolment), named)


def evaluation(a: Attendance, enrolment: int) -> Submission:
    """A person's evaluation of the course, with the code unless it is anonymous."""
    blank, course = a.blanks["evaluation"], a.course(enrolment)
    named = filled(a, "evaluation", enrolment, course.end)
    hidden = bool(a.anonymous[enrolment]) and blank.asks("anon")
    named["anon"] = blank.pick("anon", "yes" if hidden else "no")
    if not hidden:
        named |= {"pid_type": a.code(enrolment), blank.spec.person: a.code(enrolment)}
    named |= a.ratings.named(enrolment)
    for name, text in a.notes["evaluation"].get(enrolment, {}).items():
        named.setdefault(name, text)
    return blank.submission(a.key(enrolment), named)
