"""ODK Central as a `Backend`: rows by OData, its stamp by ETag.

Rows become visible out of order (a date is taken inside the transaction), and no watermark sees a
deleted or restored row or an arriving photo. So new rows are read from a minute before the newest date
known, and the ledger of every record's id and system fields is swept as on KoboToolbox; it is swept
only when the ETag over all ids says that something happened. OData knows only what the present version
asks; a record of a version that asked more is read from its document. Publishing is in
`sync.central_publish`.

https://docs.getodk.org/central-api-odata-endpoints/
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from forms.instance import flat, from_xml
from forms.model import Form
from forms.problems import ServerProblem
from forms.xform import read_xform
from sync.backend import Happened, Ledger, Mark, Page, Row, Source, Status
from sync.central_account import EXTENDED, form_path
from sync.central_publish import CentralPublishing
from sync.central_rows import (
    REVIEWS,
    Schema,
    asked,
    central_id,
    light_mark,
    row_of,
    schema_of,
)

__all__ = ["Central"]

PAGE = 5_000
LIGHT_PAGE = 10_000
REFETCH = 60
"""Ids per refetch: each is half a hundred characters of URL, and 16 kB is what the server takes."""

OVERLAP = timedelta(seconds=60)
STATES: Mapping[Status, str | None] = {
    "": None,
    "approved": "approved",
    "not_approved": "rejected",
    "on_hold": "hasIssues",
}
XML = "application/xml"
UNNAMED = "___"
"""What a version without a name is called in a path."""


@dataclass(frozen=True, slots=True)
class Tree:
    """What a version asks; `form` when it asked something that OData no longer shows."""

    schema: Schema
    form: Form | None = None


class Central(CentralPublishing):
    """An ODK Central server as a `Backend`; a form's uid is `project id/form id`."""

    page = PAGE
    light_page = LIGHT_PAGE

    @cached_property
    def trees(self) -> dict[tuple[str, str, str], Tree]:
        return {}

    def tree(self, uid: str, version: str) -> Tree:
        """What a version of a form asks, and whether OData shows all of it.

        Kept by the version that is present as well: with each publication OData shows other questions.
        """
        present = self.present.get(uid, "")
        if (uid, present, present) not in self.trees:
            self.trees[uid, present, present] = Tree(self.schema(form_path(uid)))
        if (uid, present, version) not in self.trees:
            shown = self.trees[uid, present, present]
            path = f"{form_path(uid)}/versions/{quote(version or UNNAMED, safe='')}"
            own = self.schema(path)
            if asked(own) <= asked(shown.schema):
                self.trees[uid, present, version] = shown
            else:
                form = read_xform(self.connection.bytes("GET", f"{path}.xml"), where=path)
                self.trees[uid, present, version] = Tree(own, form)
        return self.trees[uid, present, version]

    def schema(self, path: str) -> Schema:
        fields = self.connection.json("GET", f"{path}/fields")
        odata = self.connection.json("GET", f"{path}/fields", params={"odata": "true"})
        return schema_of(fields, odata)

    def xform(self, uid: str) -> bytes:
        return self.connection.bytes("GET", f"{form_path(uid)}.xml")

    # ── pulling ──────────────────────────────────────────────────────────────────────────────────

    def pages(self, source: Source, cursor: str = "") -> Iterator[Page]:
        """Rows from a minute before the newest that is known (2 s were seen to be enough)."""
        begin = earlier(cursor) if cursor else ""
        for rows, left, last in self.by_date(source.uid, begin, {"$expand": "*"}, self.page):
            yield Page(self.full(source.uid, rows), max(last, cursor), left)

    def since(self, source: Source, moment: str) -> Iterator[Page]:
        """Rows submitted since, then those edited or reviewed since."""
        expand = {"$expand": "*"}
        for rows, left, last in self.by_date(source.uid, stamp_of(moment), expand, self.page):
            yield Page(self.full(source.uid, rows), last, left)
        query = {"$filter": f"__system/updatedAt ge {stamp_of(moment)}", **expand}
        yield Page(self.full(source.uid, self.odata(source.uid, query)["value"]), "", 0)

    def ledger(self, source: Source) -> Iterator[Ledger]:
        """Id and system fields of every record."""
        light = {"$select": "__id,__system"}
        for rows, left, last in self.by_date(source.uid, "", light, self.light_page):
            yield Ledger(tuple(light_mark(row) for row in rows), left, last)

    def rows(self, source: Source, marks: Sequence[Mark]) -> tuple[Row, ...]:
        """Records by id; those that are gone are left out."""
        found: list[Row] = []
        for at in range(0, len(marks), REFETCH):
            ids = [central_id(mark.root_id) for mark in marks[at : at + REFETCH]]
            wanted = " or ".join(f"__id eq {literal(one)}" for one in ids)
            rows = self.odata(source.uid, {"$filter": wanted, "$expand": "*"})["value"]
            found.extend(self.full(source.uid, rows))
        return tuple(found)

    def count(self, source: Source, last: str = "") -> int:
        query = {"$top": "0", "$count": "true"}
        if last:
            query["$filter"] = f"__system/submissionDate le {last}"
        return int(self.odata(source.uid, query)["@odata.count"])

    def stamp(self, source: Source) -> str:
        """The ETag over the events of all records (since v2026.1); `""` on an older server."""
        answer = self.connection.request(
            "HEAD",
            f"{form_path(source.uid)}.svc/Submissions",
            params={"$select": "__id"},
            read=lambda answer: answer.headers.get("ETag", ""),
        )
        return answer if "eventhash:" in answer else ""

    def by_date(
        self, uid: str, begin: str, more: Mapping[str, str], page: int
    ) -> Iterator[tuple[list[dict[str, Any]], int, str]]:
        """Pages by rising submission date from `begin`: rows, how many are left, the last date.

        The first date of a page is the last of the one before; rows of that moment are passed over.
        """
        at, seen, top = begin, frozenset[str](), page
        while True:
            query = {
                "$orderby": "__system/submissionDate asc",
                "$top": str(top),
                "$count": "true",
                **more,
            }
            if at:
                query["$filter"] = f"__system/submissionDate ge {at}"
            found = self.odata(uid, query)
            rows = found["value"]
            fresh = [row for row in rows if row["__id"] not in seen]
            left = int(found["@odata.count"]) - len(rows)
            dates = [row["__system"]["submissionDate"] for row in rows]
            if dates != sorted(dates) or (dates and at and dates[0] < at):
                raise ServerProblem.at(
                    f"{self.url}{form_path(uid)}.svc/Submissions",
                    f"does not page as asked: after {at or 'the start'} came {dates[0]}",
                    "report this to whoever runs the server; nothing wrong was stored",
                    code="page_repeats",
                )
            if fresh:
                yield fresh, left, dates[-1]
            if left <= 0 or not rows:
                return
            if dates[-1] == at and not fresh:
                top *= 2  # more rows of one moment than a page holds
                continue
            at = dates[-1]
            seen = frozenset(
                row["__id"] for row, date in zip(rows, dates, strict=True) if date == at
            ) | (seen if dates[0] == at else frozenset())

    def odata(self, uid: str, query: Mapping[str, str]) -> dict[str, Any]:
        return self.connection.json("GET", f"{form_path(uid)}.svc/Submissions", params=query)

    def full(self, uid: str, rows: Sequence[Mapping[str, Any]]) -> tuple[Row, ...]:
        return tuple(self.full_row(uid, row) for row in rows)

    def full_row(self, uid: str, row: Mapping[str, Any]) -> Row:
        tree, own = self.tree(uid, row["__system"].get("formVersion") or ""), None
        if tree.form:
            document = self.connection.request(
                "GET",
                f"{record_path(uid, row['__id'])}.xml",
                read=lambda answer: answer.body if answer.status == 200 else b"",
                accept=(404,),  # deleted meanwhile
            )
            own = flat(from_xml(document, tree.form).record) if document else None
        address = f"{form_path(uid)}/submissions"
        return row_of(row, tree.schema, address, lambda record: self.arrived(uid, record), own)

    def arrived(self, uid: str, record: str) -> frozenset[str]:
        """The files of a record that are on the server."""
        listed = self.connection.json("GET", f"{record_path(uid, record)}/attachments")
        return frozenset(item["name"] for item in listed if item["exists"])

    def log(self, uid: str, since: str, marks: Sequence[Mark]) -> Iterator[Happened]:
        """The audits of the named records; records that are gone or not ours to see tell nothing."""
        for mark in marks:
            path = record_path(uid, central_id(mark.root_id))
            audits = self.connection.request(
                "GET",
                f"{path}/audits",
                headers=EXTENDED,
                read=lambda answer: None if answer.status != 200 else answer.body,
                accept=(403, 404),
            )
            if audits is not None:
                yield from happened(mark.root_id, audits, since)

    def fetch(self, address: str, target: Path, *, progress: Callable[[int], None]) -> None:
        self.connection.download(address, target, progress)

    # ── writing back ─────────────────────────────────────────────────────────────────────────────

    def review(self, uid: str, marks: Sequence[Mark], status: Status) -> None:
        for mark in marks:
            path = record_path(uid, central_id(mark.root_id))
            self.connection.json("PATCH", path, json={"reviewState": STATES[status]})

    def document(self, uid: str, mark: Mark) -> bytes:
        path = record_path(uid, central_id(mark.root_id))
        return self.connection.bytes("GET", f"{path}.xml")

    def replace(self, uid: str, mark: Mark, document: bytes) -> None:
        path = record_path(uid, central_id(mark.root_id))
        self.connection.json("PUT", path, raw=(document, XML))


def record_path(uid: str, record: str) -> str:
    return f"{form_path(uid)}/submissions/{quote(record, safe='')}"


def happened(root_id: str, audits: bytes, since: str) -> Iterator[Happened]:
    for entry in reversed(orjson.loads(audits)):
        at = str(entry["loggedAt"])
        who = str((entry.get("actor") or {}).get("displayName") or "")
        if at < since:
            continue
        if entry["action"] == "submission.update.version":
            yield Happened(root_id, at, who, "edit")
        elif entry["action"] == "submission.update":
            state = (entry.get("details") or {}).get("reviewState")
            yield Happened(root_id, at, who, "review", REVIEWS.get(state, ""))
        elif entry["action"] == "submission.delete":
            yield Happened(root_id, at, who, "delete")


def literal(text: str) -> str:
    """A text in an OData filter; a quotation mark is doubled."""
    doubled = text.replace("'", "''")
    return f"'{doubled}'"


def earlier(moment: str) -> str:
    """A minute before a moment."""
    then = datetime.fromisoformat(moment.replace("Z", "+00:00")) - OVERLAP
    return then.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def stamp_of(moment: str) -> str:
    """A moment as OData takes it."""
    return moment if moment.endswith("Z") else f"{moment}Z"
