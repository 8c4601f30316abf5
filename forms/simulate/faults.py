"""The kinds of fault that befall one person's forms, each with what it must cause.

A kind is a function that enters its faults into a `Dirt`: what is written instead, which further
submissions are made, which answers count in the end, and the line of the ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from forms.model import Submission
from forms.simulate.attendance import Attendance, Wave
from forms.simulate.blank import instance_id
from forms.simulate.ledger import Dirt, Extra, Fault, Written
from forms.simulate.papers import answered_test, evaluation, registration
from forms.simulate.people import unused_code
from forms.values import BUDDHIST_OFFSET

__all__ = ["KINDS", "THAI"]

THAI = str.maketrans("0123456789", "๐๑๒๓๔๕๖๗๘๙")


def wave_of(number: int) -> Wave:
    return "post" if number % 2 else "pre"


def row(
    a: Attendance,
    dirt: Dirt,
    kind: str,
    form: str,
    enrolment: int,
    expected: str,
    *,
    root_id: str = "",
    also: str = "",
    where: str = "",
    detectable: bool = True,
    value: str = "",
) -> None:
    """Enter a fault into the ledger; by default its row is the person's original of the form."""
    form_id = a.blanks[form].form_id
    number = sum(fault.kind == kind for fault in dirt.faults) + 1
    dirt.faults.append(
        Fault(
            id=f"{kind}-{number:04}",
            kind=kind,
            form=form_id,
            root_id=root_id or instance_id(a.simulation.seed, form_id, a.key(enrolment)),
            participant_id=a.code(enrolment),
            course=a.course(enrolment).code,
            expected=expected,
            also=also,
            where=where or f"excluded rows of {form_id}",
            detectable=detectable,
            value=value,
        )
    )


def original(a: Attendance, form: str, enrolment: int) -> Submission:
    """A person's own submission of a form."""
    if form == "registration":
        return registration(a, enrolment)
    if form == "evaluation":
        return evaluation(a, enrolment)
    return answered_test(a, "pre" if form == "pre" else "post", enrolment)


def later_key(a: Attendance, form: str, enrolment: int) -> str:
    """A key for a further submission whose id comes after the original's.

    Rows of one day are ordered by their root id, so the later of two must have the greater one.
    """
    seed, form_id, key = a.simulation.seed, a.blanks[form].form_id, a.key(enrolment)
    first = instance_id(seed, form_id, key)
    turn = 1
    while instance_id(seed, form_id, f"{key}/{turn}") < first:
        turn += 1
    return f"{key}/{turn}"


def id_of(a: Attendance, form: str, key: str) -> str:
    return instance_id(a.simulation.seed, a.blanks[form].form_id, key)


# ── the kinds ────────────────────────────────────────────────────────────────────────────────────


def resend_identical(a: Attendance, dirt: Dirt, e: int, n: int, rng: np.random.Generator) -> None:
    """The phone sends the same bytes again: the server has them."""
    form = ("registration", "pre", "post")[n % 3]
    day = a.course(e).start if form != "post" else a.course(e).end
    make = partial(original, a, form, e)
    dirt.extras.append(Extra(day, a.course(e).code, form, "resend", make))
    where = "the server answers 202 and keeps one row"
    row(a, dirt, "resend_identical", form, e, "no_row", where=where, detectable=False)


def duplicate_identical(
    a: Attendance, dirt: Dirt, e: int, n: int, rng: np.random.Generator
) -> None:
    """The same answers under a new instance id, as when a phone is restored from a copy."""
    form = ("pre", "registration")[n % 2]
    key = later_key(a, form, e)
    made = id_of(a, form, key)

    def make() -> Submission:
        return replace(original(a, form, e), root_id=made, instance_id=made)

    dirt.extras.append(Extra(a.course(e).start, a.course(e).code, form, "new", make))
    dirt.excluded[form, "duplicate_identical"] += 1
    row(a, dirt, "duplicate_identical", form, e, "duplicate_identical", root_id=made)


