"""The embedded form server: an ASGI application, and the process that serves it.

`create(data)` opens (or makes) the state in `DATA/server/` and gives the application; `run` serves
it on one process until SIGINT or SIGTERM. At the very first start an account `admin` and a token
are made; the token is handed to `on_ready` and to nobody else.
"""

from __future__ import annotations

import contextlib
import gc
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Generator
from pathlib import Path

import uvicorn
from sqlalchemy import Connection, update
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from forms.problems import Problem
from server.answers import json_answer
from server.house import House
from server.kobo import addresses as kobo
from server.kobo.importing import Publisher
from server.people.accounts import first_admin
from server.people.signin import Doorkeeper
from server.phones import openrosa
from server.state.blobs import Blobs
from server.state.catalogue import Catalogue
from server.state.inbox import Inbox
from server.state.lock import hold, release
from server.state.schema import imports
from server.state.store import open_store
from server.times import utc_now

__all__ = ["create", "run"]

BUSY_CONNECTIONS = 1000
"""Connections and requests at once; beyond it the answer is 503 and a phone tries later."""

INTERRUPTED = (
    '{"error":"The server stopped during the import. Send the form again.",'
    '"error_type":"Interrupted"}'
)

OnReady = Callable[[str, str | None], None]


def create(data: Path) -> Starlette:
    """The application over a data folder; `app.state.first_token` is set at the very first start.

    Raises `Problem` when the folder cannot be used or another server uses it.
    """
    store = open_store(data)
    try:
        lock = hold(store.folder)
    except Problem:
        store.close()
        raise
    blobs = Blobs(store.folder / "files")
    blobs.prepare()
    house = House(store, blobs, Inbox(store, blobs), Catalogue(store), Doorkeeper(store))
    publisher = Publisher()
    with store.write() as connection:
        first_token = first_admin(connection, now=utc_now())
        close_interrupted(connection)

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        house.inbox.start()
        try:
            yield
        finally:
            await publisher.stop()
            await house.inbox.stop()
            store.close()
            release(lock)

    app = Starlette(
        routes=[*openrosa.routes(), *kobo.routes()],
        lifespan=lifespan,
        exception_handlers={HTTPException: no_such_address},
    )
    app.state.house = house
    app.state.publisher = publisher
    app.state.first_token = first_token
    return app


def close_interrupted(connection: Connection) -> None:
    """End in an error what a stopped server left unfinished, so that nobody polls for ever."""
    connection.execute(
        update(imports)
        .where(imports.c.status == "processing")
        .values(status="error", messages=INTERRUPTED)
    )


async def no_such_address(request: Request, error: Exception) -> Response:
    """Unknown addresses and methods."""
    assert isinstance(error, HTTPException)
    words = "Not found." if error.status_code == 404 else error.detail
    return json_answer({"detail": words}, error.status_code, dict(error.headers or {}))


class Server(uvicorn.Server):
    """uvicorn that tells when it is ready and ends quietly on SIGINT and SIGTERM."""

    def __init__(self, config: uvicorn.Config, ready: Callable[[], None]) -> None:
        super().__init__(config)
        self.ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self.ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        # uvicorn's own raises the signal again after a graceful stop, which would end the process
        # as if it had been killed
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        handled = (signal.SIGINT, signal.SIGTERM)
        earlier = {number: signal.signal(number, self.handle_exit) for number in handled}
        try:
            yield
        finally:
            for number, handler in earlier.items():
                signal.signal(number, handler)


def run(data: Path, *, host: str = "127.0.0.1", port: int = 8000, on_ready: OnReady) -> None:
    """Serve a data folder until told to stop; `port` 0 takes a free one.

    `on_ready(url, first_token)` is called once requests are answered; `first_token` only at the
    very first start. Raises `Problem` when the folder or the port cannot be used.
    """
    listener = listen(host, port)
    try:
        app = create(data)
        # what was loaded stays; looking for garbage after every few hundred objects costs a fifth
        # of the server's time and makes the slowest answers twice as slow
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listener.getsockname()[1]}"
        config = uvicorn.Config(
            app,
            access_log=False,
            log_level="warning",
            lifespan="on",
            ws="none",
            server_header=False,
            limit_concurrency=BUSY_CONNECTIONS,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=10,
            backlog=2048,
        )
        Server(config, lambda: on_ready(url, app.state.first_token)).run([listener])
    finally:
        listener.close()


def listen(host: str, port: int) -> socket.socket:
    """A socket bound to the address; raises `Problem` when it is taken or not this machine's."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise Problem.at(
            f"{host}:{port}",
            f"the server cannot listen there ({error.strerror})",
            "choose another port (--port) or stop what uses this one",
            code="server_port",
        ) from error
    return listener
