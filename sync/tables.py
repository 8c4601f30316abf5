"""The mirror as typed columnar tables: one Parquet file per form and one per repeat.

Only questions whose class in the data dictionary is `none` or `indirect` enter; a question the
dictionary does not know stays out and is reported. Withdrawn rows and rows a reviewer did not approve
stay out and are counted. The same answers give the same bytes: rows are in the order of their root
id, and nothing a server adds (row ids, times, version strings, addresses) enters.

The folder is written beside the old one and takes its place when it is whole.
"""

from __future__ import annotations

import gc
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from forms.problems import Finding
from forms.programme import Programme
from forms.renames import Renames
from sync.backend import Progress, quiet
from sync.columns import Faults
from sync.layout import layout
from sync.mirror import Mirror
from sync.parquet import TableFile, sha256_of
from sync.ranges import parts
from sync.storage import storage_problem
from sync.unfold import Part, Plan

__all__ = ["FormTables", "TablesSummary", "write_tables"]

SCHEMA = 2
"""Of tables.json. 2: `sha256` is over what is tabled, not over the rows as they came."""


@dataclass(frozen=True, slots=True)
class FormTables:
    """What was written of one form.

    `rows` submissions; `sha256` over their root ids and tabled answers (see `sync.parquet`);
    `left_out` counts submissions by reason (`withdrawn`, `not_approved`); `tables` gives rows per
    file name.
    """

    form_id: str
    version: str
    rows: int
    sha256: str
    left_out: Mapping[str, int]
    tables: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class TablesSummary:
    """What `write_tables` wrote into `folder`; the same stands in its tables.json."""

    folder: Path
    forms: Mapping[str, FormTables]
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class Work:
    """What was found of one form on its way into tables."""

    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    faults: dict[tuple[str, str], Faults] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)

    def add(self, part: Part) -> None:
        """Take in what was found in the next part of the form."""
        self.rows += part.rows
        self.left_out.update(part.left_out)
        self.strangers |= part.strangers
        for place, faults in part.faults.items():
            self.faults.setdefault(place, Faults()).add(faults)


def write_tables(
    programme: Programme, mirror: Mirror, folder: Path, progress: Progress = quiet
) -> TablesSummary:
    """Write the tables of all forms of a programme into `folder`, replacing what was there.

    `progress(form_id, done, total)` is called per batch. Raises `Problem` when the disk is full;
    the old tables then still stand. Data never raises: what cannot be typed is null and a finding.
    """
    fresh = folder.with_name(folder.name + ".new")
    findings: list[Finding] = []
    forms: dict[str, FormTables] = {}
    with storage_problem(folder), no_collection():
        put_back(folder)
        remove(fresh)
        fresh.mkdir(parents=True)
        try:
            for form_id in programme.forms:
                form = programme.form(form_id)
                tables, missing = layout(form, programme)
                findings.extend(missing)
                renames = programme.renames.get(form_id, Renames())
                plan = Plan(form, tables, renames, programme.time_zone)
                forms[form_id], work = write_form(plan, mirror, fresh, progress)
                findings.extend(found(plan, work))
            summary = TablesSummary(folder, forms, tuple(findings))
            (fresh / "tables.json").write_text(as_json(programme, summary), "utf-8")
            replace(fresh, folder)
        except BaseException:
            remove(fresh)
            raise
    return summary


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def write_form(
    plan: Plan, mirror: Mirror, folder: Path, progress: Progress
) -> tuple[FormTables, Work]:
    form_id, work, done = plan.form.id, Work(), 0
    total = mirror.count(form_id) + mirror.count(form_id, withdrawn=True)
    with ExitStack() as stack:
        files = {
            table.name: stack.enter_context(TableFile(folder / f"{table.name}.parquet", table))
            for table in plan.tables
        }
        with closing(parts(plan, mirror, total)) as stream:
            for part in stream:
                work.add(part)
                for name, batch in part.batches.items():
                    files[name].add(batch)
                done += part.seen
                progress(form_id, done, total)
    written = FormTables(
        form_id=form_id,
        version=plan.form.version,
        rows=work.rows,
        sha256=sha256_of(files.values()),
        left_out=dict(sorted(work.left_out.items())),
        tables={file.path.name: file.rows for file in files.values()},
    )
    return written, work


@contextmanager
def no_collection() -> Iterator[None]:
    """Without Python's cycle collector: parsed rows are no cycles, and it costs a third of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def remove(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def put_back(folder: Path) -> None:
    """The old tables again where they were, when `replace` was stopped between its renames."""
    old = folder.with_name(folder.name + ".old")
    if old.exists() and not folder.exists():
        old.rename(folder)


def replace(fresh: Path, folder: Path) -> None:
    """Put `fresh` where `folder` is. Stopped between the renames, the old tables are in `….old`."""
    old = folder.with_name(folder.name + ".old")
    remove(old)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    remove(old)


# ── what was found ───────────────────────────────────────────────────────────────────────────────


def found(plan: Plan, work: Work) -> Iterator[Finding]:
    form_id = plan.form.id
    kinds = {column.path: column.kind for table in plan.tables for column in table.columns}
    words = {
        "integer": "whole numbers",
        "decimal": "numbers",
        "date": "dates (year-month-day)",
        "moment": "points in time",
    }
    for (_, path), faults in work.faults.items():
        where = f"{form_id} {path}"
        if faults.bad:
            yield Finding(
                "untypable",
                "warning",
                where,
                f"values that are no {words[kinds[path]]} are left empty in the tables "
                f"(one looks like {faults.example})",
                "correct these records on the server and pull again",
                faults.bad,
            )
        if faults.buddhist:
            yield Finding(
                "buddhist_year",
                "warning",
                where,
                "years of the Buddhist Era where the form means C.E. were converted (minus 543)",
                "check the calendar setting of the phones that sent them",
                faults.buddhist,
            )
    if work.strangers:
        names = sorted(work.strangers)
        yield Finding(
            "not_in_form",
            "note",
            f"{form_id}: {', '.join(names[:20])}{' …' if len(names) > 20 else ''}",
            "answers to questions the workbook does not have stay out of the tables",
            "they are kept in the mirror; put the questions back to see them",
            len(names),
        )


def as_json(programme: Programme, summary: TablesSummary) -> str:
    """tables.json: versions, rows, hashes, what was left out, findings; sorted, without a clock."""
    whole = {
        "schema": SCHEMA,
        "programme": programme.id,
        "forms": {
            form.form_id: {
                "version": form.version,
                "rows": form.rows,
                "sha256": form.sha256,
                "left_out": form.left_out,
                "tables": form.tables,
            }
            for form in summary.forms.values()
        },
        "findings": [
            {name: getattr(finding, name) for name in Finding.__dataclass_fields__}
            for finding in summary.findings
        ],
    }
    return json.dumps(whole, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
