"""The pairing rules, row by row, on tables made by hand."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import ibis
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.cohort import participant_code_is_valid
from analysis.engine import open_tables
from analysis.evaluate import evaluate
from analysis.season import Season
from forms.problems import Problem
from forms.programme import Programme, load, shipped
from forms.values import is_participant_code, participant_code

START, END = date(2021, 3, 11), date(2021, 3, 12)
COURSE = "C64-50-01"


@pytest.fixture(scope="module")
def programme() -> Programme:
    return load(shipped())


def person(number: int) -> str:
    return participant_code("50", 2564, number)


def row(root: str, **answers: Any) -> dict[str, Any]:
    return {"_root_id": root, "_instance_id": root, "_validation": "", "_edited": False} | answers


def registration(root: str, code: str, day: date = START, **traits: Any) -> dict[str, Any]:
    known = {
        "sex": "f",
        "birth_year_be": 2510,
        "age_years": 53,
        "education": "bachelor",
        "role": "network",
    }
    return row(root, participant_id=code, course_code=COURSE, today=day, **(known | traits))


def test_row(
    programme: Programme, root: str, code: str | None, day: date, right: int, **more: Any
) -> dict[str, Any]:
    """A test with the first `right` items answered right, the others wrong."""
    answers = {
        item.name: item.correct if n < right else ("a" if item.correct != "a" else "b")
        for n, item in enumerate(programme.items)
    }
    known = {"participant_id": code, "course_code": COURSE, "today": day}
    return row(root, **(known | answers | more))


test_row.__test__ = False  # type: ignore[attr-defined]  # a maker of rows, not a test


def tables(folder: Path, programme: Programme, rows: Mapping[str, list[dict[str, Any]]]) -> Path:
    """Typed tables as a pull leaves them; forms without rows have their columns alone."""
    blank = {
        "mne_registration": registration("", person(1)),
        "mne_pretest": test_row(programme, "", None, START, 0),
        "mne_posttest": test_row(programme, "", None, START, 0),
        "mne_course_eval": row("", participant_id="", course_code="", today=START)
        | {item: "4" for scale in programme.scales.values() for item in scale.items},
        "mne_activity": row(
            "", project_no="", activity_no="", sub_no=1, today=START, spent_baht=1.5
        ),
        "mne_output": row("", project_no="", plan_no=1, today=START),
        "mne_cipp": row("", today=START),
        "mne_followup": row("", visit_date=START),
        "mne_expertise": row("", today=START),
    }
    folder.mkdir(parents=True)
    for form, example in blank.items():
        frame = pd.DataFrame([*rows.get(form, []), example]).iloc[: len(rows.get(form, []))]
        frame.to_parquet(folder / f"{form}.parquet")
    forms = {form: {"version": "1", "rows": 0, "sha256": "", "left_out": {}} for form in blank}
    (folder / "tables.json").write_text(json.dumps({"forms": forms, "findings": []}), "utf-8")
    return folder


def season(
    folder: Path,
    programme: Programme,
    as_of: date = date(2021, 9, 30),
    **rows: list[dict[str, Any]],
) -> Season:
    return Season(programme, open_tables(tables(folder / "tables", programme, rows)), as_of)


def why(made: Season) -> dict[str, str]:
    """Reason of each unused row by its root id."""
    unused = made.cohort.excluded
    return dict(zip(unused["root_id"], unused["reason"], strict=True))


def points(made: Season) -> list[tuple[float, float]]:
    return list(zip(made.pairs["pre"], made.pairs["post"], strict=True))


def test_first_pre_and_last_post_count(tmp_path: Path, programme: Programme) -> None:
    """Of several tests the first pre and the last post by event date pair; the others are superseded."""
    made = season(
        tmp_path,
        programme,
        mne_registration=[registration("r", person(1))],
        mne_pretest=[
            test_row(programme, "pre-late", person(1), END, 9),
            test_row(programme, "pre-first", person(1), START, 5),
        ],
        mne_posttest=[
            test_row(programme, "post-first", person(1), END, 11),
            test_row(programme, "post-last", person(1), date(2021, 3, 20), 15),
        ],
    )
    assert points(made) == [(5.0, 15.0)]
    assert why(made) == {"pre-late": "superseded", "post-first": "superseded"}


def test_identical_rows_collapse(tmp_path: Path, programme: Programme) -> None:
    """The same answers on the same day under two instance ids are one test."""
    made = season(
        tmp_path,
        programme,
        mne_registration=[registration("r", person(1))],
        mne_pretest=[test_row(programme, root, person(1), START, 5) for root in ("a", "b")],
    )
    assert why(made) == {"b": "duplicate_identical"}
    assert made.pairing == {"duplicate_identical": 1, "no_post": 1}


def test_codes(tmp_path: Path, programme: Programme) -> None:
    """A failed check digit, an unregistered code, no code, an unknown course, no date: each its reason;
    Thai digits and blanks around a code are read right."""
    thai = person(1).translate(str.maketrans("0123456789", "๐๑๒๓๔๕๖๗๘๙"))
    wrong = person(2)[:-1] + str((int(person(2)[-1]) + 1) % 10)
    made = season(
        tmp_path,
        programme,
        mne_registration=[registration("r", f"  {person(1)} ")],
        mne_pretest=[
            test_row(programme, "thai", thai, START, 5),
            test_row(programme, "wrong", wrong, START, 5),
            test_row(programme, "stranger", person(3), START, 5),
            test_row(programme, "nobody", None, START, 5),
            test_row(programme, "elsewhere", person(1), START, 5, course_code="C99"),
            test_row(programme, "undated", person(1), None, 5),  # type: ignore[arg-type]  # on purpose
        ],
    )
    assert why(made) == {
        "wrong": "bad_check_digit",
        "stranger": "not_registered",
        "nobody": "bad_check_digit",
        "elsewhere": "unknown_course",
        "undated": "no_event_date",
    }
    assert made.pairing["no_post"] == 1


def test_two_people_under_one_code(tmp_path: Path, programme: Programme) -> None:
    """Registrations that differ in sex or year of birth are two people: both and their tests are set
    aside, nothing is averaged."""
    made = season(
        tmp_path,
        programme,
        mne_registration=[
            registration("r1", person(1)),
            registration("r2", person(1), sex="m"),
            registration("r3", person(2)),
            registration("r4", person(2), day=END, education="master"),
        ],
        mne_pretest=[test_row(programme, "pre", person(1), START, 5)],
    )
    assert why(made) == {
        "r1": "two_people_one_code",
        "r2": "two_people_one_code",
        "pre": "two_people_one_code",
        "r3": "superseded",
    }
    assert list(made.persons["education"]) == ["master"]


def test_as_of(tmp_path: Path, programme: Programme) -> None:
    """The as-of day itself counts, the next does not; a test of a person registered later is unmatched."""
    rows = {
        "mne_registration": [registration("r", person(1), END)],
        "mne_pretest": [test_row(programme, "pre", person(1), START, 5)],
        "mne_posttest": [test_row(programme, "post", person(1), END, 15)],
    }
    assert points(season(tmp_path / "end", programme, END, **rows)) == [(5.0, 15.0)]
    before = season(tmp_path / "start", programme, START, **rows)
    assert why(before) == {"r": "after_as_of", "pre": "not_registered", "post": "after_as_of"}


def test_an_empty_season_is_refused_not_computed(tmp_path: Path, programme: Programme) -> None:
    """No rows at all: every figure on people is without data, the money figures stand, nothing fails."""
    folder = tables(tmp_path / "tables", programme, {})
    content = evaluate(programme, folder, date(2021, 4, 19)).content
    statuses = content["coverage"]["indicators"]
    for identifier in ("REL-1", "REL-2", "EFT-1", "EFT-2", "EFT-3", "EFT-6", "PRO-9", "EFF-5"):
        assert statuses[identifier] == "no_data", identifier
    assert statuses["EFF-1"] == "refused"
    assert content["indicators"]["PRO-3"]["measures"]["disbursed"]["value"] == 10_921_966
    assert content["tables"]["pairing"]["paired"] == 0
    json.dumps(content, allow_nan=False)


def test_one_pair(tmp_path: Path, programme: Programme) -> None:
    """One person is no evidence: every figure on one person is hidden, overall and in cells."""
    folder = tables(
        tmp_path / "tables",
        programme,
        {
            "mne_registration": [registration("r", person(1))],
            "mne_pretest": [test_row(programme, "pre", person(1), START, 5)],
            "mne_posttest": [test_row(programme, "post", person(1), END, 15)],
        },
    )
    content = evaluate(programme, folder, date(2021, 9, 30)).content
    eft_1 = content["indicators"]["EFT-1"]
    assert eft_1["status"] == "refused"
    for measure in eft_1["measures"].values():
        assert measure["value"] is None, measure
        assert measure["status"] in ("suppressed", "refused")
    assert eft_1["measures"]["overall"]["reason"] == "n_below_limit"
    assert eft_1["by"]["province"]["50"]["status"] == "suppressed"
    json.dumps(content, allow_nan=False)


def test_missing_table(tmp_path: Path, programme: Programme) -> None:
    """A folder without tables says which command makes them."""
    shutil.rmtree(tmp_path, ignore_errors=True)
    with pytest.raises(Problem, match="watphon pull"):
        open_tables(tmp_path)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.text("0123456789๑ -", max_size=11), min_size=1, max_size=20))
def test_the_engine_checks_codes_as_python_does(texts: list[str]) -> None:
    """The check digit's rule as an expression agrees with forms.values on every text."""
    codes = [*texts, person(1), person(17)]
    rows = ibis.memtable(pd.DataFrame({"code": codes}))
    said = ibis.duckdb.connect().execute(participant_code_is_valid(rows.code).name("ok"))
    assert [bool(value) for value in said] == [is_participant_code(code) for code in codes]
