"""Connections that cost the server nothing for long, however slow or many their clients are.

Every connection has a deadline for what it is doing: sending a request's head, sending its body at
some least rate, resting between two requests, taking an answer. A head is bounded in bytes. When
too many connections are open, at all or from one address, those that have been idle or slow for
longest are closed to let the newcomer in; one whose request is being answered never is.

Addresses whose `X-Forwarded-For` is believed are proxies, behind which many people stand: for them
only the bound on all connections counts.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from server.watch.corked import Corked

__all__ = ["Connection", "Guard", "Limits", "room_for_files"]


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections, for how long (seconds), and how much (bytes)."""

    connections: int = 2000
    per_address: int = 400
    head_seconds: float = 15
    head_bytes: int = 65_536
    body_window: float = 60
    """A body must bring `body_bytes` within every such time; a phone that changes masts is silent
    for half of it."""
    body_bytes: int = 3_000
    rest_seconds: float = 75
    answer_seconds: float = 120
    """How long a client may take none of the answer that waits for it."""
    unwanted_bytes: int = 32_000_000
    """How much of a body is still read and thrown away after its request has been refused: who is
    cut off while sending often never reads the reason."""


class Doing(Enum):
    """What a connection is doing."""

    HEAD = "sending a request's head, or nothing yet"
    BODY = "sending a body"
    ANSWER = "waiting for its answer"
    UNWANTED = "sending a body whose request has been refused"
    RESTING = "nothing, after an answer"


REQUEST_TIMEOUT = (b"408 Request Timeout", b"The request came too slowly. Send it again.")
HEAD_TOO_LARGE = (b"431 Request Header Fields Too Large", b"The head of the request is too large.")
BUSY = (b"503 Service Unavailable", b"The server is busy; nothing was stored. Send again later.")


