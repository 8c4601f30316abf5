"""XLSForm workbooks: read into a `Form`, cleaned for a server, converted to an XForm.

The workbook is the source of a form; this module promises that what it reads, what a server receives
and what pyxform converts are the same sheets. It does not judge them: that is `forms.lint`.

XLSForm: https://xlsform.org/en/ref-table/ — XForm: https://getodk.github.io/xforms-spec/
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from forms.model import Choice, Form, Question
from forms.problems import Problem, ProgrammeProblem

__all__ = ["OWN_PREFIX", "Sheet", "deployable", "read_form", "read_sheets", "to_xform"]

OWN_PREFIX = "watphon::"
"""Columns whose head begins so are ours alone: they are stripped before a workbook leaves."""

MAX_UNPACKED = 64 * 1024 * 1024
"""Bytes a workbook may unpack to; a form of thousands of rows needs a hundredth of it."""

MAX_XML = 24 * 1024 * 1024
"""Bytes of the sheets, strings and styles among them: fifty thousand choices with long labels."""

LANGUAGE = re.compile(r"^(?P<column>.+?)\s*::\s*(?P<words>.*?)(?:\((?P<code>[A-Za-z-]+)\))?\s*$")
SELECTS = ("select_one", "select_multiple", "rank")


@dataclass(frozen=True, slots=True)
class Sheet:
    """One sheet as text: its heads, and its non-empty rows with their number in the workbook."""

    heads: tuple[str, ...]
    rows: tuple[tuple[int, Mapping[str, str]], ...]


def read_sheets(source: Path | bytes, *, where: str = "") -> dict[str, Sheet]:
    """The survey, choices and settings sheets of a workbook, every cell as trimmed text.

    Raises `ProgrammeProblem` when the file is missing, is not an .xlsx or has no survey sheet.
    """
    name = where or (source.name if isinstance(source, Path) else "workbook")
    try:
        content = source.read_bytes() if isinstance(source, Path) else source
    except OSError as error:
        raise ProgrammeProblem.at(
            str(source), f"cannot be read ({error.strerror})", "put the form's .xlsx there"
        ) from error
    # openpyxl takes a fifth of a second to load, and a server should be there at once
    from openpyxl import load_workbook

    refuse_bomb(content, name)
    try:
        workbook = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheets = {
            sheet.title.strip().lower(): Sheet(*table(rows_of(sheet)))
            for sheet in workbook.worksheets
            if sheet.title.strip().lower() in ("survey", "choices", "settings")
        }
        workbook.close()
    except (
        zipfile.BadZipFile,
        zlib.error,
        SyntaxError,
        KeyError,
        ValueError,
        OSError,
        EOFError,
        TypeError,
    ) as error:
        raise ProgrammeProblem.at(
            name,
            "is not a readable Excel workbook (.xlsx)",
            "open it in a spreadsheet programme and save it as .xlsx, or restore a copy",
            code="workbook_broken",
        ) from error
    if "survey" not in sheets:
        raise ProgrammeProblem.at(
            name, "has no sheet named survey", "add the survey sheet", code="sheet_missing"
        )
    return sheets


def rows_of(sheet: Any) -> Iterator[tuple[object, ...]]:
    """The rows of a sheet as wide as they are; what the file says of its size is not believed,
    because openpyxl would fill a stated million rows of 16,384 columns with empty cells."""
    sheet.reset_dimensions()
    return sheet.iter_rows(values_only=True)


def refuse_bomb(content: bytes, name: str) -> None:
    """Refuse what is no zip archive or unpacks to more than any form needs."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = archive.infolist()
            unpacked = sum(entry.file_size for entry in entries)
            written = sum(e.file_size for e in entries if e.filename.endswith((".xml", ".rels")))
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise ProgrammeProblem.at(
            name,
            "is not a readable Excel workbook (.xlsx)",
            "open it in a spreadsheet programme and save it as .xlsx, or restore a copy",
            code="workbook_broken",
        ) from error
    if unpacked > MAX_UNPACKED or written > MAX_XML:
        size, most = (unpacked, MAX_UNPACKED) if unpacked > MAX_UNPACKED else (written, MAX_XML)
        raise ProgrammeProblem.at(
            name,
            f"unpacks to {size:,} bytes, more than the {most:,} allowed",
            "remove pictures and unused cells",
            code="workbook_too_large",
        )


def table(
    rows: Iterator[tuple[object, ...]],
) -> tuple[tuple[str, ...], tuple[tuple[int, Mapping[str, str]], ...]]:
    """Heads and numbered non-empty rows of a sheet's cells."""
    first = next(rows, ())
    heads = tuple(text(cell) for cell in first)
    body: list[tuple[int, Mapping[str, str]]] = []
    for number, cells in enumerate(rows, start=2):
        row = {
            head: value
            for head, cell in zip(heads, cells, strict=False)
            if head and (value := text(cell))
        }
        if row:
            body.append((number, row))
    return heads, tuple(body)


