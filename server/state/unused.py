"""Contents that no row names any more, and when they may go.

In the data folder they go at once: whoever places or removes one holds the writer's turn. In an
object store an upload comes before its row, maybe by another machine, so a removal waits until
nothing of that kind can be under way; and while a backup reads contents, none goes at all. What
waits is noted in the table `settings`, so that no restart forgets it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update

from server.state.blobs import Blobs
from server.state.schema import attachments, deployed_media, media, settings
from server.times import moment, utc_now

__all__ = ["BACKUP_RUNNING", "GRACE", "forget", "is_due", "referred_to", "sweep"]

GRACE = timedelta(minutes=15)
"""Longer than a request may take between its upload and its row."""
BACKUP_RUNNING = "backup_running"
"""Setting: when a backup last said that it is reading contents."""
SILENT = timedelta(minutes=5)
"""A backup that has said nothing for so long is not running any more."""
UNUSED = "unused "
AT_ONCE = 100


def referred_to(connection: Connection, digest: str) -> bool:
    """Whether any row names this content."""
    return any(
        connection.execute(select(table.c.id).where(table.c.digest == digest).limit(1)).first()
        for table in (attachments, media, deployed_media)
    )


def forget(connection: Connection, blobs: Blobs, digests: Iterable[str]) -> None:
    """Remove the contents among `digests` that nothing refers to, now or later; in the writer's turn
    only."""
    later = blobs.elsewhere or backing_up(connection)
    for digest in digests:
        if referred_to(connection, digest):
            continue
        if later:
            note(connection, digest)
        else:
            blobs.remove(digest)


def note(connection: Connection, digest: str) -> None:
    """Note a content for later."""
    name, value = UNUSED + digest, moment(utc_now())
    here = settings.c.name == name
    if not connection.execute(update(settings).where(here).values(value=value)).rowcount:
        connection.execute(insert(settings), {"name": name, "value": value})


def backing_up(connection: Connection) -> bool:
    """Whether a backup reads contents just now."""
    said = connection.execute(
        select(settings.c.value).where(settings.c.name == BACKUP_RUNNING)
    ).scalar_one_or_none()
    return said is not None and said > moment(utc_now() - SILENT)


def due(connection: Connection, now: datetime) -> list[str]:
    """Contents whose time has come, a hundred at most."""
    found = connection.execute(
        select(settings.c.name)
        .where(settings.c.name.startswith(UNUSED), settings.c.value < moment(now - GRACE))
        .limit(AT_ONCE)
    ).scalars()
    return [name.removeprefix(UNUSED) for name in found]


def is_due(connection: Connection, now: datetime) -> bool:
    """Whether `sweep` has anything to do."""
    return bool(due(connection, now)) and not backing_up(connection)


def sweep(connection: Connection, blobs: Blobs, now: datetime) -> int:
    """Remove what was noted and is still not referred to; in the writer's turn. How many went."""
    if backing_up(connection):
        return 0
    gone = 0
    for digest in due(connection, now):
        if not referred_to(connection, digest):
            if blobs.newer_than(digest, now - GRACE):
                continue  # somebody has just sent it again; its row may be on its way
            blobs.remove(digest)
            gone += 1
        connection.execute(delete(settings).where(settings.c.name == UNUSED + digest))
    return gone
