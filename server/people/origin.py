"""Where a request came from: the caller's address, over which line, from a page of which site."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from starlette.requests import Request

from forms.words import mark
from server.answers import Refusal

__all__ = ["address_of", "refuse_foreign", "refuse_unsafe", "safe_line"]

READING = ("GET", "HEAD", "OPTIONS")
FROM_ELSEWHERE = mark(
    "This form was sent from another site. Open the page again and send it there."
)
UNTOLD = mark(
    "This server stands behind a proxy that it was not told of, or the proxy does not say that you "
    "came by HTTPS. An admin starts it with --behind-proxy."
)
UNSAFE = mark("Passwords are taken over HTTPS only: open this page with https:// in front.")


def address_of(request: Request) -> str:
    """The caller's address; behind a trusted proxy the one it tells (uvicorn sees to that)."""
    return request.client.host if request.client else ""


def safe_line(request: Request) -> bool:
    """Whether nobody between could read a password: HTTPS, or this machine.

    A proxy on this machine is not the caller: what it passes on came from elsewhere.
    """
    if request.url.scheme == "https":
        return True
    if "x-forwarded-for" in request.headers or "forwarded" in request.headers:
        return False
    try:
        return ipaddress.ip_address(address_of(request)).is_loopback
    except ValueError:
        return False


def refuse_unsafe(request: Request) -> None:
    """Raise `Refusal` 403 where a page would take a password over a line that others could read."""
    if not safe_line(request):
        raise Refusal(403, UNTOLD if "x-forwarded-for" in request.headers else UNSAFE)


def refuse_foreign(request: Request) -> None:
    """Raise `Refusal` 403 for a change that a page of another site asks for.

    Browsers say so in `Sec-Fetch-Site` or `Origin`; one that says neither is held by the token.
    """
    if request.method in READING:
        return
    site = request.headers.get("sec-fetch-site")
    if site is not None:
        if site not in ("same-origin", "none"):
            raise Refusal(403, FROM_ELSEWHERE)
        return
    # `null`: our own pages tell no referrer, so some browsers tell no origin either
    origin = request.headers.get("origin", "null")
    if (
        origin != "null"
        and urlsplit(origin).netloc.lower() != request.headers.get("host", "").lower()
    ):
        raise Refusal(403, FROM_ELSEWHERE)
