"""What becomes of the submissions that arrived together: the rules, applied inside one transaction.

The answers are those KoboToolbox gives: new 201, byte-identical again 202 (also
when the version has been edited since), identical with a new attachment 201, same instanceID with
other content 409, an edit 201 in the same row, an edit of an old version 410, an edit of something
unknown 404, an archived form 405. Because one thread settles one batch after the other, two
identical submissions meet here one after the other, even inside one batch.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from server.state.blobs import Blobs, Staged
from server.state.engines import add_rows
from server.state.filing import listing, media_type, normal_name
from server.state.history import ADDED, MODIFIED
from server.state.schema import assets, attachments, changes, clock, documents, submissions
from server.times import stamp

__all__ = ["Arrival", "Place", "Receipt", "Settlement"]


@dataclass(frozen=True, slots=True)
class Place:
    """Who, which course, which province and which phone a submission is from; None: not told."""

    person: str | None = None
    course: str | None = None
    province: str | None = None
    device: str | None = None

    @property
    def columns(self) -> dict[str, str | None]:
        """As they stand in `submissions`."""
        return {
            "person": self.person,
            "course": self.course,
            "province": self.province,
            "device": self.device,
        }


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Arrival:
    """A submission that has been read and rendered, and waits to be stored.

    `body` is its JSON row without what only storing decides; `references` maps the (normalised)
    file names its answers mention to the questions' paths; it is empty when neither files nor an
    edit make it matter.
    """

    asset_id: int
    instance_id: str
    deprecated_id: str
    digest: bytes
    xml: bytes
    body: bytes
    submitter: str
    files: tuple[Staged, ...] = ()
    references: Mapping[str, str] = field(default_factory=dict)
    place: Place = NOWHERE
    provinces: frozenset[str] = frozenset()
    """What bounds the sender; empty: nothing. Records of others are corrected inside it only."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """The answer to an arrival: HTTP status, words, and when the submission first came."""

    status: int
    words: str
    submitted_at: str = ""


DUPLICATE = Receipt(202, "Duplicate Instance")
CONFLICT = Receipt(
    409,
    "Submission with this instance ID already exists, with other answers. Tell the office. "
    "/ มีข้อมูลรหัสเดียวกันแต่คำตอบต่างกันอยู่แล้ว โปรดแจ้งสำนักงาน",
)
STALE = Receipt(
    410,
    "Invalid submission - deprecatedID refers to an old version: the record was corrected meanwhile. "
    "/ ข้อมูลนี้ถูกแก้ไขจากที่อื่นไปก่อนแล้ว โปรดแจ้งสำนักงาน",
)
ELSEWHERE = Receipt(
    403,
    "This record was sent by somebody else and lies outside your provinces. Ask its province team. "
    "/ ข้อมูลนี้ผู้อื่นเป็นผู้ส่งและอยู่นอกจังหวัดของท่าน โปรดแจ้งทีมจังหวัดนั้น",
)
UNKNOWN_EDIT = Receipt(
    404,
    "deprecatedID refers to a submission this server does not have: send the first version first. "
    "/ ยังไม่มีข้อมูลฉบับแรกบนเซิร์ฟเวอร์ โปรดส่งฉบับแรกก่อน",
)
NO_FORM = Receipt(404, "Not found.")
ARCHIVED = Receipt(
    405,
    "Form is not active: it is closed. Keep the record on the phone and ask the office to open the "
    "form. / แบบนี้ปิดรับแล้ว โปรดเก็บข้อมูลไว้ในโทรศัพท์และแจ้งสำนักงานให้เปิดแบบ",
)
SUCCESS = "Successful submission."

CLOCK = select(clock.c.submission, clock.c.document, clock.c.change)
WOUND = update(clock).values(
    submission=bindparam("submission"), document=bindparam("document"), change=bindparam("change")
)
KNOWN = select(documents.c.instance_id, documents.c.digest, documents.c.submission_id).where(
    documents.c.asset_id == bindparam("asset"),
    documents.c.instance_id.in_(bindparam("ids", expanding=True)),
)
STANDING = select(assets.c.id, assets.c.active).where(
    assets.c.id.in_(bindparam("ids", expanding=True))
)
COUNTED = (
    update(assets)
    .where(assets.c.id == bindparam("asset"))
    .values(
        submission_count=assets.c.submission_count + bindparam("more"),
        last_submission_at=bindparam("at"),
    )
)


class Settlement:
    """One batch on its way into the database; contents it puts on disk are noted in `placed`."""

    def __init__(
        self, connection: Connection, blobs: Blobs, now: int, placed: list[Staged]
    ) -> None:
        self.connection = connection
        self.blobs = blobs
        self.placed = placed
        self.submission, self.document, last = connection.execute(CLOCK).one()
        self.change = max(last, now)
        self.now = stamp(now)
        self.new_submissions: list[dict[str, Any]] = []
        self.new_documents: list[dict[str, Any]] = []
        self.new_attachments: list[dict[str, Any]] = []
        self.new_changes: list[dict[str, Any]] = []
        self.counts: dict[int, int] = {}
        self.known: dict[tuple[int, str], tuple[bytes, int]] = {}
        self.active: dict[int, bool] = {}

    def settle(self, arrivals: Sequence[Arrival]) -> list[Receipt]:
        """Store a batch; the receipts are true once the transaction has been committed."""
        self.look_up(arrivals)
        receipts = [self.judge(arrival) for arrival in arrivals]
        self.flush()
        for asset_id, count in self.counts.items():
            self.connection.execute(COUNTED, {"asset": asset_id, "more": count, "at": self.now})
        reached = {
            "submission": self.submission,
            "document": self.document,
            "change": self.change,
        }
        self.connection.execute(WOUND, reached)
        return receipts

    def look_up(self, arrivals: Iterable[Arrival]) -> None:
        """Read at once what the batch's ids already mean here."""
        wanted: dict[int, set[str]] = {}
        for arrival in arrivals:
            ids = wanted.setdefault(arrival.asset_id, set())
            ids.add(arrival.instance_id)
            if arrival.deprecated_id:
                ids.add(arrival.deprecated_id)
        for asset_id, active in self.connection.execute(STANDING, {"ids": list(wanted)}):
            self.active[asset_id] = active
        for asset_id, ids in wanted.items():
            found = self.connection.execute(KNOWN, {"asset": asset_id, "ids": list(ids)})
            for instance_id, digest, submission_id in found:
                self.known[asset_id, instance_id] = (digest, submission_id)

    def judge(self, arrival: Arrival) -> Receipt:
        active = self.active.get(arrival.asset_id)
        if active is None:
            return NO_FORM
        known = self.known.get((arrival.asset_id, arrival.instance_id))
        if known:
            digest, submission_id = known
            return self.resent(arrival, submission_id) if digest == arrival.digest else CONFLICT
        if not active:
            return ARCHIVED
        return self.edited(arrival) if arrival.deprecated_id else self.new(arrival)

    def new(self, arrival: Arrival) -> Receipt:
        """A submission nobody has seen."""
        self.submission += 1
        self.add_document(arrival, self.submission)
        self.new_submissions.append(
            {
                "id": self.submission,
                "asset_id": arrival.asset_id,
                "root_id": arrival.instance_id,
                "instance_id": arrival.instance_id,
                "document_id": self.document,
                "submitted_at": self.now[:19],
                "modified_at": self.moved(arrival, ADDED, arrival.instance_id, arrival.submitter),
                "submitter": arrival.submitter,
                "status_uid": "",
                "status": "{}",
                "attachments": listing(
                    self.store_files(arrival, arrival.files, self.submission), arrival.references
                ),
                **arrival.place.columns,
            }
        )
        self.counts[arrival.asset_id] = self.counts.get(arrival.asset_id, 0) + 1
        return Receipt(201, SUCCESS, self.now)

    def resent(self, arrival: Arrival, submission_id: int) -> Receipt:
        """The same document again: harmless, and perhaps it brings a file that was missing."""
        if not arrival.files:
            return DUPLICATE
        self.flush()
        stored = {
            (normal_name(row.name), row.digest)
            for row in self.connection.execute(
                select(attachments.c.name, attachments.c.digest).where(
                    attachments.c.submission_id == submission_id
                )
            )
        }
        fresh = tuple(f for f in arrival.files if (normal_name(f.name), f.digest) not in stored)
        if not fresh:
            return DUPLICATE
        row = self.connection.execute(
            select(submissions).where(submissions.c.id == submission_id)
        ).one()
        self.store_files(arrival, fresh, submission_id)
        moved: dict[str, Any] = {
            "modified_at": self.moved(arrival, MODIFIED, row.root_id, row.submitter)
        }
        if row.instance_id == arrival.instance_id:
            moved["attachments"] = self.present_files(submission_id, arrival)
        self.connection.execute(
            update(submissions).where(submissions.c.id == submission_id).values(**moved)
        )
        return Receipt(201, SUCCESS, row.submitted_at)

    def edited(self, arrival: Arrival) -> Receipt:
        """A new version of a submission; the old one is kept."""
        found = self.known.get((arrival.asset_id, arrival.deprecated_id))
        if not found:
            return UNKNOWN_EDIT
        self.flush()
        row = self.connection.execute(select(submissions).where(submissions.c.id == found[1])).one()
        if row.instance_id != arrival.deprecated_id:
            return STALE
        own = row.submitter == arrival.submitter
        if not own and arrival.provinces and row.province not in arrival.provinces:
            return ELSEWHERE
        self.store_files(arrival, arrival.files, row.id)
        self.add_document(arrival, row.id)
        self.connection.execute(
            update(submissions)
            .where(submissions.c.id == row.id)
            .values(
                instance_id=arrival.instance_id,
                document_id=self.document,
                modified_at=self.moved(arrival, MODIFIED, row.root_id, row.submitter),
                attachments=self.present_files(row.id, arrival),
                **arrival.place.columns,
            )
        )
        return Receipt(201, SUCCESS, row.submitted_at)

    def add_document(self, arrival: Arrival, submission_id: int) -> None:
        self.document += 1
        self.known[arrival.asset_id, arrival.instance_id] = (arrival.digest, submission_id)
        self.new_documents.append(
            {
                "id": self.document,
                "asset_id": arrival.asset_id,
                "submission_id": submission_id,
                "instance_id": arrival.instance_id,
                "digest": arrival.digest,
                "received_at": self.now,
                "body": arrival.body,
                "xml": arrival.xml,
            }
        )

    def flush(self) -> None:
        """Write what waits, so that statements about single rows find it."""
        for table, rows in (
            (submissions, self.new_submissions),
            (documents, self.new_documents),
            (attachments, self.new_attachments),
            (changes, self.new_changes),
        ):
            if rows:
                add_rows(self.connection, table, rows)
                rows.clear()

    def store_files(
        self, arrival: Arrival, files: Iterable[Staged], submission_id: int
    ) -> list[dict[str, Any]]:
        """Put contents in their place and note them; the new rows."""
        rows: list[dict[str, Any]] = []
        for staged in files:
            if self.blobs.place(staged):
                self.placed.append(staged)
            rows.append(
                {
                    "uid": "att" + secrets.token_hex(11),
                    "submission_id": submission_id,
                    "name": staged.name,
                    "question": arrival.references.get(normal_name(staged.name), ""),
                    "media_type": media_type(staged),
                    "digest": staged.digest,
                    "created_at": self.now,
                }
            )
        self.new_attachments += rows
        return rows

    def present_files(self, submission_id: int, arrival: Arrival) -> str:
        """The files of a stored submission that its present document mentions."""
        self.flush()
        rows = self.connection.execute(
            select(attachments)
            .where(attachments.c.submission_id == submission_id)
            .order_by(attachments.c.id)
        ).mappings()
        return listing(rows, arrival.references)

    def moved(self, arrival: Arrival, action: str, root_id: str, submitter: str) -> str:
        """Log a change. Its moment is later than every earlier one, in the order of commits."""
        self.change += 1
        at = stamp(self.change)
        self.new_changes.append(
            {
                "asset_id": arrival.asset_id,
                "at": at,
                "action": action,
                "root_id": root_id,
                "submitter": submitter,
                "who": arrival.submitter,
            }
        )
        return at
