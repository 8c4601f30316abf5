"""KoboToolbox, and the embedded server that speaks its dialect, as a `Backend`.

Publishing is in `sync.kobo_publish`. Pulling pages by `_id`, never by `start`: rows come and go
meanwhile. The server tells no modification time, so edits, reviews and deletions are found by the
ledger, a light line of every row. Numbers in brackets are recordings of the measured contract.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import orjson

from forms.problems import ServerProblem
from sync.answer import decoded, read_json
from sync.backend import Happened, Ledger, Mark, Page, Row, Source, Status
from sync.kobo_account import marker, path_of, read_marker
from sync.kobo_publish import Publishing
from sync.kobo_rows import (
    Files,
    Unread,
    mark_of,
    read_heads,
    read_lines,
    root_of,
    row_of,
    rows_of,
)
from sync.phone import Phone

__all__ = ["Kobo", "mark_of", "marker", "read_marker", "root_of", "row_of"]

REFETCH = 200
"""Ids per refetch: they travel in the URL, and 8 kB of URL is what proxies let through."""

LIGHT = ["_id", "_uuid", "_validation_status", "_date_modified"]
T = TypeVar("T")
LABELS: Mapping[str, Status] = {
    "Approved": "approved",
    "Not Approved": "not_approved",
    "On Hold": "on_hold",
}


class Kobo(Publishing):
    """A KoboToolbox account as a `Backend`; `page` rows at a time (more is cut silently, 088)."""

    # ── pulling ──────────────────────────────────────────────────────────────────────────────────

    def xform(self, uid: str) -> bytes:
        """The form as phones have it; when it is archived, as its latest version is (194)."""
        phones = self.phones()
        if link := self.listed(uid).get("downloadUrl"):
            return phones.bytes("GET", path_of(link, phones.url))
        return self.connection.bytes("GET", f"/api/v2/assets/{uid}.xml")

    def pages(self, source: Source, cursor: str = "") -> Iterator[Page]:
        """New rows by keyset on `_id`. A server that repeats a page gets a `ServerProblem`."""
        yield from self.full(source, {}, int(cursor or 0))

    def since(self, source: Source, moment: str) -> Iterator[Page]:
        """Rows submitted since, and those changed since where `_date_modified` is there.

        Both are compared as text; a zone behind the moment would shift the boundary (096).
        """
        for field in ("_submission_time", "_date_modified"):
            yield from self.full(source, {field: {"$gte": moment.removesuffix("Z")}})

    def full(self, source: Source, query: Mapping[str, object], last: int = 0) -> Iterator[Page]:
        """Whole rows beyond `last`."""
        files = Files(source.files)
        for page, left in self.keyset(source.uid, query, None, last, read_heads, ids_of):
            yield Page(rows_of(page, files), str(page.heads[-1].id), left)

    def ledger(self, source: Source) -> Iterator[Ledger]:
        """The light line of every row (272): an edit changes `_uuid`, a deletion leaves a gap."""
        for marks, left in self.keyset(source.uid, {}, LIGHT, 0, read_lines, row_ids):
            yield Ledger(marks, left, str(marks[-1].row_id))

    def rows(self, source: Source, marks: Sequence[Mark]) -> tuple[Row, ...]:
        """Rows by id, in batches that fit a URL; those that are gone are left out."""
        found: list[Row] = []
        files = Files(source.files)
        for at in range(0, len(marks), REFETCH):
            batch = [mark.row_id for mark in marks[at : at + REFETCH]]
            query = {"_id": {"$in": batch}}
            _, page = self.data(source.uid, query, None, len(batch), read_heads)
            found.extend(rows_of(page, files))
        return tuple(found)

    def count(self, source: Source, last: str = "") -> int:
        """The server's own count of rows up to `_id` `last`."""
        query = {"_id": {"$lte": int(last)}} if last else {}
        return self.data(source.uid, query, ["_id"], 1, read_lines)[0]

    def stamp(self, source: Source) -> str:
        """The embedded server's ETag over everything that ever happened to the form; `""` elsewhere.

        Asked of nobody else: KoboToolbox would read a row to answer.
        """
        if not self.stamps():
            return ""
        return self.connection.request(
            "HEAD",
            f"/api/v2/assets/{source.uid}/data/",
            params={"limit": "1", "fields": '["_id"]'},
            read=lambda answer: answer.headers.get("ETag", ""),
        )

    def keyset(
        self,
        uid: str,
        query: Mapping[str, object],
        fields: list[str] | None,
        last: int,
        decode: Callable[[bytes], tuple[int, T]],
        ids_in: Callable[[T], list[int]],
    ) -> Iterator[tuple[T, int]]:
        """Pages of rows beyond `last`, and how many the server says are left.

        The next page is asked for as soon as the ids of one are known, so that the server makes it
        while the mirror takes in this one.
        """
        with ThreadPoolExecutor(1) as ahead:

            def fetch() -> Future[tuple[int, T]]:
                asked = {"_id": {"$gt": last}, **query}
                return ahead.submit(self.data, uid, asked, fields, self.page, decode)

            coming = fetch()
            while True:
                count, page = coming.result()
                ids = ids_in(page)
                if not ids:
                    return
                if ids[0] <= last or ids != sorted(set(ids)):
                    raise ServerProblem.at(
                        f"{self.url}/api/v2/assets/{uid}/data/",
                        f"does not page as asked: after row {last} came row {ids[0]}",
                        "report this to whoever runs the server; nothing wrong was stored",
                        code="page_repeats",
                    )
                last, left = ids[-1], count - len(ids)
                if left > 0:
                    coming = fetch()
                yield page, left
                if left <= 0:
                    return

    def data(
        self,
        uid: str,
        query: Mapping[str, object],
        fields: list[str] | None,
        limit: int,
        decode: Callable[[bytes], T],
    ) -> T:
        """One page of the data API through a decoder."""
        params = {
            "query": orjson.dumps(query).decode(),
            # The order is otherwise whatever the database gives (CONTRACT 2.7).
            "sort": '{"_id":1}',
            "limit": str(limit),
        }
        if fields:
            params["fields"] = orjson.dumps(fields).decode()
        return self.connection.request(
            "GET",
            f"/api/v2/assets/{uid}/data/",
            params=params,
            read=lambda answer: decoded(answer, decode),
        )

    def log(self, uid: str, since: str, marks: Sequence[Mark] = ()) -> Iterator[Happened]:
        """The project's history (266-268); empty for accounts that may not see it (269, 270)."""
        query = "(action:modify-submission OR action:delete-submission)"
        if since:
            # From that second on: it may not have been over. What is known is not taken in twice.
            query += f' AND date_created__gte:"{hour_before(since)}"'
        found: list[Happened] = []
        start = 0
        while True:
            listed = self.connection.request(
                "GET",
                f"/api/v2/assets/{uid}/history/",
                params={"q": query, "limit": "1000", "start": str(start)},
                read=lambda answer: read_json(answer) if answer.status == 200 else None,
                accept=(400, 403, 404),
            )
            if not listed or not listed["results"]:
                break
            found += [happened(entry) for entry in listed["results"] if root_of_entry(entry)]
            start += len(listed["results"])
            if start >= int(listed["count"]):
                break
        yield from reversed(found)

    def fetch(self, address: str, target: Path, *, progress: Callable[[int], None]) -> None:
        """Download an attachment (076); its host is not trusted, only its path."""
        self.connection.download(path_of(address, self.url), target, progress)

    # ── writing back ─────────────────────────────────────────────────────────────────────────────

    def review(self, uid: str, marks: Sequence[Mark], status: Status) -> None:
        """Set a status in bulk (126); taking one away goes row by row (128)."""
        path = f"/api/v2/assets/{uid}/data/"
        for at in range(0, len(marks), self.page):
            batch = [mark.row_id for mark in marks[at : at + self.page]]
            if status:
                payload = {
                    "submission_ids": batch,
                    "validation_status.uid": f"validation_status_{status}",
                }
                self.connection.json(
                    "PATCH", f"{path}validation_statuses/", json={"payload": payload}
                )
                continue
            for row_id in batch:
                self.connection.bytes("DELETE", f"{path}{row_id}/validation_status/")

    def document(self, uid: str, mark: Mark) -> bytes:
        """A row's instance XML (115); a phantom row has none (274)."""
        return self.connection.bytes("GET", f"/api/v2/assets/{uid}/data/{mark.row_id}.xml")

    def replace(self, uid: str, mark: Mark, document: bytes) -> None:
        """Send an edit as a phone does (113): the same bytes again are recognised, not doubled."""
        with Phone(self.phones().url, token=self.token, sleep=self.connection.sleep) as phone:
            phone.send(document)


def ids_of(page: Unread) -> list[int]:
    return [head.id for head in page.heads]


def row_ids(marks: Sequence[Mark]) -> list[int]:
    return [mark.row_id for mark in marks]


def hour_before(moment: str) -> str:
    """What was noted after `moment` by a clock that was set back an hour meanwhile is noted there."""
    return (datetime.fromisoformat(moment) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")


def root_of_entry(entry: Mapping[str, Any]) -> str:
    submission = (entry.get("metadata") or {}).get("submission") or {}
    return str(submission.get("root_uuid") or "").removeprefix("uuid:")


def happened(entry: Mapping[str, Any]) -> Happened:
    """One line of the history; a modification that names a status was a review."""
    submission = entry["metadata"]["submission"]
    edited = "status" not in submission
    deleted = entry["action"] == "delete-submission"
    return Happened(
        root_id=root_of_entry(entry),
        at=str(entry.get("date_created") or ""),
        who=str(entry.get("username") or ""),
        action="delete" if deleted else "edit" if edited else "review",
        detail="" if edited or deleted else LABELS.get(str(submission["status"]), ""),
    )
