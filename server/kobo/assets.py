"""KoboToolbox API v2: the list of assets and one asset, as recorded."""

from __future__ import annotations

import asyncio
from typing import Any
from urllib.parse import urlencode

import orjson
from sqlalchemy import ColumnElement, Connection, delete, func, select, update
from starlette.requests import Request
from starlette.responses import Response

from server.answers import Refusal, json_answer
from server.house import House, base_url, house_of
from server.kobo.files import file_json
from server.kobo.importing import EMPTY_SETTINGS
from server.kobo.search import read_search, search_refused
from server.kobo.sight import reader
from server.people.audit import Action, log
from server.people.rights import Right
from server.state.schema import (
    assets,
    attachments,
    deployed_media,
    deployments,
    media,
    submissions,
)
from server.times import iso
from server.uploads import read_json

__all__ = ["asset", "asset_list", "page_links", "patched", "read_asset", "whole"]

LISTED = [column for column in assets.c if column.name not in ("content", "workbook")]
ORDERS = {
    "name": assets.c.name,
    "uid": assets.c.uid,
    "date_created": assets.c.created_at,
    "date_modified": assets.c.modified_at,
}
SEARCHED = {
    "name": assets.c.name,
    "uid": assets.c.uid,
    "asset_type": assets.c.asset_type,
    "owner__username": assets.c.owner,
}


async def asset_list(request: Request) -> Response:
    """GET assets/: `limit`, `start`, `q`, `ordering`; without credentials an empty list."""
    house = house_of(request)
    visitor = await house.doorkeeper.api_visitor(request)
    if visitor is None or not (visitor.may(Right.ROWS) or visitor.may(Right.ANSWERS)):
        return json_answer({"count": 0, "next": None, "previous": None, "results": []})
    start, limit = whole(request, "start", 0, 0), whole(request, "limit", 100, 1)
    clause = read_search(request.query_params.get("q", ""), searched)
    wanted = request.query_params.get("ordering", "-date_modified")
    column = ORDERS.get(wanted.removeprefix("-"))
    if column is None:
        raise Refusal(400, {"ordering": f"Known are {', '.join(ORDERS)}, each also with - before."})
    order = column.desc() if wanted.startswith("-") else column.asc()

    def read() -> tuple[int, list[dict[str, Any]]]:
        with house.store.read() as connection:
            total = connection.execute(
                select(func.count()).select_from(assets).where(clause)
            ).scalar_one()
            rows = connection.execute(
                select(*LISTED)
                .where(clause)
                .order_by(order, assets.c.id)
                .limit(min(limit, 1000))
                .offset(start)
            ).all()
            return total, [asset_json(row, base_url(request)) for row in rows]

    total, results = await asyncio.to_thread(read)
    return json_answer({**page_links(request, total, start, limit), "results": results})


def searched(field: str, value: str) -> ColumnElement[bool]:
    """What a term of the `q` parameter means; a word without a field is looked for in the name."""
    if not field:
        if len(value) < 3:
            raise Refusal(400, {"detail": "Your query is too short; use 3 characters or more."})
        return assets.c.name.icontains(value, autoescape=True)
    name = field.removesuffix("__icontains")
    if name in SEARCHED:
        column = SEARCHED[name]
        return column == value if name == field else column.icontains(value, autoescape=True)
    if field == "_deployment_data__active":
        return assets.c.active.is_(value.lower() == "true")
    known = ", ".join([*SEARCHED, "_deployment_data__active"])
    raise search_refused(f"{field[:60]} is not known here. Known are {known}.")


def whole(request: Request, name: str, default: int, least: int) -> int:
    """A whole number among the parameters."""
    text = request.query_params.get(name)
    if text is None or text == "":
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 16) or int(text) < least:
        raise Refusal(400, {name: "A positive integer is required"})
    return int(text)


def page_links(request: Request, total: int, start: int, limit: int) -> dict[str, Any]:
    """`count`, `next` and `previous`: the request's own address with another `start`."""
    address = base_url(request) + request.url.path
    params = dict(request.query_params)

    def link(at: int) -> str:
        changed = {**params, "limit": str(limit), **({"start": str(at)} if at > 0 else {})}
        if at <= 0:
            changed.pop("start", None)
        return f"{address}?{urlencode(sorted(changed.items()))}"

    return {
        "count": total,
        "next": link(start + limit) if start + limit < total else None,
        "previous": link(start - limit) if start > 0 else None,
    }


