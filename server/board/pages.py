"""The pages /board and /board/{course}, and the part of each that refreshes by itself.

`?live=1` gives the part alone with an ETag; a browser that has it already is told so (304). Without
scripts the page loads itself again every half minute.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, urlencode
from zoneinfo import ZoneInfo

from markupsafe import Markup
from sqlalchemy import Connection
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from forms.days import written_day, written_moment
from forms.programme import Programme
from forms.words import catalogue, known_languages, mark
from server.answers import Refusal
from server.board import view
from server.board.counts import REGION
from server.board.course import CourseBoard
from server.board.kept import Board
from server.board.phones import Phone, phones_of, phones_waiting
from server.house import House, house_of
from server.pages.render import LOCALE, aware, browser, environment, language_of, page
from server.pages.static import static_url
from server.people.audit import Action, log
from server.people.rights import Right, Visitor
from server.state.store import is_busy, is_full

__all__ = ["routes"]

NOT_YOURS = mark("Your account may not do this. Ask an admin of the server.")
NO_COURSE = mark(
    "There is no such course on your board. It may be in another province, or its code was typed "
    "differently."
)
STEP_WORDS = {
    "registered": mark("Registered"),
    "pre": mark("Before"),
    "post": mark("After"),
    "evaluated": mark("Evaluated"),
}
SHARE = "https://line.me/R/share?text="
PARTS = ("board_macros.html", "board_live.html", "board_course_live.html")


def board_of(request: Request) -> Board:
    """The memory of the server a request came to."""
    return request.app.state.board


async def looking(request: Request) -> tuple[House, Visitor]:
    """Who may see a board; everyone else is refused."""
    house = house_of(request)
    visitor = await house.doorkeeper.page_visitor(request)
    if not (visitor.may(Right.NAMES) or visitor.may(Right.TOTALS)):
        raise Refusal(403, NOT_YOURS)
    return house, visitor


async def board(request: Request) -> Response:
    """GET /board: the visitor's courses, and provinces against target; ?province= ?day= ?q= ?all=."""
    house, visitor = await looking(request)
    programme = house.programme
    if programme is None:
        return page(request, "board_none.html")
    language, memory = language_of(request), board_of(request)
    sight = view.in_sight(programme, visitor)
    asked = asked_of(request)
    sees_totals = visitor.may(Right.TOTALS)
    season = await memory.season(programme, visitor.provinces, totals=sees_totals)
    phones = await memory.read(lambda connection: phones_waiting(connection, visitor.provinces))
    today = datetime.now(ZoneInfo(programme.time_zone)).date()
    rows = view.ordered(sight, season, asked, today)
    shown = rows if asked.all else rows[: view.SHOWN]
    unknown = [] if asked.anything else view.unknown_in_sight(season, visitor)
    totals = view.standings(programme, season, visitor) if sees_totals else []
    tag = tag_of(
        language, visitor.role, asked, today, [(row.course.code, row.counts) for row in shown],
        len(rows), unknown, totals, phones, season.sorting, season.simulated,
    )  # fmt: skip

    def part() -> str:
        return rendered(
            "board_live.html",
            language,
            programme,
            rows=shown,
            count=len(rows),
            more=f"/board?{urlencode(asked.query | {'all': '1'})}",
            unknown=unknown,
            standings=totals,
            phones=phones,
            season=season,
            asked=asked,
            some=bool(sight),
        )

    provinces = [p for p in programme.provinces if any(c.province == p.code for c in sight)]
    return answer(
        request,
        "board.html",
        tag,
        part,
        programme=programme,
        provinces=provinces,
        region=any(course.province == REGION for course in sight),
        days=[(day, written_day(day, language, short=True)) for day in view.days_of(sight)],
        asked=asked,
        courses=len(sight),
    )


