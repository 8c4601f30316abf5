"""The log of what happens to submissions, and the clock that orders it.

Whoever changes a submission logs it in the same transaction; `server.state.settle` does so for what
phones send, `note` for everything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, case, insert, literal, null, select, update

from server.state.schema import changes, clock, documents, submissions
from server.times import stamp

__all__ = ["ACTIONS", "ADDED", "DELETED", "MODIFIED", "begin_changes", "note", "tick"]

ADDED = "add-submission"
DELETED = "delete-submission"
MODIFIED = "modify-submission"
ACTIONS = (ADDED, DELETED, MODIFIED)

COLUMNS = ("asset_id", "at", "action", "root_id", "submitter", "who", "status")


def tick(connection: Connection, now: int) -> str:
    """The moment of one change outside a batch (status, deletion), from the same clock."""
    change = max(connection.execute(select(clock.c.change)).scalar_one(), now) + 1
    connection.execute(update(clock).values(change=change))
    return stamp(change)


def note(
    connection: Connection,
    asset_id: int,
    numbers: Sequence[int],
    *,
    action: str,
    who: str,
    at: str,
    status: str | None = None,
) -> int:
    """Log one change of these submissions, while they are there; how many of them are."""
    said = (literal(asset_id), literal(at), literal(action))
    found = select(
        *said,
        submissions.c.root_id,
        submissions.c.submitter,
        literal(who),
        null() if status is None else literal(status),
    ).where(submissions.c.asset_id == asset_id, submissions.c.id.in_(numbers))
    return connection.execute(
        insert(changes).from_select(COLUMNS, found.order_by(submissions.c.id))
    ).rowcount


def begin_changes(connection: Connection) -> None:
    """Schema 2: the log, begun with what is known of submissions taken before there was one.

    Who made an edit was not kept then, nor what was deleted or which statuses came before the
    present one.
    """
    changes.create(connection, checkfirst=True)
    first = documents.c.instance_id == submissions.c.root_id
    connection.execute(
        insert(changes).from_select(
            COLUMNS,
            select(
                submissions.c.asset_id,
                documents.c.received_at,
                case((first, ADDED), else_=MODIFIED),
                submissions.c.root_id,
                submissions.c.submitter,
                case((first, submissions.c.submitter), else_=""),
                null(),
            )
            .join(documents, documents.c.submission_id == submissions.c.id)
            .order_by(documents.c.id),
        )
    )
    rows = connection.execute(select(submissions).where(submissions.c.status_uid != "")).all()
    for row in rows:
        status: dict[str, Any] = orjson.loads(row.status)
        note(
            connection,
            row.asset_id,
            [row.id],
            action=MODIFIED,
            who=status["by_whom"],
            at=stamp(status["timestamp"] * 1_000_000),
            status=status["label"],
        )
