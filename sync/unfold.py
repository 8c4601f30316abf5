"""Rows of the mirror unfolded into record batches, one for each table of their form.

Answers an earlier version of the form asked under another path are brought under today's path first,
so that a table has one column across versions. Nothing a server adds enters but the ids that say
which submission a row is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice, repeat
from typing import Any
from zoneinfo import ZoneInfo

import orjson
import pyarrow as pa

from forms.instance import bare
from forms.model import Form
from forms.renames import Renames
from sync.columns import Faults, texts, typed
from sync.layout import Table
from sync.mirror import Stored

__all__ = ["Part", "Plan", "Turn", "Unfolder", "unfold"]

STEP = 100
"""Rows parsed at a time: what stays in a processor's cache is gathered three times as fast."""


@dataclass(frozen=True, slots=True)
class Plan:
    """One form, the tables it makes, what its questions were called earlier, and the time zone."""

    form: Form
    tables: tuple[Table, ...]
    renames: Renames
    time_zone: str


@dataclass(slots=True)
class Part:
    """Some rows of a form as tables, and what was found on the way.

    `seen` counts all rows, `rows` those that enter; `left_out` the others by reason; `batches` are by
    table name, `faults` by table name and path of the question.
    """

    seen: int = 0
    rows: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    strangers: frozenset[str] = frozenset()
    faults: dict[tuple[str, str], Faults] = field(default_factory=dict)
    batches: dict[str, pa.RecordBatch] = field(default_factory=dict)


@dataclass(slots=True)
class Turn:
    """One level of one submission while it is unfolded."""

    root_id: str
    index: int
    parent_index: int
    answers: dict[str, Any]


class Keys:
    """The keys of rows or of turns: today's questions, earlier names of them, all else."""

    def __init__(self, form: Form, renames: Renames) -> None:
        self.asked = form.by_path
        self.renames = renames
        self.known = set(form.by_path)
        self.strangers: set[str] = set()

    def settled(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record under today's paths; it is the same one when it has no earlier name."""
        if self.known.issuperset(record):
            return record
        earlier: list[str] = []
        for key in record.keys() - self.known:
            now = self.renames.now(key)
            if now != key and now in self.asked:
                earlier.append(key)
                continue
            self.known.add(key)
            if now is not None and not key.startswith(("_", "meta/", "formhub/")):
                # What phones of an older version filled in, or an API added (119).
                self.strangers.add(key)
        return self.renames.renamed(record, earlier) if earlier else record


class Unfolder:
    """Makes parts of stored rows, all by one plan."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.zone = ZoneInfo(plan.time_zone)
        self.keys = Keys(plan.form, plan.renames)
        self.inner = Keys(plan.form, plan.renames) if plan.renames.moved else None

    def part(self, stored: Iterable[Stored]) -> Part:
        """The part these rows make, in their order."""
        part = Part()
        gathered: dict[str, list[list[pa.Array]]] = {table.name: [] for table in self.plan.tables}
        stream = iter(stored)
        while some := list(islice(stream, STEP)):
            part.seen += len(some)
            rows = list(self.parsed(some, part))
            part.rows += len(rows)
            for table in self.plan.tables:
                turns = unfold(table.repeat, rows, self.plan.form, self.inner)
                gathered[table.name].append(arrays(table, turns))
        part.strangers = frozenset(self.keys.strangers)
        for table in self.plan.tables:
            part.batches[table.name] = self.batch(table, gathered[table.name], part)
        return part

    def parsed(self, some: Iterable[Stored], part: Part) -> Iterator[dict[str, Any]]:
        for stored in some:
            if stored.withdrawn or stored.validation == "not_approved":
                part.left_out["withdrawn" if stored.withdrawn else "not_approved"] += 1
                continue
            row = orjson.loads(stored.payload)
            row["meta/rootUuid"], row["_validation"] = stored.root_id, stored.validation
            yield self.keys.settled(row)

    def batch(self, table: Table, gathered: list[list[pa.Array]], part: Part) -> pa.RecordBatch:
        """The steps of a part as one batch; only now do strings become numbers and dates."""
        schema = table.schema()
        if not gathered:
            return pa.RecordBatch.from_pylist([], schema)
        columns = [pa.concat_arrays(pieces) for pieces in zip(*gathered, strict=True)]
        first = len(columns) - len(table.columns)
        for place, column in enumerate(table.columns, first):
            faults = part.faults.setdefault((table.name, column.path), Faults())
            columns[place] = typed(column.kind, columns[place], faults, self.zone)
        return pa.RecordBatch.from_arrays(columns, schema=schema)


def unfold(
    repeat: str, rows: Sequence[dict[str, Any]], form: Form, keys: Keys | None = None
) -> list[Turn]:
    """The turns of `repeat` in all rows; for `""` the rows themselves.

    `keys` brings earlier names inside turns to today's.
    """
    if not repeat:
        return [Turn(row["meta/rootUuid"], 0, 0, row) for row in rows]
    turns: list[Turn] = []
    index: Counter[str] = Counter()
    for outer in unfold(form.by_path[repeat].repeat, rows, form, keys):
        inner = outer.answers.get(repeat)
        for answers in inner if isinstance(inner, list) else ():
            if isinstance(answers, dict):
                index[outer.root_id] += 1
                told = keys.settled(answers) if keys else answers
                turns.append(Turn(outer.root_id, index[outer.root_id], outer.index, told))
    return turns


def arrays(table: Table, turns: Sequence[Turn]) -> list[pa.Array]:
    """The columns of a table: those that say whose row it is, and every question as strings."""
    rows = [turn.answers for turn in turns]
    made: list[pa.Array] = [pa.array([turn.root_id for turn in turns], pa.string())]
    if table.repeat:
        made.append(pa.array([turn.index for turn in turns], pa.int32()))
    else:
        instances = [bare(row.get("meta/instanceID") or row.get("_uuid")) for row in rows]
        made.append(pa.array(instances, pa.string()))
        made.append(pa.array([row["_validation"] for row in rows], pa.string()))
        made.append(pa.array(["meta/deprecatedID" in row for row in rows], pa.bool_()))
    if table.parent:
        made.append(pa.array([turn.parent_index for turn in turns], pa.int32()))
    # All columns in one array, then cut: an array for each would cost as much again.
    paths, get = [column.path for column in table.columns], dict[str, Any].get
    whole = texts(list(chain.from_iterable(map(get, rows, repeat(path)) for path in paths)))
    made.extend(whole.slice(place * len(rows), len(rows)) for place in range(len(paths)))
    return made
