"""Rows of a mirror taken apart by what repeats in them, typed, with nothing but their form at hand.

A level is the form itself or a repeat, also one that only the data know. Each answer of a row becomes
one cell of one level: under its question, or as text under its path where this version of the form
does not have it there. What cannot be typed stays beside as text; of texts only blanks at the ends are
lost. The levels lie as batches in a folder, so that memory is bounded and one reading of the mirror is
enough, although only the last row tells which columns a table needs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from itertools import chain, groupby, islice, repeat
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute

from forms.instance import bare
from forms.model import Form, Question
from sync.attachments import File, files, question_of
from sync.backend import Progress
from sync.columns import ARROW, Faults, Kind, as_text, kind_of, trimmed, typed
from sync.mirror import Mirror, Stored
from sync.pull import WITH_FILE

__all__ = ["KEYS", "Answer", "Gathered", "Gathering", "Level", "answer_of", "stored_batches"]

# Its functions are made when it is imported, so no type checker can see them.
pc: Any = pyarrow.compute

STEP = 100
"""Rows parsed at a time: what stays in a processor's cache is gathered faster (see `sync.unfold`)."""

CHUNK = 16 << 20
"""Bytes of text a level gathers before it is typed and laid aside: some 15,000 rows of 50 questions."""

MOST_UNLISTED = 100
"""Choices of one question that stand in the data and not in its list: more get no columns."""

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


@dataclass(frozen=True, slots=True)
class Gathered:
    """All levels, outer before inner; `unnamed` files here are named by no answer."""

    levels: tuple[Level, ...]
    rows: int
    withdrawn: int
    unnamed: int


