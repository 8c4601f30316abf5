"""Typed tables: right types, the same bytes for the same answers, no personal data."""

from __future__ import annotations

import datetime as dt
import os
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import psutil
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forms.model import Form, Personal, Question
from forms.problems import Problem
from forms.programme import Programme, load, shipped
from forms.renames import Renames
from sync import parquet, ranges
from sync.backend import Row
from sync.columns import ARROW, Faults, Kind, shape, texts, typed
from sync.kobo import row_of
from sync.layout import layout
from sync.mirror import Mirror
from sync.tables import write_tables
from sync.unfold import Keys, unfold

BANGKOK = ZoneInfo("Asia/Bangkok")
FORM = "mne_cipp"


@pytest.fixture(scope="module")
def programme() -> Programme:
    return load(shipped())


def column(kind: Kind, *values: object) -> tuple[list[Any], Faults]:
    faults = Faults()
    return typed(kind, texts(values), faults, BANGKOK).to_pylist(), faults


def utc(*parts: int) -> dt.datetime:
    return dt.datetime(*parts, tzinfo=dt.UTC)  # type: ignore[misc]


def test_integers_are_read_as_people_type_them() -> None:
    """Thai digits, blanks, thousands separators; what is no whole number is null and counted."""
    found, faults = column("integer", "45", " ๔๕ ", "4,500", "45.0", "-3", None, "")
    assert found == [45, 45, 4500, 45, -3, None, None]
    assert faults.bad == 0
    found, faults = column("integer", "7", "0x1f", "สิบ", "1.5", "9" * 30, "1_000", "nan")
    assert found == [7, None, None, None, None, None, None]
    assert (faults.bad, faults.example) == (6, "9a9a")


def test_decimals_are_finite_numbers() -> None:
    """Arrow alone would take nan and inf."""
    found, faults = column("decimal", "8500.50", "๑.๕", ".5", "1e3", "nan", "inf", "1e999")
    assert found == [8500.5, 1.5, 0.5, 1000.0, None, None, None]
    assert faults.bad == 3


def test_buddhist_years_are_converted_and_counted() -> None:
    """29 February 2563 B.E. exists although 2563 C.E. has none; 31 February never does."""
    found, faults = column("date", "2021-03-11", "2564-03-11", "๒๕๖๓-๐๒-๒๙", "2021-02-31", "x")
    day = dt.date(2021, 3, 11)
    assert found == [day, day, dt.date(2020, 2, 29), None, None]
    assert (faults.buddhist, faults.bad) == (2, 2)


@pytest.mark.parametrize(
    ("kind", "value"), [("date", "0000-01-01"), ("moment", "0000-05-05T00:00:00Z")]
)
def test_year_0_is_refused_in_any_company(kind: Kind, value: str) -> None:
    """Arrow knows the year 0, the calendar does not: null and counted, alone or beside an odd value."""
    for others in ((), ("2021-03-11",), ("odd",), ("2564-03-11",)):
        found, faults = column(kind, value, *others)
        assert found[0] is None
        assert faults.example.startswith("9999-99-99")


DIGITS = st.text(st.sampled_from("0123456789๑-:+.TZ, "), max_size=12)
DAYS = st.builds("{:04}-{:02}-{:02}".format, st.integers(0, 3000), *[st.integers(0, 32)] * 2)
CLOCKS = st.builds(
    "T{:02}:{:02}:{:02}{}{}".format,
    *[st.integers(0, 61)] * 3,
    st.sampled_from(["", ".5", ".000", ".123456"]),
    st.sampled_from(["", "Z", "+07:00", "-23:59", "+24:00"]),
)


@settings(deadline=None)
@given(st.sampled_from(list(ARROW)), st.one_of(DIGITS, DAYS, st.builds(str.__add__, DAYS, CLOCKS)))
def test_a_value_is_typed_alike_in_any_company(kind: Kind, value: str) -> None:
    """Cast whole or parsed one by one: batches differ between mirrors, tables must not."""
    alone, faults = column(kind, value)
    beside, more = column(kind, value, "no number, no date")
    assert beside[:1] == alone
    assert more.bad - (kind not in ("choices", "text")) == faults.bad


