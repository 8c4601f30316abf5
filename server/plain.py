"""Addresses with a NUL in them go no further: PostgreSQL keeps that character in no text, SQLite does,
and neither has a use for it. The same is refused of forms and JSON (`server.uploads`)."""

from __future__ import annotations

from starlette.types import ASGIApp, Receive, Scope, Send

from server.answers import json_answer

__all__ = ["NoNul"]


class NoNul:
    """The application without such requests: no path has one, and no parameter may."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if "\0" in scope["path"]:
                await json_answer({"detail": "Not found."}, 404)(scope, receive, send)
                return
            if b"%00" in scope["query_string"]:
                words = "A parameter must not hold the character NUL."
                await json_answer({"detail": words}, 400)(scope, receive, send)
                return
        await self.app(scope, receive, send)
