"""Workbooks: what people edit, what leaves, what pyxform and ODK Validate say of it."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from lxml import etree
from needs import needs_java
from openpyxl import load_workbook
from pyxform.validators.odk_validate import check_xform

from forms.programme import load, shipped
from forms.xlsform import deployable, read_form, read_sheets, to_xform

GOLDEN = Path(__file__).parent / "golden"
FORMS = sorted(load(shipped()).forms)


def as_markdown(path: Path) -> str:
    """The three sheets as Markdown tables, columns without content left out."""
    parts: list[str] = []
    for name, sheet in read_sheets(path).items():
        heads = [head for head in sheet.heads if any(head in row for _, row in sheet.rows)]
        parts.append(f"## {name}\n")
        parts.append("| " + " | ".join(heads) + " |")
        parts.append("|" + " --- |" * len(heads))
        for _, row in sheet.rows:
            cells = (row.get(head, "").replace("|", "\\|").replace("\n", " ⏎ ") for head in heads)
            parts.append("| " + " | ".join(cells) + " |")
        parts.append("")
    return "\n".join(parts)


@pytest.mark.parametrize("form_id", FORMS)
def test_golden(form_id: str) -> None:
    """A change to a shipped form shows in review: its dump must be renewed with it.

    WATPHON_GOLDEN=write renews the dumps.
    """
    dump = as_markdown(shipped() / f"{form_id}.xlsx")
    path = GOLDEN / f"{form_id}.md"
    if os.environ.get("WATPHON_GOLDEN") == "write":
        path.write_text(dump, "utf-8")
    assert path.read_text("utf-8") == dump


@pytest.mark.parametrize("form_id", FORMS)
def test_workbook_is_as_people_expect(form_id: str) -> None:
    """Heads stay in sight, columns are wide enough to read."""
    book = load_workbook(shipped() / f"{form_id}.xlsx")
    assert book.sheetnames == ["survey", "choices", "settings"]
    assert all(sheet.freeze_panes for sheet in book.worksheets)
    assert (book["survey"].column_dimensions["C"].width or 0) >= 20


@pytest.mark.parametrize("form_id", FORMS)
@needs_java
def test_odk_validate(form_id: str, tmp_path: Path) -> None:
    """ODK Validate (JavaRosa, what Collect runs) accepts every shipped form."""
    xform, warnings = to_xform(
        deployable(shipped() / f"{form_id}.xlsx"), form_id=form_id, version="1"
    )
    assert warnings == []
    path = tmp_path / f"{form_id}.xml"
    path.write_text(xform, "utf-8")
    check_xform(str(path))


def test_own_columns_stay(tmp_path: Path) -> None:
    """Columns that begin with watphon:: and further sheets never leave."""
    source = tmp_path / "f.xlsx"
    book = load_workbook(shipped() / "mne_pretest.xlsx")
    sheet = book["survey"]
    sheet.insert_cols(2)
    sheet.cell(1, 2, "watphon::note")
    sheet.cell(5, 2, "SECRET-IN-COLUMN")
    book.create_sheet("notes")["A1"] = "SECRET-IN-SHEET"
    book.save(source)
    leaving = deployable(source)
    cells = [
        str(cell.value)
        for sheet in load_workbook(io.BytesIO(leaving))
        for row in sheet.iter_rows()
        for cell in row
    ]
    assert not any("SECRET" in cell or cell.startswith("watphon::") for cell in cells)
    assert read_form(leaving).by_path == read_form(shipped() / "mne_pretest.xlsx").by_path


def test_the_key_is_in_no_form() -> None:
    """Choices reach phones as a code and words, and nothing that tells which one is right."""
    programme = load(shipped())
    for form_id, spec in programme.forms.items():
        assert programme.test.key not in spec.media
        xform, _ = to_xform(deployable(programme.workbook(form_id)), form_id=form_id, version="1")
        items = etree.fromstring(xform.encode()).iterfind(".//{*}instance/{*}root/{*}item")
        parts = {etree.QName(part).localname for item in items for part in item}
        assert parts <= {"name", "itextId"}


def test_xform_carries_the_servers_id() -> None:
    """The deployed form is known by the server's id and version, root element included."""
    xform, _ = to_xform(deployable(shipped() / "mne_cipp.xlsx"), form_id="aX1", version="3 (now)")
    assert '<aX1 id="aX1" version="3 (now)">' in xform
