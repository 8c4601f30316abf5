"""The phones' door: form list, form, media, submission (OpenRosa 1.0).

https://docs.getodk.org/openrosa/ . The same addresses stand under `/key/KEY/`, where the key signs
the phone in; every address in an answer then carries the key too.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any
from xml.sax.saxutils import escape

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from server.answers import Refusal, phone, saved_file, xml_answer
from server.house import house_of, phone_url
from server.phones.submitting import submission_head, submission_post
from server.state.schema import assets, deployed_media, deployments

__all__ = ["routes"]

LIST = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<xforms xmlns="http://openrosa.org/xforms/xformsList">{}</xforms>\n'
)
LISTED = (
    "<xform><formID>{uid}</formID><name>{name}</name><majorMinorVersion>{version}"
    "</majorMinorVersion><version>{version}</version><hash>md5:{md5}</hash>"
    "<descriptionText>{name}</descriptionText>"
    "<downloadUrl>{base}/forms/{pk}/form.xml</downloadUrl>{manifest}</xform>"
)
MANIFEST_URL = "<manifestUrl>{base}/xformsManifest/{pk}</manifestUrl>"
MANIFEST = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<manifest xmlns="http://openrosa.org/xforms/xformsManifest">{}</manifest>\n'
)
MEDIA_FILE = (
    "<mediaFile><filename>{name}</filename><hash>md5:{md5}</hash>"
    "<downloadUrl>{base}/xformsMedia/{pk}/{id}{suffix}</downloadUrl></mediaFile>"
)


async def form_list(request: Request) -> Response:
    """GET /formList, optionally ?formID=…: the active forms."""
    house = house_of(request)
    await house.doorkeeper.phone_visitor(request)
    wanted = request.query_params.get("formID")
    base = phone_url(request)

    def listed() -> str:
        newest = deployments.alias()
        query = (
            select(
                assets.c.id, assets.c.uid, assets.c.name, deployments.c.version, deployments.c.md5
            )
            .join(deployments, deployments.c.asset_id == assets.c.id)
            .where(
                assets.c.active.is_(True),
                ~select(newest.c.id)
                .where(newest.c.asset_id == assets.c.id, newest.c.number > deployments.c.number)
                .exists(),
            )
            .order_by(assets.c.id)
        )
        if wanted is not None:
            query = query.where(assets.c.uid == wanted)
        with house.store.read() as connection:
            rows = connection.execute(query).all()
            with_media = set(
                connection.execute(select(deployed_media.c.asset_id).distinct()).scalars()
            )
        return "".join(
            LISTED.format(
                uid=row.uid,
                name=xml_text(row.name),
                version=escape(row.version),
                md5=row.md5,
                base=escape(base),
                pk=row.id,
                manifest=MANIFEST_URL.format(base=escape(base), pk=row.id)
                if row.id in with_media
                else "",
            )
            for row in rows
        )

    return xml_answer(LIST.format(await asyncio.to_thread(listed)))


async def form_xml(request: Request) -> Response:
    """GET /forms/{pk}/form.xml: the newest deployed XForm."""
    house = house_of(request)
    await house.doorkeeper.phone_visitor(request)
    pk = request.path_params["pk"]

    def xform() -> str | None:
        with house.store.read() as connection:
            return connection.execute(
                select(deployments.c.xform)
                .join(assets, assets.c.id == deployments.c.asset_id)
                .where(assets.c.id == pk, assets.c.active.is_(True))
                .order_by(deployments.c.number.desc())
                .limit(1)
            ).scalar_one_or_none()

    document = await asyncio.to_thread(xform)
    if document is None:
        raise Refusal(404, "Not found.")
    return xml_answer(document)


async def manifest(request: Request) -> Response:
    """GET /xformsManifest/{pk}: the media as they were at the last deployment."""
    house = house_of(request)
    await house.doorkeeper.phone_visitor(request)
    pk, base = request.path_params["pk"], phone_url(request)

    def listed() -> str | None:
        with house.store.read() as connection:
            active = connection.execute(
                select(assets.c.active).where(assets.c.id == pk)
            ).scalar_one_or_none()
            rows = connection.execute(
                select(deployed_media)
                .where(deployed_media.c.asset_id == pk)
                .order_by(deployed_media.c.id)
            ).all()
        if not active:
            return None
        return "".join(
            MEDIA_FILE.format(
                name=xml_text(row.name),
                md5=row.md5,
                base=escape(base),
                pk=pk,
                id=row.id,
                suffix=suffix(row.name),
            )
            for row in rows
        )

    files = await asyncio.to_thread(listed)
    if files is None:
        raise Refusal(404, "Not found.")
    return xml_answer(MANIFEST.format(files))


async def media_file(request: Request) -> Response:
    """GET /xformsMedia/{pk}/{file}: one file of the manifest; the name begins with its number."""
    house = house_of(request)
    await house.doorkeeper.phone_visitor(request)
    pk = request.path_params["pk"]
    number = request.path_params["file"].partition(".")[0]
    if not number.isascii() or not number.isdigit() or len(number) > 12:
        raise Refusal(404, "Not found.")

    def found() -> Any:
        with house.store.read() as connection:
            return connection.execute(
                select(deployed_media).where(
                    deployed_media.c.asset_id == pk, deployed_media.c.id == int(number)
                )
            ).one_or_none()

    row = await asyncio.to_thread(found)
    if row is None:
        raise Refusal(404, "Not found.")
    return saved_file(request, house.blobs.path(row.digest), row.name, row.media_type)


def suffix(name: str) -> str:
    """The ending of a file name, where it is a harmless one."""
    found = re.search(r"\.[A-Za-z0-9]{1,8}$", name)
    return found[0] if found else ""


def xml_text(value: str) -> str:
    """Text of an XML document; characters XML cannot hold are dropped."""
    return escape("".join(c for c in value if c.isprintable()))


def routes() -> list[Route | Mount]:
    """The OpenRosa addresses, plain and under a phone's key."""
    addresses = [
        Route("/submission", phone(submission_post), methods=["POST"]),
        Route("/submission", phone(submission_head), methods=["HEAD"]),
        Route("/formList", phone(form_list)),
        Route("/forms/{pk:int}/form.xml", phone(form_xml)),
        Route("/xformsManifest/{pk:int}", phone(manifest)),
        Route("/xformsMedia/{pk:int}/{file}", phone(media_file)),
    ]
    return [*addresses, Mount("/key/{key}", routes=addresses)]
