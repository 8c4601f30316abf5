"""Declared faults: one a person, each kind there, each with what it must cause; and the counts add up."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from forms import simulate
from forms.instance import to_xml
from forms.model import Submission
from forms.programme import Programme, load, shipped
from forms.simulate.settings import DirtRates
from forms.values import arabic_digits, is_participant_code

KINDS = frozenset(DirtRates.model_fields)
EXPECTED = {
    "resend_identical": "no_row",
    "duplicate_identical": "duplicate_identical",
    "second_pre": "superseded",
    "second_post": "superseded",
    "post_without_pre": "no_pre",
    "mistyped_code": "bad_check_digit",
    "unregistered_code": "not_registered",
    "two_people_one_code": "two_people_one_code",
    "late_edit": "edited",
    "thai_digits": "read_right",
    "padded_code": "read_right",
    "be_date": "buddhist_year",
}


@pytest.fixture(scope="module")
def programme() -> Programme:
    return load(shipped())


@pytest.fixture(scope="module", params=[300, 3000])
def people(request: pytest.FixtureRequest) -> int:
    return request.param


@pytest.fixture(scope="module")
def season(programme: Programme, people: int) -> simulate.Season:
    return simulate.season(programme, seed=11, people=people)


@pytest.fixture(scope="module")
def sent(season: simulate.Season) -> list[simulate.Sent]:
    return list(season.submissions())


def stored(sent: Iterable[simulate.Sent]) -> dict[tuple[str, str], Submission]:
    """What a server has in the end: by form and root id, edits in place."""
    rows: dict[tuple[str, str], Submission] = {}
    for one in sent:
        key = one.form_id, one.submission.root_id
        if one.kind == "edit":
            assert rows[key].instance_id == one.submission.deprecated_id
        elif one.kind == "new":
            assert key not in rows
        if one.kind != "resend":
            rows[key] = one.submission
    return rows


def said(programme: Programme, submission: Submission, name: str) -> str:
    path = programme.form(submission.form_id).by_name[name].path
    return submission.record.answers.get(path, "")


def test_every_kind_is_there_and_no_person_has_two(season: simulate.Season) -> None:
    """Even 300 people meet every kind; no two faults share a person."""
    assert {fault.kind for fault in season.ledger} == KINDS
    assert all(EXPECTED[fault.kind] == fault.expected for fault in season.ledger)
    people = [fault.participant_id for fault in season.ledger if fault.participant_id]
    assert len(people) == len(set(people))
    assert len({fault.id for fault in season.ledger}) == len(season.ledger)
    assert season.truth["faults"] == Counter(fault.kind for fault in season.ledger)
    assert len(people) < 0.1 * season.plan.enrolments


def test_the_ledger_names_rows_that_are_there(
    programme: Programme, season: simulate.Season, sent: list[simulate.Sent]
) -> None:
    """Every line's form and root id lead to a stored row, of the person or with what was written."""
    rows = stored(sent)
    for fault in season.ledger:
        row = rows[fault.form, fault.root_id]
        spec = programme.forms[fault.form]
        if fault.kind in ("mistyped_code", "unregistered_code", "padded_code"):
            assert said(programme, row, spec.person) == fault.value != fault.participant_id
        elif fault.kind == "thai_digits":
            assert fault.value in row.record.answers.values()
            assert arabic_digits(fault.value) != fault.value
        elif fault.kind == "be_date":
            assert said(programme, row, "planned_start") == fault.value
            assert fault.value.startswith("256")
        elif fault.kind == "late_edit":
            item, _, code = fault.value.partition("=")
            assert row.deprecated_id
            assert said(programme, row, item) == code
        if fault.participant_id and fault.kind not in ("mistyped_code", "unregistered_code"):
            code = arabic_digits(said(programme, row, spec.person)).strip()
            assert code == fault.participant_id


def test_codes_are_wrong_in_the_way_declared(season: simulate.Season) -> None:
    """A mistyped code fails its check digit; an unregistered one passes it and belongs to nobody."""
    known = set(season.attendance.people.code)
    for fault in season.ledger:
        if fault.kind == "mistyped_code":
            assert not is_participant_code(fault.value)
        if fault.kind == "unregistered_code":
            assert is_participant_code(fault.value)
            assert fault.value not in known


def test_a_resend_is_the_same_bytes(programme: Programme, sent: list[simulate.Sent]) -> None:
    """What is sent again is byte-identical to what was sent first."""
    first = {(one.form_id, one.submission.root_id): one for one in sent if one.kind == "new"}
    resent = [one for one in sent if one.kind == "resend"]
    assert resent
    for one in resent:
        form = programme.form(one.form_id)
        before = first[one.form_id, one.submission.root_id].submission
        assert to_xml(one.submission, form) == to_xml(before, form)


def test_two_people_differ_in_sex_and_birth(
    programme: Programme, season: simulate.Season, sent: list[simulate.Sent]
) -> None:
    """Under a badge with two people the registrations disagree; all other codes have one human."""
    form_id = programme.form_of("registration")
    traits: dict[str, set[tuple[str, str]]] = {}
    for (form, _), row in stored(sent).items():
        if form == form_id:
            code = arabic_digits(said(programme, row, "participant_id")).strip()
            birth = arabic_digits(said(programme, row, programme.traits.birth_year))
            traits.setdefault(code, set()).add((said(programme, row, programme.traits.sex), birth))
    two = {f.participant_id for f in season.ledger if f.kind == "two_people_one_code"}
    assert {code for code, seen in traits.items() if len(seen) > 1} == two
    for code in two:
        (sex, born), (other, later) = traits[code]
        assert sex != other
        assert born != later


