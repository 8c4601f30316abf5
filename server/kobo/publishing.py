"""KoboToolbox API v2: imports and deployment, as recorded."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
from sqlalchemy import insert, select
from starlette.requests import Request
from starlette.responses import Response

from server.answers import Refusal, json_answer
from server.house import base_url, house_of
from server.kobo.assets import patched, read_asset
from server.kobo.deploying import deploy, set_active
from server.kobo.importing import ImportRequest, add_draft
from server.people.rights import Right
from server.state.schema import imports
from server.state.store import new_uid
from server.times import iso
from server.uploads import decoded, read_fields, read_json

__all__ = ["deployment", "drafted", "import_status", "imported"]


async def drafted(request: Request) -> Response:
    """POST assets/: an empty survey (`name`, `settings`), for an import to fill.

    So a publisher can mark an asset as its own before it sends the first workbook.
    """
    house = house_of(request)
    visitor = await house.manager(request)
    given = await read_json(request)
    kind, content = given.pop("asset_type", None), given.pop("content", None)
    if kind != "survey":
        words = f'"{str(kind)[:60]}" is not a valid choice.' if kind else "This field is required."
        raise Refusal(400, {"asset_type": [words]})
    if content and not (isinstance(content, dict) and not any(content.values())):
        words = "Forms come from workbooks here: leave content out, then import one into the asset."
        raise Refusal(400, {"content": [words]})
    changes = patched(given)
    uid = await house.inbox.run(lambda connection: add_draft(connection, changes, visitor.name))
    found = await asyncio.to_thread(read_asset, house, uid, base_url(request))
    return json_answer(found, 201, {"Location": found["url"]})


async def imported(request: Request) -> Response:
    """POST imports/: form-encoded `base64Encoded` or multipart `file`; the work goes on behind."""
    house = house_of(request)
    visitor = await house.doorkeeper.api_visitor(request)
    if visitor is None or not visitor.may(Right.MANAGE):
        raise Refusal(401, "Authentication credentials were not provided.")
    request.app.state.publisher.refuse_crowd()
    fields, upload = await read_fields(request, house.blobs)
    try:
        workbook, name = None, fields.get("name", "")
        for part, staged in upload.files:
            if part == "file":
                workbook, name = await asyncio.to_thread(staged.path.read_bytes), staged.name
    finally:
        upload.discard()
    if workbook is None and fields.get("base64Encoded"):
        workbook = decoded(fields["base64Encoded"], "base64Encoded")
    uid, now = new_uid(f"i{house.worker}"), iso()
    await house.inbox.run(
        lambda connection: connection.execute(
            insert(imports),
            {
                "uid": uid,
                "owner": visitor.name,
                "status": "processing",
                "messages": "{}",
                "created_at": now,
            },
        )
    )
    asked = ImportRequest(
        fields.get("name") or name or "form.xlsx",
        fields.get("destination", ""),
        library=fields.get("library", "true").lower() not in ("false", "0", "no"),
    )
    publisher = request.app.state.publisher
    publisher.begin(publisher.import_form(house, uid, visitor.name, workbook, asked))
    url = f"{base_url(request)}/api/v2/imports/{uid}/"
    return json_answer({"uid": uid, "url": url, "status": "processing"}, 201)


async def import_status(request: Request) -> Response:
    """GET imports/{uid}/: processing, complete or error, with messages."""
    house = house_of(request)
    await house.manager(request)
    uid = request.path_params["uid"]

    def read() -> Any:
        with house.store.read() as connection:
            return connection.execute(select(imports).where(imports.c.uid == uid)).one_or_none()

    row = await asyncio.to_thread(read)
    if row is None:
        raise Refusal(404, "Not found.")
    return json_answer(
        {
            "status": row.status,
            "uid": row.uid,
            "messages": orjson.loads(row.messages),
            "date_created": row.created_at,
        }
    )


async def deployment(request: Request) -> Response:
    """GET, POST (first), PATCH assets/{uid}/deployment/: `active`, `version_id`."""
    house = house_of(request)
    who = (await house.manager(request)).name
    uid, base = request.path_params["uid"], base_url(request)
    found = await asyncio.to_thread(read_asset, house, uid, base)
    deployed = found["has_deployment"]
    if request.method == "GET":
        if not deployed:
            raise Refusal(404, "Not found.")
        return json_answer(deployment_json(found))
    given = await read_json(request)
    active, version_id = given.get("active"), given.get("version_id")
    if (active is not None and not isinstance(active, bool)) or not isinstance(
        version_id, str | None
    ):
        raise Refusal(400, {"active": ["Must be true or false; version_id is a text."]})
    if request.method == "POST":
        if deployed:
            raise Refusal(405, "Use PATCH to update an existing deployment")
        await deploy(house, uid, version_id, who=who)
        if active is False:
            await set_active(house, uid, False, who=who)
    else:
        if not deployed:
            raise Refusal(405, "Use POST to create new deployment")
        if version_id is not None:
            await deploy(house, uid, version_id, who=who)
        if active is not None and not (active and version_id is not None):
            await set_active(house, uid, active, who=who)
    return json_answer(deployment_json(await asyncio.to_thread(read_asset, house, uid, base)))


def deployment_json(found: dict[str, Any]) -> dict[str, Any]:
    return {
        "backend": "openrosa",
        "active": found["deployment__active"],
        "version_id": found["deployed_version_id"],
        "asset": found,
    }
