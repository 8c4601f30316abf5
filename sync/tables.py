"""The mirror as typed columnar tables: one Parquet file per form and one per repeat.

Only questions whose class in the data dictionary is `none` or `indirect` enter; a question the
dictionary does not know stays out and is reported. Withdrawn rows and rows a reviewer did not approve
stay out and are counted. The same answers give the same bytes: rows are in the order of their root
id, and nothing a server adds (row ids, times, version strings, addresses) enters.

The folder is written beside the old one and takes its place when it is whole.
"""

from __future__ import annotations

import gc
import hashlib
import itertools
import json
import shutil
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from forms.instance import bare
from forms.model import Form
from forms.problems import Finding
from forms.programme import Programme
from sync.backend import Progress, quiet
from sync.columns import ARROW, NEVER_TABLED, Faults, Kind, kind_of, typed
from sync.mirror import Mirror, storage_problem

__all__ = ["FormTables", "TablesSummary", "layout", "write_tables"]

BATCH = 1000
ROW_GROUP = 50_000
SCHEMA = 1
ENVELOPE = {
    "_root_id": pa.string(),
    "_instance_id": pa.string(),
    "_validation": pa.string(),
    "_edited": pa.bool_(),
}
REPEAT_ENVELOPE = {"_root_id": pa.string(), "_index": pa.int32()}


@dataclass(frozen=True, slots=True)
class Column:
    """One question in a table."""

    name: str
    path: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Table:
    """One file: the questions directly inside `repeat` (`""`: the form itself).

    `parent` is the repeat around it. `_index` counts the turns of the repeat within a submission
    from 1, over all turns of the parent; `_parent_index` is the `_index` of the parent's turn.
    """

    name: str
    repeat: str
    parent: str
    columns: tuple[Column, ...]

    def schema(self) -> pa.Schema:
        fields = dict(REPEAT_ENVELOPE if self.repeat else ENVELOPE)
        if self.parent:
            fields["_parent_index"] = pa.int32()
        fields |= {column.name: ARROW[column.kind] for column in self.columns}
        return pa.schema(list(fields.items()))


