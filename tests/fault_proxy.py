"""A proxy on loopback between a puller and its server that breaks what it is told to break.

Requests are numbered from 0 at each `play`; a schedule says which of them suffers what. Whatever is
not in the schedule goes through as it is. Nothing here waits longer than its client does: a drip and
a silence end when the client hangs up, or after `LONGEST` seconds.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Literal, get_args
from urllib.parse import parse_qs, urlsplit

from http_wire import Said, Upstream, read

__all__ = ["FOR_EVER", "KINDS", "Fault", "FaultProxy", "Kind", "between"]

Kind = Literal[
    "refuse",
    "close",
    "silence",
    "reset",
    "truncate",
    "cut",
    "drip",
    "empty",
    "html",
    "repeat",
    "429",
    "429 with a date",
    "500",
    "502",
    "503",
    "504",
    "revoke",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
FOR_EVER = 1 << 30
LONGEST = 2.0
PAGE_OF_HTML = b"<!DOCTYPE html><html><body>Welcome to the guest network</body></html>"
REVOKED = b'{"detail":"Invalid token."}'
AT_ONCE = struct.pack("ii", 1, 0)
"""SO_LINGER of no seconds: closing the line sends a reset."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What befalls a request and those after it, `times` in all.

    `at` is how much of the body comes before a line breaks: a share up to 1, or a number of bytes.
    """

    kind: Kind
    times: int = 1
    at: float = 0.5
    path: str = ""
    """Only requests whose path holds this."""

    def here(self, body: bytes) -> int:
        return min(int(self.at if self.at > 1 else self.at * len(body)), len(body))


def nothing(number: int) -> None:
    """What happens before a request when nothing does."""


class FaultProxy:
    """Listens at `url` for what is meant for `upstream`; `met` counts the faults it made."""

    def __init__(self, upstream: str) -> None:
        self.upstream = urlsplit(upstream).hostname, urlsplit(upstream).port
        with socket.create_server(("127.0.0.1", 0)) as free:
            address = free.getsockname()
        # A port that was asked for by its number is kept while the listener is shut down (Linux).
        self.listener = socket.create_server(address)
        self.url = f"http://127.0.0.1:{address[1]}"
        self.lock, self.door = threading.Lock(), threading.Lock()
        self.met: Counter[str] = Counter()
        self.lines: set[socket.socket] = set()
        self.ended = False
        self.open = threading.Event()
        self.open.set()
        self.play({})
        threading.Thread(target=self.accept, daemon=True).start()

    def play(self, faults: Mapping[int, Fault], before: Callable[[int], None] = nothing) -> None:
        """Number requests from 0 again; `before(number)` is called before each is passed on."""
        with self.door:
            self.listen_again()
        with self.lock:
            self.faults, self.before = faults, before
            self.number = self.refused = 0
            self.asked: list[Said] = []
            self.earlier: dict[object, Said] = {}

    def close(self) -> None:
        self.ended = True
        self.open.set()
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.hang_up()

    # ── a port that refuses ──────────────────────────────────────────────────────────────────────

    def refuse(self, waits: int) -> None:
        """Refuse connections until the client has waited so often."""
        with self.door:
            if self.open.is_set():
                self.open.clear()
                self.listener.shutdown(socket.SHUT_RDWR)
            self.refused = waits
        self.hang_up()

    def waited(self, seconds: float = 0.0) -> None:
        """The `sleep` of a client that does not sleep: time passes here instead."""
        with self.door:
            self.refused -= 1
            if self.refused <= 0:
                self.listen_again()

    def listen_again(self) -> None:
        if not self.open.is_set():
            self.listener.listen(64)
            self.open.set()

    def hang_up(self) -> None:
        with self.lock:
            lines = list(self.lines)
        for line in lines:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)

    def accept(self) -> None:
        while not self.ended:
            self.open.wait()
            try:
                line, _ = self.listener.accept()
            except OSError:
                continue
            line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self.lock:
                self.lines.add(line)
            threading.Thread(target=self.serve, args=(line,), daemon=True).start()

    # ── one line ─────────────────────────────────────────────────────────────────────────────────

    def serve(self, line: socket.socket) -> None:
        """Answer request after request until either side hangs up."""
        server = Upstream(self.upstream)
        try:
            with line.makefile("rb") as coming:
                while (request := read(coming)) is not None and self.answer(line, request, server):
                    pass
        except OSError:
            pass
        finally:
            with self.lock:
                self.lines.discard(line)
            line.close()
            server.close()

    def answer(self, line: socket.socket, request: Said, server: Upstream) -> bool:
        """Pass one request on, or not; whether the line still stands after it."""
        path = request.first.split(" ")[1]
        with self.lock:
            number = self.number
            self.number += 1
            self.asked.append(request)
            fault = self.fault(number, path)
        self.before(number)
        if fault is None:
            line.sendall(whole(self.passed(request, path, server)))
            return True
        self.met[fault.kind] += 1
        if fault.kind in ("refuse", "close", "silence"):
            if fault.kind == "refuse":
                self.refuse(1 + number % 3)
            elif fault.kind == "silence":
                line.settimeout(LONGEST)
                line.recv(1)
            return False
        if made := made_up(fault, number):
            line.sendall(whole(made))
            return True
        if fault.kind == "repeat":
            kept = self.earlier.get(kind_of(path)) if continues(path) else None
            line.sendall(whole(kept or self.passed(request, path, server)))
            return True
        return broken(line, self.passed(request, path, server), fault)

    def fault(self, number: int, path: str) -> Fault | None:
        """The fault that this request suffers: the one that began last."""
        for first in sorted(self.faults, reverse=True):
            fault = self.faults[first]
            if first <= number < first + fault.times and fault.path in path:
                return fault
        return None

    def passed(self, request: Said, path: str, server: Upstream) -> Said:
        answer = server.ask(request)
        with self.lock:
            self.earlier[kind_of(path)] = answer
        return answer


def kind_of(path: str) -> object:
    """What two pages of one listing have in common: everything but where they begin."""
    parts = urlsplit(path)
    query = parse_qs(parts.query)
    return parts.path, query.get("fields", [""])[0], "$lte" in parts.query, "%24in" in parts.query


def continues(path: str) -> bool:
    """Whether a request is for a further page: there is one before it that can be repeated."""
    query = parse_qs(urlsplit(path).query)
    asked = query.get("query", [""])[0]
    return '"$gt":' in asked and '"$gt":0}' not in asked


def made_up(fault: Fault, number: int) -> Said | None:
    """An answer that no server behind the proxy gave."""
    html = (("Content-Type", "text/html; charset=utf-8"),)
    match fault.kind:
        case "html":
            return Said("HTTP/1.1 200 OK", html, PAGE_OF_HTML)
        case "429":
            wait = (("Retry-After", str((0, 7, 3600)[number % 3])),)
            return Said("HTTP/1.1 429 Too Many Requests", html + wait, b"")
        case "429 with a date":
            # A clock that is far from ours: seven seconds from its own now.
            wait = (
                ("Date", "Mon, 23 Nov 2026 13:02:10 GMT"),
                ("Retry-After", "Mon, 23 Nov 2026 13:02:17 GMT"),
            )
            return Said("HTTP/1.1 429 Too Many Requests", html + wait, b"")
        case "500" | "502" | "503" | "504":
            return Said(f"HTTP/1.1 {fault.kind} Failed", html, PAGE_OF_HTML)
        case "revoke":
            said = (("Content-Type", "application/json"),)
            return Said("HTTP/1.1 401 Unauthorized", said, REVOKED)
    return None


def whole(answer: Said) -> bytes:
    """An answer with its length; the one it came with, if any, is replaced."""
    kept = tuple(
        (name, value)
        for name, value in answer.headers
        if name.lower() not in ("content-length", "transfer-encoding", "connection")
    )
    length = ("Content-Length", str(len(answer.body)))
    return replace(answer, headers=(*kept, length)).head() + answer.body


def broken(line: socket.socket, answer: Said, fault: Fault) -> bool:
    """Send an answer that is not whole; whether the line still stands."""
    some = answer.body[: fault.here(answer.body)]
    match fault.kind:
        case "truncate":
            line.sendall(whole(replace(answer, body=some)))
            return True
        case "empty":
            line.sendall(whole(replace(answer, body=b"")))
            return True
        case "cut" | "reset":
            head = whole(answer)[: -len(answer.body) or None]
            line.sendall(head + some)
            if fault.kind == "reset":
                line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            return False
    until = time.monotonic() + LONGEST
    head = whole(answer)[: -len(answer.body) or None]
    line.sendall(head)
    for at in range(0, len(answer.body), 2):
        if time.monotonic() > until:
            return False
        line.sendall(answer.body[at : at + 2])
        time.sleep(0.004)
    return True


@contextmanager
def between(upstream: str) -> Iterator[FaultProxy]:
    """A proxy before `upstream` until the block ends."""
    proxy = FaultProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