def test_counts_follow_from_the_rows(
    programme: Programme, season: simulate.Season, sent: list[simulate.Sent]
) -> None:
    """Counting pairs and exclusions from the rows by the rules gives what truth.json expects."""
    rows, expected = stored(sent), season.truth["expected"]
    assert Counter(form for form, _ in rows) == Counter(season.rows)
    two = {f.participant_id for f in season.ledger if f.kind == "two_people_one_code"}
    enrolled: set[tuple[str, str]] = set()
    tests: dict[str, dict[tuple[str, str], list[tuple[str, str, Submission]]]] = {}
    reasons: dict[str, Counter[str]] = {}
    registration = programme.form_of("registration")
    waves = {programme.form_of("test", wave): wave for wave in ("pre", "post")}
    for form in (registration, *waves):
        spec, unused = programme.forms[form], reasons.setdefault(form, Counter())
        for (of, root), row in sorted(rows.items()):
            if of != form:
                continue
            code = arabic_digits(said(programme, row, spec.person)).strip()
            key = code, said(programme, row, spec.course)
            day = said(programme, row, spec.event_date)
            if not is_participant_code(code):
                unused["bad_check_digit"] += 1
            elif code in two:
                unused["two_people_one_code"] += 1
            elif form == registration:
                unused["duplicate_identical"] += key in enrolled
                enrolled.add(key)
            elif key not in enrolled:
                unused["not_registered"] += 1
            else:
                tests.setdefault(waves[form], {}).setdefault(key, []).append((day, root, row))
    scores: dict[str, dict[tuple[str, str], float]] = {}
    points = 100 / sum(item.weight for item in programme.items)
    for form, wave in waves.items():
        for key, taken in tests[wave].items():
            for n, (_, _, row) in enumerate(taken[1:], start=1):
                same = any(row.record == other.record for _, _, other in taken[:n])
                reasons[form]["duplicate_identical" if same else "superseded"] += 1
            row = (min if wave == "pre" else max)(taken, key=lambda one: one[:2])[2]
            scores.setdefault(wave, {})[key] = points * sum(
                item.weight
                for item in programme.items
                if said(programme, row, item.name) == item.correct
            )
    for form, unused in reasons.items():
        assert dict(+unused) == expected["excluded"][form]
    paired = scores["pre"].keys() & scores["post"].keys()
    assert len(enrolled) == expected["registered"]
    assert len(paired) == expected["paired"] == expected["pairs"]["n"]
    assert len(scores["pre"]) - len(paired) == expected["no_post"]
    assert len(scores["post"]) - len(paired) == expected["no_pre"]
    assert len({code for code, _ in scores["post"]}) == expected["trained"]
    for wave in ("pre", "post"):
        mean = sum(scores[wave][key] for key in paired) / len(paired)
        assert mean == pytest.approx(expected["pairs"][wave], abs=1e-9)
    assert sum(part["n"] for part in expected["pairs_by_province"].values()) == len(paired)


def test_faults_do_not_change_anything_else(programme: Programme) -> None:
    """Without faults the same people give the same answers to everything under the same ids."""
    settings = simulate.load_simulation(programme.folder)
    clean = simulate.season(
        programme, seed=11, people=300, simulation=settings.model_copy(update={"dirt": DirtRates()})
    )
    dirty = simulate.season(programme, seed=11, people=300)
    assert clean.ledger == []
    assert clean.total[2] == 0
    touched = {fault.participant_id for fault in dirty.ledger} | {
        fault.root_id for fault in dirty.ledger
    }
    before = {one.submission.instance_id: one.submission for one in clean.submissions()}
    same = {one.submission.instance_id: one.submission for one in dirty.submissions()}
    changed = [key for key in before if before[key] != same.get(key)]
    assert 0 < len(changed) < len(dirty.ledger)
    for key in changed:
        codes = set(before[key].record.answers.values()) | {key}
        assert codes & touched


def test_truth_and_ledger_are_written_the_same_twice(
    programme: Programme, season: simulate.Season, people: int, tmp_path: Path
) -> None:
    """truth.json is canonical JSON and ledger.csv a table; a second writing gives the same bytes."""
    truth, ledger = simulate.write(season, tmp_path / "a")
    again = simulate.season(programme, seed=11, people=people)
    for path in simulate.write(again, tmp_path / "b"):
        assert path.read_bytes() == (tmp_path / "a" / path.name).read_bytes()
    read = json.loads(truth.read_text("utf-8"))
    assert read == json.loads(json.dumps(season.truth))
    assert read["true_gain"]["overall"] == pytest.approx(13.5, abs=1.5)
    assert sum(read["seats"].values()) == read["enrolments"]
    with ledger.open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    assert [row["id"] for row in rows] == [fault.id for fault in season.ledger]
    assert {row["detectable"] for row in rows} == {"yes", "no"}


def test_personal_words_are_all_named(
    programme: Programme, season: simulate.Season, sent: list[simulate.Sent]
) -> None:
    """Every surname, phone and national number of a submission is in the list to look for."""
    words = simulate.personal_words(season)
    form_id = programme.form_of("registration")
    for one in sent:
        if one.form_id == form_id:
            for name, known in (
                ("last_name", "surnames"),
                ("phone", "phones"),
                ("national_id", "national_ids"),
            ):
                value = said(programme, one.submission, name)
                assert not value or value in words[known]
    assert all(len(name) >= 6 for name in words["surnames"])
