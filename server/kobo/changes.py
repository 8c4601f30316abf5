"""KoboToolbox API v2: what an office changes about submissions: validation status, deletion."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Sequence
from typing import Any

import orjson
from sqlalchemy import Connection, delete, func, select, update
from starlette.requests import Request
from starlette.responses import Response

from server.answers import Refusal, api_xml, json_answer
from server.house import house_of
from server.kobo.data import deployed_asset, find_row, one_row
from server.kobo.downloads import row_xml
from server.kobo.sight import reviewer, rows_of
from server.people.rights import Visitor
from server.state.history import DELETED, MODIFIED, note, tick
from server.state.schema import assets, attachments, submissions
from server.uploads import read_json

__all__ = ["delete_bulk", "row", "status", "statuses"]

LABELS = {
    "validation_status_approved": "Approved",
    "validation_status_not_approved": "Not Approved",
    "validation_status_on_hold": "On Hold",
}
MOST_AT_ONCE = 10_000
BY_TURN = 500


def status_json(uid: str, who: str) -> dict[str, Any]:
    """A validation status as rows carry it; raises `Refusal` 400 for an unknown one."""
    if uid not in LABELS:
        raise Refusal(400, f"Invalid validation status: `{uid[:60]}`")
    return {"timestamp": int(time.time()), "uid": uid, "by_whom": who, "label": LABELS[uid]}


def set_status(
    connection: Connection,
    asset_id: int,
    numbers: Sequence[int],
    told: dict[str, Any],
    visitor: Visitor,
) -> int:
    """Give rows of the visitor's provinces a status (`{}` takes it away); each row's moment of
    change moves. How many."""
    changed, who = 0, visitor.name
    for at in range(0, len(numbers), BY_TURN):
        some = numbers[at : at + BY_TURN]
        if visitor.provinces:
            mine = select(submissions.c.id).where(submissions.c.id.in_(some), rows_of(visitor))
            some = list(connection.execute(mine).scalars())
        moment = tick(connection, time.time_ns() // 1000)
        label = told.get("label", "None")
        note(connection, asset_id, some, action=MODIFIED, who=who, at=moment, status=label)
        changed += connection.execute(
            update(submissions)
            .where(submissions.c.asset_id == asset_id, submissions.c.id.in_(some))
            .values(
                status=orjson.dumps(told).decode(),
                status_uid=told.get("uid", ""),
                modified_at=moment,
            )
        ).rowcount
    return changed


async def status(request: Request) -> Response:
    """GET, PATCH and DELETE assets/{uid}/data/{row}/validation_status/."""
    house, visitor = house_of(request), await reviewer(request)
    uid, name = request.path_params["uid"], request.path_params["row"]
    mine = rows_of(visitor)
    if request.method == "GET":

        def read() -> str:
            with house.store.read() as connection:
                number = find_row(connection, deployed_asset(connection, uid).id, name, mine)
                query = select(submissions.c.status).where(submissions.c.id == number)
                return connection.execute(query).scalar_one()

        return json_answer(orjson.Fragment(await asyncio.to_thread(read)))
    told: dict[str, Any] = {}
    if request.method == "PATCH":
        given = await read_json(request)
        told = status_json(str(given.get("validation_status.uid", "")), visitor.name)

    def change(connection: Connection) -> None:
        asset_id = deployed_asset(connection, uid).id
        number = find_row(connection, asset_id, name, mine)
        set_status(connection, asset_id, [number], told, visitor)

    await house.inbox.run(change)
    return json_answer(told) if told else Response(status_code=204)


async def statuses(request: Request) -> Response:
    """PATCH and DELETE assets/{uid}/data/validation_statuses/: many rows at once."""
    house, visitor = house_of(request), await reviewer(request)
    uid = request.path_params["uid"]
    payload = await payload_of(request)
    numbers, told = numbers_of(payload), {}
    if request.method == "PATCH":
        told = status_json(str(payload.get("validation_status.uid", "")), visitor.name)

    def change(connection: Connection) -> int:
        asset_id = deployed_asset(connection, uid).id
        return set_status(connection, asset_id, numbers, told, visitor)

    changed = await house.inbox.run(change)
    return json_answer({"detail": f"{changed} submissions have been updated"})


async def payload_of(request: Request) -> dict[str, Any]:
    """The `payload` of a bulk request, which KoboToolbox wraps around everything."""
    payload = (await read_json(request)).get("payload")
    if not isinstance(payload, dict):
        raise Refusal(400, {"payload": ["This field is required."]})
    return payload


def numbers_of(payload: dict[str, Any]) -> list[int]:
    """The `submission_ids` of a bulk request."""
    given = payload.get("submission_ids")
    if not isinstance(given, list) or not 0 < len(given) <= MOST_AT_ONCE:
        words = f"A list of 1 to {MOST_AT_ONCE} ids is required."
        raise Refusal(400, {"submission_ids": [words]})
    numbers = [
        int(n) for n in given if isinstance(n, int | str) and re.fullmatch("[0-9]{1,18}", str(n))
    ]
    if len(numbers) != len(given) or not numbers:
        raise Refusal(400, {"submission_ids": ["Ids are numbers."]})
    return sorted(set(numbers))


def remove(connection: Connection, uid: str, numbers: Sequence[int], who: str) -> list[str]:
    """Delete rows with all their versions; the contents they may have been the last to name."""
    asset_id = deployed_asset(connection, uid).id
    moment = tick(connection, time.time_ns() // 1000)
    digests: list[str] = []
    for at in range(0, len(numbers), BY_TURN):
        some = numbers[at : at + BY_TURN]
        found = note(connection, asset_id, some, action=DELETED, who=who, at=moment)
        if found != len(some):
            raise Refusal(400, {"detail": "One or more submission ids are invalid"})
        digests += connection.execute(
            select(attachments.c.digest).where(attachments.c.submission_id.in_(some))
        ).scalars()
        connection.execute(delete(submissions).where(submissions.c.id.in_(some)))
    left = select(func.count()).select_from(submissions).where(submissions.c.asset_id == asset_id)
    connection.execute(
        update(assets)
        .where(assets.c.id == asset_id)
        .values(submission_count=connection.execute(left).scalar_one())
    )
    return digests


async def row(request: Request) -> Response:
    """GET (`format`: json or xml) and DELETE assets/{uid}/data/{row}/."""
    if request.method != "DELETE":
        kind = request.query_params.get("format", "json")
        if kind not in ("json", "xml"):
            raise Refusal(400, {"format": "Only json and xml are served here."})
        return await (api_xml(row_xml) if kind == "xml" else one_row)(request)
    house = house_of(request)
    visitor = await house.manager(request)
    uid, name = request.path_params["uid"], request.path_params["row"]

    def change(connection: Connection) -> list[str]:
        number = find_row(connection, deployed_asset(connection, uid).id, name)
        return remove(connection, uid, [number], visitor.name)

    await house.inbox.forget(await house.inbox.run(change))
    return Response(status_code=204)


async def delete_bulk(request: Request) -> Response:
    """DELETE assets/{uid}/data/bulk/: many rows at once, all of them or none."""
    house = house_of(request)
    visitor = await house.manager(request)
    uid, numbers = request.path_params["uid"], numbers_of(await payload_of(request))
    digests = await house.inbox.run(
        lambda connection: remove(connection, uid, numbers, visitor.name)
    )
    await house.inbox.forget(digests)
    return json_answer({"detail": f"{len(numbers)} submissions have been deleted"})
