"""Who is who, and in which wave: from typed tables to enrolments, valid tests and pairs.

Every row of a person's form is either used or excluded for exactly one reason, and the exclusions can
be listed row by row. The rules are those of the methods annex:

- a participant code must pass its check digit and be registered by the as-of date; two registrations
  under one code that differ in sex or year of birth are two people, and both are set aside;
- rows cut off by the as-of date, or without an event date or a known course, do not count;
- of identical rows of one person, course and day one counts; of the others the first pre-test and the
  last post-test (by event date, then root id) count, and the latest registration and evaluation.

Nothing is averaged, nothing is guessed.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import reduce
from itertools import pairwise

import ibis
import pandas as pd

from analysis.engine import Expression, Rows, Tables, fetch, number
from forms.programme import Programme

__all__ = ["Cohort", "build", "participant_code_is_valid"]

ENVELOPE = ("_root_id", "_instance_id", "_validation", "_edited")
UNSPOKEN = ("start", "end", "today", "deviceid", "username")
"""Columns in which two identical forms may differ: when and on which phone they were filled."""

THAI, ARABIC = "๐๑๒๓๔๕๖๗๘๙", "0123456789"


@dataclass(frozen=True)
class Cohort:
    """The people of a season as of a day.

    `people`: one row a person (person, home province, sex, age_group, education, role).
    `enrolments`: one row a registered (person, course). `pre`, `post`: the counted tests.
    `evaluations`: the counted evaluations, anonymous ones with a null person.
    `excluded`: one row an unused row of a form (form, root_id, reason).
    """

    as_of: date
    people: Rows
    enrolments: Rows
    pre: Rows
    post: Rows
    evaluations: Rows
    received: dict[str, int]
    excluded: pd.DataFrame

    def reasons(self, form: str) -> dict[str, int]:
        """How many rows of a form are not used, by reason."""
        rows = self.excluded[self.excluded["form"] == form]
        return {str(k): int(v) for k, v in rows["reason"].value_counts().sort_index().items()}


def participant_code_is_valid(code: Expression) -> Expression:
    """`forms.values.is_participant_code` as an expression, so that the engine checks a million."""
    digits = [code.substr(place, 1).try_cast("int64") for place in range(10)]
    weighted = [digit * (3 if place % 2 == 0 else 1) for place, digit in enumerate(digits[:9])]
    total = reduce(operator.add, weighted)
    return code.re_search(r"^[0-9]{10}$") & ((10 - total % 10) % 10 == digits[9])


def build(programme: Programme, tables: Tables, as_of: date) -> Cohort:
    """The cohort of `programme` in `tables` as of a day (rows of that day count)."""
    courses = ibis.memtable({"known_course": sorted(course.code for course in programme.courses)})
    registration = programme.form_of("registration")
    registered = tables.keep(
        "looked_at", first_look(programme, tables, registration, as_of, courses)
    )
    quarantined = tables.keep("two_people", two_people(registered, programme))
    registered = tables.keep(
        "registered",
        settle(
            reject(registered, registered.person.isin(quarantined.person), "two_people_one_code"),
            latest=True,
        ),
    )
    counted = registered.filter(registered.reason.isnull())
    people = tables.keep("people", one_row_a_person(counted, programme))

    def settled(form_id: str, *, latest: bool) -> Rows:
        rows = tables.keep(
            f"looked_at_{form_id}", first_look(programme, tables, form_id, as_of, courses)
        )
        known = unknown_people(rows, people, quarantined, programme)
        return tables.keep(f"settled_{form_id}", settle(known, latest=latest))

    forms = {wave: programme.form_of("test", wave) for wave in ("pre", "post")}
    evaluation = programme.form_of("evaluation")
    pre = settled(forms["pre"], latest=False)
    post = settled(forms["post"], latest=True)
    evaluations = settled(evaluation, latest=True)
    looked = {
        registration: registered,
        forms["pre"]: pre,
        forms["post"]: post,
        evaluation: evaluations,
    }
    return Cohort(
        as_of=as_of,
        people=people,
        enrolments=counted.select("person", "course"),
        pre=pre.filter(pre.reason.isnull()),
        post=post.filter(post.reason.isnull()),
        evaluations=evaluations.filter(evaluations.reason.isnull()),
        received={form: number(table.count()) for form, table in looked.items()},
        excluded=listing(looked),
    )


def first_look(
    programme: Programme, tables: Tables, form_id: str, as_of: date, courses: Rows
) -> Rows:
    """A person's form with person, course, day and the first reasons not to use a row.

    `said` holds the answers as one text, by which identical rows are known.
    """
    spec = programme.forms[form_id]
    rows = tables.table(form_id)
    code = rows[spec.person].cast("string").translate(THAI, ARABIC).strip().nullif("")
    anonymous = spec.role == "evaluation"
    answers = [
        rows[column].cast("string").fill_null("")
        for column in rows.columns
        if column not in (*ENVELOPE, *UNSPOKEN)
    ]
    separator: Expression = ibis.literal("\x1f")
    rows = rows.mutate(
        person=code,
        course=rows[spec.course].cast("string").strip(),
        day=rows[spec.event_date].cast("date"),
        said=separator.join(answers),
    )
    known = rows.course.isin(courses.known_course)
    bad_code = ~participant_code_is_valid(rows.person).fill_null(False)
    if anonymous:
        bad_code = rows.person.notnull() & bad_code
    return rows.mutate(
        reason=ibis.cases(
            (rows.day.isnull(), "no_event_date"),
            (rows.day > ibis.literal(as_of), "after_as_of"),
            (bad_code, "bad_check_digit"),
            (~known.fill_null(False), "unknown_course"),
            else_=ibis.null("string"),
        )
    ).select("_root_id", "person", "course", "day", "said", "reason", *needed(programme, form_id))


def needed(programme: Programme, form_id: str) -> list[str]:
    """The answers of a person's form that are counted later; carrying fewer columns is faster."""
    spec = programme.forms[form_id]
    if spec.role == "registration":
        return list(dict.fromkeys(name for _, name in programme.traits))
    if spec.role == "test":
        return [item.name for item in programme.items]
    scales = (scale.items for scale in programme.scales.values() if scale.form == form_id)
    return list(dict.fromkeys(name for items in scales for name in items))