def test_moments_are_utc() -> None:
    """With an offset, in B.E., and without an offset (then the programme's own zone)."""
    nine = "-11-20T09:00:00.000"
    found, faults = column("moment", f"2026{nine}+07:00", f"2569{nine}+07:00", f"2026{nine}")
    assert found == [utc(2026, 11, 20, 2)] * 3
    assert faults.buddhist == 1
    assert column("moment", f"2026{nine}Z")[0] == [utc(2026, 11, 20, 9)]


def test_choices_and_texts() -> None:
    """select_multiple is a list; other JSON types of an API submission become text (072)."""
    assert column("choices", "water food", None, " a ")[0] == [["water", "food"], None, ["a"]]
    assert column("text", " ก ", 5, ["a", "b"], {"x": 1}, True)[0] == [
        "ก",
        "5",
        "a b",
        None,
        "True",
    ]


@given(
    st.sampled_from(list(ARROW)),
    st.lists(st.one_of(st.none(), st.text(max_size=12), st.integers(), st.dates().map(str))),
)
def test_no_value_ever_raises(kind: Kind, values: list[object]) -> None:
    """Whatever phones or people send, a column of the right type and length comes out."""
    made = typed(kind, texts(values), Faults(), BANGKOK)
    assert (made.type, len(made)) == (ARROW[kind], len(values))


@given(st.text(min_size=1))
def test_an_example_shows_the_shape_and_never_the_content(text: str) -> None:
    """No letter and no digit of the value but the letter a and the digit 9."""
    assert set(shape(text)) <= {
        "a",
        "9",
        "…",
        *(c for c in map(chr, range(32, 127)) if not c.isalnum()),
    }


# ── from the mirror to files ─────────────────────────────────────────────────────────────────────


def answer(n: int, row_id: int, **more: object) -> Row:
    """A row of the process form, as the data API gives it, with two problems in its repeat."""
    return row_of(
        {
            "_id": row_id,
            "start": "2021-03-11T09:00:00.000+07:00",
            "today": "2021-03-11",
            "username": f"phone-{n % 3}",
            "project_no": "P64-01",
            "problem": [
                {"problem/prob_no": "1", "problem/prob_due": "2021-04-01"},
                {"problem/prob_no": "๒", "problem/prob_text": "SECRET problem"},
            ],
            "meta/instanceName": "SECRET name",
            "meta/instanceID": f"uuid:i{n}",
            "_uuid": f"i{n}",
            "meta/rootUuid": f"uuid:r{n:05}",
            "_submission_time": f"2021-03-11T00:00:{row_id % 60:02}",
            "__version__": f"{row_id} (2021)",
            "_submitted_by": "SECRET user",
            "_attachments": [{"download_url": f"http://one/{row_id}"}],
            "_validation_status": {},
            **more,
        }
    )


def written(
    programme: Programme, rows: list[Row], folder: Path, name: str
) -> tuple[Mapping[str, Any], Path]:
    with Mirror(folder / f"{name}.sqlite3") as mirror:
        mirror.bind(FORM, "a1")
        mirror.save(FORM, rows)
        write_tables(programme, mirror, folder / name)
    return orjson.loads((folder / name / "tables.json").read_bytes()), folder / name


def test_a_table_per_form_and_per_repeat(programme: Programme, tmp_path: Path) -> None:
    """Names, types, the repeat joined by root id and index; tables.json counts the same rows."""
    about, folder = written(programme, [answer(2, 1), answer(1, 2)], tmp_path, "tables")
    main = pq.read_table(folder / "mne_cipp.parquet")
    assert main["_root_id"].to_pylist() == ["r00001", "r00002"]
    assert main["_edited"].to_pylist() == [False, False]
    assert main["start"].to_pylist() == [utc(2021, 3, 11, 2)] * 2
    problems = pq.read_table(folder / "mne_cipp.problem.parquet")
    assert problems.column_names[:2] == ["_root_id", "_index"]
    assert problems["_index"].to_pylist() == [1, 2, 1, 2]
    assert problems["prob_no"].to_pylist() == [1, 2, 1, 2]
    assert problems["prob_due"].to_pylist()[:2] == [dt.date(2021, 4, 1), None]
    entry = about["forms"][FORM]
    assert entry["tables"] == {"mne_cipp.parquet": 2, "mne_cipp.problem.parquet": 4}
    assert entry["rows"] == 2
    assert entry["version"] == programme.form(FORM).version
    assert set(about["forms"]) == set(programme.forms)