def text(cell: object) -> str:
    """A cell as a person reads it: 5.0 typed as a number is `5`."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return str(cell).strip()


def read_form(source: Path | bytes, *, where: str = "") -> Form:
    """Parse a workbook into a `Form`; raises `ProgrammeProblem` naming sheet and row."""
    name = where or (source.name if isinstance(source, Path) else "workbook")
    sheets = read_sheets(source, where=name)
    settings = dict(sheets["settings"].rows[0][1]) if sheets.get("settings", EMPTY).rows else {}
    choices: dict[str, list[Choice]] = {}
    for number, row in sheets.get("choices", EMPTY).rows:
        listed = row.get("list_name") or row.get("list name", "")
        choices.setdefault(listed, []).append(
            Choice(row.get("name", ""), by_language(row, "label"), number)
        )
    form_id = settings.get("form_id") or settings.get("id_string") or Path(name).stem
    return Form(
        id=form_id,
        version=settings.get("version", ""),
        title=settings.get("form_title", form_id),
        languages=languages(sheets, settings),
        questions=tuple(questions(sheets["survey"], name)),
        choices={key: tuple(value) for key, value in choices.items()},
        settings=settings,
    )


EMPTY = Sheet((), ())


def by_language(row: Mapping[str, str], column: str) -> dict[str, str]:
    """`{"th": …, "en": …}` of one translatable column; a column without a language is `""`."""
    words: dict[str, str] = {}
    for head, value in row.items():
        if head == column:
            words[""] = value
        elif (match := LANGUAGE.match(head)) and match["column"] == column:
            words[match["code"] or match["words"]] = value
    return words


def languages(sheets: Mapping[str, Sheet], settings: Mapping[str, str]) -> tuple[str, ...]:
    """Language codes of the label columns, the default language first."""
    found: dict[str, None] = {}
    if (default := LANGUAGE.match(f"label::{settings.get('default_language', '')}")) and (
        default["code"] or default["words"]
    ):
        found[default["code"] or default["words"]] = None
    for sheet in sheets.values():
        for head in sheet.heads:
            if (match := LANGUAGE.match(head)) and match["column"] == "label":
                found[match["code"] or match["words"]] = None
    return tuple(found)


def questions(survey: Sheet, where: str) -> Iterator[Question]:
    """Questions, groups and repeats with their full paths, in the order of the sheet."""
    steps: list[tuple[str, str]] = []
    for number, row in survey.rows:
        kind, _, rest = re.sub(r"^(begin|end)[ _]", r"\1_", row.get("type", "")).partition(" ")
        if kind in ("end_group", "end_repeat"):
            if not steps or steps[-1][1] != kind.replace("end", "begin"):
                raise ProgrammeProblem.at(
                    f"{where}, survey, row {number}",
                    f"{kind} closes nothing that is open",
                    "check the begin and end rows above it",
                    code="unbalanced_group",
                )
            steps.pop()
            continue
        if not kind or kind in ("csv-external", "xml-external"):
            continue
        path = "/".join([step for step, _ in steps] + [row.get("name", "")])
        repeat = ""
        for depth, (_, opened) in enumerate(steps, start=1):
            if opened == "begin_repeat":
                repeat = "/".join(step for step, _ in steps[:depth])
        if kind == "audit":
            path, repeat = "meta/audit", ""
        yield Question(
            path=path,
            type=kind,
            list_name=rest.split()[0] if rest and kind.startswith(SELECTS) else "",
            labels=by_language(row, "label"),
            required=row.get("required", ""),
            relevant=row.get("relevant", ""),
            repeat=repeat,
            row=number,
        )
        if kind in ("begin_group", "begin_repeat"):
            steps.append((row.get("name", ""), kind))
    if steps:
        raise ProgrammeProblem.at(
            f"{where}, survey", f"group {steps[-1][0]} is never closed", "add its end row"
        )


def deployable(source: Path) -> bytes:
    """The workbook as a server may see it: our own columns and any further sheets left out.

    Raises `ProgrammeProblem` when the file cannot be read.
    """
    from openpyxl import load_workbook

    read_sheets(source)
    workbook = load_workbook(io.BytesIO(source.read_bytes()))
    for sheet in list(workbook.worksheets):
        if sheet.title.strip().lower() not in ("survey", "choices", "settings"):
            workbook.remove(sheet)
            continue
        for column in range(sheet.max_column, 0, -1):
            if text(sheet.cell(1, column).value).startswith(OWN_PREFIX):
                sheet.delete_cols(column)
    out = io.BytesIO()
    workbook.save(out)
    return out.getvalue()


def to_xform(workbook: bytes, *, form_id: str, version: str) -> tuple[str, list[str]]:
    """XForm XML and pyxform's warnings; root element and id are `form_id`.

    Raises `Problem` with pyxform's own words, which name sheet, row and column.
    """
    # pyxform takes an eighth of a second to load, and most commands need none of it.
    from pyxform.errors import PyXFormError
    from pyxform.xls2json_backends import xlsx_to_dict
    from pyxform.xls2xform import convert

    refuse_bomb(workbook, form_id)
    try:
        sheets = xlsx_to_dict(io.BytesIO(workbook))
        sheets["settings"] = [
            {**(sheets.get("settings") or [{}])[0], "form_id": form_id, "version": version}
        ]
        sheets.pop("settings_header", None)  # it need not name the version we put in
        warnings: list[str] = []
        made = convert(sheets, warnings=warnings, form_name=form_id)
    except PyXFormError as error:
        raise Problem.at(form_id, str(error), "mend the workbook", code="pyxform") from error
    return made.xform, warnings
