"""What a phone may have: the forms of its key, and the names of its own provinces only.

A list that comes with a form may hold persons (`participants.csv`: code, name, province). A phone
bound to provinces gets the rows of these; a link that many hold gets no row of any person. Lists of
places and courses tell of nobody and go out whole. Hashes and sizes are those of what is sent.
"""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select
from sqlalchemy.exc import SQLAlchemyError

from forms.values import is_participant_code
from server.answers import Refusal
from server.house import House
from server.people.audit import Action, log
from server.people.rights import Right, Visitor
from server.state.schema import audit, deployed_media

__all__ = [
    "NOT_THIS_FORM",
    "Offered",
    "holds_persons",
    "note_outside",
    "offered",
    "refuse_form",
    "rows_for",
]

NOT_THIS_FORM = (
    "This key does not open this form; ask the office for one that does. "
    "/ กุญแจนี้ใช้กับแบบนี้ไม่ได้ โปรดขอกุญแจที่ใช้ได้จากสำนักงาน"
)
PERSONS = "participants"
"""What the name of a list of persons begins with; a list with participant codes is one as well."""
KEPT_BYTES = 8_000_000
KEPT_LISTS = 256


@dataclass(frozen=True, slots=True)
class Offered:
    """A file of a form as one visitor gets it; `content` is None where that is the stored file."""

    id: int
    name: str
    media_type: str
    digest: str
    md5: str
    content: bytes | None = None


def refuse_form(visitor: Visitor, form_id: str) -> None:
    """Raise `Refusal` 403, in words, for a form outside the visitor's bound."""
    if not visitor.sees_form(form_id):
        raise Refusal(403, NOT_THIS_FORM)


async def note_outside(
    house: House, visitor: Visitor, form_id: str, instance_id: str, province: str
) -> None:
    """Note in the audit trail that a record came from outside the sender's provinces.

    It was taken, because what was asked must not be lost; it is noted once, also where it came in
    several pieces. What cannot be noted (a full disk) is no reason to refuse what is stored.
    """
    what = f"{form_id} {province} {instance_id}"

    def note(connection: Connection) -> None:
        known = select(audit.c.id).where(
            audit.c.who == visitor.name,
            audit.c.action == Action.SENT_OUTSIDE.value,
            audit.c.what == what,
        )
        if connection.execute(known.limit(1)).first() is None:
            log(connection, who=visitor.name, action=Action.SENT_OUTSIDE, what=what)

    with contextlib.suppress(SQLAlchemyError, OSError):
        await house.inbox.run(note)


def offered(house: House, connection: Connection, asset_id: int, visitor: Visitor) -> list[Offered]:
    """The files of a form's last deployment as a visitor gets them; reads lists, so not for the
    event loop."""
    rows = connection.execute(
        select(deployed_media)
        .where(deployed_media.c.asset_id == asset_id)
        .order_by(deployed_media.c.id)
    )
    return [for_visitor(house, row, visitor) for row in rows]


def for_visitor(house: House, row: Any, visitor: Visitor) -> Offered:
    whole = Offered(row.id, row.name, row.media_type, row.digest, row.md5)
    every_name = visitor.may(Right.LISTS) and not visitor.provinces
    if every_name:
        return whole
    if not row.name.lower().endswith(".csv"):
        if not row.name.lower().startswith(PERSONS):
            return whole
        # what is not a table cannot be cut to provinces
        nothing = hashlib.md5(b"", usedforsecurity=False).hexdigest()
        return Offered(row.id, row.name, row.media_type, row.digest, nothing, b"")
    provinces = visitor.provinces if visitor.may(Right.LISTS) else frozenset()
    found = lists.get((row.digest, row.name, provinces), house)
    return Offered(row.id, row.name, row.media_type, row.digest, *found) if found else whole


class Lists:
    """Lists cut for some provinces: made once, the last few megabytes of them remembered."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.kept: OrderedDict[tuple[str, str, frozenset[str]], tuple[str, bytes] | None] = (
            OrderedDict()
        )
        self.bytes = 0

    def get(self, key: tuple[str, str, frozenset[str]], house: House) -> tuple[str, bytes] | None:
        """MD5 and content of a list cut to provinces; None where nothing has to be cut."""
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key]
        digest, name, provinces = key
        whole = house.blobs.path(digest).read_bytes()
        cut = rows_for(whole, name, provinces)
        found = None if cut is None else (hashlib.md5(cut, usedforsecurity=False).hexdigest(), cut)
        with self.lock:
            if key not in self.kept:
                self.kept[key] = found
                self.bytes += len(cut or b"")
            while self.bytes > KEPT_BYTES or len(self.kept) > KEPT_LISTS:
                _, gone = self.kept.popitem(last=False)
                self.bytes -= len(gone[1]) if gone else 0
        return found


lists = Lists()


def rows_for(content: bytes, name: str, provinces: frozenset[str]) -> bytes | None:
    """A list of persons with the rows of some provinces (none: with no row at all).

    None where it is no list of persons. A row's province is its column `province`, else the first
    two digits of its participant code; a row that tells neither is left out.
    """
    try:
        rows = list(csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""), strict=True))
    except (UnicodeDecodeError, csv.Error):
        # what cannot be read cannot be cut
        return b"" if name.lower().startswith(PERSONS) else None
    if not rows or not holds_persons(name, rows):
        return None
    head = rows[0]
    code = code_column(rows)
    place = head.index("province") if "province" in head else None

    def province_of(row: Sequence[str]) -> str:
        if place is not None and len(row) > place:
            return row[place].strip()
        known = row[code].strip() if code is not None and len(row) > code else ""
        return known[:2] if is_participant_code(known) else ""

    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(row for row in rows[1:] if row and province_of(row) in provinces)
    return out.getvalue().encode()


def holds_persons(name: str, rows: Sequence[Sequence[str]]) -> bool:
    """Whether a list (its first row is the head) tells of persons: by its name or by their codes."""
    if name.lower().startswith(PERSONS):
        return True
    return code_column(rows) is not None


def code_column(rows: Sequence[Sequence[str]]) -> int | None:
    """The column that holds participant codes, whatever it is called."""
    for row in rows[1:]:
        for at, cell in enumerate(row):
            if is_participant_code(cell.strip()):
                return at
    return None