def test_personal_data_never_enters(programme: Programme, tmp_path: Path) -> None:
    """Direct identifiers, free text, instance names, the submitter: in no file, in no finding."""
    registration = {
        "_id": 1,
        "meta/rootUuid": "uuid:r1",
        "_uuid": "r1",
        "stranger": "SECRET stranger",
        **{
            question.path: "SECRET value"
            for question in programme.form("mne_registration").questions
            if not (
                programme.dictionary.get(("mne_registration", question.name)) or Personal.DIRECT
            ).may_be_tabled
        },
    }
    with Mirror(tmp_path / "m.sqlite3") as mirror:
        mirror.bind("mne_registration", "a1")
        mirror.bind(FORM, "a2")
        mirror.save("mne_registration", [row_of(registration)])
        mirror.save(FORM, [answer(1, 1, **{"period_start": "SECRET words"})])
        summary = write_tables(programme, mirror, tmp_path / "tables")
    for path in (tmp_path / "tables").iterdir():
        content = path.read_bytes()
        assert b"SECRET" not in content
        if path.suffix == ".parquet":
            assert "SECRET" not in str(pq.read_table(path).to_pylist())
    assert "SECRET" not in str(summary)
    assert {finding.code for finding in summary.findings} == {"untypable", "not_in_form"}


def test_equal_answers_give_equal_bytes(programme: Programme, tmp_path: Path) -> None:
    """Another order of arrival, other ids, times, versions and addresses: the same files. A change
    of one answer: another hash."""
    rows = [answer(n, n) for n in range(1, 60)]
    one, first = written(programme, rows, tmp_path, "one")
    turned = [answer(n, 500 - n) for n in range(1, 60)]
    gone = answer(0, 900, _validation_status={"uid": "validation_status_not_approved"})
    two, second = written(programme, [gone, *turned], tmp_path, "two")
    assert one["forms"][FORM]["sha256"] == two["forms"][FORM]["sha256"]
    assert two["forms"][FORM]["left_out"] == {"not_approved": 1}
    for path in sorted(first.glob("*.parquet")):
        assert path.read_bytes() == (second / path.name).read_bytes()
    three, _ = written(programme, [answer(1, 1, today="2021-03-12"), *rows[1:]], tmp_path, "three")
    assert three["forms"][FORM]["sha256"] != one["forms"][FORM]["sha256"]


def test_a_table_without_rows_is_a_table(programme: Programme, tmp_path: Path) -> None:
    """Rows that were left out and rows that never came: the same files, with all columns."""
    gone = answer(0, 900, _validation_status={"uid": "validation_status_not_approved"})
    _, first = written(programme, [gone], tmp_path, "one")
    _, second = written(programme, [], tmp_path, "two")
    for path in sorted(first.glob("*.parquet")):
        assert path.read_bytes() == (second / path.name).read_bytes()
    found = pq.read_table(first / "mne_cipp.problem.parquet")
    assert (found.num_rows, found.column_names[:2]) == (0, ["_root_id", "_index"])


def test_withdrawn_rows_stay_out_and_are_counted(programme: Programme, tmp_path: Path) -> None:
    """A tombstone is in the mirror, not in the tables."""
    with Mirror(tmp_path / "m.sqlite3") as mirror:
        mirror.bind(FORM, "a1")
        mirror.save(FORM, [answer(1, 1), answer(2, 2)])
        assert mirror.withdraw(FORM, [stored.root_id for stored in mirror.stored(FORM)]) == 2
        mirror.save(FORM, [answer(2, 2)], settle=True)
        summary = write_tables(programme, mirror, tmp_path / "tables")
    assert summary.forms[FORM].rows == 1
    assert summary.forms[FORM].left_out == {"withdrawn": 1}


def test_findings_say_where_how_many_and_what_to_do(programme: Programme, tmp_path: Path) -> None:
    """Bad values and Buddhist years are counted per question, with a remedy."""
    rows = [answer(n, n, today="2564-03-11", period_start="soon") for n in range(1, 4)]
    about, _ = written(programme, rows, tmp_path, "tables")
    found = {(finding["code"], finding["where"]): finding for finding in about["findings"]}
    path = programme.form(FORM).by_name["period_start"].path
    assert found[("buddhist_year", f"{FORM} today")]["count"] == 3
    assert found[("untypable", f"{FORM} {path}")]["count"] == 3
    assert "aaaa" in found[("untypable", f"{FORM} {path}")]["what"]
    assert all(finding["remedy"] for finding in about["findings"])


