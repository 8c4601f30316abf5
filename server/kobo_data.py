"""KoboToolbox API v2: the submissions of a form, in pages.

A page is put together from bytes that were rendered at intake; only what changes (id, validation
status, attachments, moment of change) is put in here. Rows are parsed only when a query or `fields`
asks for something that is not a column.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, func, select
from starlette.requests import Request
from starlette.responses import Response

from server.answers import Refusal, saved_file
from server.house import House, base_url, house_of
from server.kobo_assets import page_links, whole
from server.query import Filter, read_fields, read_query, read_sort
from server.schema import assets, attachments, clock, documents, submissions
from server.signin import Memory

__all__ = ["attachment", "attachment_by_question", "data", "deployed_asset", "find_row", "one_row"]

LARGEST_PAGE = 1000
ALWAYS = ("_uuid", "meta/rootUuid", "_validation_status", "_id")
HEAD = (
    submissions.c.id,
    submissions.c.instance_id,
    submissions.c.root_id,
    submissions.c.submitted_at,
    submissions.c.modified_at,
    submissions.c.submitter,
    submissions.c.status,
    submissions.c.attachments,
)
HEAD_KEYS = frozenset(
    {
        "_id",
        "_uuid",
        "meta/rootUuid",
        "_submission_time",
        "_date_modified",
        "_submitted_by",
        "_validation_status",
        "_attachments",
    }
)
SIZES = ("large", "medium", "small")


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a query are wanted, in what order, how much of each; `rising`: by `_id`."""

    order: list[ColumnElement[Any]]
    rising: bool
    start: int
    limit: int
    fields: tuple[str, ...] | None
    base: str


def head(row: Any, uid: str, base: str) -> dict[str, Any]:
    """The keys of a row that are kept in columns."""
    number, instance_id, root_id, submitted_at, modified_at, submitter, status, listed = row[:8]
    return {
        "_id": number,
        "_uuid": instance_id,
        "meta/rootUuid": f"uuid:{root_id}",
        "_submission_time": submitted_at,
        "_date_modified": modified_at,
        "_submitted_by": submitter or None,
        "_validation_status": orjson.Fragment(status),
        "_attachments": [] if listed == "[]" else files_of(number, instance_id, listed, uid, base),
    }


def files_of(number: int, instance_id: str, listed: str, uid: str, base: str) -> list[Any]:
    """The attachments of a row as KoboToolbox lists them."""
    made: list[Any] = []
    for item in orjson.loads(listed):
        url = f"{base}/api/v2/assets/{uid}/data/{number}/attachments/{item['uid']}/"
        made.append(
            {
                "download_url": url,
                **{f"download_{size}_url": f"{url}{size}/" for size in SIZES},
                "mimetype": item["media_type"],
                "filename": f"attachments/{instance_id}/{item['name']}",
                "media_file_basename": item["name"],
                "uid": item["uid"],
                "is_deleted": False,
                "question_xpath": item["question"],
            }
        )
    return made


def spliced(row: Any, uid: str, base: str) -> bytes:
    """A whole row as JSON: its head, then its stored body."""
    return orjson.dumps(head(row, uid, base))[:-1] + b"," + row[8][1:]


def parsed(row: Any, uid: str, base: str) -> dict[str, Any]:
    """A whole row as values."""
    return orjson.loads(spliced(row, uid, base))


