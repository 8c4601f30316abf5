"""KoboToolbox API v2: what is fetched as a file: a form, an instance document, an attachment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Connection, select
from starlette.requests import Request
from starlette.responses import Response

from server.answers import XML, Refusal, saved_file, saving
from server.house import House, house_of
from server.kobo.data import deployed_asset, find_row
from server.kobo.deploying import converted, no_content
from server.kobo.rows import SIZES
from server.kobo.sight import reader, sight_of
from server.state.schema import assets, attachments, deployments, documents, submissions

__all__ = ["asset_xls", "asset_xml", "attachment", "attachment_by_question", "row_xml"]

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


async def read(house: House, find: Callable[[Connection], Any]) -> Any:
    """What `find` finds, in its own view of the database; None becomes `Refusal` 404."""

    def found() -> Any:
        with house.store.read() as connection:
            return find(connection)

    row = await asyncio.to_thread(found)
    if row is None:
        raise Refusal(404, "Not found.")
    return row


async def asset_xml(request: Request) -> Response:
    """GET assets/{uid}.xml: the deployed XForm; before the first deployment, what would be."""
    house = house_of(request)
    await reader(request)
    uid = request.path_params["uid"]

    def find(connection: Connection) -> Any:
        deployed = (
            select(deployments.c.xform)
            .where(deployments.c.asset_id == assets.c.id)
            .order_by(deployments.c.number.desc())
            .limit(1)
            .scalar_subquery()
        )
        query = select(assets.c.uid, assets.c.workbook, deployed.label("xform"))
        return connection.execute(query.where(assets.c.uid == uid)).one_or_none()

    row = await read(house, find)
    xform = row.xform
    if xform is None:
        await house.manager(request)  # converting is slow work, and nobody else's business yet
        _, xform = await asyncio.to_thread(converted, row, 1)
    return Response(xform, headers=saving(f"{uid}.xml"), media_type=XML)


async def asset_xls(request: Request) -> Response:
    """GET assets/{uid}.xls: the workbook as it was imported last."""
    house = house_of(request)
    await reader(request)
    uid = request.path_params["uid"]
    query = select(assets.c.workbook).where(assets.c.uid == uid)
    workbook = await read(house, lambda connection: connection.scalar(query))
    if not workbook:
        raise no_content()
    return Response(workbook, headers=saving(f"{uid}.xlsx"), media_type=XLSX)


async def row_xml(request: Request) -> Response:
    """GET assets/{uid}/data/{_id or uuid}.xml: the present version, byte for byte as it came.

    It cannot be told in part: whoever may not see all of it hears 403.
    """
    house, sight = house_of(request), await sight_of(request)
    if sight.shown is not None:
        raise Refusal(403, "A whole document says who it is about; read the rows instead.")
    name = request.path_params["row"]

    def find(connection: Connection) -> Any:
        found = deployed_asset(connection, request.path_params["uid"])
        return connection.scalar(
            select(documents.c.xml)
            .join(submissions, submissions.c.document_id == documents.c.id)
            .where(submissions.c.id == find_row(connection, found.id, name, sight.rows))
        )

    document = await read(house, find)
    return Response(document, headers=saving(f"{name}.xml"), media_type=XML)


async def attachment(request: Request) -> Response:
    """GET assets/{uid}/data/{row}/attachments/{file}/, at any size: the file as it was sent."""
    return await sent_file(request, attachments.c.uid == request.path_params["file"])


async def attachment_by_question(request: Request) -> Response:
    """GET assets/{uid}/data/{row}/attachments/?xpath=…: the file that answers a question."""
    xpath = request.query_params.get("xpath")
    await reader(request)
    if not xpath:
        raise Refusal(400, "`xpath` query parameter is required")
    return await sent_file(request, attachments.c.question == xpath)


async def sent_file(request: Request, clause: ColumnElement[bool]) -> Response:
    house, sight = house_of(request), await sight_of(request)
    if request.path_params.get("size", "small") not in SIZES:
        raise Refusal(404, "Not found.")

    def find(connection: Connection) -> Any:
        found = deployed_asset(connection, request.path_params["uid"])
        number = find_row(connection, found.id, request.path_params["row"], sight.rows)
        return connection.execute(
            select(attachments)
            .where(attachments.c.submission_id == number, clause)
            .order_by(attachments.c.id.desc())
            .limit(1)
        ).one_or_none()

    row = await read(house, find)
    if not sight.shows(row.question):
        raise Refusal(403, "This file answers a personal question.")
    path = await asyncio.to_thread(house.blobs.path, row.digest)
    return saved_file(request, path, row.name, row.media_type)
