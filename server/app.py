"""The embedded form server as an ASGI application; `server.process` serves it.

`create(data)` opens (or makes) the state in `DATA/server/` and gives the application. At the very
first start an account `admin` and a token are made: `app.state.first_token`.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from forms.programme import Programme
from forms.words import mark
from server.answers import json_answer
from server.board import pages as board
from server.board.kept import Board
from server.board.places import Places
from server.board.reindex import bring_up_to_date
from server.chores import clear_away
from server.convertors import bound_numbers
from server.docs import openapi
from server.house import House
from server.kobo import addresses as kobo
from server.kobo.importing import Publisher
from server.opening import Opened, open_alone
from server.pages import static
from server.pages.headers import SecurityHeaders
from server.pages.render import page
from server.people import addresses as people
from server.people.signin import Doorkeeper
from server.phones import badges, keys, openrosa, posters
from server.plain import NoNul
from server.public import public_address
from server.state.catalogue import Catalogue
from server.state.inbox import Inbox
from server.watch import health
from server.watch.metrics import Metrics
from server.watch.requests import Watched
from server.web import routes as web
from server.web.devices import Devices

__all__ = ["application", "create"]


def create(data: Path, programme: Programme | None = None) -> Starlette:
    """The application over a data folder of which this process is in charge.

    Raises `Problem` when the folder cannot be used or another server uses it.
    """
    return application(open_alone(data), programme)


def application(
    opened: Opened,
    programme: Programme | None = None,
    *,
    leads: bool = True,
    public_url: str | None = None,
) -> Starlette:
    """The application over an opened state, which it closes at its end.

    `programme` is what the forms belong to, where that is known. Of several workers one `leads`: it
    does what is to be done once, beside everything else. `public_url` is the address phones use; None
    asks the environment.
    """
    store, blobs = opened.store, opened.blobs
    inbox = Inbox(store, blobs)
    house = House(
        store,
        blobs,
        inbox,
        Catalogue(store, shared=opened.shared),
        Doorkeeper(store, inbox),
        programme,
        Places(programme),
        public_url=public_address(public_url),
        worker=opened.worker,
    )
    publisher = Publisher()
    metrics = Metrics()
    inbox.settled = metrics.settled

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        house.inbox.start()
        chores = [bring_up_to_date(house), clear_away(house)] if leads else []
        tasks = [asyncio.get_running_loop().create_task(chore) for chore in chores]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
            await publisher.stop()
            await app.state.devices.stop()
            await house.inbox.stop()
            opened.close()

    bound_numbers()
    app = Starlette(
        routes=[
            *openrosa.busiest(),
            *web.routes(),
            *openrosa.routes(),
            *kobo.routes(),
            *openapi.routes(),
            *web.build_routes(),
            *static.routes(),
            *people.routes(),
            *board.routes(),
            *keys.routes(),
            *posters.routes(),
            *badges.routes(),
            *health.routes(),
        ],
        middleware=[
            Middleware(Watched, metrics=metrics),
            Middleware(SecurityHeaders),
            Middleware(NoNul),
        ],
        lifespan=lifespan,
        exception_handlers={HTTPException: no_such_address},
    )
    app.state.house = house
    app.state.devices = Devices(inbox)
    app.state.board = Board(house)
    app.state.metrics = metrics
    app.state.health = health.Health(house, metrics)
    app.state.publisher = publisher
    app.state.first_token = opened.first_token
    return app


async def no_such_address(request: Request, error: Exception) -> Response:
    """Unknown addresses and methods."""
    assert isinstance(error, HTTPException)
    if error.status_code == 404 and "text/html" in request.headers.get("accept", ""):
        return page(request, "refused.html", status=404, reason=mark("There is no such page."))
    words = "Not found." if error.status_code == 404 else error.detail
    return json_answer({"detail": words}, error.status_code, dict(error.headers or {}))