def test_a_failed_run_leaves_the_old_tables(programme: Programme, tmp_path: Path) -> None:
    """Stopped half-way: the old folder stands whole, nothing else stays behind."""
    with Mirror(tmp_path / "m.sqlite3") as mirror:
        mirror.bind(FORM, "a1")
        mirror.save(FORM, [answer(1, 1)])
        write_tables(programme, mirror, tmp_path / "tables")
        before = (tmp_path / "tables" / "tables.json").read_bytes()
        mirror.save(FORM, [answer(2, 2)])

        def stop(what: str, done: int, total: int) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            write_tables(programme, mirror, tmp_path / "tables", stop)
    assert (tmp_path / "tables" / "tables.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == ["tables"]


def test_a_full_disk_leaves_the_old_tables(programme: Programme, tmp_path: Path) -> None:
    """One finding with a remedy; the tables of before still stand, and the next run replaces them."""
    with Mirror(tmp_path / "m.sqlite3") as mirror:
        mirror.bind(FORM, "a1")
        mirror.save(FORM, [answer(n, n) for n in range(1, 50)])
        write_tables(programme, mirror, tmp_path / "tables")
        before = (tmp_path / "tables" / "tables.json").read_bytes()
        mirror.save(FORM, [answer(50, 50)])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600, hard))
        try:
            with pytest.raises(Problem) as caught:
                write_tables(programme, mirror, tmp_path / "tables")
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert caught.value.findings[0].code == "disk_full"
        assert (tmp_path / "tables" / "tables.json").read_bytes() == before
        assert write_tables(programme, mirror, tmp_path / "tables").forms[FORM].rows == 50


def test_nested_repeats_join_by_their_parents_index(programme: Programme) -> None:
    """`_index` counts a repeat's turns over the whole submission, `_parent_index` names the outer
    turn: recording 073's shape, two members of whom the second has two illnesses."""
    form = Form(
        id="hh",
        version="1",
        title="",
        languages=("th",),
        questions=(
            Question("member", "begin_repeat"),
            Question("member/illness", "begin_repeat", repeat="member"),
            Question("member/illness/ill_name", "text", repeat="member/illness"),
        ),
        choices={},
    )
    rows = [
        {"meta/rootUuid": "r1", "member": [{"member/illness": [{"ill": "a"}]}, {}, "odd"]},
        {"meta/rootUuid": "r2", "member": [{}, {"member/illness": [{"ill": "b"}, {"ill": "c"}]}]},
        {"meta/rootUuid": "r3", "member": "not a list"},
    ]
    turns = unfold("member/illness", rows, form)
    assert [(t.root_id, t.index, t.parent_index, t.answers["ill"]) for t in turns] == [
        ("r1", 1, 1, "a"),
        ("r2", 1, 2, "b"),
        ("r2", 2, 2, "c"),
    ]
    assert [(t.root_id, t.index) for t in unfold("member", rows, form)] == [
        ("r1", 1),
        ("r1", 2),
        ("r2", 1),
        ("r2", 2),
    ]


def test_names_that_are_shared_become_paths(programme: Programme) -> None:
    """Two questions of one table with one name, and nested repeats with their parent's index; a
    question without a class stays out and is reported."""
    form = Form(
        id="mne_cipp",
        version="1",
        title="",
        languages=("th",),
        questions=(
            Question("a/project_no", "text"),
            Question("b/project_no", "text"),
            Question("nowhere", "text"),
            Question("out", "begin_repeat"),
            Question("out/in", "begin_repeat", repeat="out"),
            Question("out/in/prob_no", "integer", repeat="out/in"),
        ),
        choices={},
    )
    tables, findings = layout(form, programme)
    assert [table.name for table in tables] == ["mne_cipp", "mne_cipp.out", "mne_cipp.in"]
    assert [c.name for c in tables[0].columns] == ["a.project_no", "b.project_no"]
    assert tables[2].schema().names == ["_root_id", "_index", "_parent_index", "prob_no"]
    (finding,) = findings
    assert (finding.code, finding.count) == ("not_in_dictionary", 1)
    assert "nowhere" in finding.where