class Gathering:
    """Takes the rows of one form apart into `folder`.

    Paths of files under `here` are told relative to `beside`; with `here` None files are not looked at.
    """

    def __init__(
        self, form: Form, folder: Path, zone: tzinfo, here: Path | None, beside: Path
    ) -> None:
        self.form = form
        self.folder = folder
        self.zone = zone
        self.here = here
        self.beside = beside
        self.levels: dict[tuple[str, ...], Level] = {}
        self.rows = self.withdrawn = self.unnamed = 0
        for path in ("", *form.repeats):
            self.level(chain_of(form, path))

    def gather(self, mirror: Mirror, form_id: str, progress: Progress) -> Gathered:
        """Take apart all rows of the mirror; call it once."""
        total = mirror.count(form_id) + mirror.count(form_id, withdrawn=True)
        done = 0
        attached = groupby(files(mirror, form_id), lambda file: file.root_id)
        near = next(attached, None) if self.here else None
        with closing(mirror.stored(form_id)) as stream:
            while some := list(islice(stream, STEP)):
                for stored in some:
                    while near and near[0] < stored.root_id:
                        near = next(attached, None)
                    own = near[1] if near and near[0] == stored.root_id else ()
                    self.take(stored, [file for file in own if file.sha256])
                for level in tuple(self.levels.values()):
                    step(level)
                    if level.size >= CHUNK:
                        self.lay_aside(level)
                done += len(some)
                progress(form_id, done, total)
        for level in self.levels.values():
            self.lay_aside(level)
        order = {chain_of(self.form, path): n for n, path in enumerate(("", *self.form.repeats))}
        last = len(order)
        levels = sorted(self.levels.values(), key=lambda v: (order.get(v.chain, last), v.chain))
        return Gathered(tuple(levels), self.rows, self.withdrawn, self.unnamed)

    def level(self, around: tuple[str, ...]) -> Level:
        if around not in self.levels:
            path = around[-1] if around else ""
            asked = self.form.answerable(path) if chain_of(self.form, path) == around else ()
            answers = {question.path: answer_of(question, self.form) for question in asked}
            for answer in answers.values():
                answer.files = bool(
                    self.here and answer.question and answer.question.type in WITH_FILE
                )
            in_form = path in ("", *self.form.repeats) and chain_of(self.form, path) == around
            seen = set(answers) if around else set(answers) | TOLD_ELSEWHERE
            self.levels[around] = Level(around, answers, in_form, len(self.levels), seen=seen)
        return self.levels[around]

    def take(self, stored: Stored, attached: list[File]) -> None:
        """Put one submission into the levels."""
        if stored.withdrawn:
            self.withdrawn += 1
            return
        self.rows += 1
        row = orjson.loads(stored.payload)
        first = [(level, len(level.turns)) for level in self.levels.values()] if attached else []
        self.place(self.levels[()], Turn(row, stored, 0, 0, row))
        if attached:
            new = {id(level): n for level, n in first}
            self.name_files(
                attached,
                [
                    (level, turn)
                    for level in self.levels.values()
                    for turn in level.turns[new.get(id(level), 0) :]
                ],
            )

    def place(self, level: Level, turn: Turn) -> None:
        """Put one turn into its level and what repeats inside it into theirs."""
        answers = turn.answers
        for key in [key for key, value in answers.items() if type(value) is list]:
            if not level.chain and (key[:1] == "_" and key not in level.answers):
                continue  # The server's own lists are no repeats.
            turns = answers[key]
            if not turns or not all(type(inner) is dict for inner in turns):
                continue
            del answers[key]
            inside = self.level((*level.chain, key))
            for inner in turns:
                index = inside.next_index(turn.stored.root_id)
                self.place(inside, Turn(turn.row, turn.stored, index, turn.index, inner))
        if not level.seen.issuperset(answers):
            for key in answers.keys() - level.seen:
                if said(answers[key]) is not None:
                    level.seen.add(key)
                    level.answers[key] = Answer(key)
        level.turns.append(turn)

    def name_files(self, attached: list[File], turns: list[tuple[Level, Turn]]) -> None:
        """Note beside an answer where the file lies that it names."""
        assert self.here
        paths = {
            file.name: Path(os.path.relpath(file.path(self.here), self.beside)).as_posix()
            for file in attached
        }
        asking = {question_of(file.question) for file in attached}
        named: set[str] = set()
        for level, turn in turns:
            for path in turn.answers.keys() & level.answers.keys():
                answer, name = level.answers[path], turn.answers[path]
                if (answer.files or path in asking) and type(name) is str and name in paths:
                    answer.files = True
                    turn.files[path] = paths[name]
                    named.add(name)
        self.unnamed += len(paths.keys() - named)

    def lay_aside(self, level: Level) -> None:
        """Type what a level has gathered and write it as one batch."""
        if not level.waiting:
            return
        whole = pa.concat_tables(level.waiting, promote_options="default").combine_chunks()
        level.waiting.clear()
        level.size = 0
        level.rows += whole.num_rows
        columns: dict[str, pa.Array] = {}
        for name in level.keys:
            values = whole[name].combine_chunks()
            if name == "_submitted_at":
                # KoboToolbox gives UTC without saying so.
                values = typed("moment", values, Faults(), UTC)
            columns[name] = values
        for n, answer in enumerate(level.answers.values()):
            values = whole[str(n)].combine_chunks()
            bad = answer.faults.bad
            columns[str(n)] = typed(answer.kind, values, answer.faults, self.zone)
            answer.filled |= columns[str(n)].null_count < len(values)
            if answer.faults.bad > bad:
                answer.filled = True
                untyped = pc.is_null(columns[str(n)])
                columns[f"{n}.raw"] = pc.if_else(untyped, trimmed(values), None)
            if answer.listed is not None:
                note_unlisted(answer, columns[str(n)])
            if f"{n}.file" in whole.column_names:
                columns[f"{n}.file"] = whole[f"{n}.file"].combine_chunks()
        batch = pa.RecordBatch.from_pydict(columns)
        with (
            pa.OSFile(str(self.folder / f"{level.number}.{level.batches}"), "wb") as file,
            pa.ipc.new_stream(file, batch.schema) as writer,
        ):
            writer.write_batch(batch)
        level.batches += 1


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
    nested = isinstance(value, list) and any(isinstance(part, dict | list) for part in value)
    if nested or (isinstance(value, dict) and value):
        return orjson.dumps(value).decode()
    return as_text(value) or None


def step(level: Level) -> None:
    """The turns of a level since the last step as one table of texts."""
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


def note_unlisted(answer: Answer, codes: pa.Array) -> None:
    """Note codes that the form does not list, one more than get columns."""
    assert answer.listed is not None
    found = pc.unique(pc.list_flatten(pc.utf8_split_whitespace(codes))).to_pylist()
    listed = frozenset(answer.listed)
    for code in found:
        if code not in listed and len(answer.unlisted) <= MOST_UNLISTED:
            answer.unlisted[code] = None


def stored_batches(level: Level, folder: Path) -> Iterator[pa.RecordBatch]:
    """The batches of a level; each is removed once it was read."""
    for n in range(level.batches):
        path = folder / f"{level.number}.{n}"
        with pa.OSFile(str(path), "rb") as file, pa.ipc.open_stream(file) as reader:
            batch = reader.read_next_batch()
        path.unlink()
        yield batch
