"""Headers that keep browsers from being used against their owners, over every answer.

Pure ASGI: it looks at the headers of an answer once, when it begins, and adds what is missing; an
answer that sets one of them itself (a report, which carries its own style) keeps it.
"""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["PAGE_POLICY", "SecurityHeaders"]

PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; img-src 'self' blob: data:; "
    "style-src 'self'; worker-src 'self'; media-src 'self' blob:; connect-src 'self'; "
    "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
"""What our pages may load and do: nothing from elsewhere, no script or style inside the HTML."""

NOTHING = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
PAGE = (b"content-security-policy", PAGE_POLICY.encode())
ALWAYS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-frame-options", b"DENY"),
)
NO_STORE = (b"cache-control", b"no-store")
PRIVATE = (b"cache-control", b"private, no-cache")
HSTS = (b"strict-transport-security", b"max-age=31536000")
# a service worker and the modules it imports are governed by the policy of their own answers
OURS = (b"text/html", b"text/javascript")


class SecurityHeaders:
    """The application with those headers on every answer; HSTS where the caller came by https."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = completed(message["headers"], scope["scheme"] == "https")
            await send(message)

        await self.app(scope, receive, with_headers)


def completed(headers: list[tuple[bytes, bytes]], secure: bool) -> list[tuple[bytes, bytes]]:
    """The headers of an answer and those it lacks."""
    known = {name.lower(): value for name, value in headers}
    made = [*headers, *(one for one in ALWAYS if one[0] not in known)]
    if b"content-security-policy" not in known:
        made.append(PAGE if known.get(b"content-type", b"").startswith(OURS) else NOTHING)
    if b"cache-control" not in known:
        # what has a hash may be kept by the one who asked, as long as he asks again
        made.append(PRIVATE if b"etag" in known else NO_STORE)
    if secure and HSTS[0] not in known:
        made.append(HSTS)
    return made