def other_answers(right: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.bool_]:
    """Another person-like set of right and wrong answers, never the same one."""
    drawn = rng.random(len(right)) < 0.55
    if (drawn == right).all():
        drawn[0] = ~drawn[0]
    return drawn


def second_pre(a: Attendance, dirt: Dirt, e: int, n: int, rng: np.random.Generator) -> None:
    """A second first test, later that day or the next: the first counts."""
    key = later_key(a, "pre", e)
    day = a.course(e).start + timedelta(n % 2)
    right = other_answers(a.drawn.pre[e], rng)
    make = partial(answered_test, a, "pre", e, key=key, right=right, day=day, later=5400)
    dirt.extras.append(Extra(day, a.course(e).code, "pre", "new", make))
    dirt.excluded["pre", "superseded"] += 1
    row(a, dirt, "second_pre", "pre", e, "superseded", root_id=id_of(a, "pre", key))


def second_post(a: Attendance, dirt: Dirt, e: int, n: int, rng: np.random.Generator) -> None:
    """A second last test, later that day or the next: the second counts, the first is set aside."""
    key = later_key(a, "post", e)
    day = a.course(e).end + timedelta(n % 2)
    right = other_answers(a.drawn.post[e], rng)
    make = partial(answered_test, a, "post", e, key=key, right=right, day=day, later=3600)
    dirt.extras.append(Extra(day, a.course(e).code, "post", "new", make))
    dirt.answers["post", e] = right
    dirt.excluded["post", "superseded"] += 1
    row(a, dirt, "second_post", "post", e, "superseded")


def post_without_pre(a: Attendance, dirt: Dirt, e: int, n: int, rng: np.random.Generator) -> None:
    """The first test was never sent: the last one has no partner."""
    dirt.without.add(("pre", e))
    row(a, dirt, "post_without_pre", "post", e, "no_pre", where="pairing")


def alone(wave: Wave) -> str:
    """What the pair lacks when a test of this wave cannot be matched."""
    return "no_pre" if wave == "pre" else "no_post"


def mistyped_code(a: Attendance, dirt: Dirt, e: int, n: int, rng: np.random.Generator) -> None:
    """A code copied wrongly from paper: one digit is another, which the check digit always shows."""
    wave, code = wave_of(n), a.code(e)
    place = 4 + int(rng.integers(0, 5))
    digit = str((int(code[place]) + int(rng.integers(1, 10))) % 10)
    wrong = code[:place] + digit + code[place + 1 :]
    dirt.written[wave, e] = Written(code=wrong, paper=True)
    dirt.unmatched.add((wave, e))
    dirt.excluded[wave, "bad_check_digit"] += 1
    row(a, dirt, "mistyped_code", wave, e, "bad_check_digit", also=alone(wave), value=wrong)


def unregistered_code(a: Attendance, dirt: Dirt, e: int, n: int, rng: np.random.Generator) -> None:
    """A test under a right code that nobody registered: the badge of a box never given out."""
    wave, province = wave_of(n), a.people.province[a.person(e)]
    wrong = unused_code(a.programme, province, n)
    dirt.written[wave, e] = Written(code=wrong, paper=True)
    dirt.unmatched.add((wave, e))
    dirt.excluded[wave, "not_registered"] += 1
    row(a, dirt, "unregistered_code", wave, e, "not_registered", also=alone(wave), value=wrong)


