"""Which form an address of the browser form means, and whether this visitor may fill it in.

A form is found by its form_id (`mne_pretest`) or its uid. Where several forms have one form_id, the
open one that was deployed last is meant. Whoever may not, or comes too early or too late, is told
in words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, func, or_, select
from starlette.requests import Request

from forms.words import mark
from server.answers import Refusal
from server.house import House, house_of
from server.people.rights import Right, Visitor
from server.state.schema import assets, deployments

__all__ = ["Found", "base_of", "find", "listed", "visitor_of"]

KEY = re.compile(r"[A-Za-z0-9_-]{1,200}")
NO_FORM = mark("There is no such form here. Check the address or scan the code again.")
NOT_THIS = mark("This link does not open this form. Ask for another link.")
NOT_YET = mark("This form is not open yet. Try again later.")
CLOSED = mark("This form is closed. Ask the person who gave you the link.")


@dataclass(frozen=True, slots=True)
class Found:
    """An open form in its newest deployment."""

    asset_id: int
    uid: str
    form_id: str
    title: str
    version: str
    md5: str
    deployment: int


def base_of(request: Request) -> str:
    """What the addresses of this visitor begin with: `/key/KEY`, or nothing for who signed in."""
    key = request.path_params.get("key")
    if key is None:
        return ""
    if not KEY.fullmatch(key):  # it goes into headers
        raise Refusal(404, "Not found.")
    return f"/key/{key}"


async def visitor_of(request: Request) -> Visitor:
    """Who fills in forms: by the key in the address, else by session.

    Raises `Refusal`: 401 for who is not signed in, 403 for who may not send and for a dead key.
    """
    door = house_of(request).doorkeeper
    if "key" in request.path_params:
        return await door.phone_visitor(request)
    return await door.page_visitor(request, Right.SUBMIT)


def newest() -> Any:
    """Forms with their newest deployment; what was never deployed has none."""
    latest = (
        select(deployments.c.asset_id, func.max(deployments.c.number).label("number"))
        .group_by(deployments.c.asset_id)
        .subquery()
    )
    return (
        select(
            assets.c.id,
            assets.c.uid,
            assets.c.form_id,
            assets.c.name,
            assets.c.active,
            deployments.c.id.label("deployment"),
            deployments.c.version,
            deployments.c.md5,
        )
        .outerjoin(latest, latest.c.asset_id == assets.c.id)
        .outerjoin(
            deployments,
            (deployments.c.asset_id == assets.c.id) & (deployments.c.number == latest.c.number),
        )
        .where(assets.c.asset_type == "survey")
    )


def found(row: Any) -> Found:
    return Found(
        row.id, row.uid, row.form_id, row.name, row.version, row.md5, deployment=row.deployment
    )


def find(connection: Connection, name: str, visitor: Visitor) -> Found:
    """The open form that `name` means. Raises `Refusal` 403, 404, 410 with the reason."""
    query = newest().where(or_(assets.c.uid == name, assets.c.form_id == name))
    rows = connection.execute(query).all()
    if not rows:
        raise Refusal(404, NO_FORM)
    row = max(rows, key=lambda row: (row.uid == name, bool(row.active), row.deployment or 0))
    if not visitor.sees_form(row.form_id):
        raise Refusal(403, NOT_THIS)
    if row.deployment is None:
        raise Refusal(404, NOT_YET)
    if not row.active:
        raise Refusal(410, CLOSED)
    return found(row)


def listed(connection: Connection, visitor: Visitor, house: House) -> list[Found]:
    """The open forms a visitor may fill in, in the programme's order; of one form_id the newest."""
    rows = connection.execute(newest().where(assets.c.active.is_(True))).all()
    latest: dict[str, Any] = {}
    for row in sorted((row for row in rows if row.deployment), key=lambda row: row.deployment):
        latest[row.form_id] = row
    return [
        found(row) for row in in_order(latest.values(), house) if visitor.sees_form(row.form_id)
    ]


def in_order(rows: Iterable[Any], house: House) -> list[Any]:
    """Rows in the order of programme.toml; forms of elsewhere after them, as they came."""
    order = list(house.programme.forms) if house.programme else []
    places = {form_id: place for place, form_id in enumerate(order)}
    return sorted(rows, key=lambda row: (places.get(row.form_id, len(order)), row.id))
