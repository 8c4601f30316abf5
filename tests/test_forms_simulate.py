"""A simulated season is one that phones could have sent, and the same one again for the same seed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import chain

import pytest

from forms import simulate
from forms.instance import from_kobo, from_xml, to_kobo, to_xml
from forms.model import Record, Submission
from forms.problems import ProgrammeProblem, UsageProblem
from forms.programme import Programme, load, shipped
from forms.simulate.blank import Blank
from forms.values import is_participant_code, thai_id
from forms.xlsform import read_sheets

PEOPLE = 300
UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture(scope="module")
def programme() -> Programme:
    return load(shipped())


@pytest.fixture(scope="module")
def season(programme: Programme) -> simulate.Season:
    return simulate.season(programme, seed=7, people=PEOPLE)


@pytest.fixture(scope="module")
def sent(season: simulate.Season) -> list[simulate.Sent]:
    return list(season.submissions())


def test_the_same_seed_gives_the_same_season(
    programme: Programme, season: simulate.Season, sent: list[simulate.Sent]
) -> None:
    """One seed, one season: submissions, truth and ledger; iterating twice changes nothing."""
    again = simulate.season(programme, seed=7, people=PEOPLE)
    assert list(again.submissions()) == sent
    assert list(season.submissions()) == sent
    assert again.truth == season.truth
    assert again.ledger == season.ledger


def test_another_seed_gives_other_people_and_ids(
    programme: Programme, sent: list[simulate.Sent]
) -> None:
    """Nothing of a season is carried over to another seed but its plan."""
    other = simulate.season(programme, seed=8, people=PEOPLE)
    ids = {one.submission.instance_id for one in sent}
    assert ids.isdisjoint(one.submission.instance_id for one in other.submissions())
    assert other.plan.courses == simulate.season(programme, seed=7, people=PEOPLE).plan.courses


def test_totals_are_known_before_anything_is_built(
    season: simulate.Season, sent: list[simulate.Sent]
) -> None:
    """`total` and `rows` say what will be sent and stored; round 2 comes after all of round 1."""
    assert Counter(one.round for one in sent) == season.total
    assert [one.round for one in sent] == sorted(one.round for one in sent)
    stored = Counter(one.form_id for one in sent if one.kind == "new")
    assert {form: n for form, n in season.rows.items() if n} == stored
    assert all(n > 0 for n in season.rows.values())
    assert {one.kind for one in sent if one.round == 2} == {"resend", "edit"}


def test_round_one_is_in_the_order_of_the_days(
    programme: Programme, sent: list[simulate.Sent]
) -> None:
    """Submissions come in the order of their event dates."""
    days = [
        one.submission.record.answers[programme.forms[one.form_id].event_date]
        for one in sent
        if one.round == 1
    ]
    assert days == sorted(days)


def test_ids_are_unique_and_look_like_random_ones(sent: list[simulate.Sent]) -> None:
    """Every new submission and edit has its own id, shaped like a version 4 UUID."""
    ids = [one.submission.instance_id for one in sent if one.kind != "resend"]
    assert len(ids) == len(set(ids))
    assert all(UUID4.fullmatch(one) for one in ids)


def test_every_seat_is_taken_by_a_person_of_the_right_province(
    programme: Programme, season: simulate.Season, sent: list[simulate.Sent]
) -> None:
    """Registrations per course are its planned seats; local courses take their own province's people."""
    form_id = programme.form_of("registration")
    spec = programme.forms[form_id]
    enrolled: dict[str, set[str]] = {}
    for one in sent:
        if one.form_id == form_id and one.kind == "new":
            answers = one.submission.record.answers
            person = answers[Blank(programme, form_id, 0).paths[spec.person]].strip()
            course = answers[Blank(programme, form_id, 0).paths[spec.course]]
            enrolled.setdefault(course, set()).add(person)
    planned = {course.code: course for course in programme.courses}
    assert set(enrolled) == {course.code for course in season.plan.courses}
    for code, people in enrolled.items():
        assert len(people) == planned[code].planned_n == season.truth["seats"][code]
        if planned[code].province != "00":
            assert {person[:2] for person in people} == {planned[code].province}


