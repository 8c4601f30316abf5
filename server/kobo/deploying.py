"""Deployment: how an asset's content and media reach the phones.

pyxform converts the workbook in a thread, which is slow; the result and the frozen media list are
stored through the inbox, if the asset is still the one that was converted.
"""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from forms.problems import Problem
from server.answers import Refusal
from server.house import House
from server.kobo.confined import convert_apart
from server.people.audit import Action, log
from server.state.schema import assets, deployed_media, deployments, media
from server.times import iso, utc_now

__all__ = ["converted", "deploy", "no_content", "set_active"]


async def deploy(house: House, uid: str, version_id: str | None, *, who: str) -> None:
    """Bring the asset's present content and media to the phones, as a new version.

    `version_id`, where given, must be the asset's present one. Raises `Refusal` with pyxform's
    words.
    """

    def prepared() -> tuple[Any, str, str]:
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
        return asset, *converted(asset, number + 1)

    asset, version, xform = await asyncio.to_thread(prepared)

    def store(connection: Connection) -> list[str]:
        gone = store_deployment(connection, asset, version, xform)
        log(connection, who=who, action=Action.FORM_PUBLISHED, what=f"{asset.form_id} {version}")
        return gone

    gone = await house.inbox.run(store)
    house.catalogue.changed()
    await house.inbox.forget(gone)


def converted(asset: Any, number: int) -> tuple[str, str]:
    """Version and XForm of an asset's workbook as its deployment `number`; slow.

    Raises `Refusal` 400 with pyxform's words, or when there is no workbook yet.
    """
    if not asset.workbook:
        raise no_content()
    version = f"{number} ({utc_now():%Y-%m-%d %H:%M:%S})"
    try:
        xform = convert_apart(asset.workbook, form_id=asset.uid, version=version)
    except Problem as problem:
        raise Refusal(400, {"error": problem.findings[0].what}) from problem
    return version, xform


def no_content() -> Refusal:
    """An asset that was made empty and has had no import."""
    words = "The form has no content yet: import a workbook into it (POST /api/v2/imports/)."
    return Refusal(400, {"error": words})


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


async def set_active(house: House, uid: str, active: bool, *, who: str) -> None:
    """Archive a form or bring it back; not a redeployment."""

    def set_it(connection: Connection) -> None:
        mine = assets.c.uid == uid
        connection.execute(update(assets).where(mine).values(active=active, modified_at=iso()))
        form_id = connection.execute(select(assets.c.form_id).where(mine)).scalar() or uid
        action = Action.FORM_OPENED if active else Action.FORM_CLOSED
        log(connection, who=who, action=action, what=form_id)

    await house.inbox.run(set_it)
    house.catalogue.changed()


def stale(present: str) -> Refusal:
    return Refusal(409, {"version_id": [f"is no longer the asset's version, which is {present}"]})
