"""A level of a form, which is the form itself or a repeat, while its rows are gathered.

What an answer is filed under, and which columns say whose row it is. A level only the data know is one
as well; a question that stands elsewhere in this version of the form, or nowhere, is a stranger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain, repeat
from typing import Any

import orjson
import pyarrow as pa

from forms.instance import bare
from forms.model import Form, Question
from sync.columns import ARROW, Faults, Kind, as_text, kind_of
from sync.mirror import Stored

__all__ = [
    "KEYS",
    "TOLD_ELSEWHERE",
    "Answer",
    "Level",
    "Turn",
    "answer_of",
    "chain_of",
    "said",
    "set_down",
]

TOLD_ELSEWHERE = frozenset(
    {
        "_id",
        "_uuid",
        "_xform_id_string",
        "_attachments",
        "_status",
        "_geolocation",
        "_submission_time",
        "_submitted_by",
        "_validation_status",
        "_date_modified",
        "_central",
        "__version__",
        "formhub/uuid",
        "meta/instanceID",
        "meta/deprecatedID",
        "meta/rootUuid",
    }
)
"""What a server says about a row: it is in the key columns, or about the server alone."""

KEYS: Mapping[str, pa.DataType] = {
    "_root_id": pa.string(),
    "_instance_id": pa.string(),
    "_version": pa.string(),
    "_submitted_at": ARROW["moment"],
    "_submitted_by": pa.string(),
    "_status": pa.string(),
    "_edited": pa.bool_(),
    "_index": pa.int32(),
    "_parent_index": pa.int32(),
}
"""Columns that say whose row it is; which of them a level has: `Level.keys`."""


@dataclass(slots=True)
class Answer:
    """A question at a level, with what its answers are like; `question` is None for a stranger.

    `listed` are the codes of a select_multiple in the form, `unlisted` those found besides; `files`:
    answers name files.
    """

    path: str
    question: Question | None = None
    kind: Kind = "text"
    listed: tuple[str, ...] | None = None
    unlisted: dict[str, None] = field(default_factory=dict)
    faults: Faults = field(default_factory=Faults)
    filled: bool = False
    files: bool = False


@dataclass(slots=True)
class Turn:
    """One row of a level before it is a row of a batch; `row` is the submission's own."""

    row: Mapping[str, Any]
    stored: Stored
    index: int
    parent_index: int
    answers: dict[str, Any]
    files: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class Level:
    """The form (`chain` is empty) or a repeat: `chain` ends with its path, outer repeats before it."""

    chain: tuple[str, ...]
    answers: dict[str, Answer]
    in_form: bool
    number: int
    rows: int = 0
    batches: int = 0
    last: tuple[str, int] = ("", 0)
    seen: set[str] = field(default_factory=set)
    turns: list[Turn] = field(default_factory=list)
    waiting: list[pa.Table] = field(default_factory=list)
    size: int = 0

    @property
    def path(self) -> str:
        return self.chain[-1] if self.chain else ""

    @property
    def keys(self) -> tuple[str, ...]:
        """The names of its key columns."""
        if not self.chain:
            return tuple(KEYS)[:-2]
        nested = ("_parent_index",) if len(self.chain) > 1 else ()
        return ("_root_id", "_index", *nested, "_status", "_version")

    def next_index(self, root_id: str) -> int:
        """The next turn within a submission, counted from 1."""
        root, index = self.last
        self.last = (root_id, index + 1 if root == root_id else 1)
        return self.last[1]


def chain_of(form: Form, path: str) -> tuple[str, ...]:
    """A repeat's path behind those of the repeats around it; nothing for the form itself."""
    return (*chain_of(form, form.by_path[path].repeat), path) if path else ()


def answer_of(question: Question, form: Form) -> Answer:
    """How a question of the form is gathered; codes of a select_multiple stay one text."""
    kind = kind_of(question.type)
    if kind != "choices":
        return Answer(question.path, question, kind)
    codes = dict.fromkeys(choice.name for choice in form.choices.get(question.list_name, ()))
    return Answer(question.path, question, "text", tuple(codes))


def said(value: object) -> str | None:
    """An answer as text, whatever JSON it is; None when it says nothing."""
    if type(value) is str:
        return value or None
    nested = isinstance(value, list) and any(isinstance(part, dict | list) for part in value)
    if nested or (isinstance(value, dict) and value):
        return orjson.dumps(value).decode()
    return as_text(value) or None


def set_down(level: Level) -> None:
    """Make one table of texts of the turns a level has taken since the last time."""
    turns, level.turns = level.turns, []
    if not turns:
        return
    rows = [turn.answers for turn in turns]
    columns: dict[str, pa.Array] = {}
    for name in level.keys:
        columns[name] = pa.array(list(key_values(name, turns)), sent_as(name))
    # All columns in one array, then cut: an array for each would cost as much again.
    values = list(chain.from_iterable(map(dict.get, rows, repeat(path)) for path in level.answers))
    try:
        whole = pa.array(values, pa.string())
    except (pa.ArrowTypeError, pa.ArrowInvalid):  # JSON submissions hold other types (072, 122).
        whole = pa.array([said(value) for value in values], pa.string())
    for n, answer in enumerate(level.answers.values()):
        columns[str(n)] = whole.slice(n * len(rows), len(rows))
        if answer.files:
            paths = [turn.files.get(answer.path) for turn in turns]
            columns[f"{n}.file"] = pa.array(paths, pa.string())
    level.waiting.append(pa.table(columns))
    level.size += whole.nbytes + 100 * len(rows)


def sent_as(key: str) -> pa.DataType:
    """The type of a key column before moments are typed."""
    return pa.string() if key == "_submitted_at" else KEYS[key]


def key_values(key: str, turns: list[Turn]) -> Iterator[object]:
    """A key column of some turns."""
    match key:
        case "_root_id":
            return (turn.stored.root_id for turn in turns)
        case "_status":
            return (turn.stored.validation for turn in turns)
        case "_index":
            return (turn.index for turn in turns)
        case "_parent_index":
            return (turn.parent_index for turn in turns)
        case "_edited":
            return ("meta/deprecatedID" in turn.row for turn in turns)
        case "_instance_id":
            rows = (turn.row for turn in turns)
            return (bare(said(r.get("meta/instanceID")) or said(r.get("_uuid"))) for r in rows)
        case "_version":
            rows = (turn.row for turn in turns)
            return (said(r.get("__version__") or r.get("_version_")) for r in rows)
        case _:
            path = {"_submitted_at": "_submission_time"}.get(key, key)
            return (said(turn.row.get(path)) for turn in turns)
