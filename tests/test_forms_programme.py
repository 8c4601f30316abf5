"""A programme folder: what is right is typed, what is wrong is told with file, row and remedy."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import load_workbook

from forms.lint import lint
from forms.problems import ProgrammeProblem
from forms.programme import load, shipped


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped programme to spoil."""
    return Path(shutil.copytree(shipped(), tmp_path / "programme"))


def edit(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text("utf-8")), "utf-8")


def problems(folder: Path) -> str:
    with pytest.raises(ProgrammeProblem) as caught:
        load(folder)
    return str(caught.value)


def test_the_shipped_programme_is_the_seeds() -> None:
    """The figures of the founding document: 12,810 persons, 294 courses, 15,635,880 baht, 41 indicators."""
    programme = load(shipped())
    assert sum(programme.targets.values()) == 12_810
    assert len(programme.courses) == 294
    assert sum(row.approved for row in programme.disbursements) == 1_563_588_000
    assert len(programme.indicators) == 41
    assert len(programme.items) == 20
    assert not programme.warnings


def test_the_shipped_programme_has_no_finding() -> None:
    """`watphon check` on what we ship finds nothing."""
    assert lint(load(shipped())) == []


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    """An empty folder is refused with the command that makes one."""
    assert "watphon new" in problems(tmp_path)


def test_windows_874_is_named(folder: Path) -> None:
    """A CSV saved by a Thai Excel is refused with row and remedy, not misread."""
    path = folder / "courses.csv"
    path.write_bytes(path.read_text("utf-8").encode("cp874"))
    told = problems(folder)
    assert re.search(r"courses\.csv, row 2: is not UTF-8 text \(looks like windows-874", told)
    assert "CSV UTF-8" in told


def test_a_byte_order_mark_is_no_fault(folder: Path) -> None:
    """Excel's “CSV UTF-8” begins with a BOM and is read."""
    path = folder / "targets.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert load(folder).targets["50"] == 1650


def test_buddhist_date_where_ce_is_meant(folder: Path) -> None:
    """2564-03-11 in start_date is told with row, column and what to write."""
    edit(folder / "courses.csv", lambda text: text.replace("2021-03-11", "2564-03-11", 1))
    assert re.search(
        r"courses\.csv, row 2, column start_date: .* write 2021-03-11", problems(folder)
    )


def test_ce_year_where_buddhist_is_meant(folder: Path) -> None:
    """fiscal_year_be = 2021 is told with the Buddhist year, in TOML and in a CSV."""
    edit(
        folder / "programme.toml",
        lambda text: text.replace("fiscal_year_be = 2564", "fiscal_year_be = 2021"),
    )
    assert "write 2564" in problems(folder)


def test_all_problems_at_once(folder: Path) -> None:
    """A missing workbook, a missing column and a broken cell are told in one go."""
    (folder / "mne_cipp.xlsx").unlink()
    edit(folder / "targets.csv", lambda text: text.replace("target\n", "goal\n", 1))
    edit(folder / "disbursement.csv", lambda text: text.replace("1781000", "many", 1))
    told = problems(folder)
    for part in (
        "mne_cipp.xlsx: is missing",
        "targets.csv, row 1: column target is missing",
        "disbursement.csv, row 2, column approved_baht",
    ):
        assert part in told


def test_an_unknown_column_is_a_warning(folder: Path) -> None:
    """A misspelt optional column is told, not silently ignored."""
    edit(
        folder / "courses.csv", lambda text: text.replace("planned_n,status", "planned_n,statsu", 1)
    )
    (warning,) = load(folder).warnings
    assert warning.severity == "warning"
    assert "statsu" in warning.what


def test_codes_that_do_not_join(folder: Path) -> None:
    """A course in a province that does not exist, an item of an unknown module."""
    edit(folder / "courses.csv", lambda text: text.replace(",P64-01,50,", ",P64-01,99,", 1))
    edit(folder / "item_key.csv", lambda text: text.replace("q01,SDG", "q01,SGD"))
    told = problems(folder)
    assert "courses.csv, C64-50-01, column province: 99 is not in provinces.csv" in told
    assert "SGD is not in modules.csv" in told


def test_the_key_cannot_be_a_medium(folder: Path) -> None:
    """Listing the answer key among a form's media is refused before anything is sent."""
    edit(
        folder / "programme.toml",
        lambda text: text.replace(
            'media = ["courses.csv"]', 'media = ["courses.csv", "item_key.csv"]', 1
        ),
    )
    assert "answer key and must never be sent" in problems(folder)