class Connection(HttpToolsProtocol):
    """uvicorn's protocol that knows what its client is doing and since when."""

    def __init__(self, guard: Guard, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self.guard = guard
        self.address = ""
        self.doing = Doing.HEAD
        self.since = self.loop.time()
        self.begun = False
        """Whether any byte has come."""
        self.in_head = True
        self.fresh = 0
        """Bytes of a body within the present window; of an answer, bytes not yet taken."""
        self.unheeded = 0
        """Bytes received since something came of any: of a head, or of trailers after a body."""
        self.unwanted = 0

    def turn_to(self, doing: Doing) -> None:
        self.doing = doing
        self.since = self.loop.time()
        self.fresh = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.transport = cast(asyncio.Transport, Corked(transport, self.loop))
        self.address = self.client[0] if self.client else ""
        self.guard.enter(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.guard.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self.begun = True
        if self.doing is Doing.RESTING:
            self.turn_to(Doing.HEAD)
            self.unheeded = 0
        self.unheeded += len(data)
        super().data_received(data)
        if self.unheeded > self.guard.limits.head_bytes:
            self.end("head too large", HEAD_TOO_LARGE)

    def on_message_begin(self) -> None:
        self.in_head = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.in_head:  # what comes after a body (trailers) is nobody's
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self.in_head = False
        self.unheeded = 0
        if self.doing is Doing.HEAD:
            self.turn_to(Doing.BODY)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self.unheeded = 0
        self.fresh += len(body)
        super().on_body(body)
        if self.doing is Doing.UNWANTED:
            self.unwanted += len(body)
            if self.unwanted > self.guard.limits.unwanted_bytes:
                self.end("unwanted body")

    def on_message_complete(self) -> None:
        self.unheeded = 0
        super().on_message_complete()
        if self.doing is Doing.UNWANTED:
            self.turn_to(Doing.RESTING)
        elif self.doing is Doing.BODY:
            self.turn_to(Doing.ANSWER)

    def on_response_complete(self) -> None:
        whole = not self.cycle.more_body
        queued = len(self.pipeline)
        super().on_response_complete()
        if queued > 1 or (queued and whole):
            self.turn_to(Doing.ANSWER)
        elif queued:
            self.turn_to(Doing.BODY)
        elif whole:
            self.turn_to(Doing.RESTING)
        else:
            self.unwanted = 0
            self.turn_to(Doing.UNWANTED)

    def end(self, why: str, answer: tuple[bytes, bytes] | None = None) -> None:
        """Close, with a reason where the client may still read one."""
        if self.transport.is_closing():
            return
        self.guard.closed(why)
        started = self.doing is Doing.BODY and self.cycle.response_started
        if answer and self.doing in (Doing.HEAD, Doing.BODY) and not started:
            status, words = answer
            self.transport.write(
                b"HTTP/1.1 %b\r\ncontent-type: text/plain\r\nretry-after: 30\r\n" % status
                + b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(words), words)
            )
            self.transport.close()
        else:
            self.transport.abort()

    def spent(self, now: float) -> float:
        """The share of its time that is over: under pressure the largest is closed first, so that
        whoever has just sent something stays."""
        limits = self.guard.limits
        allowed = {
            Doing.HEAD: limits.head_seconds if self.begun else limits.head_seconds / 3,
            Doing.RESTING: limits.rest_seconds,
        }.get(self.doing, limits.body_window)
        return (now - self.since) / allowed

    def overdue(self, now: float) -> None:
        """Close when its time is over."""
        limits, took = self.guard.limits, now - self.since
        left = self.transport.get_write_buffer_size()
        if left:
            if left != self.fresh:
                self.since, self.fresh = now, left
            elif took > limits.answer_seconds:
                self.guard.closed("answer not taken")
                self.transport.abort()
        elif self.doing is Doing.HEAD:
            if took > limits.head_seconds:
                self.end("slow head", REQUEST_TIMEOUT if self.begun else None)
        elif self.doing is Doing.RESTING:
            if took > limits.rest_seconds:
                self.end("long rest")
        elif self.doing is not Doing.ANSWER and took > limits.body_window:
            if self.fresh < limits.body_bytes and not self.flow.read_paused:
                self.end("slow body", REQUEST_TIMEOUT)
            else:
                self.since, self.fresh = now, 0


class Guard:
    """All open connections of one process.

    `closed` is told why, whenever one is closed from this side; `proxies` is uvicorn's
    `forwarded_allow_ips`.
    """

    def __init__(
        self, limits: Limits, closed: Callable[[str], None], *, proxies: str | Iterable[str] = ()
    ) -> None:
        self.limits = limits
        self.closed = closed
        named = proxies.split(",") if isinstance(proxies, str) else proxies
        self.proxies = frozenset(name.strip() for name in named)
        self.open: dict[Connection, None] = {}
        self.by_address: dict[str, dict[Connection, None]] = {}
        self.sweeping = False
        self.counted: Callable[[int], None] = lambda _: None
        """Told once a second how many connections are open."""

    def protocol(self, **uvicorn: Any) -> Connection:
        """What uvicorn calls for each connection (its `http` setting)."""
        return Connection(self, **uvicorn)

    def enter(self, connection: Connection) -> None:
        """Let a connection in, if need be in place of others."""
        address = connection.address
        mine = self.by_address.setdefault(address, {})
        self.open[connection] = mine[connection] = None
        proxy = address in self.proxies or "*" in self.proxies
        if (
            not proxy and len(mine) > self.limits.per_address and not self.drop(mine, connection)
        ) or (len(self.open) > self.limits.connections and not self.drop(self.open, connection)):
            connection.end("no room", BUSY)
        if not self.sweeping:
            self.sweeping = True
            connection.loop.call_later(1, self.sweep, connection.loop)

    def leave(self, connection: Connection) -> None:
        """Forget a connection; harmless where it is forgotten already."""
        self.open.pop(connection, None)
        mine = self.by_address.get(connection.address)
        if mine is not None:
            mine.pop(connection, None)
            if not mine:
                del self.by_address[connection.address]

    def drop(self, among: dict[Connection, None], newcomer: Connection) -> bool:
        """Close a twentieth, those that deserve their place least; False where none may be."""
        now = newcomer.loop.time()
        ranked = sorted(
            (one for one in among if one.doing is not Doing.ANSWER and one is not newcomer),
            key=lambda one: one.spent(now),
            reverse=True,
        )
        for one in ranked[: 1 + len(among) // 20]:
            one.end("place needed")
            self.leave(one)
        return bool(ranked)

    def sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once a second: close what is overdue."""
        now = loop.time()
        for one in list(self.open):
            one.overdue(now)
        self.counted(len(self.open))
        self.sweeping = bool(self.open)
        if self.sweeping:
            loop.call_later(1, self.sweep, loop)


def room_for_files(connections: int) -> None:
    """Let the process open a file for each connection, where the system allows it."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + 1000
    if soft < wanted:
        most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
