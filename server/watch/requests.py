"""Every request passes here: it gets an id, is counted, and is told in a line where that is asked.

The id stands in the answer's `X-Request-ID` and in every line of the log that the request caused.
What a handler did not catch becomes a clean 500 here.
"""

from __future__ import annotations

import logging
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.watch.log import access, new_request, place_of, request_id
from server.watch.metrics import Metrics

__all__ = ["Watched", "template"]

NOWHERE = "(no such address)"
MISTAKE = b"The server made a mistake; its log names the place."

log = logging.getLogger("watphon.server")


class Watched:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, metrics: Metrics) -> None:
        self.app = app
        self.metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        known = new_request()
        request_id.set(known)
        status = size = 0

        async def sending(message: Message) -> None:
            nonlocal status, size
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message.get("headers", ()),
                    (b"x-request-id", known.encode()),
                ]
            else:
                size += len(message.get("body", b""))
            await send(message)

        try:
            await self.app(scope, receive, sending)
        except Exception as error:
            kind, place = type(error).__name__, place_of(error.__traceback__)
            log.error("unexpected %s at %s", kind, place)
            if status:  # half an answer is out: the connection must end
                raise
            await mistaken(sending)
        finally:
            seconds = time.perf_counter() - began
            method, route = scope["method"], template(scope)
            self.metrics.request(method, route, status, seconds)
            if access.isEnabledFor(logging.INFO):
                told = {"route": route, "status": status, "ms": round(seconds * 1e3, 1)}
                access.info(method, extra={"told": {**told, "bytes": size}})


async def mistaken(send: Send) -> None:
    """The answer to a request that nobody handled."""
    length = str(len(MISTAKE)).encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", length)]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": MISTAKE})


def template(scope: Any) -> str:
    """The route a request took, with the names of its parameters in place of their values."""
    path = getattr(scope.get("route"), "path", None)
    if path is None:
        return NOWHERE
    # a mounted route knows its own part of the address only; the phones' addresses stand twice
    keyed = "key" in scope.get("path_params", ()) and "{key" not in path
    return f"/key/{{key}}{path}" if keyed else path