def chosen(row: Mapping[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    """The asked fields of a row, and those KoboToolbox always adds."""
    return {key: row[key] for key in (*fields, *ALWAYS) if key in row}


async def data(request: Request) -> Response:
    """GET assets/{uid}/data/: `start`, `limit`, `sort`, `fields`, `query`."""
    house = house_of(request)
    await house.manager(request)
    params = request.query_params
    if params.get("format", "json") != "json":
        raise Refusal(400, {"format": "Only json is served here."})
    start = whole(request, "start", 0, 0)
    limit = min(whole(request, "limit", 100, 1), LARGEST_PAGE)
    order, rising = read_sort(params.get("sort"))
    fields = read_fields(params.get("fields"))
    wanted = read_query(params.get("query"))
    page = Page(order, rising, start, limit, fields, base_url(request))
    uid = request.path_params["uid"]

    def read() -> tuple[int, bytes]:
        with house.store.read() as connection:
            found = deployed_asset(connection, uid)
            if wanted.predicate:
                return looked_into(connection, found, wanted, page)
            return from_columns(connection, found, wanted, page, house.remaining)

    total, rows = await asyncio.to_thread(read)
    links = orjson.dumps(page_links(request, total, start, limit))
    return Response(links[:-1] + b',"results":[' + rows + b"]}", media_type="application/json")


def from_columns(
    connection: Connection, found: Any, wanted: Filter, page: Page, remaining: Memory[int]
) -> tuple[int, bytes]:
    """Count and rows of a query the database can answer alone."""
    light = page.fields is not None and HEAD_KEYS.issuperset(page.fields)
    query = select(*HEAD) if light else joined()
    rows = connection.execute(
        query.where(submissions.c.asset_id == found.id, wanted.clause)
        .order_by(*page.order)
        .limit(page.limit)
        .offset(page.start)
    ).all()
    total = found.submission_count
    if not wanted.everything:
        total = counted(connection, found.id, wanted, rows, page, remaining)
    if page.fields is None:
        return total, b",".join([spliced(row, found.uid, page.base) for row in rows])
    whole_or_head = head if light else parsed
    made = [chosen(whole_or_head(row, found.uid, page.base), page.fields) for row in rows]
    return total, orjson.dumps(made)[1:-1]


def counted(
    connection: Connection,
    asset_id: int,
    wanted: Filter,
    rows: Sequence[Any],
    page: Page,
    remaining: Memory[int],
) -> int:
    """How many rows a query has in all."""
    query = (
        select(func.count())
        .select_from(submissions)
        .where(submissions.c.asset_id == asset_id, wanted.clause)
    )
    if wanted.after is None:
        return connection.execute(query).scalar_one()
    change = connection.execute(select(clock.c.change)).scalar_one()
    total = remaining.get(f"{asset_id} {change} {wanted.after}")
    if total is None:
        total = connection.execute(query).scalar_one()
    if rows and page.rising:
        left = total - page.start - len(rows)
        remaining.put(f"{asset_id} {change} {rows[-1][0]}", left)
    return total


def looked_into(
    connection: Connection, found: Any, wanted: Filter, page: Page
) -> tuple[int, bytes]:
    """Count and rows of a query about answers: every row the database leaves is looked into."""
    assert wanted.predicate is not None
    total, made = 0, []
    query = joined().where(submissions.c.asset_id == found.id, wanted.clause).order_by(*page.order)
    for row in connection.execution_options(yield_per=500).execute(query):
        full = parsed(row, found.uid, page.base)
        if wanted.predicate(full):
            if page.start <= total < page.start + page.limit:
                made.append(full if page.fields is None else chosen(full, page.fields))
            total += 1
    return total, orjson.dumps(made)[1:-1]


def joined() -> Any:
    """Heads with the bodies of the present documents."""
    return select(*HEAD, documents.c.body).join(
        documents, documents.c.id == submissions.c.document_id
    )


def deployed_asset(connection: Connection, uid: str) -> Any:
    """The asset; raises `Refusal` 404, or 400 before its first deployment."""
    row = connection.execute(
        select(
            assets.c.id, assets.c.uid, assets.c.submission_count, assets.c.deployed_version_id
        ).where(assets.c.uid == uid)
    ).one_or_none()
    if row is None:
        raise Refusal(404, "Not found.")
    if row.deployed_version_id is None:
        raise Refusal(400, "The specified asset has not been deployed")
    return row


def find_row(connection: Connection, asset_id: int, name: str) -> int:
    """The `_id` of a row named by `_id` or by any of its uuids; raises `Refusal` 404."""
    query = select(submissions.c.id).where(submissions.c.asset_id == asset_id)
    if name.isascii() and name.isdigit() and len(name) < 16:
        query = query.where(submissions.c.id == int(name))
    else:
        query = query.join(documents, documents.c.submission_id == submissions.c.id).where(
            documents.c.asset_id == asset_id,
            documents.c.instance_id == name.removeprefix("uuid:"),
        )
    number = connection.execute(query).scalar_one_or_none()
    if number is None:
        raise Refusal(404, "Not found.")
    return number


async def one_row(request: Request) -> Response:
    """GET assets/{uid}/data/{_id or uuid}/."""
    house = house_of(request)
    await house.manager(request)
    uid, name, base = request.path_params["uid"], request.path_params["row"], base_url(request)

    def read() -> bytes:
        with house.store.read() as connection:
            found = deployed_asset(connection, uid)
            number = find_row(connection, found.id, name)
            row = connection.execute(joined().where(submissions.c.id == number)).one()
            return spliced(row, found.uid, base)

    return Response(await asyncio.to_thread(read), media_type="application/json")


async def attachment(request: Request) -> Response:
    """GET assets/{uid}/data/{row}/attachments/{file}/, at any size: the file as it was sent."""
    clause = attachments.c.uid == request.path_params["file"]
    return await sent_file(request, house_of(request), clause)


async def attachment_by_question(request: Request) -> Response:
    """GET assets/{uid}/data/{row}/attachments/?xpath=…: the file that answers a question."""
    xpath = request.query_params.get("xpath")
    await house_of(request).manager(request)
    if not xpath:
        raise Refusal(400, "`xpath` query parameter is required")
    return await sent_file(request, house_of(request), attachments.c.question == xpath)


async def sent_file(request: Request, house: House, clause: ColumnElement[bool]) -> Response:
    await house.manager(request)
    if request.path_params.get("size", "small") not in SIZES:
        raise Refusal(404, "Not found.")

    def read() -> Any:
        with house.store.read() as connection:
            found = deployed_asset(connection, request.path_params["uid"])
            number = find_row(connection, found.id, request.path_params["row"])
            return connection.execute(
                select(attachments)
                .where(attachments.c.submission_id == number, clause)
                .order_by(attachments.c.id.desc())
                .limit(1)
            ).one_or_none()

    row = await asyncio.to_thread(read)
    if row is None:
        raise Refusal(404, "Not found.")
    return saved_file(house.blobs.path(row.digest), row.name, row.media_type)
