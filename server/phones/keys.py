"""The page /keys: give phones their keys, see which are in use, take one back.

A key is shown once, on the page that answers its making: as a code to scan, and printed as a sheet
with one card for each phone. Neither the server nor a browser's store keeps it.
"""

from __future__ import annotations

import asyncio
import ipaddress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from forms.problems import Problem
from forms.words import mark
from server.answers import Refusal
from server.house import House, house_of, public_url
from server.pages.render import browser, language_of, page, see_other
from server.people.rights import Right, Visitor
from server.phones import collect, qr
from server.phones.issue import MOST_AT_ONCE, Made, give, labels_of, seen_keys, take_back
from server.times import utc_now
from server.web.finding import listed

__all__ = ["only_here", "provinces_for", "routes", "whole"]

DONE = {"revoke": mark("The key is worthless now. The phone that has it can send nothing more.")}


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


def whole(fields: FormData, name: str) -> int | None:
    """A whole number of a page's form; None where it is empty. Raises `Problem` for anything else."""
    written = str(fields.get(name, "")).strip()
    if not written:
        return None
    if not (written.isascii() and written.isdigit() and len(written) < 6):
        raise Problem.at(written[:20], mark("is no whole number"), mark("write digits only"))
    return int(written)


def provinces_for(house: House, visitor: Visitor, language: str) -> list[tuple[str, str]]:
    """Code and name of the provinces a visitor may bind keys to."""
    known = house.programme.provinces if house.programme else ()
    names = {p.code: p.th if language == "th" else p.en for p in known}
    codes = sorted(visitor.provinces) or list(names)
    return [(code, names.get(code, code)) for code in codes]


def only_here(base: str) -> bool:
    """Whether an address means this machine to whoever opens it: a phone would find itself."""
    host = urlsplit(base).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


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
    """The list and the form to make keys, as it was filled in where it was refused."""
    house = house_of(request)

    def read() -> tuple[Any, ...]:
        with house.store.read() as connection:
            found = seen_keys(connection, visitor, "phone")
            return found, listed(connection, visitor, house)

    given, forms = await asyncio.to_thread(read)
    return page(
        request,
        "keys.html",
        status=422 if problem else 200,
        given=given,
        now=utc_now(),
        forms=forms,
        provinces=provinces_for(house, visitor, language_of(request)),
        bound=bool(visitor.provinces),
        finding=problem.findings[0] if problem else None,
        filled=filled or FormData(),
        done=DONE.get(request.query_params.get("done", ""), ""),
        here_only=only_here(public_url(request)),
        most=MOST_AT_ONCE,
    )


async def key(request: Request) -> Response:
    """POST /keys/{number} and /posters/{number}: take the key back (`do=revoke`)."""
    house = house_of(request)
    visitor = await house.doorkeeper.page_visitor(request, Right.KEYS)
    fields = await house.doorkeeper.form(request)
    if fields.get("do") != "revoke":
        raise Refusal(400, mark("The form asks for nothing this page can do. Open it again."))
    number = request.path_params["number"]

    def revoke(connection: Connection) -> None:
        take_back(connection, visitor, number, now=utc_now())

    try:
        await house.inbox.run(revoke)
    except Problem as problem:
        finding = problem.findings[0]
        raise Refusal(404, f"{finding.where}: {finding.what}. {finding.remedy}.") from problem
    house.doorkeeper.forget_visitors()
    where = "/posters" if request.url.path.startswith("/posters") else "/keys"
    return see_other(f"{where}?done=revoke")


def routes() -> list[Route]:
    """The addresses of keys."""
    return [
        Route("/keys", browser(keys), methods=["GET", "POST"]),
        Route("/keys/{number:int}", browser(key), methods=["POST"]),
        Route("/posters/{number:int}", browser(key), methods=["POST"]),
    ]