@dataclass(frozen=True, slots=True)
class FormTables:
    """What was written of one form.

    `rows` submissions; `sha256` over their root ids and answers; `left_out` counts submissions by
    reason (`withdrawn`, `not_approved`); `tables` gives rows per file name.
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
class Turn:
    """One level of one submission while a batch is unfolded."""

    root_id: str
    index: int
    parent_index: int
    answers: Mapping[str, Any]


@dataclass(slots=True)
class Work:
    """One form on its way into tables."""

    form: Form
    tables: tuple[Table, ...]
    digest: Any = field(default_factory=hashlib.sha256)
    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    faults: dict[tuple[str, str], Faults] = field(default_factory=dict)
    strangers: set[str] = field(default_factory=set)


def write_tables(
    programme: Programme, mirror: Mirror, folder: Path, progress: Progress = quiet
) -> TablesSummary:
    """Write the tables of all forms of a programme into `folder`, replacing what was there.

    `progress(form_id, done, total)` is called per batch. Raises `Problem` when the disk is full;
    the old tables then still stand. Data never raises: what cannot be typed is null and a finding.
    """
    fresh = folder.with_name(folder.name + ".new")
    zone = ZoneInfo(programme.time_zone)
    findings: list[Finding] = []
    forms: dict[str, FormTables] = {}
    with storage_problem(folder), no_collection():
        remove(fresh)
        fresh.mkdir(parents=True)
        try:
            for form_id in programme.forms:
                tables, missing = layout(programme.form(form_id), programme)
                findings.extend(missing)
                work = Work(programme.form(form_id), tables)
                write_form(form_id, work, mirror, fresh, zone, progress)
                forms[form_id] = FormTables(
                    form_id=form_id,
                    version=work.form.version,
                    rows=work.rows,
                    sha256=work.digest.hexdigest(),
                    left_out=dict(sorted(work.left_out.items())),
                    tables={f"{table.name}.parquet": work.written[table.name] for table in tables},
                )
                findings.extend(found(form_id, work))
            summary = TablesSummary(folder, forms, tuple(findings))
            (fresh / "tables.json").write_text(as_json(programme, summary), "utf-8")
            replace(fresh, folder)
        except BaseException:
            remove(fresh)
            raise
    return summary


# ── what goes where ──────────────────────────────────────────────────────────────────────────────


def layout(form: Form, programme: Programme) -> tuple[tuple[Table, ...], list[Finding]]:
    """The tables a form makes, and a finding for questions the data dictionary does not class."""
    unknown: list[str] = []
    tables: list[Table] = []
    repeat_names = Counter(path.rpartition("/")[2] for path in form.repeats)
    for repeat in ("", *form.repeats):
        paths: list[tuple[str, Kind]] = []
        for question in form.answerable(repeat):
            if question.type in NEVER_TABLED:
                continue
            personal = programme.dictionary.get((form.id, question.name))
            if personal is None:
                unknown.append(question.path)
            elif personal.may_be_tabled:
                paths.append((question.path, kind_of(question.type)))
        last = repeat.rpartition("/")[2]
        part = last if repeat_names[last] < 2 else repeat.replace("/", ".")
        name = f"{form.id}.{part}" if repeat else form.id
        parent = form.by_path[repeat].repeat if repeat else ""
        tables.append(Table(name, repeat, parent, tuple(named(paths))))
    if not unknown:
        return tuple(tables), []
    finding = Finding(
        "not_in_dictionary",
        "warning",
        f"{form.id}: {', '.join(unknown[:20])}{' …' if len(unknown) > 20 else ''}",
        "questions without a personal-data class stay out of the tables",
        "give each a row in the data dictionary (class none, indirect, direct …)",
        len(unknown),
    )
    return tuple(tables), [finding]


def named(paths: Sequence[tuple[str, Kind]]) -> Iterator[Column]:
    """Columns by the last step of their path; where two share it, by the whole path with dots."""
    taken = Counter(path.rpartition("/")[2] for path, _ in paths)
    taken.update([*ENVELOPE, *REPEAT_ENVELOPE, "_parent_index"])
    for path, kind in paths:
        last = path.rpartition("/")[2]
        yield Column(last if taken[last] < 2 else path.replace("/", "."), path, kind)


# ── writing ──────────────────────────────────────────────────────────────────────────────────────


def write_form(
    form_id: str, work: Work, mirror: Mirror, folder: Path, zone: ZoneInfo, progress: Progress
) -> None:
    total = mirror.count(form_id) + mirror.count(form_id, withdrawn=True)
    done = 0
    writers = {
        table.name: pq.ParquetWriter(
            folder / f"{table.name}.parquet", table.schema(), compression="zstd", version="2.6"
        )
        for table in work.tables
    }
    waiting: dict[str, list[pa.RecordBatch]] = {table.name: [] for table in work.tables}
    try:
        for rows in batches(mirror, form_id, work):
            done += len(rows)
            kept = [row for row in rows if row is not None]
            for table in work.tables:
                batch = record_batch(table, unfold(table.repeat, kept, work.form), work, zone)
                work.written[table.name] += batch.num_rows
                waiting[table.name].append(batch)
                if sum(part.num_rows for part in waiting[table.name]) >= ROW_GROUP:
                    waiting[table.name] = write_groups(writers[table.name], waiting[table.name])
            progress(form_id, done, total)
        for table in work.tables:
            write_groups(writers[table.name], waiting[table.name], last=True)
    finally:
        for writer in writers.values():
            writer.close()


def write_groups(
    writer: pq.ParquetWriter, waiting: Sequence[pa.RecordBatch], *, last: bool = False
) -> list[pa.RecordBatch]:
    """Write whole row groups of what waits, all of it when it is the last; gives what still waits.

    Groups are cut by rows alone: batches differ between mirrors that hold the same answers.
    """
    whole = pa.Table.from_batches(waiting, writer.schema)
    while whole.num_rows >= ROW_GROUP or (last and whole.num_rows):
        writer.write_table(whole.slice(0, ROW_GROUP).combine_chunks(), row_group_size=ROW_GROUP)
        whole = whole.slice(ROW_GROUP)
    return whole.to_batches()


def batches(mirror: Mirror, form_id: str, work: Work) -> Iterator[list[dict[str, Any] | None]]:
    """Parsed rows in the order of their root id; None for each that is left out."""
    stream = mirror.stored(form_id)
    own = Own(work.form, work.strangers)
    while part := list(itertools.islice(stream, BATCH)):
        rows: list[dict[str, Any] | None] = []
        for stored in part:
            if stored.withdrawn or stored.validation == "not_approved":
                work.left_out["withdrawn" if stored.withdrawn else "not_approved"] += 1
                rows.append(None)
                continue
            row = orjson.loads(stored.payload)
            answers = {key: value for key, value in row.items() if own[key]}
            work.digest.update(stored.root_id.encode())
            work.digest.update(orjson.dumps(answers, option=orjson.OPT_SORT_KEYS))
            row["meta/rootUuid"], row["_validation"] = stored.root_id, stored.validation
            rows.append(row)
            work.rows += 1
        yield rows


class Own(dict[str, bool]):
    """Whether a key of a row is an answer rather than something a server or a phone adds."""

    def __init__(self, form: Form, strangers: set[str]) -> None:
        super().__init__(dict.fromkeys(form.by_path, True))
        self.strangers = strangers

    def __missing__(self, key: str) -> bool:
        self[key] = not key.startswith(("_", "meta/", "formhub/"))
        if self[key]:
            # What phones of an older version filled in, or an API added (119).
            self.strangers.add(key)
        return self[key]


def unfold(repeat: str, rows: Sequence[Mapping[str, Any]], form: Form) -> list[Turn]:
    """The turns of `repeat` in all rows; for `""` the rows themselves."""
    if not repeat:
        return [Turn(row["meta/rootUuid"], 0, 0, row) for row in rows]
    turns: list[Turn] = []
    index: Counter[str] = Counter()
    for outer in unfold(form.by_path[repeat].repeat, rows, form):
        inner = outer.answers.get(repeat)
        for answers in inner if isinstance(inner, list) else ():
            if isinstance(answers, dict):
                index[outer.root_id] += 1
                turns.append(Turn(outer.root_id, index[outer.root_id], outer.index, answers))
    return turns


def record_batch(table: Table, turns: Sequence[Turn], work: Work, zone: ZoneInfo) -> pa.RecordBatch:
    arrays: list[pa.Array] = [pa.array([turn.root_id for turn in turns], pa.string())]
    rows = [turn.answers for turn in turns]
    if table.repeat:
        arrays.append(pa.array([turn.index for turn in turns], pa.int32()))
    else:
        instances = [bare(row.get("meta/instanceID") or row.get("_uuid")) for row in rows]
        arrays.append(pa.array(instances, pa.string()))
        arrays.append(pa.array([row["_validation"] for row in rows], pa.string()))
        arrays.append(pa.array(["meta/deprecatedID" in row for row in rows], pa.bool_()))
    if table.parent:
        arrays.append(pa.array([turn.parent_index for turn in turns], pa.int32()))
    for column in table.columns:
        faults = work.faults.setdefault((table.name, column.path), Faults())
        values = [row.get(column.path) for row in rows]
        arrays.append(typed(column.kind, values, faults, zone))
    return pa.RecordBatch.from_arrays(arrays, schema=table.schema())


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


def replace(fresh: Path, folder: Path) -> None:
    """Put `fresh` where `folder` is. Stopped between the renames, the old tables are in `….old`."""
    old = folder.with_name(folder.name + ".old")
    remove(old)
    if folder.exists():
        folder.rename(old)
    fresh.rename(folder)
    remove(old)


# ── what was found ───────────────────────────────────────────────────────────────────────────────


def found(form_id: str, work: Work) -> Iterator[Finding]:
    kinds = {column.path: column.kind for table in work.tables for column in table.columns}
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
