"""Give submissions their places anew when the programme says otherwise than when they came.

At each start the fingerprint of the programme's rules is compared with the one kept in `settings`.
Where it differs (the programme changed, or rows were taken without one) all rows are read again, in
small batches beside everything else; how far that went is kept with each batch, so that a stopped
server goes on where it was. A row that is edited meanwhile keeps what its edit said.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, bindparam, insert, select, update

from forms.problems import Problem
from server.house import House
from server.state.schema import assets, documents, settings, submissions

__all__ = ["DONE", "UNDER_WAY", "bring_up_to_date"]

DONE = "places"
"""Setting: the fingerprint by which all rows have their places."""
UNDER_WAY = "places_under_way"
"""Setting: a fingerprint and the last row that has its place by it."""

BATCH = 500
REST = 0.01
"""Seconds between two batches, for everybody else."""
PAUSE = 60.0
"""Seconds until it is tried again after a failure (a full disk)."""

PLACED = (
    update(submissions)
    .where(submissions.c.id == bindparam("row"), submissions.c.document_id == bindparam("document"))
    .values({name: bindparam(f"new_{name}") for name in ("person", "course", "province", "device")})
)

log = logging.getLogger("watphon.server")


async def bring_up_to_date(house: House) -> None:
    """Do what there is to do; ends when every row has its place. Cancel it to stop."""
    wanted = house.places.fingerprint
    while True:
        try:
            done, under_way = await asyncio.to_thread(known, house)
            if not wanted:
                # rows that come now know nothing of a programme: the next start with one looks again
                if done or under_way:
                    await house.inbox.run(lambda connection: keep(connection, "", ""))
                return
            if done == wanted and not under_way:
                return
            fingerprint, _, last = under_way.partition(" ")
            await through(house, wanted, int(last) if fingerprint == wanted else 0)
            return
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.error("rows could not be sorted by course: %s", type(error).__name__)
            await asyncio.sleep(PAUSE)


def known(house: House) -> tuple[str, str]:
    """The two settings; empty where they are not there."""
    with house.store.read() as connection:
        rows = connection.execute(
            select(settings.c.name, settings.c.value).where(settings.c.name.in_((DONE, UNDER_WAY)))
        )
        found = {row.name: row.value for row in rows}
    return found.get(DONE, ""), found.get(UNDER_WAY, "")


async def through(house: House, wanted: str, last: int) -> None:
    """All rows after `last`, batch by batch."""
    while True:
        rows, changes = await asyncio.to_thread(batch, house, last)
        finished = len(rows) < BATCH
        last = rows[-1].id if rows else last
        reached = "" if finished else f"{wanted} {last}"
        done = wanted if finished else ""

        def write(
            connection: Connection,
            changes: Sequence[dict[str, Any]] = changes,
            done: str = done,
            reached: str = reached,
        ) -> None:
            if changes:
                connection.execute(PLACED, changes)
            keep(connection, done, reached)

        await house.inbox.run(write)
        if finished:
            return
        await asyncio.sleep(REST)


def batch(house: House, last: int) -> tuple[Sequence[Any], list[dict[str, Any]]]:
    """The next rows, and those of them whose place is another one now."""
    with house.store.read() as connection:
        rows = connection.execute(
            select(
                submissions.c.id,
                submissions.c.document_id,
                submissions.c.person,
                submissions.c.course,
                submissions.c.province,
                submissions.c.device,
                assets.c.uid,
                assets.c.form_id,
                documents.c.body,
            )
            .join(assets, assets.c.id == submissions.c.asset_id)
            .join(documents, documents.c.id == submissions.c.document_id)
            .where(submissions.c.id > last)
            .order_by(submissions.c.id)
            .limit(BATCH)
        ).all()
    return rows, [change for row in rows if (change := changed(house, row))]


def changed(house: House, row: Any) -> dict[str, Any] | None:
    """The new place of a row; None where it is the same, or the row's form cannot be read."""
    deployed = house.catalogue.find(row.uid)
    if deployed is None:
        return None
    answers: dict[str, Any] = orjson.loads(row.body)
    version = str(answers.get("__version__", ""))
    try:
        form = house.catalogue.known_form(deployed, version) or house.catalogue.parse(
            deployed, version
        )
    except Problem:
        return None
    texts = {path: said for path, said in answers.items() if isinstance(said, str)}
    place = house.places.of(row.form_id, form, texts, row.device or "")
    now = (place.person, place.course, place.province, place.device)
    if now == (row.person, row.course, row.province, row.device):
        return None
    told = {f"new_{name}": value for name, value in place.columns.items()}
    return {"row": row.id, "document": row.document_id, **told}


def keep(connection: Connection, done: str, under_way: str) -> None:
    """Keep the two settings."""
    for name, value in ((DONE, done), (UNDER_WAY, under_way)):
        here = settings.c.name == name
        if not connection.execute(update(settings).where(here).values(value=value)).rowcount:
            connection.execute(insert(settings), {"name": name, "value": value})
