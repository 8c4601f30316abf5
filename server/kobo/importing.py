"""Imports: what happens to an uploaded workbook until it is an asset.

An import makes an asset or replaces one's content, and is done in the background: the workbook is
read in a thread, and the database is touched only to store the result, through the inbox.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

import orjson
from sqlalchemy import Connection, insert, update

from forms.problems import Problem
from server.answers import Refusal
from server.house import House
from server.kobo import confined
from server.kobo.content import NO_CONTENT, DuplicateName, Imported, summary
from server.state.schema import assets, imports
from server.state.store import is_busy, is_full, new_uid
from server.times import iso

__all__ = ["EMPTY_SETTINGS", "ImportRequest", "Publisher", "add_draft"]

log = logging.getLogger("watphon.server")

NOTHING_SENT = "ImportTask data must contain `base64Encoded`, `url`, or `single_xls_url`"
EMPTY_SETTINGS = {
    "sector": {},
    "country": [],
    "description": "",
    "organization": "",
    "country_codes": [],
}


FULL = "The server's disk is full; the form was not stored. Import it again later."
MOST_WAITING = 20
"""Imports that wait or are under way; each keeps its workbook in memory."""
SHORT = 5.0
"""Seconds an import may still take when the server is told to stop."""
AGAIN = 2.0
"""Seconds until the end of an import is recorded again that could not be."""


class Publisher:
    """The imports that are under way."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.turn = asyncio.Semaphore(1)
        self.stopping = False

    def refuse_crowd(self) -> None:
        """Raises `Refusal` 503 when too many imports wait."""
        if len(self.tasks) >= MOST_WAITING:
            words = f"{MOST_WAITING} imports are waiting. Try again later."
            raise Refusal(503, words, {"Retry-After": "10"})

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Let an import go on after its request has been answered."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def stop(self) -> None:
        """Let the import under way finish; what waits is ended in an error at the next start."""
        self.stopping = True
        if self.tasks:
            _, unfinished = await asyncio.wait(self.tasks, timeout=SHORT)
            confined.end_all()
            for task in unfinished:
                task.cancel()

    async def import_form(
        self, house: House, uid: str, owner: str, workbook: bytes | None, request: ImportRequest
    ) -> None:
        """Do one import and record how it went."""
        async with self.turn:
            if self.stopping:
                return
            try:
                if workbook is None:
                    raise Refusal(400, {"error": NOTHING_SENT, "error_type": "Exception"})
                imported = await asyncio.to_thread(confined.read_apart, workbook, request.name)
                status, messages = (
                    "complete",
                    await house.inbox.run(
                        lambda connection: save(connection, imported, workbook, owner, request)
                    ),
                )
            except Refusal as refusal:
                status, messages = "error", refusal.reason
            except DuplicateName as problem:
                status, messages = "error", said(problem, "DuplicateNameException")
            except Problem as problem:
                status, messages = "error", said(problem, "XlsFormatException")
            except Exception as error:  # the poller must hear of it, whatever it is
                if is_full(error):
                    log.error("disk full: an import was not stored")
                    status = "error"
                    messages = {"error": FULL, "error_type": "DiskFull"}
                else:
                    log.error("an import failed: %s", type(error).__name__)
                    status = "error"
                    messages = {"error": "The import failed.", "error_type": type(error).__name__}
            house.catalogue.changed()
        while True:  # whoever polls must hear of it; a disk that is full has room again one day
            try:
                await house.inbox.run(lambda connection: record(connection, uid, status, messages))
                return
            except Exception as error:
                if not is_full(error) and not is_busy(error):
                    raise
                await asyncio.sleep(AGAIN)


class ImportRequest:
    """What an import was asked for: the file's name, the asset to replace, form or block."""

    __slots__ = ("destination", "library", "name")

    def __init__(self, name: str, destination: str, library: bool) -> None:
        self.name = name
        self.destination = destination
        self.library = library


def said(problem: Problem, kind: str) -> dict[str, str]:
    """A problem as an import's messages; pyxform's and our words, after KoboToolbox's own."""
    words = problem.findings[0].what
    if kind == "XlsFormatException":
        words = f"Unsupported format, or corrupt file ({words})"
    return {"error": words, "error_type": kind}


def record(connection: Connection, uid: str, status: str, messages: dict[str, Any]) -> None:
    """Store how an import went."""
    connection.execute(
        update(imports)
        .where(imports.c.uid == uid)
        .values(status=status, messages=orjson.dumps(messages).decode())
    )


def save(
    connection: Connection, imported: Imported, workbook: bytes, owner: str, request: ImportRequest
) -> dict[str, Any]:
    """Make or replace the asset; the messages of a finished import."""
    row: dict[str, Any] = {
        "name": imported.name,
        "form_id": imported.form_id,
        "summary": orjson.dumps(imported.summary).decode(),
        "content": orjson.dumps(imported.content).decode(),
        "content_hash": imported.content_hash,
        "version_id": new_uid("v"),
        "workbook": workbook,
    }
    if request.destination:
        uid = request.destination.rstrip("/").rpartition("/")[2].removesuffix(".json")
        found = connection.execute(
            update(assets)
            .where(assets.c.uid == uid)
            .values(**row, modified_at=iso(), version_count=assets.c.version_count + 1)
        )
        if not found.rowcount:
            raise Refusal(
                404, {"error": "Asset matching query does not exist.", "error_type": "DoesNotExist"}
            )
    else:
        row["asset_type"] = "block" if request.library else "survey"
        uid = add_asset(connection, row, owner)
    told = {
        "uid": uid,
        "kind": "asset",
        "summary": imported.summary,
        "owner__username": owner,
    }
    return {"updated" if request.destination else "created": [told]}


def add_asset(connection: Connection, row: Mapping[str, Any], owner: str) -> str:
    """Add an asset that was never deployed; its uid."""
    uid, now = new_uid("a"), iso()
    standing = {
        "uid": uid,
        "owner": owner,
        "settings": orjson.dumps(EMPTY_SETTINGS).decode(),
        "version_count": 1,
        "created_at": now,
        "modified_at": now,
        "active": False,
        "submission_count": 0,
    }
    connection.execute(insert(assets), {**standing, **row})
    return uid


def add_draft(connection: Connection, changes: Mapping[str, Any], owner: str) -> str:
    """Add an empty survey, for an import to fill; `changes` may hold name and settings. Its uid."""
    row = {
        "name": "",
        "form_id": "",
        "asset_type": "survey",
        "summary": orjson.dumps(summary(NO_CONTENT)).decode(),
        "content": orjson.dumps(NO_CONTENT).decode(),
        "content_hash": hashlib.sha256(b"").hexdigest()[:40],
        "version_id": new_uid("v"),
        "workbook": b"",
    }
    return add_asset(connection, {**row, **changes}, owner)
