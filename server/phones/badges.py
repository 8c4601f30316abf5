"""Badges: participant codes with their check digit, as QR codes to be cut out before a course.

A code says province and fiscal year and carries a running number (PPYYNNNNNC). Numbers are given
out once: the server remembers the last one of each province and year, and starts beyond every code
it has received or that the programme's list of persons holds.
"""

from __future__ import annotations

import asyncio
import base64
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, insert, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from forms.problems import Problem
from forms.programme import Programme
from forms.values import is_participant_code, participant_code
from forms.words import FONTS, catalogue, mark
from server.house import house_of
from server.pages.render import LOCALE, browser, environment, language_of, page
from server.pages.static import SERVER
from server.people.audit import Action, log
from server.people.rights import Right
from server.phones import qr
from server.phones.given import provinces_for, whole
from server.state.schema import settings, submissions

__all__ = ["MOST", "Badge", "badges_of", "numbers", "routes", "sheet"]

MOST = 500
"""Badges at once; 50 sheets of paper."""
LAST = 99_999


@dataclass(frozen=True, slots=True)
class Badge:
    """A code, its digits in groups for people, and its picture as a `data:` address."""

    code: str
    digits: str
    picture: str


def numbers(
    connection: Connection, programme: Programme, province: str, count: int, *, who: str
) -> range:
    """The next numbers of a province, which nobody gets again.

    Raises `Problem` for a province that is not the programme's, or more than there are.
    """
    known = {one.code for one in programme.provinces}
    if province not in known:
        raise Problem.at(
            province or "province",
            mark("is no province of the programme"),
            mark("choose one of the list"),
        )
    if not 1 <= count <= MOST:
        raise Problem.at(
            str(count), mark("is too many badges at once"), mark("make 1 to 500 at a time")
        )
    prefix = f"{province}{programme.fiscal_year_be % 100:02}"
    name = f"badges {prefix}"
    told = connection.execute(select(settings.c.value).where(settings.c.name == name)).scalar()
    used = (int(code[4:9]) for code in seen_codes(connection, programme, prefix))
    first = max((int(told or 0), *used)) + 1
    last = first + count - 1
    if last > LAST:
        raise Problem.at(prefix, mark("has no numbers left"), mark("begin a new fiscal year"))
    connection.execute(delete(settings).where(settings.c.name == name))
    connection.execute(insert(settings), {"name": name, "value": str(last)})
    what = f"{prefix} {first}-{last}"
    log(connection, who=who, action=Action.BADGES_MADE, what=what)
    return range(first, last + 1)


def seen_codes(connection: Connection, programme: Programme, prefix: str) -> Iterator[str]:
    """Valid codes of a province and year: the highest received, and those of the list of persons."""
    column = submissions.c.person
    found = connection.execute(
        select(column).where(column.like(f"{prefix}%")).distinct().order_by(column.desc())
    )
    yield from (code for (code,) in found if is_participant_code(code))
    path = programme.folder / "participants.csv"
    if path.is_file():
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in csv.DictReader(file):
                code = (row.get("name") or "").strip()
                if code.startswith(prefix) and is_participant_code(code):
                    yield code


def badges_of(programme: Programme, province: str, given: Sequence[int]) -> list[Badge]:
    """Badges with these numbers."""
    codes = (participant_code(province, programme.fiscal_year_be, number) for number in given)
    return [
        Badge(
            code,
            f"{code[:2]} {code[2:4]} {code[4:9]} {code[9]}",
            qr.png_address(code, scale=6),
        )
        for code in codes
    ]


def sheet(programme: Programme, badges: Sequence[Badge], language: str = "th") -> str:
    """Badges as one HTML file to print on A4; it needs nothing beside it."""
    return environment.get_template("badges_sheet.html").render(
        _=catalogue(LOCALE, language),
        lang=language,
        badges=badges,
        title=programme.title.th if language == "th" else programme.title.en,
        thai=base64.b64encode((FONTS / "sarabun-thai-400-normal.woff2").read_bytes()).decode(),
        style=(SERVER / "pages" / "static" / "badges.css").read_text("utf-8"),
    )


async def badges(request: Request) -> Response:
    """GET /badges: how many, for which province. POST: the sheets to print."""
    house = house_of(request)
    visitor = await house.doorkeeper.page_visitor(request, Right.KEYS)
    language, programme = language_of(request), house.programme
    places = provinces_for(house, visitor, language) if programme else []
    if request.method != "POST" or programme is None:
        return page(request, "badges.html", provinces=places, finding=None, most=MOST, filled={})
    fields = await house.doorkeeper.form(request)
    province = str(fields.get("province", ""))

    def take(connection: Connection) -> range:
        count = whole(fields, "count")
        own = province if province in dict(places) else ""
        return numbers(connection, programme, own, 0 if count is None else count, who=visitor.name)

    try:
        given = await house.inbox.run(take)
    except Problem as problem:
        return page(
            request,
            "badges.html",
            status=422,
            provinces=places,
            finding=problem.findings[0],
            most=MOST,
            filled=fields,
        )
    made = await asyncio.to_thread(badges_of, programme, province, given)
    title = programme.title.th if language == "th" else programme.title.en
    return page(request, "badges_made.html", badges=made, title=title)


def routes() -> list[Route]:
    """The address of badges."""
    return [Route("/badges", browser(badges), methods=["GET", "POST"])]
