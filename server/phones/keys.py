"""The page /keys: give phones their keys, see which are in use, take one back.

A key is shown once, on the page that answers its making: as a code to scan, and printed as a sheet
with one card for each phone. Neither the server nor a browser's store keeps it.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from forms.problems import Problem
from forms.words import mark
from server.house import house_of, public_url
from server.pages.render import browser, language_of, page
from server.people.rights import Right, Visitor
from server.phones import collect, qr
from server.phones.given import given_page, only_here, provinces_for, taking_back, whole
from server.phones.issue import MOST_AT_ONCE, Made, give, labels_of
from server.times import utc_now

__all__ = ["routes"]


@dataclass(frozen=True, slots=True)
class Card:
    """A key as it is shown this once: the phone's name, its server's address, the code."""

    number: int
    label: str
    address: str
    picture: str


def card(made: Made, base: str) -> Card:
    address = f"{base}/key/{made.secret}"
    content = collect.scanned(address, made.label)
    return Card(made.number, made.label, address, qr.png_address(content, scale=6))


async def keys(request: Request) -> Response:
    """GET /keys: the phones' keys. POST: make some; they are shown this once."""
    house = house_of(request)
    visitor = await house.doorkeeper.page_visitor(request, Right.KEYS)
    if request.method != "POST":
        return await keys_page(request, visitor)
    fields = await house.doorkeeper.form(request)
    forms = [str(form) for form in fields.getlist("form")]
    provinces = [str(code) for code in fields.getlist("province")]

    def make(connection: Connection) -> list[Made]:
        count = whole(fields, "count")
        count = 1 if count is None else count
        if not 1 <= count <= MOST_AT_ONCE:
            raise Problem.at(
                str(count), mark("is too many keys at once"), mark("make at most 50 at a time")
            )
        return give(
            connection,
            visitor,
            labels_of(str(fields.get("label", "")).strip(), count),
            now=utc_now(),
            forms=forms,
            provinces=provinces,
            days=whole(fields, "days"),
        )

    try:
        made = await house.inbox.run(make)
    except Problem as problem:
        return await keys_page(request, visitor, problem, fields)
    base = public_url(request)
    cards = await asyncio.to_thread(lambda: [card(one, base) for one in made])
    bounds = provinces or sorted(visitor.provinces)
    names = dict(provinces_for(house, visitor, language_of(request)))
    return page(
        request,
        "keys_made.html",
        cards=cards,
        here_only=only_here(base),
        bounds=[names.get(code, code) for code in bounds],
        forms=forms,
    )


async def keys_page(
    request: Request,
    visitor: Visitor,
    problem: Problem | None = None,
    filled: FormData | None = None,
) -> Response:
    """The list and the form to make keys."""
    bound = bool(visitor.provinces)
    return await given_page(
        request, visitor, "keys.html", "phone", problem, filled, bound=bound, most=MOST_AT_ONCE
    )


def routes() -> list[Route]:
    """The addresses of keys."""
    return [
        Route("/keys", browser(keys), methods=["GET", "POST"]),
        taking_back("/keys"),
    ]
