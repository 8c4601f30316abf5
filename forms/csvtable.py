"""The CSV files of a programme, read into typed rows with every problem told at once.

UTF-8 with or without a byte order mark, comma-separated, a row of heads. A file in another encoding,
a missing or unknown column and a cell of the wrong kind become findings with file, row and remedy.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from forms.problems import Finding

__all__ = ["harmless", "read_rows", "read_text", "write_rows"]

Row = TypeVar("Row", bound=BaseModel)


def read_text(path: Path, findings: list[Finding]) -> str | None:
    """The file's text; `None` (and a finding) when it is missing or not UTF-8."""
    try:
        content = path.read_bytes()
    except OSError as error:
        findings.append(
            Finding(
                "file_missing",
                "error",
                path.name,
                f"cannot be read ({error.strerror})",
                f"put {path.name} into {path.parent}",
            )
        )
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = content[: error.start].count(b"\n") + 1
        findings.append(
            Finding(
                "not_utf8",
                "error",
                f"{path.name}, row {row}",
                f"is not UTF-8 text (looks like {looks_like(content)})",
                "save it again as “CSV UTF-8 (comma delimited)”",
            )
        )
        return None


def looks_like(content: bytes) -> str:
    """A guess at a foreign encoding, for the message alone."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    try:
        content.decode("cp874")
    except UnicodeDecodeError:
        return "another encoding"
    return "windows-874 (Thai)"


def read_rows(
    model: type[Row], path: Path, findings: list[Finding], *, also: Iterable[str] = ()
) -> tuple[Row, ...]:
    """The file's rows as `model` (fields by alias = column head); broken rows become findings.

    `also` names columns that may stand there without being read; any other unknown column is a
    warning, since it is most often a misspelt one.
    """
    text = read_text(path, findings)
    if text is None:
        return ()
    reader = csv.reader(io.StringIO(text, newline=""))
    heads = [head.strip() for head in next(reader, [])]
    wanted = {field.alias or name: field for name, field in model.model_fields.items()}
    missing = [name for name, field in wanted.items() if field.is_required() and name not in heads]
    for name in missing:
        findings.append(
            Finding(
                "column_missing",
                "error",
                f"{path.name}, row 1",
                f"column {name} is missing (found: {', '.join(heads) or 'nothing'})",
                f"add the column {name}",
            )
        )
    for head in heads:
        if head and head not in wanted and head not in also:
            findings.append(
                Finding(
                    "column_unknown",
                    "warning",
                    f"{path.name}, row 1",
                    f"column {head} is not known and is not read",
                    f"remove it or spell it as one of: {', '.join(wanted)}",
                )
            )
    if missing:
        return ()
    rows: list[Row] = []
    for cells in reader:
        if not any(cell.strip() for cell in cells):
            continue
        where = f"{path.name}, row {reader.line_num}"
        if len(cells) > len(heads):
            findings.append(
                Finding(
                    "row_too_long",
                    "error",
                    where,
                    f"has {len(cells)} cells under {len(heads)} heads",
                    "put quotes around a text that holds a comma",
                )
            )
            continue
        values = {
            h: c.strip() for h, c in zip(heads, cells, strict=False) if h in wanted and c.strip()
        }
        try:
            rows.append(model.model_validate(values))
        except ValidationError as error:
            findings.extend(of_row(where, error))
    return tuple(rows)


def of_row(where: str, error: ValidationError) -> list[Finding]:
    """One finding for each cell pydantic could not take."""
    return [
        Finding(
            "cell",
            "error",
            f"{where}, column {'.'.join(str(part) for part in fault['loc']) or '?'}",
            fault["msg"].removeprefix("Value error, "),
            "correct the cell",
        )
        for fault in error.errors()
    ]


FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What makes a spreadsheet take a cell for a formula (OWASP, CSV Injection)."""


def harmless(text: str) -> str:
    """A text cell that no spreadsheet runs: one that looks like a formula gets an apostrophe before."""
    return f"'{text}" if text.startswith(FORMULA) else text


def write_rows(path: Path, heads: Sequence[str], rows: Iterable[Sequence[object]]) -> int:
    """Write a CSV (UTF-8 with a byte order mark, so that Excel reads Thai) in place of `path`.

    Text cells are made `harmless`. The file is written beside and takes its place whole; gives the
    number of rows. Raises `OSError`.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    try:
        with unfinished.open("w", encoding="utf-8-sig", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(heads)
            for row in rows:
                writer.writerow([harmless(v) if isinstance(v, str) else v for v in row])
                count += 1
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    return count
