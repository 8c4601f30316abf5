"""A row of KoboToolbox's data API as the mirror keeps it: who it is, whether it changed, its files.

A page is decoded for the few keys that matter here; each row stays the very bytes the server sent.
Only rows that have to do with a file are looked into (msgspec reads a page in a third of the time that
parsing every answer and writing it again takes).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import orjson

from forms.instance import attachments, bare
from forms.model import Attachment
from sync.backend import Mark, Row

__all__ = ["Files", "Head", "awaited", "mark_of", "read_lines", "read_page", "root_of", "row_of"]

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

    @property
    def root_id(self) -> str:
        """What identifies a submission for ever; rows of before rootUuid existed have their uuid."""
        return bare(self.root) or bare(self.uuid)

    @property
    def mark(self) -> str:
        """A word that changes with every edit and every review, equal in full and in light rows.

        `_date_modified`, where the server has it (https://github.com/kobotoolbox/kpi/issues/7259),
        moves when a file arrives, too.
        """
        review = "|"
        if self.review and self.review.uid:
            review = f"{self.review.uid}|{self.review.timestamp}"
        return f"{bare(self.uuid)}|{review}|{self.modified or ''}"

    def line(self) -> Mark:
        """The light line of the row."""
        return Mark(self.id, self.root_id, self.mark)


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
        self.spelt = tuple(spelt)

    def of(self, raw: bytes) -> tuple[tuple[Attachment, ...], bool]:
        """The files a row lists, and whether it names one it does not list."""
        if b'"download_url"' not in raw and not any(path in raw for path in self.spelt):
            return (), False
        row = orjson.loads(raw)
        listed = tuple(attachments(row))
        named = set(awaited(row, self.paths))
        return listed, not {file.name for file in listed}.issuperset(named)


def read_lines(body: bytes) -> tuple[int, tuple[Mark, ...]]:
    """A page of light rows: how many the query has in all, and their marks."""
    page = HEADS.decode(body)
    return page.count, tuple(head.line() for head in page.results)


def read_page(body: bytes, files: Files) -> tuple[int, tuple[Row, ...]]:
    """A page of full rows: how many the query has in all, and the rows.

    Raises `msgspec.DecodeError` when it is no such page.
    """
    page, whole = HEADS.decode(body), WHOLE.decode(body)
    return page.count, tuple(
        row_from(head, bytes(raw), files)
        for head, raw in zip(page.results, whole.results, strict=True)
    )


def row_from(head: Head, raw: bytes, files: Files) -> Row:
    listed, waiting = files.of(raw)
    return Row(
        head.root_id,
        head.id,
        bare(head.uuid),
        head.mark,
        head.submitted or "",
        head.review.uid[len(STATUS_PREFIX) :] if head.review and head.review.uid else "",
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
    return HEAD.decode(orjson.dumps(row)).root_id


def mark_of(row: Mapping[str, Any]) -> str:
    """The mark of a row that was parsed already."""
    return HEAD.decode(orjson.dumps(row)).mark


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