def asset_json(row: Any, base: str) -> dict[str, Any]:
    """An asset as KoboToolbox shows it in lists: everything but `content`."""
    url = f"{base}/api/v2/assets/{row.uid}/"
    status = "draft" if row.deployed_version_id is None else "deployed"
    if status == "deployed" and not row.active:
        status = "archived"
    return {
        "url": url,
        "uid": row.uid,
        "kind": "asset",
        "asset_type": row.asset_type,
        "name": row.name,
        "form_id": row.form_id,
        "owner": f"{base}/api/v2/users/{row.owner}/",
        "owner__username": row.owner,
        "parent": None,
        "settings": orjson.loads(row.settings),
        "summary": orjson.loads(row.summary),
        "date_created": row.created_at,
        "date_modified": row.modified_at,
        "date_deployed": row.deployed_at,
        "version_id": row.version_id,
        "version__content_hash": row.content_hash,
        "version_count": row.version_count,
        "has_deployment": row.deployed_version_id is not None,
        "deployed_version_id": row.deployed_version_id,
        "deployment__active": bool(row.active),
        "deployment__uuid": row.deployment_uuid,
        "deployment__submission_count": row.submission_count,
        "deployment__last_submission_time": row.last_submission_at,
        "deployment_status": status,
        "deployment__encrypted": False,
        "data": f"{url}data/",
        "downloads": [
            {"format": ending, "url": f"{url[:-1]}.{ending}"} for ending in ("xls", "xml")
        ],
        "status": "private",
        "tag_string": "",
    }


def whole_asset(connection: Connection, uid: str, base: str) -> dict[str, Any]:
    """One asset with its content, files and deployed versions; raises `Refusal` 404."""
    row = connection.execute(select(assets).where(assets.c.uid == uid)).one_or_none()
    if row is None:
        raise Refusal(404, "Not found.")
    made = asset_json(row, base)
    files = connection.execute(select(media).where(media.c.asset_id == row.id).order_by(media.c.id))
    made["files"] = [file_json(file, row.uid, row.owner, base) for file in files]
    versions = connection.execute(
        select(
            deployments.c.version_id,
            deployments.c.content_hash,
            deployments.c.created_at,
            deployments.c.number,
        )
        .where(deployments.c.asset_id == row.id)
        .order_by(deployments.c.number.desc())
    ).all()
    made["deployed_versions"] = {
        "count": len(versions),
        "next": None,
        "previous": None,
        "results": [
            {
                "uid": version.version_id,
                "url": f"{made['url']}versions/{version.version_id}/",
                "content_hash": version.content_hash,
                "date_deployed": version.created_at,
                "date_modified": version.created_at,
                "version_number": str(version.number),
            }
            for version in versions
        ],
    }
    made["content"] = orjson.loads(row.content)
    return made


async def asset(request: Request) -> Response:
    """GET, PATCH (name, settings) and DELETE assets/{uid}/."""
    house = house_of(request)
    reading = request.method in ("GET", "HEAD")
    visitor = await (reader(request) if reading else house.manager(request))
    uid, base = request.path_params["uid"], base_url(request)
    if request.method == "DELETE":
        digests = await house.inbox.run(lambda connection: remove(connection, uid, visitor.name))
        house.catalogue.changed()
        await house.inbox.forget(digests)
        return Response(status_code=204)
    if request.method == "PATCH":
        changes = patched(await read_json(request))
        await house.inbox.run(
            lambda connection: connection.execute(
                update(assets).where(assets.c.uid == uid).values(**changes, modified_at=iso())
            )
        )
        house.catalogue.changed()
    return json_answer(await asyncio.to_thread(read_asset, house, uid, base))


def read_asset(house: House, uid: str, base: str) -> dict[str, Any]:
    """One whole asset, read in its own view of the database; raises `Refusal` 404."""
    with house.store.read() as connection:
        return whole_asset(connection, uid, base)


def patched(given: dict[str, Any]) -> dict[str, Any]:
    """What a PATCH changes; raises `Refusal` 400 for what cannot be changed so."""
    if unknown := sorted(set(given) - {"name", "settings"}):
        words = "Only name and settings can be changed; import a workbook to change the form."
        raise Refusal(400, {unknown[0][:60]: [words]})
    changes: dict[str, Any] = {}
    if "name" in given:
        if not isinstance(given["name"], str) or not 0 < len(given["name"]) <= 255:
            raise Refusal(400, {"name": ["A text of 1 to 255 characters is required."]})
        changes["name"] = given["name"]
    if "settings" in given:
        if not isinstance(given["settings"], dict):
            raise Refusal(400, {"settings": ["A JSON object is required."]})
        changes["settings"] = orjson.dumps({**EMPTY_SETTINGS, **given["settings"]}).decode()
        if len(changes["settings"]) > 100_000:
            raise Refusal(400, {"settings": ["At most 100,000 characters are kept."]})
    return changes


def remove(connection: Connection, uid: str, who: str) -> list[str]:
    """Delete an asset with its data; the contents it may have been the last to name."""
    found = connection.execute(
        select(assets.c.id, assets.c.form_id).where(assets.c.uid == uid)
    ).one_or_none()
    if found is None:
        raise Refusal(404, "Not found.")
    pk = found.id
    log(connection, who=who, action=Action.FORM_DELETED, what=f"{found.form_id} {uid}")
    queries = (
        select(media.c.digest).where(media.c.asset_id == pk),
        select(deployed_media.c.digest).where(deployed_media.c.asset_id == pk),
        select(attachments.c.digest)
        .join(submissions, submissions.c.id == attachments.c.submission_id)
        .where(submissions.c.asset_id == pk),
    )
    digests = [digest for query in queries for digest in connection.execute(query).scalars()]
    connection.execute(delete(assets).where(assets.c.id == pk))
    return digests
