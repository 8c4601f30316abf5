"""KoboToolbox API v2: what happened to a form's submissions, as recorded: who, what, when.

It begins with what the server knows and is never shortened. Of an edit that was taken before the
log was kept, the editor is not known.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, func, select
from starlette.requests import Request
from starlette.responses import Response

from server.answers import Refusal, json_answer
from server.house import House, base_url, house_of
from server.kobo.assets import page_links, whole
from server.kobo.search import read_search, search_refused
from server.people.rights import Right
from server.state.history import ACTIONS, DELETED
from server.state.schema import assets, changes

__all__ = ["history", "history_actions"]

LARGEST_PAGE = 1000
KNOWN = (
    f"Known are action:X (X one of {', '.join(ACTIONS)}), date_created__gt:MOMENT and "
    "date_created__gte:MOMENT, joined by AND, OR and parentheses; a moment is written "
    '"2021-03-11T09:00:00" and means UTC where it says nothing else.'
)


async def may_look(request: Request) -> House:
    """The house, for its manager; everyone else hears 403, unlike everywhere else."""
    house = house_of(request)
    visitor = await house.doorkeeper.api_visitor(request)
    if visitor is None or not visitor.may(Right.MANAGE):
        raise Refusal(403, "You do not have permission to perform this action.")
    return house


async def history(request: Request) -> Response:
    """GET assets/{uid}/history/: `q`, `limit`, `start`; the newest first."""
    house = await may_look(request)
    start = whole(request, "start", 0, 0)
    limit = min(whole(request, "limit", 100, 1), LARGEST_PAGE)
    clause = read_search(request.query_params.get("q", ""), wanted)
    base, uid = base_url(request), request.path_params["uid"]

    def read() -> tuple[int, list[dict[str, Any]]]:
        with house.store.read() as connection:
            asset = connection.execute(
                select(assets.c.id, assets.c.uid, assets.c.owner).where(assets.c.uid == uid)
            ).one_or_none()
            if asset is None:
                raise Refusal(404, "Not found.")
            mine = (changes.c.asset_id == asset.id, clause)
            total = connection.execute(
                select(func.count()).select_from(changes).where(*mine)
            ).scalar_one()
            rows = connection.execute(
                select(changes)
                .where(*mine)
                .order_by(changes.c.at.desc(), changes.c.id.desc())
                .limit(limit)
                .offset(start)
            )
            return total, [entry_json(row, asset, base) for row in rows]

    total, results = await asyncio.to_thread(read)
    return json_answer({**page_links(request, total, start, limit), "results": results})


def wanted(field: str, value: str) -> ColumnElement[bool]:
    """What a term of the `q` parameter means."""
    if field == "action" and value in ACTIONS:
        return changes.c.action == value
    if field in ("date_created__gt", "date_created__gte"):
        moment = moment_of(value)
        return changes.c.at > moment if field.endswith("gt") else changes.c.at >= moment
    raise search_refused(f"{(field or value)[:60]!r} cannot be searched for. {KNOWN}")


def moment_of(text: str) -> str:
    """A moment in the log's own writing; raises `Refusal` 400."""
    try:
        moment = datetime.fromisoformat(text)
        moment = moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise search_refused(f"{text[:60]!r} is no moment. {KNOWN}") from error
    return moment.replace(tzinfo=None).isoformat(timespec="microseconds")


def entry_json(row: Any, asset: Any, base: str) -> dict[str, Any]:
    """A change as KoboToolbox tells it. Phones' changes come by OpenRosa, an office's by the API."""
    status = {} if row.status is None else {"status": row.status}
    by_office = row.action == DELETED or row.status is not None
    return {
        "user": f"{base}/api/v2/users/{row.who}/" if row.who else None,
        "username": row.who or None,
        "action": row.action,
        "metadata": {
            "source": "API" if by_office else "OpenRosa",
            "asset_uid": asset.uid,
            "submission": {**status, "root_uuid": row.root_id, "submitted_by": row.submitter},
            "log_subtype": "project",
            "project_owner": asset.owner,
        },
        "date_created": f"{row.at[:19]}Z",
    }


async def history_actions(request: Request) -> Response:
    """GET assets/{uid}/history/actions/: the actions that are logged here."""
    await may_look(request)
    return json_answer({"actions": list(ACTIONS)})