def test_the_whole_season_has_everybody_once(programme: Programme) -> None:
    """At full size each target person has one code, and fills one seat of the province's courses."""
    plan = simulate.plan_season(programme)
    assert plan.people == sum(programme.targets.values()) == 12_810
    assert len(plan.courses) == len(programme.courses) == 294
    season = simulate.season(programme, seed=1)
    codes = season.attendance.people.code
    assert len(set(codes)) == plan.people
    assert all(map(is_participant_code, codes))
    homes = Counter(code[:2] for code in codes)
    assert homes == programme.targets
    assert season.total[1] > 45_000


@pytest.mark.parametrize("people", [1, 45, 300, 2000, 12_810])
def test_a_smaller_season_keeps_whole_courses(programme: Programme, people: int) -> None:
    """People are scaled by whole courses, to within half a course, over as many provinces as fit."""
    plan = simulate.plan_season(programme, people)
    local = [c for c in plan.courses if c.province in plan.provinces]
    assert plan.people == sum(c.planned_n for c in local)
    assert abs(plan.people - people) <= 45
    assert len({c.province for c in local}) == min(len(local), 17)
    assert plan.enrolments == sum(c.planned_n for c in plan.courses)


@pytest.mark.parametrize("people", [0, -3, 12_811])
def test_people_out_of_range_are_refused(programme: Programme, people: int) -> None:
    """A size that cannot be has an error that names the sizes that can."""
    with pytest.raises(UsageProblem, match="12,810"):
        simulate.season(programme, people=people)


def test_a_broken_setting_is_named(programme: Programme, tmp_path) -> None:
    """simulation.toml with an unknown setting and a bad value tells both, by name."""
    text = (programme.folder / "simulation.toml").read_text("utf-8")
    text = text.replace("share = 0.13", "share = 1.3").replace("anonymous =", "anonymus =")
    (tmp_path / "simulation.toml").write_text(text, "utf-8")
    with pytest.raises(ProgrammeProblem) as caught:
        simulate.load_simulation(tmp_path)
    said = str(caught.value)
    assert "dropout.share" in said
    assert "evaluation.anonymus" in said
    (tmp_path / "simulation.toml").unlink()
    with pytest.raises(ProgrammeProblem, match=r"simulation\.toml"):
        simulate.load_simulation(tmp_path)


# ── the answers are such as the forms allow ──────────────────────────────────────────────────────


class Answer(str):
    """An answer that compares as in XPath: as a number with numbers."""

    def number(self) -> float:
        try:
            return float(self)
        except ValueError:
            return float("nan")

    def __hash__(self) -> int:
        return super().__hash__()

    def __eq__(self, other: object) -> bool:
        return self.number() == other if isinstance(other, int | float) else super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __ge__(self, other) -> bool:
        return self.number() >= other if isinstance(other, int | float) else super().__ge__(other)

    def __le__(self, other) -> bool:
        return self.number() <= other if isinstance(other, int | float) else super().__le__(other)

    def __gt__(self, other) -> bool:
        return self.number() > other if isinstance(other, int | float) else super().__gt__(other)

    def __lt__(self, other) -> bool:
        return self.number() < other if isinstance(other, int | float) else super().__lt__(other)


def holds(expression: str, named: Mapping[str, str], own: str = "", today: str = "") -> bool:
    """The truth of an XLSForm expression made of comparisons, `selected`, `regex` and `today()`."""
    quoted = re.findall(r"'[^']*'", expression)
    bare = re.sub(r"'[^']*'", "\x00", expression)
    bare = re.sub(r"\$\{(\w+)\}", r"v(\1)", bare)
    bare = re.sub(r"(?<![<>!=])=", "==", bare)
    bare = re.sub(r"(?<![\w.])\.(?![\w.])", "me", bare)
    bare = bare.replace("count-selected", "count").replace("today()", "now")
    bare = re.sub(r"v\((\w+)\)", r"Answer(named.get('\1', ''))", bare)
    for text in quoted:
        bare = bare.replace("\x00", repr(text[1:-1]), 1)
    known = {
        "Answer": Answer,
        "named": named,
        "me": Answer(own),
        "now": today,
        "selected": lambda answer, code: code in answer.split(),
        "count": lambda answer: len(answer.split()),
        "regex": lambda answer, pattern: re.search(pattern, answer) is not None,
    }
    return bool(eval(bare, {"__builtins__": {}}, known))


