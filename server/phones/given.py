"""What the pages of keys and of posters share: the keys that were given, and taking one back.

A poster's link is a key of its own kind (`link`), so both pages list, refuse and revoke alike.
"""

from __future__ import annotations

import asyncio
import ipaddress
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
from server.phones.issue import seen_keys, take_back
from server.times import utc_now
from server.web.finding import listed

__all__ = ["given_page", "only_here", "provinces_for", "taking_back", "whole"]

DONE = {"revoke": mark("The key is worthless now. The phone that has it can send nothing more.")}


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


async def given_page(
    request: Request,
    visitor: Visitor,
    template: str,
    kind: str,
    problem: Problem | None = None,
    filled: FormData | None = None,
    **more: Any,
) -> Response:
    """The keys of a kind (`phone`, `link`) that the visitor may see, and the form to make some, as it
    was filled in where it was refused. `more` is what only this template shows."""
    house = house_of(request)

    def read() -> tuple[Any, ...]:
        with house.store.read() as connection:
            found = seen_keys(connection, visitor, kind)
            return found, listed(connection, visitor, house)

    given, forms = await asyncio.to_thread(read)
    return page(
        request,
        template,
        status=422 if problem else 200,
        given=given,
        now=utc_now(),
        forms=forms,
        provinces=provinces_for(house, visitor, language_of(request)),
        finding=problem.findings[0] if problem else None,
        filled=filled or FormData(),
        done=DONE.get(request.query_params.get("done", ""), ""),
        here_only=only_here(public_url(request)),
        **more,
    )


def taking_back(where: str) -> Route:
    """POST {where}/{number}: take the key back (`do=revoke`) and return to the page `where`."""

    async def key(request: Request) -> Response:
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
            said = f"{finding.where}: {finding.what}. {finding.remedy}."
            raise Refusal(404, said) from problem
        house.doorkeeper.forget_visitors()
        return see_other(f"{where}?done=revoke")

    return Route(f"{where}/{{number:int}}", browser(key), methods=["POST"])
