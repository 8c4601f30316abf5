"""How the server speaks: JSON to programs, small XML documents to phones, and every refusal.

A handler returns a response or raises `Refusal`. Whatever else goes wrong becomes a clean 500 in
the caller's own format; the log gets one line with the kind of error and the place in our code,
never the caller's data, and never the path, because a phone's path holds its key.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import escape

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from server.state.store import is_busy, is_full
from server.state.trouble import is_unstorable
from server.watch.log import place_of, told_id

__all__ = [
    "ACCEPTED_LENGTH",
    "XML",
    "Refusal",
    "Straight",
    "answered",
    "api",
    "api_xml",
    "json_answer",
    "openrosa",
    "phone",
    "saved_file",
    "saving",
    "xml_answer",
]

ACCEPTED_LENGTH = 20_000_000
"""Bytes of one request: any photograph, and small enough that a weak network gets parts through."""

RESPONSE = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<OpenRosaResponse xmlns="http://openrosa.org/http/response">\n'
    '    <message nature="">{message}</message>{more}\n'
    "</OpenRosaResponse>\n"
)

OPENROSA = (
    (b"x-openrosa-version", b"1.0"),
    (b"x-openrosa-accept-content-length", str(ACCEPTED_LENGTH).encode()),
)
REFUSAL = '<?xml version="1.0" encoding="utf-8"?><root>{}</root>'
XML = "application/xml; charset=utf-8"

log = logging.getLogger("watphon.server")

Handler = Callable[[Request], Awaitable[Response]]


class Refusal(Exception):
    """A request that will not be served: status, reason (text or KoboToolbox's JSON), headers."""

    def __init__(self, status: int, reason: Any, headers: dict[str, str] | None = None) -> None:
        super().__init__(str(reason))
        self.status = status
        self.reason = reason
        self.headers = headers or {}


def json_answer(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(orjson.dumps(content), status, headers, media_type="application/json")


def xml_answer(document: str, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """An XML document with the headers OpenRosa asks of every answer."""
    return phone_headers(Response(document, status, headers, media_type="text/xml"))


def phone_headers(response: Response) -> Response:
    """Add what OpenRosa asks of every answer; `Date` comes from uvicorn.

    https://docs.getodk.org/openrosa-http/
    """
    if OPENROSA[0] not in response.raw_headers:
        response.raw_headers.extend(OPENROSA)
    return response


def openrosa(
    message: str, status: int, headers: dict[str, str] | None = None, more: str = ""
) -> Response:
    """OpenRosa's response document; `more` is XML that follows the message."""
    return xml_answer(RESPONSE.format(message=escape(message), more=more), status, headers)


def phone(handler: Handler) -> Handler:
    """A handler whose refusals and failures are answered in OpenRosa's words."""

    async def marked(request: Request) -> Response:
        return phone_headers(await handler(request))

    return answered(marked, lambda words, status, more: openrosa(str(words), status, more))


def api(handler: Handler) -> Handler:
    """A handler whose refusals and failures are answered in JSON."""
    return answered(handler, lambda words, status, more: json_answer(told(words), status, more))


def api_xml(handler: Handler) -> Handler:
    """A handler whose refusals and failures are answered in KoboToolbox's XML."""

    def written(words: Any, status: int, more: dict[str, str]) -> Response:
        parts = [f"<{key}>{escape(str(said))}</{key}>" for key, said in told(words).items()]
        return Response(REFUSAL.format("".join(parts)), status, more, media_type=XML)

    return answered(handler, written)


def told(reason: Any) -> Any:
    """A refusal's reason as KoboToolbox's JSON."""
    return {"detail": reason} if isinstance(reason, str) else reason


def answered(handler: Handler, tell: Callable[[Any, int, dict[str, str]], Response]) -> Handler:
    """A handler that always answers; `tell` makes the answer of reason, status and headers."""

    async def always(request: Request) -> Response:
        try:
            return await handler(request)
        except Refusal as refusal:
            return tell(refusal.reason, refusal.status, unchallenged(request, refusal.headers))
        except ClientDisconnect:
            return tell("The connection was lost.", 400, {})
        except Exception as error:
            status, words = failed(error)
            return tell(words, status, {})

    return always


class Straight:
    """A handler that always answers, as an ASGI application of its own.

    Starlette wraps plain functions in two layers that look after exceptions; there are none left
    here, and the layers cost a twentieth of the time a submission takes.
    """

    def __init__(self, handler: Handler) -> None:
        self.handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        response = await self.handler(Request(scope, receive, send))
        await response(scope, receive, send)


def unchallenged(request: Request, headers: dict[str, str]) -> dict[str, str]:
    """Headers of a refusal without the challenge where a page's script asked: its browser would ask
    the person for a name and a password, which open nothing there."""
    by_script = request.headers.get("sec-fetch-mode", "navigate") != "navigate"
    if not by_script and "x-watphon-waiting" not in request.headers:
        return headers
    return {name: said for name, said in headers.items() if name != "WWW-Authenticate"}


def failed(error: Exception) -> tuple[int, str]:
    """Status and words of an error nobody expected; one line in the log."""
    if is_full(error):
        log.error("disk full: a request was refused")
        return 507, f"The server's disk is full; nothing was stored. Try again later{told_id()}."
    if is_busy(error):
        return 503, f"The server is busy; nothing was stored. Try again later{told_id()}."
    if is_unstorable(error):
        return 400, "A text must not hold the character NUL."
    log.error("unexpected %s at %s", type(error).__name__, place_of(error.__traceback__))
    return 500, f"The server made a mistake; its log names the place{told_id()}."


def saved_file(request: Request, path: Path, name: str, media_type: str) -> Response:
    """A stored content for a browser to save and never to run, under the name it came with.

    It is read from the disk piece by piece; a caller whose line broke asks for the rest (`Range`),
    and one that has it already is told so (`If-None-Match`): the content's hash, which is the
    last step of `path`, is its ETag (RFC 9110).
    """
    headers = {**saving(name), "ETag": f'"{path.name}"'}
    known = request.headers.get("if-none-match", "")
    if known.strip() == "*" or path.name in re.findall(r'"([^"]*)"', known):
        return Response(status_code=304, headers={"ETag": headers["ETag"]})
    return FileResponse(path, media_type=media_type, headers=headers, stat_result=path.stat())


def saving(name: str) -> dict[str, str]:
    """Headers that make browsers save a content under a name, and never run it."""
    return {
        "Content-Disposition": disposition(name),
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "default-src 'none'; sandbox",
    }


def disposition(name: str) -> str:
    """A Content-Disposition that makes browsers save, whatever the name holds (RFC 6266)."""
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else "_" for c in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
