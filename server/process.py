"""The process that serves: its sockets, uvicorn, signals, and several workers where they are asked for.

`run` serves a data folder until SIGINT or SIGTERM. One process serves alone; with `workers` this one
only supervises (`server.workers`), and each of the others runs the same application.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import socket
import sys
import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import uvicorn

from forms.problems import Problem
from forms.programme import Programme
from server.opening import open_alone
from server.public import public_address
from server.state.lock import keep
from server.watch.connections import Guard, Limits, room_for_files
from server.workers import supervise

if TYPE_CHECKING:
    from starlette.applications import Starlette

__all__ = ["listen", "run", "serve"]

OnReady = Callable[[str, str | None], None]


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


def run(
    data: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 8000,
    on_ready: OnReady,
    limits: Limits | None = None,
    behind_proxy: str = "",
    public_url: str | None = None,
    programme: Programme | None = None,
    database: str | None = None,
    storage: str | None = None,
    workers: int = 1,
) -> None:
    """Serve a data folder until told to stop; `port` 0 takes a free one.

    `behind_proxy` names the addresses (comma-separated; also FORWARDED_ALLOW_IPS in the environment)
    whose X-Forwarded-For and X-Forwarded-Proto say who called and how; nobody else's are believed.
    `public_url` is the address phones use; None asks WATPHON_URL_PUBLIC in the environment.
    `database` and `storage` are addresses (`server.state.engines`, `server.state.objects`).

    `on_ready(url, first_token)` is called once requests are answered, by all of the `workers`;
    `first_token` only at the very first start. Raises `Problem` when the folder, the database, the
    storage, the port or the public address cannot be used, and when a restore took the database over.
    """
    public = public_address(public_url)
    listeners = listen(host, port, workers)
    try:
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listeners[0].getsockname()[1]}"
        trusted = behind_proxy or os.environ.get("FORWARDED_ALLOW_IPS", "")
        limits = limits or Limits()
        opened = open_alone(data, database, storage)
        taken = threading.Event()

        def give_way() -> None:
            taken.set()
            signal.raise_signal(signal.SIGTERM)

        assert opened.held is not None
        keep(opened.held, opened.store, give_way)
        ready = lambda: on_ready(url, opened.first_token)  # noqa: E731
        if workers == 1:
            from server.app import application  # a supervisor needs none of it

            app = application(opened, programme, public_url=public)
            serve(app, listeners[0], limits, trusted, ready)
        else:
            try:
                folder = programme.folder if programme else None
                supervise(opened, data, listeners, limits, trusted, folder, public, ready)
            finally:
                opened.close()
        if taken.is_set():
            raise Problem.at(
                opened.store.database.told,
                "a restore took it over while it was away from this server, which has ended",
                "wait until the restore has finished, then start the server again",
                code="server_running",
            )
    finally:
        for listener in listeners:
            listener.close()


def serve(
    app: Starlette,
    listener: socket.socket,
    limits: Limits,
    trusted: str,
    ready: Callable[[], None],
) -> None:
    """Answer what comes in by a socket until told to stop."""
    # what was loaded stays; looking for garbage after every few hundred objects costs a fifth
    # of the server's time and makes the slowest answers twice as slow
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)
    # a thread that computes (a large document, a workbook) must not keep the event loop
    # waiting for 5 ms at each turn
    sys.setswitchinterval(0.0005)
    room_for_files(limits.connections)
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        log_level="error",
        lifespan="on",
        ws="none",
        server_header=False,
        proxy_headers=bool(trusted),
        forwarded_allow_ips=trusted or None,
        timeout_keep_alive=int(limits.rest_seconds),
        timeout_graceful_shutdown=10,
        backlog=2048,
    )
    guard = Guard(limits, app.state.metrics.end, proxies=config.forwarded_allow_ips)
    guard.counted = app.state.metrics.connections.set
    config.http = cast(Any, guard.protocol)
    Server(config, ready).run([listener])


def listen(host: str, port: int, count: int = 1) -> list[socket.socket]:
    """So many sockets bound to the address; raises `Problem` when it is taken or not this machine's.

    The system spreads new connections over the sockets of several workers evenly. They belong to the
    supervisor, so what waits at a worker that died is served by the next one.
    """
    first = bound(host, port, shared=False)
    if count == 1:
        first.listen(2048)
        return [first]
    # seen to be free: sockets that share an address would also share it with another server's
    port = first.getsockname()[1]
    first.close()
    listeners: list[socket.socket] = []
    try:
        for _ in range(count):
            listeners.append(bound(host, port, shared=True))
            listeners[-1].listen(2048)
    except BaseException:
        for listener in listeners:
            listener.close()
        raise
    return listeners


def bound(host: str, port: int, *, shared: bool) -> socket.socket:
    """A socket at an address; `shared`: others of this process may be there too."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Problem.at(
            f"{host}:{port}",
            f"the server cannot listen there ({error.strerror})",
            "choose another port (--port) or stop what uses this one",
            code="server_port",
        ) from error
    return listener