def records(
    record: Record, around: Mapping[str, str]
) -> Iterator[tuple[Record, dict[str, str], str]]:
    """A record and the turns of its repeats, each with all answers it can see by name."""
    named = {**around, **{path.rpartition("/")[2]: v for path, v in record.answers.items()}}
    yield record, named, ""
    for path, turns in record.repeats.items():
        for turn in turns:
            for inner, seen, _ in records(turn, named):
                yield inner, seen, path


SKIPPED = ("substr", "if(", "normalize-space", "format-date")
"""Constraints beyond this small reader: check digits and calendars, which other tests look at."""


def test_every_answer_is_one_the_form_allows(
    programme: Programme, season: simulate.Season, sent: list[simulate.Sent]
) -> None:
    """Codes exist, relevance and required are kept, constraints hold: as a phone would insist.

    Only the rows of faults that no phone would let through are left out.
    """
    faulty = {
        fault.root_id
        for fault in season.ledger
        if fault.kind in ("mistyped_code", "thai_digits", "padded_code", "be_date")
    }
    blanks = {form_id: Blank(programme, form_id, 0) for form_id in programme.forms}
    constraints = {
        form_id: {
            row["name"]: row["constraint"]
            for _, row in read_sheets(programme.workbook(form_id))["survey"].rows
            if row.get("constraint")
        }
        for form_id in programme.forms
    }
    codes = {
        (form_id, question.name): frozenset(blank.codes(question.name))
        for form_id, blank in blanks.items()
        for question in blank.form.questions
        if question.list_name
    }
    for one in sent:
        if one.submission.root_id in faulty:
            continue
        form = blanks[one.form_id].form
        for record, named, repeat in records(one.submission.record, {}):
            assert set(record.answers) <= {q.path for q in form.answerable(repeat)}
            assert set(record.repeats) <= set(form.repeats)
            for question in form.answerable(repeat):
                if question.type == "audit":
                    continue
                value = record.answers.get(question.path, "")
                place = f"{one.form_id} {question.path}: {value!r}"
                asked = all(
                    holds(form.by_path[around].relevant, named)
                    for around in steps(question.path)
                    if form.by_path[around].relevant
                )
                if not asked:
                    assert value == "", f"{place} is not relevant"
                elif question.required and question.type != "note":
                    must = question.required == "yes" or holds(question.required, named)
                    assert value or not must, f"{place} is missing"
                if value and question.list_name:
                    given = value.split() if question.type == "select_multiple" else [value]
                    assert set(given) <= codes[one.form_id, question.name], place
                rule = constraints[one.form_id].get(question.name, "")
                if value and rule and not any(word in rule for word in SKIPPED):
                    assert holds(rule, named, value, named.get("today", "")), f"{place}: {rule}"


def steps(path: str) -> list[str]:
    parts = path.split("/")
    return ["/".join(parts[: depth + 1]) for depth in range(len(parts))]


def test_places_join_and_numbers_check(programme: Programme, sent: list[simulate.Sent]) -> None:
    """Tambon lies in district lies in province; invented IDs pass the check of the 13th digit."""
    form_id = programme.form_of("registration")
    blank = Blank(programme, form_id, 0)
    tambons = {row["name"]: row for row in blank.rows("tambon")}
    given = 0
    for one in sent:
        if one.form_id != form_id:
            continue
        named = {blank.form.by_path[p].name: v for p, v in one.submission.record.answers.items()}
        row = tambons[named["tambon"]]
        assert (row["district"], row["province"]) == (named["district"], named["province"])
        if number := named.get("national_id"):
            given += 1
            assert thai_id(number[:12]) == number
    assert 0.45 < given / PEOPLE < 0.85


