"""Imports and deployments: what happens to a workbook between its upload and the phones.

An import makes or replaces an asset and is done in the background; a deployment converts the
workbook by pyxform and freezes the media list. Both are slow, so they run in a thread and touch the
database only to read their input and, through the inbox, to store their result.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
import uuid
from collections.abc import Coroutine
from typing import Any

import orjson
from sqlalchemy import Connection, delete, insert, select, update

from forms.problems import Problem
from forms.xlsform import to_xform
from server.answers import Refusal
from server.content import DuplicateName, Imported, read_workbook
from server.house import House
from server.schema import assets, deployed_media, deployments, imports, media
from server.store import utc_now

__all__ = ["Publisher", "deploy", "iso", "new_uid", "set_active"]

log = logging.getLogger("watphon.server")

NOTHING_SENT = "ImportTask data must contain `base64Encoded`, `url`, or `single_xls_url`"
EMPTY_SETTINGS = {
    "sector": {},
    "country": [],
    "description": "",
    "organization": "",
    "country_codes": [],
}


def new_uid(prefix: str) -> str:
    """An identifier of KoboToolbox's kind: a letter and 21 or more letters and digits."""
    alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    return prefix + "".join(secrets.choice(alphabet) for _ in range(21))


def iso() -> str:
    """Now, as KoboToolbox writes moments."""
    return utc_now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")


class Publisher:
    """The imports that are under way."""

    def __init__(self) -> None:
        self.tasks: set[asyncio.Task[None]] = set()
        self.turn = asyncio.Semaphore(1)

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Let an import go on after its request has been answered."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def stop(self) -> None:
        """Let the imports under way finish."""
        if self.tasks:
            await asyncio.wait(self.tasks, timeout=20)

    async def import_form(
        self, house: House, uid: str, owner: str, workbook: bytes | None, request: ImportRequest
    ) -> None:
        """Do one import and record how it went."""
        async with self.turn:
            try:
                if workbook is None:
                    raise Refusal(400, {"error": NOTHING_SENT, "error_type": "Exception"})
                imported = await asyncio.to_thread(read_workbook, workbook, request.name)
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
                log.error("an import failed: %s", type(error).__name__)
                status = "error"
                messages = {"error": "The import failed.", "error_type": type(error).__name__}
            house.catalogue.changed()
            await house.inbox.run(lambda connection: record(connection, uid, status, messages))


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
    now = iso()
    row: dict[str, Any] = {
        "name": imported.name,
        "form_id": imported.form_id,
        "summary": orjson.dumps(imported.summary).decode(),
        "content": orjson.dumps(imported.content).decode(),
        "content_hash": imported.content_hash,
        "version_id": new_uid("v"),
        "modified_at": now,
        "workbook": workbook,
    }
    if request.destination:
        uid = request.destination.rstrip("/").rpartition("/")[2].removesuffix(".json")
        found = connection.execute(
            update(assets)
            .where(assets.c.uid == uid)
            .values(**row, version_count=assets.c.version_count + 1)
        )
        if not found.rowcount:
            raise Refusal(
                404, {"error": "Asset matching query does not exist.", "error_type": "DoesNotExist"}
            )
    else:
        uid = new_uid("a")
        row |= {
            "uid": uid,
            "owner": owner,
            "asset_type": "block" if request.library else "survey",
            "settings": orjson.dumps(EMPTY_SETTINGS).decode(),
            "version_count": 1,
            "created_at": now,
            "active": False,
            "submission_count": 0,
        }
        connection.execute(insert(assets), row)
    told = {
        "uid": uid,
        "kind": "asset",
        "summary": imported.summary,
        "owner__username": owner,
    }
    return {"updated" if request.destination else "created": [told]}


async def deploy(house: House, uid: str, version_id: str | None) -> None:
    """Bring the asset's present content and media to the phones, as a new version.

    `version_id`, where given, must be the asset's present one. Raises `Refusal` with pyxform's
    words.
    """

    def converted() -> tuple[Any, str, str]:
        with house.store.read() as connection:
            asset = connection.execute(select(assets).where(assets.c.uid == uid)).one_or_none()
            if asset is None:
                raise Refusal(404, "Not found.")
            number = len(
                connection.execute(
                    select(deployments.c.id).where(deployments.c.asset_id == asset.id)
                ).all()
            )
        if version_id is not None and version_id != asset.version_id:
            raise stale(asset.version_id)
        if asset.asset_type != "survey":
            raise Refusal(
                400, {"error": "A block cannot be deployed; import it with library=false."}
            )
        version = f"{number + 1} ({utc_now():%Y-%m-%d %H:%M:%S})"
        try:
            xform, _ = to_xform(asset.workbook, form_id=uid, version=version)
        except Problem as problem:
            raise Refusal(400, {"error": problem.findings[0].what}) from problem
        return asset, version, xform

    asset, version, xform = await asyncio.to_thread(converted)
    gone = await house.inbox.run(
        lambda connection: store_deployment(connection, asset, version, xform)
    )
    house.catalogue.changed()
    await house.inbox.forget(gone)


def store_deployment(connection: Connection, asset: Any, version: str, xform: str) -> list[str]:
    """Record a deployment and freeze the media list; the contents the earlier list named."""
    present = connection.execute(
        select(assets.c.version_id).where(assets.c.id == asset.id)
    ).scalar_one_or_none()
    if present is None:
        raise Refusal(404, "Not found.")
    if present != asset.version_id:
        raise stale(present)
    now, number = iso(), int(version.partition(" ")[0])
    if connection.execute(
        select(deployments.c.id).where(
            deployments.c.asset_id == asset.id, deployments.c.number == number
        )
    ).first():
        raise Refusal(409, "The form was deployed by someone else meanwhile; look and try again.")
    connection.execute(
        insert(deployments),
        {
            "asset_id": asset.id,
            "number": number,
            "version_id": asset.version_id,
            "version": version,
            "content_hash": asset.content_hash,
            "md5": hashlib.md5(xform.encode(), usedforsecurity=False).hexdigest(),
            "created_at": now,
            "xform": xform,
            "workbook": asset.workbook,
        },
    )
    earlier = select(deployed_media.c.digest).where(deployed_media.c.asset_id == asset.id)
    gone = list(connection.execute(earlier).scalars())
    connection.execute(delete(deployed_media).where(deployed_media.c.asset_id == asset.id))
    rows = connection.execute(
        select(media).where(media.c.asset_id == asset.id).order_by(media.c.id)
    ).all()
    for row in rows:
        connection.execute(
            insert(deployed_media),
            {
                "asset_id": asset.id,
                "name": row.name,
                "media_type": row.media_type,
                "digest": row.digest,
                "md5": row.md5,
            },
        )
    connection.execute(
        update(assets)
        .where(assets.c.id == asset.id)
        .values(
            deployment_uuid=asset.deployment_uuid or uuid.uuid4().hex,
            deployed_version_id=asset.version_id,
            deployed_at=now,
            modified_at=now,
            active=True,
        )
    )
    return gone


async def set_active(house: House, uid: str, active: bool) -> None:
    """Archive a form or bring it back; not a redeployment."""
    await house.inbox.run(
        lambda connection: (
            connection.execute(
                update(assets).where(assets.c.uid == uid).values(active=active, modified_at=iso())
            ).rowcount
        )
    )
    house.catalogue.changed()


def stale(present: str) -> Refusal:
    return Refusal(409, {"version_id": [f"is no longer the asset's version, which is {present}"]})
