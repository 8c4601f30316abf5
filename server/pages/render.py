"""Pages: a template, the reader's language, and refusals that a person can read.

`page` answers with a template of `templates/`; every one extends `base.html`. The language is the
one asked for by `?lang=` (kept in a cookie), else the cookie's, else the browser's, else Thai.
Sentences are English in the code and templates and are translated by `server/locale/`. A page is
never kept by a browser or a proxy: it tells of people.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from forms.days import written_moment
from forms.words import Words, catalogue, known_languages, mark
from server.answers import answered
from server.pages.static import static_url
from server.people.rights import Right, Visitor

__all__ = ["LOCALE", "browser", "environment", "language_of", "page", "see_other", "words_for"]

LOCALE = Path(__file__).parent.parent / "locale"
TEMPLATES = Path(__file__).with_name("templates")
FIRST = "th"
YEAR = 365 * 24 * 3600

UNFORESEEN = {
    500: mark("The server made a mistake. Try again; if it happens again, tell an admin."),
    503: mark("The server is busy; nothing was stored. Try again later."),
    507: mark("The server's disk is full; nothing was stored. Try again later."),
}
"""What a person is told of failures; programs are told more, in English (`server.answers`)."""

Handler = Callable[[Request], Awaitable[Response]]

environment = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
"""The templates, escaping everything; a name that is missing is an error, not an empty place."""


def language_of(request: Request) -> str:
    """The language to answer in: `th` or another that has a catalogue, or `en`."""
    known = (FIRST, *known_languages(LOCALE))
    asked = [request.query_params.get("lang", ""), request.cookies.get("lang", "")]
    for part in request.headers.get("accept-language", "").split(","):
        asked.append(part.partition(";")[0].strip().partition("-")[0].lower())
    return next((language for language in asked if language in known), FIRST)


def words_for(request: Request) -> Words:
    """The words of the reader's language: `say = words_for(request)`, `say("Sent: {n}", n=3)`."""
    return catalogue(LOCALE, language_of(request))


def page(
    request: Request,
    template: str,
    /,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> Response:
    """A template as an HTML answer.

    Every template knows `_` (say a sentence), `lang`, `static(path)`, `visitor` (None: not signed
    in), `may("REPORTS")` (a name of `Right`), `csrf` (the token that each form carries in a hidden
    field of that name), `address(lang)` (this page in another language) and `when(moment)` (day and
    time in words; of a datetime, or of UTC text as the database keeps it).
    """
    language = language_of(request)
    visitor: Visitor | None = getattr(request.state, "visitor", None)
    html = environment.get_template(template).render(
        {
            "_": words_for(request),
            "lang": language,
            "static": static_url,
            "visitor": visitor,
            "may": lambda right: visitor is not None and visitor.may(Right[right]),
            "csrf": getattr(request.state, "csrf", ""),
            "address": lambda other: in_language(request, other),
            "when": lambda moment: written_moment(aware(moment), language),
            **values,
        }
    )
    answer = Response(html, status, headers, media_type="text/html")
    answer.headers.setdefault("Cache-Control", "no-store")
    answer.headers["Content-Language"] = language
    answer.headers["Vary"] = "Cookie, Accept-Language"
    if request.query_params.get("lang") == language:
        answer.set_cookie(
            "lang", language, max_age=YEAR, samesite="lax", secure=request.url.scheme == "https"
        )
    return answer


def aware(moment: datetime | str) -> datetime:
    """A moment from text of the database, which is UTC with or without saying so."""
    known = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return known if known.tzinfo else known.replace(tzinfo=UTC)


def in_language(request: Request, language: str) -> str:
    """The address of this page in a language."""
    kept = [(k, v) for k, v in request.query_params.multi_items() if k != "lang"]
    return f"/{quote(request.url.path.lstrip('/'))}?{urlencode([*kept, ('lang', language)])}"


def browser(handler: Handler) -> Handler:
    """A handler of pages: who is not signed in is sent to the sign-in page, other refusals and
    failures become a page with the reason."""

    async def always(request: Request) -> Response:
        def tell(reason: Any, status: int, headers: dict[str, str]) -> Response:
            if status == 401 and request.method in ("GET", "HEAD"):
                here = request.url.path
                if request.url.query:
                    here += f"?{request.url.query}"
                return see_other(f"/signin?{urlencode({'next': here})}")
            if status == 401:
                return see_other("/signin")
            said = str(reason)
            if words_for(request)(said) == said and status in UNFORESEEN:
                said = UNFORESEEN[status]
            return page(request, "refused.html", status=status, headers=headers, reason=said)

        return await answered(handler, tell)(request)

    return always


def see_other(address: str) -> Response:
    """What follows a form that was taken: look there (303)."""
    return RedirectResponse(address, 303, {"Cache-Control": "no-store"})