async def course(request: Request) -> Response:
    """GET /board/{course}: one course, and who is still missing."""
    house, visitor = await looking(request)
    programme, code = house.programme, request.path_params["course"]
    if programme is None:
        return page(request, "board_none.html")
    language, memory = language_of(request), board_of(request)
    known = next((one for one in programme.courses if one.code == code), None)
    if known and not view.sees_course(visitor, known.province):
        raise Refusal(404, NO_COURSE)
    found = await memory.course(programme, code, frozenset() if known else visitor.provinces)
    if known is None and not found.steps:
        raise Refusal(404, NO_COURSE)
    names = visitor.may(Right.NAMES)
    if names and "live" not in request.query_params:
        await note_reading(house, visitor, code if known else "unknown course")
    own = known is None or visitor.sees_province(known.province)
    phones: tuple[Phone, ...] = ()
    if own and names:
        phones = await memory.read(lambda connection: phones_of(connection, found.devices))
    tag = tag_of(language, visitor.role, visitor.provinces, content(found), phones)

    def part() -> str:
        # the group reads the programme's first language, whoever sends it
        spoken = known_languages(LOCALE)
        group = next((one for one in programme.languages if one in spoken), "en")
        last = written_moment(aware(found.last), group, programme.time_zone) if found.last else ""
        text = view.line_text(found, last, catalogue(LOCALE, group))
        return rendered(
            "board_course_live.html",
            language,
            programme,
            board=found,
            group=lambda people: view.group(people, visitor, found.course),
            names=names,
            phones=phones,
            text=text,
            text_language=group,
            share=SHARE + quote(text, safe=""),
        )

    return answer(
        request, "board_course.html", tag, part, programme=programme, code=code, course=known
    )


def asked_of(request: Request) -> view.Asked:
    """What the address asks for; what cannot be understood is not asked for."""
    query = request.query_params
    try:
        day = date.fromisoformat(query.get("day", ""))
    except ValueError:
        day = None
    return view.Asked(
        query.get("province", "")[:2], day, query.get("q", "")[:100], query.get("all") == "1"
    )


def answer(
    request: Request, template: str, tag: str, part: Callable[[], str], **values: Any
) -> Response:
    """The page with its refreshing part, or that part alone, or "nothing new"."""
    memory = board_of(request)
    quoted = f'"{tag}"'
    if "live" not in request.query_params:
        kept = [(k, v) for k, v in request.query_params.multi_items() if k != "lang"]
        address = f"{quote(request.url.path)}?{urlencode([*kept, ('live', '1')])}"
        live = Markup(memory.part(tag, part))
        return page(request, template, live=live, tag=quoted, address_live=address, **values)
    headers = {
        "ETag": quoted,
        "Cache-Control": "private, no-cache",
        "Vary": "Cookie, Accept-Language",
    }
    if quoted in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(memory.part(tag, part), headers=headers, media_type="text/html")


def rendered(template: str, language: str, programme: Programme, **values: Any) -> str:
    """A part of a page: it holds nothing of one visitor that is not in its tag."""
    zone = programme.time_zone
    provinces = {p.code: p.th if language == "th" else p.en for p in programme.provinces}
    say = catalogue(LOCALE, language)
    provinces[REGION] = say("The whole region")
    return environment.get_template(template).render(
        {
            "_": say,
            "lang": language,
            "static": static_url,
            "when": lambda moment: written_moment(aware(moment), language, zone),
            "day": lambda day: written_day(day, language, short=True),
            "province": lambda code: provinces.get(code, say("Province not told")),
            "step_words": STEP_WORDS,
            **values,
        }
    )


def content(found: CourseBoard) -> tuple[object, ...]:
    """Everything of a course's board but the moment it was read."""
    return tuple(
        getattr(found, name) for name in CourseBoard.__slots__ if name not in ("stamp", "course")
    )


def tag_of(*what: object) -> str:
    """A hash of what a part shows and of the templates that show it."""
    told = repr((what, templates())).encode()
    return hashlib.sha256(told).hexdigest()[:32]


@lru_cache(maxsize=1)
def templates() -> str:
    """A hash of the parts' templates and words: another version shows the same in another way."""
    found = hashlib.sha256()
    for name in PARTS:
        loader = environment.loader
        assert loader is not None
        found.update(loader.get_source(environment, name)[0].encode())
    for file in sorted(LOCALE.glob("*.po")):
        found.update(file.read_bytes())
    return found.hexdigest()


async def note_reading(house: House, visitor: Visitor, code: str) -> None:
    """A line of the audit trail, once an hour for one reader and course."""
    known = f"{visitor.name} board {code}"
    if house.readings.get(known):
        return

    def note(connection: Connection) -> None:
        log(connection, who=visitor.name, action=Action.NAMES_READ, what=code)

    try:
        await house.inbox.run(note)
    except Exception as error:  # a disk too full for the line keeps nobody from reading
        if not (is_full(error) or is_busy(error)):
            raise
    else:
        house.readings.put(known, True)


def routes() -> list[Route]:
    """The board's addresses."""
    return [
        Route("/board", browser(board)),
        Route("/board/{course:path}", browser(course)),
    ]
