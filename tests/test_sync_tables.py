"""Typed tables: right types, the same bytes for the same answers, no personal data."""

from __future__ import annotations

import datetime as dt
import resource
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from forms.model import Form, Personal, Question
from forms.problems import Problem
from forms.programme import Programme, load, shipped
from sync.backend import Row
from sync.columns import ARROW, Faults, Kind, shape, typed
from sync.kobo import row_of
from sync.mirror import Mirror
from sync.tables import layout, unfold, write_tables

BANGKOK = ZoneInfo("Asia/Bangkok")
FORM = "mne_cipp"


@pytest.fixture(scope="module")
def programme() -> Programme:
    return load(shipped())


def column(kind: Kind, *values: object) -> tuple[list[Any], Faults]:
    faults = Faults()
    return typed(kind, values, faults, BANGKOK).to_pylist(), faults


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
    made = typed(kind, values, Faults(), BANGKOK)
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


def test_withdrawn_rows_stay_out_and_are_counted(programme: Programme, tmp_path: Path) -> None:
    """A tombstone is in the mirror, not in the tables."""
    with Mirror(tmp_path / "m.sqlite3") as mirror:
        mirror.bind(FORM, "a1")
        mirror.save(FORM, [answer(1, 1), answer(2, 2)])
        mirror.begin_ledger()
        mirror.end_ledger()
        assert mirror.withdraw_missing(FORM) == 2
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