def test_every_form_survives_both_codecs(programme: Programme, sent: list[simulate.Sent]) -> None:
    """XML and KoboToolbox JSON give back what went in, for every form, faults and edits included."""
    seen: Counter[str] = Counter()
    for one in sent:
        seen[one.form_id] += 1
        if seen[one.form_id] > 25 and one.round == 1:
            continue
        form = programme.form(one.form_id)
        read = from_xml(to_xml(one.submission, form), form)
        assert without_server(read) == without_server(one.submission)
        assert from_kobo(to_kobo(one.submission)) == one.submission
    assert set(seen) == set(programme.forms)


def without_server(submission: Submission) -> Submission:
    """What an instance document itself can carry."""
    return replace(submission, root_id="", attachments=())


def test_photographs_travel_with_a_visit(sent: list[simulate.Sent]) -> None:
    """A few visits carry a PNG under the name their answer says."""
    carrying = [one for one in sent if one.files]
    assert carrying
    for one in carrying:
        name, content, kind = one.files[0]
        assert name in one.submission.record.answers.values()
        assert (content[:8], kind) == (b"\x89PNG\r\n\x1a\n", "image/png")


def test_money_is_spent_after_it_came_and_not_beyond_it(
    programme: Programme, season: simulate.Season
) -> None:
    """On every report's day the latest spending of a project is within what was transferred."""
    form_id = programme.form_of("activity")
    projects = {row.project: row for row in programme.disbursements}
    latest: dict[tuple[str, ...], float] = {}
    spent: Counter[str] = Counter()
    for report in season.reports:
        answers = report.submission.record.answers
        if report.submission.form_id != form_id:
            continue
        key = tuple(answers[name] for name in programme.forms[form_id].record)
        now = float(answers["spent_baht"])
        assert now >= latest.get(key, 0.0)
        spent[key[0]] += round(100 * (now - latest.get(key, 0.0)))
        latest[key] = now
        assert spent[key[0]] <= projects[key[0]].transferred_by(report.day)


def test_keys_of_repeated_records_stay(programme: Programme, season: simulate.Season) -> None:
    """A plan keeps its name and rises; a problem that was closed is not told of again."""
    output, process = programme.form_of("output"), programme.form_of("process")
    stages: dict[tuple[str, str], list[int]] = {}
    names: dict[tuple[str, str], set[str]] = {}
    closed: set[tuple[str, str]] = set()
    told = 0
    for report in season.reports:
        record = report.submission.record
        if report.submission.form_id == output:
            key = record.answers["project_no"], record.answers["plan_no"]
            stages.setdefault(key, []).append(int(record.answers["stage"]))
            names.setdefault(key, set()).add(record.answers["plan_name"])
        if report.submission.form_id == process:
            for turn in chain.from_iterable(record.repeats.values()):
                key = record.answers["project_no"], turn.answers["problem/prob_no"]
                assert key not in closed
                told += 1
                if turn.answers["problem/prob_status"] == "closed":
                    closed.add(key)
    assert all(seen == sorted(set(seen)) for seen in stages.values())
    assert all(len(said) == 1 for said in names.values())
    assert told
    assert closed


def test_a_required_question_nobody_knows_gets_an_answer(programme: Programme) -> None:
    """Next year's form may ask more: what is always asked and required is answered by its type."""
    form_id = programme.form_of("registration")
    blank = Blank(programme, form_id, 1)
    record = blank.record({"today": "2021-04-01"})
    names = {blank.form.by_path[path].name for path in record.answers}
    assert {"notice_ack", "course_code", "sex", "issues", "consent_photo", "org_name"} <= names
    assert "national_id" not in names
    assert record.answers["g_org/issues"] in blank.codes("issues")
    assert record.answers["g_org/issues"] != "none"
