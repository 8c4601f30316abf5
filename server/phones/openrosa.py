"""The phones' door: form list, form, media, submission (OpenRosa 1.0).

https://docs.getodk.org/openrosa/ . The same addresses stand under `/key/KEY/`, where the key signs
the phone in; every address in an answer then carries the key too. What ODK Collect and KoboCollect
make of the answers was read in Collect's `Kxml2OpenRosaResponseParser` and `OkHttpConnection`.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from typing import Any
from xml.sax.saxutils import escape

from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from server.answers import Refusal, Straight, phone
from server.house import House, house_of, phone_url
from server.people.rights import Visitor
from server.phones.scope import Offered, offered, refuse_form
from server.phones.sending import media, sent
from server.phones.submitting import submission_head, submission_post
from server.state.schema import assets, deployed_media, deployments
from server.web.devices import told, told_device

__all__ = ["busiest", "routes"]

LIST = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<xforms xmlns="http://openrosa.org/xforms/xformsList">{}</xforms>\n'
)
LISTED = (
    "<xform><formID>{uid}</formID><name>{name}</name><version>{version}</version>"
    "<hash>md5:{md5}</hash>{description}"
    "<downloadUrl>{base}/forms/{pk}{number}/form.xml</downloadUrl>{manifest}</xform>"
)
DESCRIPTION = "<descriptionText>{name}</descriptionText>"
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
    """GET /formList: the open forms that the visitor may fill in.

    `?formID=` names one, `?verbose=true` adds descriptions, `?listAllVersions=` gives every version
    that was ever deployed. https://docs.getodk.org/openrosa-form-list/
    """
    house = house_of(request)
    visitor = await house.doorkeeper.phone_visitor(request)
    asked, base = request.query_params, phone_url(request)

    def listed() -> str:
        with house.store.read() as connection:
            return listing(
                connection,
                visitor,
                base,
                wanted=asked.get("formID"),
                verbose=asked.get("verbose") == "true",
                every_version="listAllVersions" in asked,
            )

    document = LIST.format(await asyncio.to_thread(listed))
    told(request, visitor, told_device(request), sent=False)
    return await xml(request, document)


def listing(
    connection: Connection,
    visitor: Visitor,
    base: str,
    *,
    wanted: str | None,
    verbose: bool,
    every_version: bool,
) -> str:
    """The `xform` elements of a list, in the order the forms were made."""
    query = (
        select(
            assets.c.id,
            assets.c.uid,
            assets.c.name,
            assets.c.form_id,
            deployments.c.number,
            deployments.c.version,
            deployments.c.md5,
        )
        .join(deployments, deployments.c.asset_id == assets.c.id)
        .where(assets.c.active.is_(True))
        .order_by(assets.c.id, deployments.c.number.desc())
    )
    if wanted is not None:
        query = query.where(assets.c.uid == wanted)
    rows = connection.execute(query).all()
    with_media = set(connection.execute(select(deployed_media.c.asset_id).distinct()).scalars())
    entries: list[str] = []
    seen: set[int] = set()
    for row in rows:
        old = row.id in seen
        seen.add(row.id)
        if (old and not every_version) or not visitor.sees_form(row.form_id):
            continue
        name, pk = xml_text(row.name), row.id
        entries.append(
            LISTED.format(
                uid=row.uid,
                name=name,
                version=escape(row.version),
                md5=row.md5,
                base=escape(base),
                pk=pk,
                number=f"/{row.number}" if old else "",
                description=DESCRIPTION.format(name=name) if verbose else "",
                manifest=MANIFEST_URL.format(base=escape(base), pk=pk) if pk in with_media else "",
            )
        )
    return "".join(entries)


async def form_xml(request: Request) -> Response:
    """GET /forms/{pk}/form.xml: the newest deployed XForm; with a number before the last step, the
    one of that deployment."""
    house = house_of(request)
    visitor = await house.doorkeeper.phone_visitor(request)
    pk, number = request.path_params["pk"], request.path_params.get("number")

    def xform() -> Any:
        query = (
            select(deployments.c.xform, deployments.c.md5)
            .where(deployments.c.asset_id == pk)
            .order_by(deployments.c.number.desc())
            .limit(1)
        )
        if number is not None:
            query = query.where(deployments.c.number == number)
        with house.store.read() as connection:
            refuse_unopened(connection, pk, visitor)
            return connection.execute(query).one_or_none()

    found = await asyncio.to_thread(xform)
    if found is None:
        raise Refusal(404, "Not found.")
    return await sent(request, found.xform.encode(), found.md5)


async def manifest(request: Request) -> Response:
    """GET /xformsManifest/{pk}: the media as they were at the last deployment."""
    house = house_of(request)
    visitor = await house.doorkeeper.phone_visitor(request)
    pk, base = request.path_params["pk"], phone_url(request)
    files = await asyncio.to_thread(files_of, house, pk, visitor)
    entries = (
        MEDIA_FILE.format(
            name=xml_text(file.name),
            md5=file.md5,
            base=escape(base),
            pk=pk,
            id=file.id,
            suffix=suffix(file.name),
        )
        for file in files
    )
    return await xml(request, MANIFEST.format("".join(entries)))


async def media_file(request: Request) -> Response:
    """GET /xformsMedia/{pk}/{file}: one file of the manifest; the name begins with its number."""
    house = house_of(request)
    visitor = await house.doorkeeper.phone_visitor(request)
    pk = request.path_params["pk"]
    number = request.path_params["file"].partition(".")[0]
    files = await asyncio.to_thread(files_of, house, pk, visitor)
    found = next((file for file in files if str(file.id) == number), None)
    if found is None:
        raise Refusal(404, "Not found.")
    return await media(request, house, found)


def files_of(house: House, pk: int, visitor: Visitor) -> list[Offered]:
    """The files of an open form; raises `Refusal` 403 or 404 where the visitor may not have it."""
    with house.store.read() as connection:
        refuse_unopened(connection, pk, visitor)
        return offered(house, connection, pk, visitor)


def refuse_unopened(connection: Connection, pk: int, visitor: Visitor) -> None:
    """Raise `Refusal` 404 for a form that is not there or closed, 403 for one of another key."""
    row = connection.execute(
        select(assets.c.active, assets.c.form_id).where(assets.c.id == pk)
    ).one_or_none()
    if row is None or not row.active:
        raise Refusal(404, "Not found.")
    refuse_form(visitor, row.form_id)


async def xml(request: Request, document: str) -> Response:
    """A document with the hash of its bytes as its version."""
    content = document.encode()
    return await sent(request, content, hashlib.md5(content, usedforsecurity=False).hexdigest())


def suffix(name: str) -> str:
    """The ending of a file name, where it is a harmless one."""
    found = re.search(r"\.[A-Za-z0-9]{1,8}$", name)
    return found[0] if found else ""


def xml_text(value: str) -> str:
    """Text of an XML document; characters XML cannot hold are dropped."""
    return escape("".join(c for c in value if c.isprintable()))


def busiest() -> list[Route]:
    """Where nearly all requests go, to stand before all other routes: searching them in their order
    costs a twentieth of the time a submission takes."""
    return [
        Route("/key/{key}/submission", Straight(phone(submission_post)), methods=["POST"]),
        Route("/submission", Straight(phone(submission_post)), methods=["POST"]),
    ]


def routes() -> list[Route | Mount]:
    """The OpenRosa addresses, plain and under a phone's key.

    People write addresses with a slash at the end; a redirect would lose a phone's POST.
    """
    addresses = [
        Route("/submission", phone(submission_post), methods=["POST"]),
        Route("/submission", phone(submission_head), methods=["HEAD"]),
        Route("/submission/", phone(submission_post), methods=["POST"]),
        Route("/submission/", phone(submission_head), methods=["HEAD"]),
        Route("/formList", phone(form_list)),
        Route("/formList/", phone(form_list)),
        Route("/forms/{pk:int}/form.xml", phone(form_xml)),
        Route("/forms/{pk:int}/{number:int}/form.xml", phone(form_xml)),
        Route("/xformsManifest/{pk:int}", phone(manifest)),
        Route("/xformsMedia/{pk:int}/{file}", phone(media_file)),
    ]
    return [*addresses, Mount("/key/{key}", routes=addresses)]