# ── many rows, many processes ────────────────────────────────────────────────────────────────────


def odd_rows(count: int) -> list[Row]:
    """Rows of all kinds: other JSON types (072, 122), strangers (119), faults, edits, left-outs."""
    odd: list[dict[str, object]] = [
        {},
        {"project_no": 64, "problem": None},
        {"today": "2564-03-11", "stranger": "x"},
        {"problem": [{"problem/prob_no": 3}, "odd", {}]},
        {"period_start": "soon", "meta/deprecatedID": "uuid:old"},
        {"_validation_status": {"uid": "validation_status_not_approved"}},
        {"_validation_status": {"uid": "validation_status_approved"}, "today": None},
    ]
    return [answer(n, n, **odd[n % len(odd)]) for n in range(count)]


def with_helpers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two helpers from the first row on, each part 7 rows."""
    monkeypatch.setattr(ranges, "MANY", 1)
    monkeypatch.setattr(ranges, "PART", 7)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def test_helpers_write_the_same_bytes(
    programme: Programme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One process or several, long parts or short, groups cut within a part: files, hashes, counts
    and findings are the same."""
    monkeypatch.setattr(parquet, "ROW_GROUP", 40)
    one, first = written(programme, odd_rows(300), tmp_path, "one")
    with_helpers(monkeypatch)
    two, second = written(programme, odd_rows(300), tmp_path, "two")
    assert one == two
    assert {finding["code"] for finding in one["findings"]} == {
        "untypable",
        "buddhist_year",
        "not_in_form",
    }
    assert pq.ParquetFile(first / "mne_cipp.parquet").num_row_groups == 7
    for path in sorted(first.glob("*.parquet")):
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_progress_reaches_the_total_and_a_stop_ends_the_helpers(
    programme: Programme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while helpers work: no process and no half folder stays behind."""
    with_helpers(monkeypatch)
    before = {child.pid for child in psutil.Process().children()}
    seen: list[tuple[str, int, int]] = []

    def stop(what: str, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with Mirror(tmp_path / "m.sqlite3") as mirror:
        mirror.bind(FORM, "a1")
        mirror.save(FORM, odd_rows(60))
        with pytest.raises(KeyboardInterrupt):
            write_tables(programme, mirror, tmp_path / "tables", stop)
        assert [path.name for path in tmp_path.iterdir() if path.is_dir()] == []
        write_tables(programme, mirror, tmp_path / "tables", lambda *step: seen.append(step))
    assert seen[0] == (FORM, 7, 60)
    assert seen[-1] == (FORM, 60, 60)
    assert {child.pid for child in psutil.Process().children()} == before


def test_a_helper_that_is_killed_is_told(
    programme: Programme, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Out of memory, say: a finding with a remedy, and the old tables still stand."""
    with_helpers(monkeypatch)

    def kill(what: str, done: int, total: int) -> None:
        for child in psutil.Process().children() if done == 7 else ():
            if "sync.ranges" in child.cmdline():
                child.kill()

    with Mirror(tmp_path / "m.sqlite3") as mirror:
        mirror.bind(FORM, "a1")
        mirror.save(FORM, odd_rows(300))
        with pytest.raises(Problem) as caught:
            write_tables(programme, mirror, tmp_path / "tables", kill)
    assert caught.value.findings[0].code == "helper_ended"
    assert caught.value.findings[0].remedy


def test_the_hash_is_over_what_is_tabled(programme: Programme, tmp_path: Path) -> None:
    """It changes with an answer, a null, a turn of a repeat and a root id; not with what stays out."""
    hashes = [
        written(programme, [answer(1, 1, **more)], tmp_path, f"t{n}")[0]["forms"][FORM]["sha256"]
        for n, more in enumerate(
            (
                {},
                {"project_no": "P64-02"},
                {"project_no": ""},
                {"problem": [{"problem/prob_no": "1"}]},
                {"problem": [{"problem/prob_no": "1"}, {"problem/prob_due": "2021-04-01"}]},
                {"meta/rootUuid": "uuid:r2"},
            )
        )
    ]
    assert len(set(hashes)) == len(hashes)
    more = {"_id": 7, "meta/instanceName": "other", "_uuid": "i7", "stranger": "x"}
    same, _ = written(programme, [answer(1, 1, **more)], tmp_path, "same")
    assert same["forms"][FORM]["sha256"] == hashes[0]


# ── one column across versions ───────────────────────────────────────────────────────────────────


def across(
    programme: Programme, moved: Mapping[str, str], rows: list[dict[str, object]], folder: Path
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of the form's table, of its repeat, and the findings, under these renames."""
    after = programme.model_copy(update={"renames": {FORM: Renames(moved)}})
    sent = [
        row_of({"_id": n, "_uuid": f"i{n}", "meta/rootUuid": f"uuid:r{n}", **row})
        for n, row in enumerate(rows)
    ]
    about, tables = written(after, sent, folder, "tables")
    main, problems = (
        pq.read_table(tables / f"mne_cipp{part}.parquet") for part in ("", ".problem")
    )
    return main.to_pylist(), problems.to_pylist(), about["findings"]


def test_one_column_across_versions(programme: Programme, tmp_path: Path) -> None:
    """Today's name, an old one, an older one still: one column; of two in one row the new one stands,
    unless it is empty."""
    moved = {"number": "project_no", "no": "number"}
    rows: list[dict[str, object]] = [
        {"project_no": "P1"},
        {"number": "P2"},
        {"no": "P3"},
        {"number": "old", "project_no": "P4", "no": "older"},
        {"number": "P5", "project_no": ""},
        {"number": 6},
    ]
    main, _, findings = across(programme, moved, rows, tmp_path)
    assert [row["project_no"] for row in main] == ["P1", "P2", "P3", "P4", "P5", "6"]
    assert findings == []


def test_a_renamed_repeat_and_what_is_in_it(programme: Programme, tmp_path: Path) -> None:
    """The repeat by its path, its questions by its prefix, one of them by a row of its own; inside a
    repeat that kept its name too."""
    moved = {
        "trouble": "problem",
        "trouble/number": "problem/prob_no",
        "problem/n": "problem/prob_no",
    }
    rows: list[dict[str, object]] = [
        {"trouble": [{"trouble/number": "1", "trouble/prob_due": "2021-04-01"}, {}]},
        {"problem": [{"problem/n": "2"}, {"problem/n": "0", "problem/prob_no": "3"}]},
    ]
    _, problems, findings = across(programme, moved, rows, tmp_path)
    assert [(row["_root_id"], row["_index"], row["prob_no"]) for row in problems] == [
        ("r0", 1, 1),
        ("r0", 2, None),
        ("r1", 1, 2),
        ("r1", 2, 3),
    ]
    assert problems[0]["prob_due"] == dt.date(2021, 4, 1)
    assert findings == []


def test_withdrawn_on_purpose_is_no_stranger(programme: Programme, tmp_path: Path) -> None:
    """Nothing is said of it; what a renamed group no longer holds is still said, by its old path."""
    moved = {"weather": "", "trouble": "problem", "old": "problem"}
    rows: list[dict[str, object]] = [{"weather": "wet", "weather/wind": "x", "old/mood": "good"}]
    main, _, (finding,) = across(programme, moved, rows, tmp_path)
    assert len(main) == 1
    assert finding["code"] == "not_in_form"
    assert finding["where"] == f"{FORM}: old/mood"


def test_nested_repeats_are_renamed_level_by_level() -> None:
    """`member/illness` became `person/disease`: both levels under their old names."""
    form = Form(
        id="hh",
        version="1",
        title="",
        languages=("th",),
        questions=(
            Question("person", "begin_repeat"),
            Question("person/disease", "begin_repeat", repeat="person"),
            Question("person/disease/name", "text", repeat="person/disease"),
        ),
        choices={},
    )
    renames = Renames({"member": "person", "member/illness": "person/disease"})
    rows: list[dict[str, Any]] = [
        {"meta/rootUuid": "r", "member": [{"member/illness": [{"member/illness/name": "a"}]}, {}]},
        {"meta/rootUuid": "s", "person": [{"person/disease": [{"person/disease/name": "b"}]}]},
    ]
    rows = [Keys(form, renames).settled(row) for row in rows]
    turns = unfold("person/disease", rows, form, Keys(form, renames))
    assert [(turn.root_id, turn.parent_index, turn.answers) for turn in turns] == [
        ("r", 1, {"person/disease/name": "a"}),
        ("s", 1, {"person/disease/name": "b"}),
    ]
