"""KoboToolbox API v2: the submissions of a form, in pages.

A page is put together from bytes that were rendered at intake; only what changes (id, validation
status, attachments, moment of change) is put in here. Rows are parsed only when a query or `fields`
asks for something that is not a column.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Connection, Select, func, select, true
from starlette.requests import Request
from starlette.responses import Response

from server.answers import Refusal
from server.house import base_url, house_of
from server.kobo.assets import page_links, whole
from server.kobo.query import Filter, read_fields, read_query, read_sort
from server.kobo.rows import Light, chosen, joined, light, parsed, spliced
from server.kobo.sight import Sight, sight_of
from server.people.memory import Memory
from server.state.schema import assets, changes, clock, documents, submissions
from server.state.store import plain

__all__ = ["data", "deployed_asset", "find_row", "one_row"]

LARGEST_PAGE = 1000


@dataclass(frozen=True, slots=True)
class Page:
    """Which rows of a query are wanted, in what order, how much of each; `rising`: by `_id`."""

    order: list[ColumnElement[Any]]
    rising: bool
    start: int
    limit: int
    fields: tuple[str, ...] | None
    base: str
    sight: Sight

    def told(self, row: dict[str, Any]) -> dict[str, Any]:
        """What is told of a whole row."""
        seen = self.sight.cut(row)
        return seen if self.fields is None else chosen(seen, self.fields)


async def data(request: Request) -> Response:
    """GET assets/{uid}/data/: `start`, `limit`, `sort`, `fields`, `query`."""
    house = house_of(request)
    sight = await sight_of(request)
    params = request.query_params
    if params.get("format", "json") != "json":
        raise Refusal(400, {"format": "Only json is served here."})
    start = whole(request, "start", 0, 0)
    limit = min(whole(request, "limit", 100, 1), LARGEST_PAGE)
    order, rising = read_sort(params.get("sort"))
    fields = read_fields(params.get("fields"))
    wanted = read_query(params.get("query"))
    page = Page(order, rising, start, limit, fields, base_url(request), sight)
    uid = request.path_params["uid"]

    def read() -> tuple[int, bytes, str]:
        with house.store.read() as connection:
            found = deployed_asset(connection, uid)
            tag = state(connection, found.id)
            if wanted.predicate:
                return *looked_into(connection, found, wanted, page), tag
            return *from_columns(connection, found, wanted, page, house.remaining), tag

    total, rows, tag = await asyncio.to_thread(read)
    links = orjson.dumps(page_links(request, total, start, limit))
    body = b"".join((links[:-1], b',"results":[', rows, b"]}"))
    return Response(body, media_type="application/json", headers={"ETag": tag})


def state(connection: Connection, asset_id: int) -> str:
    """An ETag over all that ever happened to a form's submissions: equal while nothing does.

    Weak, for it stands for what the rows say, whatever part of them was asked for.
    """
    query = select(func.max(changes.c.at)).where(changes.c.asset_id == asset_id)
    return f'W/"{connection.execute(query).scalar_one() or "empty"}"'


def from_columns(
    connection: Connection, found: Any, wanted: Filter, page: Page, remaining: Memory[int]
) -> tuple[int, bytes]:
    """Count and rows of a query the database can answer alone."""
    few = light(page.fields) if page.fields is not None else None
    rows = plain(connection.execute(paged(few, found.id, wanted, page)))
    total = found.submission_count
    if not (wanted.everything and page.sight.everything):
        last = rows[-1][few.number if few else 0] if rows else None
        total = counted(connection, found.id, wanted, len(rows), last, page, remaining)
    if few:
        return total, few.written(rows)
    made = spliced(rows, found.uid, page.base)
    if page.fields is None and page.sight.shown is None:
        return total, b",".join(made)
    return total, orjson.dumps([page.told(orjson.loads(row)) for row in made])[1:-1]


def paged(few: Light | None, asset_id: int, wanted: Filter, page: Page) -> Select[Any]:
    """The rows of one page. By rising `_id`, which rows they are is settled in an index first, so
    that documents are neither sorted nor skipped over."""
    query = select(*few.columns) if few else joined()
    mine = (submissions.c.asset_id == asset_id, wanted.clause, page.sight.rows)

    def cut(query: Select[Any]) -> Select[Any]:
        return query.where(*mine).order_by(*page.order).limit(page.limit).offset(page.start)

    if not page.rising:
        return cut(query)
    ids = cut(select(submissions.c.id)).correlate(None)
    return query.where(submissions.c.id.in_(ids)).order_by(*page.order)


def counted(
    connection: Connection,
    asset_id: int,
    wanted: Filter,
    told: int,
    last: int | None,
    page: Page,
    remaining: Memory[int],
) -> int:
    """How many rows a query has in all; this page tells `told` of them, up to the `_id` `last`."""
    query = (
        select(func.count())
        .select_from(submissions)
        .where(submissions.c.asset_id == asset_id, wanted.clause, page.sight.rows)
    )
    if wanted.after is None:
        return connection.execute(query).scalar_one()
    change = connection.execute(select(clock.c.change)).scalar_one()
    total = remaining.get(f"{asset_id} {change} {page.sight.name} {wanted.after}")
    if total is None:
        total = connection.execute(query).scalar_one()
    if last is not None and page.rising:
        remaining.put(f"{asset_id} {change} {page.sight.name} {last}", total - page.start - told)
    return total


def looked_into(
    connection: Connection, found: Any, wanted: Filter, page: Page
) -> tuple[int, bytes]:
    """Count and rows of a query about answers: every row the database leaves is looked into."""
    assert wanted.predicate is not None
    total, made = 0, []
    mine = (submissions.c.asset_id == found.id, wanted.clause, page.sight.rows)
    query = joined().where(*mine).order_by(*page.order)
    for row in connection.execution_options(yield_per=500).execute(query):
        seen = page.sight.cut(parsed(tuple(row), found.uid, page.base))
        if wanted.predicate(seen):
            if page.start <= total < page.start + page.limit:
                made.append(seen if page.fields is None else chosen(seen, page.fields))
            total += 1
    return total, orjson.dumps(made)[1:-1]


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


def find_row(
    connection: Connection, asset_id: int, name: str, rows: ColumnElement[bool] | None = None
) -> int:
    """The `_id` of a row named by `_id` or by any of its uuids, among those that fulfil `rows`;
    raises `Refusal` 404."""
    query = select(submissions.c.id).where(
        submissions.c.asset_id == asset_id, true() if rows is None else rows
    )
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
    house, sight = house_of(request), await sight_of(request)
    uid, name, base = request.path_params["uid"], request.path_params["row"], base_url(request)

    def read() -> bytes:
        with house.store.read() as connection:
            found = deployed_asset(connection, uid)
            number = find_row(connection, found.id, name, sight.rows)
            rows = plain(connection.execute(joined().where(submissions.c.id == number)))
            (row,) = spliced(rows, found.uid, base)
            return row if sight.shown is None else orjson.dumps(sight.cut(orjson.loads(row)))

    return Response(await asyncio.to_thread(read), media_type="application/json")
