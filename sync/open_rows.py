"""Rows of a mirror taken apart by what repeats in them, typed, with nothing but their form at hand.

Each answer of a row becomes one cell of one level: under its question, or as text under its path where
this version of the form does not have it there. What cannot be typed stays beside as text; of texts
only blanks at the ends are lost. The levels lie as batches in a folder, so that memory is bounded and
one reading of the mirror is enough, although only the last row tells which columns a table needs.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, tzinfo
from itertools import groupby, islice, takewhile
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute

from forms.model import Form
from sync.attachments import File, files, question_of
from sync.backend import Progress
from sync.columns import Faults, trimmed, typed
from sync.mirror import Mirror, Stored
from sync.open_levels import (
    TOLD_ELSEWHERE,
    Answer,
    Level,
    Turn,
    answer_of,
    chain_of,
    said,
    set_down,
)
from sync.pull import WITH_FILE

__all__ = ["MOST_UNLISTED", "Gathered", "Gathering", "stored_batches"]

# Its functions are made when it is imported, so no type checker can see them.
pc: Any = pyarrow.compute

STEP = 100
"""Rows parsed at a time: what stays in a processor's cache is gathered faster (see `sync.unfold`)."""

CHUNK = 16 << 20
"""Bytes of text a level gathers before it is typed and laid aside: some 15,000 rows of 50 questions."""

LISTS = ("_attachments", "_geolocation")
"""Lists of the server that every row has: without them it is quickly seen that nothing repeats."""

MOST_UNLISTED = 100
"""Choices of one question that stand in the data and not in its list: more get no columns."""


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
        stream = mirror.stored(form_id)
        while some := list(islice(stream, STEP)):
            for stored in some:
                while near and near[0] < stored.root_id:
                    near = next(attached, None)
                own = near[1] if near and near[0] == stored.root_id else ()
                self.take(stored, [file for file in own if file.sha256])
            for level in tuple(self.levels.values()):
                set_down(level)
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
        """The level of that chain, made when the first turn of it is seen."""
        if around not in self.levels:
            path = around[-1] if around else ""
            in_form = path in ("", *self.form.repeats) and chain_of(self.form, path) == around
            asked = self.form.answerable(path) if in_form else ()
            answers = {question.path: answer_of(question, self.form) for question in asked}
            for answer in answers.values():
                assert answer.question
                answer.files = self.here is not None and answer.question.type in WITH_FILE
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
        for key in LISTS:
            row.pop(key, None)
        self.place(self.levels[()], Turn(row, stored, 0, 0, row))
        if attached:
            self.name_files(attached, stored)

    def place(self, level: Level, turn: Turn) -> None:
        """Put one turn into its level and what repeats inside it into theirs."""
        answers = turn.answers
        lists = list in map(type, answers.values())
        for key in [key for key, value in answers.items() if type(value) is list] if lists else ():
            if not level.chain and key[:1] == "_" and (key,) not in self.levels:
                continue  # The server's own lists (_notes, _tags) are no repeats.
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

    def name_files(self, attached: list[File], stored: Stored) -> None:
        """Note beside an answer of the submission just taken where the file lies that it names."""
        assert self.here
        paths = {
            file.name: Path(os.path.relpath(file.path(self.here), self.beside)).as_posix()
            for file in attached
        }
        asking = {question_of(file.question) for file in attached}
        named: set[str] = set()
        for level in self.levels.values():
            for turn in takewhile(lambda turn: turn.stored is stored, reversed(level.turns)):
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