def reject(rows: Rows, condition: Expression, reason: str) -> Rows:
    """Rows so far in use that meet `condition` get `reason`."""
    return rows.mutate(
        reason=ibis.cases((rows.reason.notnull(), rows.reason), (condition, reason), else_=None)
    )


def two_people(registered: Rows, programme: Programme) -> Rows:
    """Codes under which registrations differ in sex or year of birth."""
    traits = programme.traits
    usable = registered.filter(registered.reason.isnull())
    seen = usable.group_by("person").aggregate(
        sexes=usable[traits.sex].nunique(), births=usable[traits.birth_year].nunique()
    )
    return seen.filter((seen.sexes > 1) | (seen.births > 1)).select("person")


def unknown_people(rows: Rows, people: Rows, quarantined: Rows, programme: Programme) -> Rows:
    """Set aside rows of quarantined codes, of codes nobody registered, and tests with no answer."""
    named = rows.person.notnull()
    rows = reject(rows, named & rows.person.isin(quarantined.person), "two_people_one_code")
    rows = reject(rows, rows.person.notnull() & ~rows.person.isin(people.person), "not_registered")
    items = [item.name for item in programme.items if item.name in rows.columns]
    if items:
        blank = ibis.and_(*(rows[name].isnull() for name in items))
        rows = reject(rows, blank, "item_missing")
    return rows


def settle(rows: Rows, *, latest: bool) -> Rows:
    """Of several rows of one person in one course, keep one: the last, or the first.

    Rows without a person (anonymous) are never taken for each other.
    """
    identity = rows.person.fill_null(rows._root_id)
    rows = rows.mutate(identity=identity, usable=rows.reason.isnull())
    same = ibis.window(
        group_by=["identity", "course", "day", "said", "usable"], order_by="_root_id"
    )
    rows = rows.mutate(duplicate=ibis.row_number().over(same))
    rows = reject(rows, rows.duplicate > 0, "duplicate_identical")
    rows = rows.mutate(usable=rows.reason.isnull())
    order: Sequence[Expression] = [rows.day, rows._root_id]
    if latest:
        order = [value.desc() for value in order]
    others = ibis.window(group_by=["identity", "course", "usable"], order_by=order)
    rows = rows.mutate(rank=ibis.row_number().over(others))
    return reject(rows, rows["rank"] > 0, "superseded")


def one_row_a_person(counted: Rows, programme: Programme) -> Rows:
    """Latest registered traits of each person; home is the code's first two digits."""
    window = ibis.window(group_by="person", order_by=[counted.day.desc(), counted._root_id.desc()])
    ranked = counted.mutate(latest=ibis.row_number().over(window))
    newest = ranked.filter(ranked.latest == 0)
    traits = programme.traits
    age = newest[traits.age].cast("string").try_cast("float64").try_cast("int64")
    bounds = sorted(programme.rules.age_groups)
    names = [f"<{bounds[0]}"] if bounds else []
    names += [f"{low}-{high - 1}" for low, high in pairwise(bounds)]
    names += [f"{bounds[-1]}+"] if bounds else []
    steps = [(age < bound, name) for bound, name in zip(bounds, names, strict=False)]
    group = ibis.cases(
        (age.isnull(), ibis.null("string")), *steps, else_=names[-1] if names else None
    )
    return newest.select(
        "person",
        home=newest.person.substr(0, 2),
        sex=newest[traits.sex],
        education=newest[traits.education],
        role=newest[traits.role],
        age_group=group,
    )


def listing(looked: dict[str, Rows]) -> pd.DataFrame:
    """Every unused row: form, root_id, reason; in a fixed order."""
    frames = []
    for form, rows in looked.items():
        unused = rows.filter(rows.reason.notnull())
        frames.append(
            fetch(
                unused.select(
                    form=ibis.literal(form), root_id=unused._root_id, reason=unused.reason
                )
            )
        )
    return pd.concat(frames, ignore_index=True).sort_values(["form", "root_id"], ignore_index=True)
