"""The form in the phone's browser, below `/f/` for who signed in and `/key/KEY/f/` for a key.

Pages hold no data; config.json, XForm, lists and sent records go to whoever may fill in the form.
Where the form engine is not installed, the pages say how to get it and what works without it.
"""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from forms.words import catalogue, mark
from server.answers import Refusal, answered, json_answer
from server.house import house_of
from server.pages.render import LOCALE, browser, page
from server.pages.static import FOR_EVER
from server.people.rights import Visitor
from server.phones import sending
from server.phones.scope import Offered, offered
from server.state.schema import deployments
from server.times import utc_now
from server.uploads import read_json
from server.web.build import WEB, build
from server.web.config import config_of, language_of, summary_of, who_of
from server.web.devices import device_name, devices_of, number
from server.web.finding import Found, base_of, find, listed, visitor_of
from server.web.sent import sent_file, sent_record, sent_xml
from server.web.shell import HEADERS, manifest, shell, worker

__all__ = ["build_routes", "routes"]

Handler = Callable[[Request], Awaitable[Response]]

FOR_THIS_PHONE = {"Cache-Control": "private, max-age=31536000, immutable"}
"""Of what has its content's hash in the address and is one visitor's: a list may name persons."""

OLD_BUILD = mark("This page is of an earlier version. Load it again.")
NO_FILE = mark("This list is of an earlier version of the form. Open the form again.")
NO_COUNT = mark("`waiting` is not a number of records.")
SMALL = 2_000


def at_door(handler: Handler) -> Handler:
    """A page: nobody is sent to sign in who came with a key, but told what is wrong with it."""

    def told(request: Request) -> Callable[[Any, int, dict[str, str]], Response]:
        return lambda reason, status, headers: page(
            request, "refused.html", status=status, headers=headers, reason=str(reason)
        )

    async def always(request: Request) -> Response:
        if "key" in request.path_params:
            return await answered(handler, told(request))(request)
        return await browser(handler)(request)

    return always


def spoken(handler: Handler) -> Handler:
    """What the page fetches: refusals are JSON, in Thai and English, for the page to show."""

    def tell(reason: Any, status: int, headers: dict[str, str]) -> Response:
        # what phones are told holds both languages already
        english, _, thai = str(reason).partition(" / ")
        thai = thai or catalogue(LOCALE, "th")(english)
        return json_answer({"detail": english, "th": thai}, status, headers)

    return answered(handler, tell)


async def looked_up(request: Request, look: Callable[[Connection, Visitor], Any]) -> Any:
    """What `look` finds for the visitor, read beside the event loop."""
    house, visitor = house_of(request), await visitor_of(request)

    def read() -> Any:
        with house.store.read() as connection:
            return look(connection, visitor)

    return await asyncio.to_thread(read)