def test_an_unknown_setting_is_named(folder: Path) -> None:
    """A misspelt key of programme.toml is told with its place."""
    edit(folder / "programme.toml", lambda text: text.replace("pass_mark", "pas_mark"))
    assert "programme.toml, test.pas_mark: is not a known setting" in problems(folder)


def test_broken_toml_names_the_line(folder: Path) -> None:
    """TOML that does not parse is told with its line."""
    edit(folder / "programme.toml", lambda text: text + "\n[rules\n")
    assert re.search(r"line \d+", problems(folder))


def spoil(folder: Path, form: str, change: Callable) -> str:
    """Edit a workbook and give lint's findings as text."""
    path = folder / f"{form}.xlsx"
    book = load_workbook(path)
    change(book)
    book.save(path)
    return "\n".join(f"{f.code} {f}" for f in lint(load(folder)))


def cell(sheet, name: str, head: str):
    """The cell of a row (by its name column) under a head."""
    heads = [c.value for c in sheet[1]]
    for row in sheet.iter_rows(min_row=2):
        if row[heads.index("name")].value == name:
            return row[heads.index(head)]
    raise LookupError(name)


def test_lint_missing_translation(folder: Path) -> None:
    """A label without Thai is told with sheet, row and question."""

    def change(book) -> None:
        cell(book["survey"], "overall", "label::ไทย (th)").value = None

    told = spoil(folder, "mne_course_eval", change)
    assert re.search(
        r"translation_missing mne_course_eval\.xlsx, survey, row \d+ \(overall\)", told
    )


def test_lint_missing_required_message(folder: Path) -> None:
    """A required question must say so in words."""

    def change(book) -> None:
        for language in ("ไทย (th)", "English (en)"):
            cell(book["survey"], "overall", f"required_message::{language}").value = None

    assert "required_message_missing" in spoil(folder, "mne_course_eval", change)


def test_lint_key_names_no_choice(folder: Path) -> None:
    """A key with a typo is found before a single test is scored with it."""
    edit(folder / "item_key.csv", lambda text: text.replace("q01,SDG,b", "q01,SDG,e"))
    told = "\n".join(str(f) for f in lint(load(folder)))
    assert "item_key.csv, q01: the key 'e' is none of mne_pretest's choices (a, b, c, d)" in told


def test_lint_waves_that_differ(folder: Path) -> None:
    """An item worded otherwise in the post-test is told with both rows."""

    def change(book) -> None:
        cell(book["survey"], "q07", "label::English (en)").value = "Another question"

    assert "item q07 is not worded the same" in spoil(folder, "mne_posttest", change)


def test_lint_column_that_would_leave(folder: Path) -> None:
    """A column of one's own on the choices sheet would reach phones: an error."""

    def change(book) -> None:
        sheet = book["choices"]
        sheet.cell(1, sheet.max_column + 1).value = "correct"

    assert "choices, column correct" in spoil(folder, "mne_pretest", change)


def test_lint_question_that_is_gone(folder: Path) -> None:
    """Renaming a question that programme.toml names is told."""

    def change(book) -> None:
        cell(book["survey"], "r6", "name").value = "r6b"

    told = spoil(folder, "mne_course_eval", change)
    assert "the form has no question r6" in told
    assert "field r6b has no pii_class" in told


@pytest.mark.parametrize("content", [b"", b"not a workbook", b"PK\x03\x04 broken"])
def test_a_broken_workbook(folder: Path, content: bytes) -> None:
    """A broken workbook is one finding with a remedy; the others are still checked."""
    (folder / "mne_cipp.xlsx").write_bytes(content)
    told = [f for f in lint(load(folder)) if f.where.startswith("mne_cipp.xlsx")]
    assert [f.code for f in told] == ["workbook_broken"]


def test_a_prefill_that_names_no_question(folder: Path) -> None:
    """What a link's address would answer is in the form, or is told."""
    edit(
        folder / "programme.toml",
        lambda text: text.replace('"pid_type", "$value"', '"pid", "$value"', 1),
    )
    told = [str(finding) for finding in lint(load(folder))]
    assert len(told) == 1
    assert "prefill of mne_registration" in told[0]
    assert "no question pid" in told[0]


def test_a_name_written_with_no_question(folder: Path) -> None:
    """How the board writes names is told in questions of the form."""
    edit(folder / "programme.toml", lambda text: text.replace("{last_name}", "{surname}", 1))
    told = [str(finding) for finding in lint(load(folder))]
    assert len(told) == 1
    assert "name of mne_registration" in told[0]
    assert "no question surname" in told[0]
