"""What questions were called in earlier versions of a form, so that old answers find their column.

`renames.csv` has the columns `form,old,new`: what was asked under the path `old` is now asked under
`new`; an empty `new` says that the question was withdrawn on purpose. Renaming a group or a repeat
renames everything below it; where several rows fit, the longest `old` wins. What was `a`, then `b` and
is `c` now, is told in two rows. The file is optional.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from forms.csvtable import read_rows
from forms.model import Form
from forms.problems import Finding, ProgrammeProblem

__all__ = ["RENAMES", "Rename", "Renames", "read_renames", "renames_of"]

RENAMES = "renames.csv"
PATH = r"[^/\s]+(/[^/\s]+)*"


class Rename(BaseModel):
    """One row of renames.csv; an empty `new`: withdrawn on purpose."""

    model_config = ConfigDict(frozen=True)

    form: str
    old: str = Field(pattern=f"^{PATH}$")
    new: str = Field(default="", pattern=f"^({PATH})?$")

    @property
    def where(self) -> str:
        """The row, as a finding names it."""
        return f"{RENAMES}, {self.form} {self.old}"


@dataclass(frozen=True, slots=True)
class Renames:
    """The renames of one form: `moved` maps an old path to the next one, or to `""` (withdrawn)."""

    moved: Mapping[str, str] = field(default_factory=dict)

    def now(self, path: str) -> str | None:
        """Where `path` is asked now: itself when it was not renamed, None when it was withdrawn."""
        *_, last = path, *self.steps(path)
        return last or None

    def steps(self, path: str) -> Iterator[str]:
        """The names `path` got, one after another; ends after one more than there are renames.

        A row can serve each path once, so that many steps are a cycle; those are refused on load.
        """
        for _ in range(len(self.moved) + 1):
            around = path
            while around not in self.moved:
                around = around.rpartition("/")[0]
                if not around:
                    return
            target = self.moved[around]
            path = target and target + path[len(around) :]
            yield path
            if not path:
                return

    def renamed(self, record: Mapping[str, Any], earlier: Iterable[str]) -> dict[str, Any]:
        """The record with its `earlier` keys under today's paths.

        An answer under a later name wins over one under an earlier name.
        """
        found = dict(record)
        for key in sorted(earlier, key=lambda key: (len(list(self.steps(key))), key)):
            value = found.pop(key)
            if (path := self.now(key)) and found.get(path) in (None, ""):
                found[path] = value
        return found


def read_renames(
    folder: Path,
    forms: Collection[str],
    read_form: Callable[[Path], Form],
    findings: list[Finding],
) -> tuple[dict[str, Renames], dict[str, Form]]:
    """The renames of a programme's `forms`, and those of the forms that were parsed to check them.

    Both are empty when the folder has no renames.csv. Every problem becomes a finding.
    """
    path = folder / RENAMES
    if not path.is_file():
        return {}, {}
    rows = read_rows(Rename, path, findings)
    if rows and "new" not in heads(path):
        # An empty cell means “withdrawn”; a missing column must not.
        what, remedy = "column new is missing", "add the column new"
        findings.append(Finding("column_missing", "error", f"{RENAMES}, row 1", what, remedy))
        return {}, {}
    renames: dict[str, Renames] = {}
    parsed: dict[str, Form] = {}
    for row in rows:
        if row.form not in forms:
            what = f"{row.form} is not one of the programme's forms"
            remedy = f"use one of: {', '.join(forms)}"
            findings.append(problem("does_not_join", row, "form", what, remedy))
    for form_id in dict.fromkeys(row.form for row in rows):
        workbook = folder / f"{form_id}.xlsx"
        if form_id not in forms or not workbook.is_file():
            continue
        try:
            parsed[form_id] = read_form(workbook)
        except ProgrammeProblem as unreadable:
            findings.extend(unreadable.findings)
            continue
        renames[form_id] = renames_of(parsed[form_id], rows, findings)
    return renames, parsed


def heads(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return [head.strip() for head in next(csv.reader(file), [])]


def renames_of(form: Form, rows: Sequence[Rename], findings: list[Finding]) -> Renames:
    """The renames of `form` among `rows`; those that cannot be become findings and are left out."""
    moved: dict[str, str] = {}
    for row in rows:
        if row.form != form.id:
            continue
        if row.old in moved:
            findings.append(
                problem("twice", row, "old", "has more than one new path", "keep one row")
            )
        elif row.old in form.by_path:
            findings.append(
                problem(
                    "rename_of_asked",
                    row,
                    "old",
                    "is still asked by the workbook under this path",
                    f"remove the row, or the question from {form.id}.xlsx",
                )
            )
        else:
            moved[row.old] = row.new
    renames = Renames(moved)
    findings.extend(
        found
        for row in rows
        if row.form == form.id and moved.get(row.old) == row.new
        for found in misled(row, renames, form)
    )
    return renames


def misled(row: Rename, renames: Renames, form: Form) -> Iterator[Finding]:
    """What is wrong with where a row leads."""
    steps = list(renames.steps(row.old))
    if len(steps) > len(renames.moved):
        yield problem(
            "rename_cycle",
            row,
            "new",
            f"leads back to itself ({' → '.join([row.old, *steps[:3]])} …)",
            "let the last row lead to the path the workbook has now",
        )
    elif (now := renames.now(row.old)) is None:
        return
    elif now not in form.by_path:
        yield problem(
            "rename_to_nowhere",
            row,
            "new",
            f"{now} is not asked by {form.id}.xlsx",
            "write the full path the workbook has now (group/question), or leave it empty "
            "if the question was withdrawn on purpose",
        )
    elif (was := repeat_around(row.old, renames, form)) != (within := form.by_path[now].repeat):
        yield problem(
            "rename_across_repeat",
            row,
            "new",
            f"{now} is asked {inside(within)}, {row.old} was asked {inside(was)}: "
            "one answer cannot become one of many, nor the other way round",
            "remove the row; if the repeat itself was renamed, add a row for it",
        )


def repeat_around(old: str, renames: Renames, form: Form) -> str:
    """The repeat of today in whose turns answers under `old` lie; `""` outside all repeats."""
    around = old.rpartition("/")[0]
    while around:
        if (now := renames.now(around)) in form.repeats:
            return str(now)
        around = around.rpartition("/")[0]
    return ""


def inside(repeat: str) -> str:
    return f"inside the repeat {repeat}" if repeat else "outside all repeats"


def problem(code: str, row: Rename, column: str, what: str, remedy: str) -> Finding:
    return Finding(code, "error", f"{row.where}, column {column}", what, remedy)