def packed(request: Request, text: str, media_type: str, headers: dict[str, str]) -> Response:
    """A text of some kilobytes, compressed for whoever reads gzip."""
    content, headers = text.encode(), {**headers, "Vary": "Accept-Encoding"}
    if sending.takes_gzip(request):
        content = gzip.compress(content, 6, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return Response(content, headers=headers, media_type=media_type)


async def shell_page(request: Request, name: str) -> Response:
    """A page of the browser form, or how to get it."""
    if not (await asyncio.to_thread(build)).complete:
        return page(request, "no_engine.html", status=503, headers={"Retry-After": "3600"})
    html = await asyncio.to_thread(shell, name)
    return packed(request, html, "text/html", {**HEADERS, "Cache-Control": "no-store"})


async def list_page(request: Request) -> Response:
    """GET {base}/f/: the list of forms, drafts, and what waits on this phone."""
    await visitor_of(request)
    return await shell_page(request, "list")


async def form_page(request: Request) -> Response:
    """GET {base}/f/{form}: fill in a form."""
    name = request.path_params["form"]
    await looked_up(request, lambda connection, visitor: find(connection, name, visitor))
    return await shell_page(request, "form")


async def list_json(request: Request) -> Response:
    """GET {base}/f/list.json: the forms the visitor may fill in."""
    house = house_of(request)

    def look(connection: Connection, visitor: Visitor) -> dict[str, Any]:
        return {
            "base": base_of(request),
            "user": "" if visitor.role == "link" else visitor.name,
            "link": visitor.role == "link",
            "who": who_of(request, visitor),
            "lang": language_of(request),
            "forms": [summary_of(request, form) for form in listed(connection, visitor, house)],
        }

    return json_answer(await looked_up(request, look))


async def config_json(request: Request) -> Response:
    """GET {base}/f/{form}/config.json: what the form's page must know."""
    house, name = house_of(request), request.path_params["form"]

    def look(connection: Connection, visitor: Visitor) -> dict[str, Any]:
        form = find(connection, name, visitor)
        return config_of(request, connection, form, visitor, house)

    return json_answer(await looked_up(request, look))


async def xform(request: Request) -> Response:
    """GET {base}/f/{form}/xform/{md5}.xml: the XForm of this hash, also of an earlier version."""
    name, md5 = request.path_params["form"], request.path_params["md5"]

    def look(connection: Connection, visitor: Visitor) -> str | None:
        form = find(connection, name, visitor)
        return connection.execute(
            select(deployments.c.xform)
            .where(deployments.c.asset_id == form.asset_id, deployments.c.md5 == md5)
            .limit(1)
        ).scalar_one_or_none()

    document = await looked_up(request, look)
    if document is None:
        raise Refusal(404, NO_FILE)
    return await sending.sent(request, document.encode(), md5, headers=dict(FOR_THIS_PHONE))


async def media_file(request: Request) -> Response:
    """GET {base}/f/{form}/media/{md5}/{name}: a list or picture of the form."""
    house, name = house_of(request), request.path_params["form"]

    def look(connection: Connection, visitor: Visitor) -> Offered | None:
        form: Found = find(connection, name, visitor)
        wanted = request.path_params["md5"], request.path_params["name"]
        files = offered(house, connection, form.asset_id, visitor)
        return next((file for file in files if (file.md5, file.name) == wanted), None)

    file: Offered | None = await looked_up(request, look)
    if file is None:
        raise Refusal(404, NO_FILE)
    answer = await sending.media(request, house, file)
    answer.headers.update(FOR_THIS_PHONE)
    return answer


async def waiting(request: Request) -> Response:
    """POST {base}/f/waiting {"device", "waiting"}: how much waits on this phone; 204."""
    visitor = await visitor_of(request)
    told = await read_json(request, SMALL)
    count = number(told.get("waiting"))
    if count is None:
        raise Refusal(400, NO_COUNT)
    name = device_name(told.get("device"))
    devices_of(request).note(visitor, name, now=utc_now(), waiting=count)
    return Response(status_code=204)


async def service_worker(request: Request) -> Response:
    """GET {base}/f/sw.js: open to everyone, it tells nothing; its scope is {base}/f/."""
    if not (await asyncio.to_thread(build)).complete:
        raise Refusal(404, "Not found.")
    scope = f"{base_of(request)}/f/"
    headers = {"Service-Worker-Allowed": scope, "Cache-Control": "no-cache"}
    script = await asyncio.to_thread(worker, base_of(request))
    return packed(request, script, "text/javascript", headers)


async def web_manifest(request: Request) -> Response:
    """GET {base}/f/manifest.webmanifest: for keeping the page on the phone's home screen."""
    content = await asyncio.to_thread(manifest)
    return Response(content, media_type="application/manifest+json")


async def stamped(request: Request) -> Response:
    """GET /static/web-{stamp}/{path}: a file of this build, for ever; open to everyone."""
    made = await asyncio.to_thread(build)
    file = made.files.get(WEB + request.path_params["path"])
    if file is None or request.path_params["stamp"] != made.stamp:
        raise Refusal(404, OLD_BUILD)
    headers = {
        "Cache-Control": FOR_EVER,
        "Vary": "Accept-Encoding",
        # a worker's own policy; short, because fifty of these are most of what the small files weigh
        "Content-Security-Policy": "default-src 'self'",
    }
    small = bool(file.packed) and sending.takes_gzip(request)
    if small:
        headers["Content-Encoding"] = "gzip"
    body = file.packed if small else file.body
    return Response(body, headers=headers, media_type=file.media_type)


def build_routes() -> list[Route]:
    """The build's files."""
    return [Route("/static/web-{stamp}/{path:path}", spoken(stamped))]


def routes() -> list[Route]:
    """The browser form, by session and by key; before the phones' door, which takes all of /key/."""
    record = "/f/{form}/sent/{instance}"
    addresses: list[tuple[str, Handler, str]] = [
        ("/f/", at_door(list_page), "GET"),
        ("/f/list.json", spoken(list_json), "GET"),
        ("/f/sw.js", spoken(service_worker), "GET"),
        ("/f/manifest.webmanifest", spoken(web_manifest), "GET"),
        ("/f/waiting", spoken(waiting), "POST"),
        ("/f/{form}", at_door(form_page), "GET"),
        ("/f/{form}/config.json", spoken(config_json), "GET"),
        ("/f/{form}/xform/{md5}.xml", spoken(xform), "GET"),
        ("/f/{form}/media/{md5}/{name}", spoken(media_file), "GET"),
        (record, spoken(sent_record), "GET"),
        (f"{record}/submission.xml", spoken(sent_xml), "GET"),
        (f"{record}/files/{{name}}", spoken(sent_file), "GET"),
    ]
    return [
        Route(f"{base}{path}", handler, methods=[method])
        for base in ("", "/key/{key}")
        for path, handler, method in addresses
    ]
