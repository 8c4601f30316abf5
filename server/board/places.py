"""Who, which course, which province and which phone a submission is from, by its answers.

The programme's file says which question of a form tells it. The province is that of the participant
code (its first two digits) where there is a valid one; else the answer to the form's own province
question; else the course's. Nothing here raises: an answer that cannot be a code of the programme
is kept as it is (cut to the column's length), and what is not told is None.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from forms.model import Form
from forms.programme import FormSpec, Programme
from forms.renames import Renames
from forms.values import arabic_digits, is_participant_code
from server.state.settle import Place

__all__ = ["Places"]

LONGEST_CODE = 40
LONGEST_DEVICE = 255


@dataclass(frozen=True, slots=True)
class Asked:
    """Names of a form's questions, the present one first, then what it was called earlier."""

    person: tuple[str, ...]
    course: tuple[str, ...]
    province: tuple[str, ...]


class Places:
    """What a programme says of places; without one only phones are known."""

    def __init__(self, programme: Programme | None = None) -> None:
        self.forms: dict[str, Asked] = {}
        self.courses: dict[str, str] = {}
        self.provinces: frozenset[str] = frozenset()
        if programme is not None:
            self.courses = {course.code: course.province for course in programme.courses}
            self.provinces = frozenset(province.code for province in programme.provinces)
            self.forms = {
                form_id: asked(spec, programme.renames.get(form_id, Renames()))
                for form_id, spec in programme.forms.items()
            }
        self.fingerprint = fingerprint(self) if programme else ""
        """Another one when the same answers would give other places; empty without a programme."""

    def of(self, form_id: str, form: Form, answers: Mapping[str, str], device: str = "") -> Place:
        """The place of a submission: `form_id` as on the settings sheet, `answers` by full path;
        `device` is what the phone said outside its answers. A few microseconds."""
        told = answers.get(form.device_path, "") if form.device_path else ""
        if not told.isprintable() or len(told) > LONGEST_DEVICE:
            told = ""
        phone = (told or device)[:LONGEST_DEVICE] or None
        asks = self.forms.get(form_id)
        if asks is None:
            return Place(device=phone)
        person = code(asks.person, form, answers)
        course = code(asks.course, form, answers)
        return Place(person, course, self.province(asks, form, answers, person, course), phone)

    def province(
        self,
        asks: Asked,
        form: Form,
        answers: Mapping[str, str],
        person: str | None,
        course: str | None,
    ) -> str | None:
        if person and person[:2] in self.provinces and is_participant_code(person):
            return person[:2]
        said = code(asks.province, form, answers)
        if said in self.provinces:
            return said
        return self.courses.get(course) if course else None


def asked(spec: FormSpec, renames: Renames) -> Asked:
    """The names under which a form asked for person, course and province."""

    def names(present: str) -> tuple[str, ...]:
        if not present:
            return ()
        earlier = {
            last(old): None
            for old in renames.moved
            if (now := renames.now(old)) and last(now) == present and last(old) != present
        }
        return (present, *earlier)

    return Asked(names(spec.person), names(spec.course), names(spec.province))


def last(path: str) -> str:
    return path.rpartition("/")[2]


def code(names: tuple[str, ...], form: Form, answers: Mapping[str, str]) -> str | None:
    """The answer to the first of these questions that has one, Thai digits as Arabic ones."""
    for name in names:
        question = form.by_name.get(name)
        if question is not None and (said := answers.get(question.path)):
            return arabic_digits(said).strip()[:LONGEST_CODE] or None
    return None


def fingerprint(places: Places) -> str:
    """A hash of everything that decides about places."""
    told = {
        "rule": 1,
        "forms": {
            form_id: [asks.person, asks.course, asks.province]
            for form_id, asks in places.forms.items()
        },
        "courses": places.courses,
        "provinces": sorted(places.provinces),
    }
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()