def two_people_one_code(
    a: Attendance, dirt: Dirt, e: int, n: int, rng: np.random.Generator
) -> None:
    """Another human is registered under a badge in use: all rows of the code are set aside."""
    key = later_key(a, "registration", e)
    other = another_human(a, dirt, e)
    make = partial(registration, a, e, key=key, instead=dirt.strangers, instead_of=other)
    dirt.extras.append(Extra(a.course(e).start, a.course(e).code, "registration", "new", make))
    dirt.quarantined.add(e)
    dirt.excluded["registration", "two_people_one_code"] += 2
    dirt.excluded["pre", "two_people_one_code"] += 1
    dirt.excluded["post", "two_people_one_code"] += 1
    if a.answered[e] and not a.anonymous[e]:
        dirt.excluded["evaluation", "two_people_one_code"] += 1
    row(
        a,
        dirt,
        "two_people_one_code",
        "registration",
        e,
        "two_people_one_code",
        root_id=id_of(a, "registration", key),
        also="all rows of the code",
    )


def another_human(a: Attendance, dirt: Dirt, e: int) -> int:
    """A stranger of another sex and year of birth, both told; each is taken once."""
    person, others = a.person(e), dirt.strangers
    for i in sorted(dirt.free):
        years = others.birth[i].year != a.people.birth[person].year
        told = others.precision[i] != a.blanks["registration"].pick("dob_precision", "unknown")
        if others.sex[i] != a.people.sex[person] and years and told:
            dirt.free.remove(i)
            return i
    raise AssertionError("strangers of both sexes are drawn in plenty")


def late_edit(a: Attendance, dirt: Dirt, e: int, n: int, rng: np.random.Generator) -> None:
    """An answer is corrected after the course: the corrected one counts."""
    wave = wave_of(n)
    item = int(rng.integers(0, len(a.design.items)))
    right = (a.drawn.pre if wave == "pre" else a.drawn.post)[e].copy()
    right[item] = ~right[item]
    dirt.answers[wave, e] = right
    made = id_of(a, wave, f"{a.key(e)}/edit")

    def make() -> Submission:
        first = answered_test(a, wave, e)
        edited = answered_test(a, wave, e, right=right)
        return replace(edited, instance_id=made, deprecated_id=first.instance_id)

    day = a.course(e).start if wave == "pre" else a.course(e).end
    dirt.extras.append(Extra(day, a.course(e).code, wave, "edit", make))
    name = a.design.items[item]
    said = make().record.answers.get(a.blanks[wave].paths.get(name, name), "")
    where = f"column _edited of {a.blanks[wave].form_id}; the new answer is scored"
    row(a, dirt, "late_edit", wave, e, "edited", where=where, value=f"{name}={said}")


def thai_digits(a: Attendance, dirt: Dirt, e: int, n: int, rng: np.random.Generator) -> None:
    """A code or a year of birth typed in Thai digits: read right, no finding."""
    code, person = a.code(e), a.person(e)
    form = ("pre", "registration", "post")[n % 3]
    value = code.translate(THAI)
    dirt.written[form, e] = Written(code=value)
    if form == "registration" and a.people.precision[person] != "unknown":
        value = str(a.people.birth[person].year + BUDDHIST_OFFSET).translate(THAI)
        dirt.written[form, e] = Written(birth_year=value)
    where = "the person is registered and paired"
    row(a, dirt, "thai_digits", form, e, "read_right", where=where, detectable=False, value=value)


def padded_code(a: Attendance, dirt: Dirt, e: int, n: int, rng: np.random.Generator) -> None:
    """A code with spaces around it: read right, no finding."""
    form, value = ("pre", "post", "registration")[n % 3], f" {a.code(e)}  "
    dirt.written[form, e] = Written(code=value)
    where = "the person is registered and paired"
    row(a, dirt, "padded_code", form, e, "read_right", where=where, detectable=False, value=value)


KINDS: dict[str, Callable[[Attendance, Dirt, int, int, np.random.Generator], None]] = {
    "resend_identical": resend_identical,
    "duplicate_identical": duplicate_identical,
    "second_pre": second_pre,
    "second_post": second_post,
    "post_without_pre": post_without_pre,
    "mistyped_code": mistyped_code,
    "unregistered_code": unregistered_code,
    "two_people_one_code": two_people_one_code,
    "late_edit": late_edit,
    "thai_digits": thai_digits,
    "padded_code": padded_code,
}
