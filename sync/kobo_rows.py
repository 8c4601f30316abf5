"""A row of KoboToolbox's data API as the mirror keeps it: who it is, whether it changed, its files.

A page is decoded for the few keys that matter here; each row stays the very bytes the server sent.
Only rows that have to do with a file are looked into (msgspec reads a page in a third of the time that
parsing every answer and writing it again takes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import orjson

from forms.instance import attachments, bare
from forms.model import Attachment
from sync.backend import Mark, Row

__all__ = [
    "Files",
    "Head",
    "Unread",
    "awaited",
    "mark_of",
    "read_heads",
    "read_lines",
    "root_of",
    "row_of",
    "rows_of",
]

STATUS_PREFIX = "validation_status_"


class Review(msgspec.Struct):
    """A validation status as rows carry it; `{}` where there is none."""

    uid: str | None = None
    timestamp: object = ""


class Head(msgspec.Struct):
    """What is read of every row, full or light (072, 119: other keys may be anything)."""

    id: int = msgspec.field(name="_id")
    uuid: str | None = msgspec.field(name="_uuid", default=None)
    root: str | None = msgspec.field(name="meta/rootUuid", default=None)
    review: Review | None = msgspec.field(name="_validation_status", default=None)
    modified: str | None = msgspec.field(name="_date_modified", default=None)
    submitted: str | None = msgspec.field(name="_submission_time", default=None)

    def line(self) -> Mark:
        """The light line of the row.

        Its root id is what identifies a submission for ever; rows of before rootUuid existed have
        their uuid. Its mark changes with every edit and every review, equal in full and in light
        rows; `_date_modified`, where the server has it
        (https://github.com/kobotoolbox/kpi/issues/7259), moves when a file arrives, too.
        """
        uuid = bare(self.uuid)
        review = "|"
        if self.review and self.review.uid:
            review = f"{self.review.uid}|{self.review.timestamp}"
        return Mark(self.id, bare(self.root) or uuid, f"{uuid}|{review}|{self.modified or ''}")


class Heads(msgspec.Struct):
    """A page, as far as it is read."""

    count: int
    results: list[Head]


class Whole(msgspec.Struct):
    """A page whose rows are left as they came."""

    results: list[msgspec.Raw]


HEADS = msgspec.json.Decoder(Heads)
WHOLE = msgspec.json.Decoder(Whole)
HEAD = msgspec.json.Decoder(Head)


class Files:
    """Which rows have to do with files: those that list one, and those that name one in an answer."""

    def __init__(self, paths: frozenset[str]) -> None:
        self.paths = paths
        # A name is written as it is, or with escapes, as Python's own JSON writes it.
        spelt = {orjson.dumps(path) for path in paths}
        spelt |= {path.encode("ascii", "backslashreplace").join((b'"', b'"')) for path in paths}
        self.signs = (b'"download_url"', *spelt)

    def in_any(self, body: bytes) -> bool:
        """Whether any row of a page may have to do with a file."""
        return any(sign in body for sign in self.signs)

    def of(self, raw: bytes) -> tuple[tuple[Attachment, ...], bool]:
        """The files a row lists, and whether it names one it does not list."""
        if not self.in_any(raw):
            return (), False
        row = orjson.loads(raw)
        listed = tuple(attachments(row))
        named = set(awaited(row, self.paths))
        return listed, not {file.name for file in listed}.issuperset(named)


class Unread(NamedTuple):
    """A page of which the heads are read: enough to ask for the next one meanwhile."""

    heads: list[Head]
    body: bytes


def read_lines(body: bytes) -> tuple[int, tuple[Mark, ...]]:
    """A page of light rows: how many the query has in all, and their marks."""
    page = HEADS.decode(body)
    return page.count, tuple([head.line() for head in page.results])


def read_heads(body: bytes) -> tuple[int, Unread]:
    """A page of full rows: how many the query has in all, and the page.

    Raises `msgspec.DecodeError` when it is no such page.
    """
    page = HEADS.decode(body)
    return page.count, Unread(page.results, body)


def rows_of(page: Unread, files: Files) -> tuple[Row, ...]:
    """The rows of a page, each with the bytes the server sent."""
    whole = WHOLE.decode(page.body)
    with_files = files.in_any(page.body)
    return tuple(
        [
            row_from(head, bytes(raw), files if with_files else None)
            for head, raw in zip(page.heads, whole.results, strict=True)
        ]
    )


def row_from(head: Head, raw: bytes, files: Files | None) -> Row:
    listed, waiting = files.of(raw) if files else ((), False)
    row_id, root_id, mark = head.line()
    review = head.review
    return Row(
        root_id,
        row_id,
        bare(head.uuid),
        mark,
        head.submitted or "",
        review.uid[len(STATUS_PREFIX) :] if review and review.uid else "",
        raw,
        listed,
        waiting,
    )


def row_of(row: Mapping[str, Any], files: frozenset[str] = frozenset()) -> Row:
    """A single row that was parsed already."""
    raw = orjson.dumps(row)
    return row_from(HEAD.decode(raw), raw, Files(files))


def root_of(row: Mapping[str, Any]) -> str:
    """The root id of a row that was parsed already."""
    return HEAD.decode(orjson.dumps(row)).line().root_id


def mark_of(row: Mapping[str, Any]) -> str:
    """The mark of a row that was parsed already."""
    return HEAD.decode(orjson.dumps(row)).line().mark


def awaited(row: Mapping[str, Any], files: frozenset[str]) -> Iterator[str]:
    """Names of the files that answer questions of `files`, inside repeats too."""
    for path in files:
        if name := row.get(path):
            yield str(name)
    for value in row.values():
        if isinstance(value, list) and value and isinstance(value[0], dict):
            for turn in value:
                if isinstance(turn, dict) and "download_url" not in turn:
                    yield from awaited(turn, files)
