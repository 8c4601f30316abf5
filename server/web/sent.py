"""A record that was sent before, for its sender to correct: its XML and its files.

Open to whoever may send corrections: the phone by whose key the record came, an account that sent
it, and one that may read whole rows of its province. After 30 days, or when it has been deleted,
it is refused in words. Of a record that was corrected since, the present version is given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import orjson
from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import Response

from forms.words import mark
from server.answers import Refusal, json_answer, saved_file
from server.house import House, house_of
from server.people.rights import Right, Visitor
from server.state.schema import attachments, documents, submissions
from server.times import utc_now
from server.web.finding import base_of, find, visitor_of

__all__ = ["sent_file", "sent_record", "sent_xml"]

LONGEST = timedelta(days=30)
MAY_NOT = mark(
    "A sent form cannot be corrected by this link. Ask the person who gave you the link."
)
NOT_YOURS = mark("This form was sent by somebody else. Ask the province team to correct it.")
GONE = mark("This form is no longer on the server.")
TOO_OLD = mark("This form was sent more than 30 days ago. Ask the province team to correct it.")
NO_FILE = mark("This file is no longer on the server.")


@dataclass(frozen=True, slots=True)
class Sent:
    """The present version of a sent record; `files` maps names to the contents' uids."""

    submission_id: int
    instance_id: str
    version: str
    xml: bytes
    files: Mapping[str, str]


def sent(connection: Connection, request: Request, visitor: Visitor, now: datetime) -> Sent:
    """The record the address means. Raises `Refusal` 403, 404, 410 with the reason."""
    form = find(connection, request.path_params["form"], visitor)
    if not visitor.may(Right.CORRECT):
        raise Refusal(403, MAY_NOT)
    asked = request.path_params["instance"].removeprefix("uuid:")
    row = connection.execute(
        select(submissions)
        .join(documents, documents.c.submission_id == submissions.c.id)
        .where(documents.c.asset_id == form.asset_id, documents.c.instance_id == asked)
    ).one_or_none()
    if row is None:
        raise Refusal(410, GONE)
    own = row.submitter == visitor.name and (
        row.province is None or visitor.sees_province(row.province)
    )
    by_place = visitor.may(Right.ROWS) and visitor.sees_province(row.province)
    if not own and not by_place:
        raise Refusal(403, NOT_YOURS)
    if now - datetime.fromisoformat(row.submitted_at).replace(tzinfo=UTC) > LONGEST:
        raise Refusal(410, TOO_OLD)
    xml = connection.execute(
        select(documents.c.xml).where(documents.c.id == row.document_id)
    ).scalar_one()
    listed: list[dict[str, Any]] = orjson.loads(row.attachments)
    return Sent(
        row.id, row.instance_id, form.version, xml, {one["name"]: one["uid"] for one in listed}
    )


async def looked_up(request: Request) -> tuple[House, Sent]:
    """The record, read beside the event loop."""
    house, visitor = house_of(request), await visitor_of(request)

    def read() -> Sent:
        with house.store.read() as connection:
            return sent(connection, request, visitor, utc_now())

    return house, await asyncio.to_thread(read)


async def sent_record(request: Request) -> Response:
    """GET {base}/f/{form}/sent/{instance}: where the XML and the files of a record are."""
    _, record = await looked_up(request)
    here = "/".join(
        quote(step, safe="")
        for step in (request.path_params["form"], "sent", f"uuid:{record.instance_id}")
    )
    here = f"{base_of(request)}/f/{here}"
    return json_answer(
        {
            "instanceID": f"uuid:{record.instance_id}",
            "xml": f"{here}/submission.xml",
            "files": {name: f"{here}/files/{quote(name, safe='')}" for name in record.files},
        }
    )


async def sent_xml(request: Request) -> Response:
    """GET {base}/f/{form}/sent/{instance}/submission.xml: the document as it came."""
    _, record = await looked_up(request)
    return Response(record.xml, media_type="text/xml")


async def sent_file(request: Request) -> Response:
    """GET {base}/f/{form}/sent/{instance}/files/{name}: one of its files."""
    house, record = await looked_up(request)
    name = request.path_params["name"]
    uid = record.files.get(name)
    if uid is None:
        raise Refusal(404, NO_FILE)

    def content() -> Any:
        with house.store.read() as connection:
            return connection.execute(
                select(attachments.c.digest, attachments.c.media_type).where(
                    attachments.c.uid == uid
                )
            ).one()

    row = await asyncio.to_thread(content)
    path = await asyncio.to_thread(house.blobs.path, row.digest)
    return saved_file(request, path, name, row.media_type)
