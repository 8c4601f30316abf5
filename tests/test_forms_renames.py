"""renames.csv: old answers find today's question, and what cannot be is told with its row."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forms.model import Form, Question
from forms.problems import Finding, ProgrammeProblem
from forms.programme import load, shipped
from forms.renames import Rename, Renames, renames_of

FORM = Form(
    id="hh",
    version="3",
    title="",
    languages=("th",),
    questions=(
        Question("g", "begin_group"),
        Question("g/age", "integer"),
        Question("person", "begin_repeat"),
        Question("person/name", "text", repeat="person"),
        Question("person/illness", "begin_repeat", repeat="person"),
        Question("person/illness/what", "text", repeat="person/illness"),
    ),
    choices={},
)


def renames(*rows: tuple[str, str]) -> tuple[Renames, list[Finding]]:
    findings: list[Finding] = []
    made = renames_of(FORM, [Rename(form="hh", old=old, new=new) for old, new in rows], findings)
    return made, findings


def told(*rows: tuple[str, str]) -> list[str]:
    return [finding.code for finding in renames(*rows)[1]]


def test_a_path_that_was_not_renamed_stays() -> None:
    """Also one that only begins like an old one."""
    made, findings = renames(("years", "g/age"))
    assert [made.now(path) for path in ("years", "years2", "g/age")] == ["g/age", "years2", "g/age"]
    assert Renames().now("years") == "years"
    assert findings == []


def test_a_group_or_repeat_moves_all_below_it() -> None:
    """The longest path that fits wins."""
    made, findings = renames(
        ("member", "person"), ("member/ill", "person/illness"), ("member/ill/x", "")
    )
    assert findings == []
    assert made.now("member") == "person"
    assert made.now("member/name") == "person/name"
    assert made.now("member/ill/what") == "person/illness/what"
    assert made.now("member/ill/x") is None


def test_chains_lead_to_the_end() -> None:
    """What was renamed twice is told in two rows, in any order; withdrawn at the end too."""
    made, findings = renames(("b", "g/age"), ("a", "b"), ("c", "d"), ("d", ""))
    assert findings == []
    assert [made.now(path) for path in "abcd"] == ["g/age", "g/age", None, None]


def test_a_record_keeps_its_later_name() -> None:
    """Of an answer under an old and a new path the new one stands; of two old ones the newer."""
    made, _ = renames(("b", "g/age"), ("a", "b"))
    assert made.renamed({"a": "1", "g/age": "2", "x": "3"}, ["a"]) == {"g/age": "2", "x": "3"}
    assert made.renamed({"a": "1", "b": "2"}, ["a", "b"]) == {"g/age": "2"}
    assert made.renamed({"b": "2", "a": "1"}, ["a", "b"]) == {"g/age": "2"}


def test_what_cannot_be_is_told() -> None:
    """Still asked, leads nowhere, two ways, in a circle, into or out of a repeat."""
    assert told(("g/age", "person/name")) == ["rename_of_asked"]
    assert told(("years", "g/ages")) == ["rename_to_nowhere"]
    assert told(("years", "g/age"), ("years", "")) == ["twice"]
    assert told(("a", "b"), ("b", "a")) == ["rename_cycle", "rename_cycle"]
    assert told(("a", "a/b")) == ["rename_cycle"]
    assert told(("first", "person/name")) == ["rename_across_repeat"]
    assert told(("person/age", "g/age")) == ["rename_across_repeat"]
    assert told(("member/first", "person/name")) == ["rename_across_repeat"]
    assert told(("member/first", "person/name"), ("member", "person")) == []
    assert told(("person/first", "person/name")) == []
    assert told(("member", "person"), ("member/ill", "person/illness")) == []


@settings(deadline=None)
@given(
    st.lists(
        st.tuples(*[st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join)] * 2),
        max_size=6,
    )
)
def test_no_table_of_renames_hangs(rows: list[tuple[str, str]]) -> None:
    """Whatever the rows say, a path is found or a cycle is told."""
    made, _ = renames(*rows)
    for path in ("a", "a/b", "a/b/c", "b/c/a/b"):
        made.now(path)


# ── in a programme's folder ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(shipped(), tmp_path / "programme"))


def problems(folder: Path, text: str) -> str:
    (folder / "renames.csv").write_text(text, "utf-8")
    with pytest.raises(ProgrammeProblem) as caught:
        load(folder)
    return str(caught.value)


def test_the_file_is_optional_and_one_of_the_inputs(folder: Path) -> None:
    """Without it nothing is renamed; with it, it is read and listed with the other files."""
    assert load(folder).renames == {}
    assert "renames.csv" not in load(folder).files()
    (folder / "renames.csv").write_text("form,old,new\nmne_cipp,trouble,problem\n", "utf-8")
    programme = load(folder)
    assert programme.renames["mne_cipp"].now("trouble/prob_no") == "problem/prob_no"
    assert list(programme.renames) == ["mne_cipp"]
    assert programme.files()["renames.csv"] == folder / "renames.csv"


def test_every_problem_is_told_at_once(folder: Path) -> None:
    """An unknown form, an unknown question, a broken path: file, row and remedy."""
    said = problems(
        folder,
        "form,old,new\nmne_sipp,a,b\nmne_cipp,number,project_number\nmne_cipp,a b,project_no\n",
    )
    for part in (
        "renames.csv, mne_sipp a, column form: mne_sipp is not one of the programme's forms",
        "use one of: mne_registration",
        "renames.csv, mne_cipp number, column new: project_number is not asked by mne_cipp.xlsx",
        "renames.csv, row 4, column old",
    ):
        assert part in said


def test_a_missing_column_withdraws_nothing(folder: Path) -> None:
    """A misspelt head must not read as “all withdrawn on purpose”."""
    said = problems(folder, "form,old,now\nmne_cipp,number,project_no\n")
    assert "renames.csv, row 1: column new is missing" in said
