"""A gate in front of a server: it notes and counts requests, can fall shut, and lets things happen between.

One gate may stand before several hosts of one server. What goes through is handed on as it came, so
that absolute URLs in answers lead back through the gate.
"""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import unquote, urlsplit

from small_kobo import serving

__all__ = ["Asked", "Gate", "Given", "passed_on", "respond"]

HOP = {"connection", "transfer-encoding", "keep-alive", "content-length", "date", "server"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One request: its method, and path with query, unquoted."""

    method: str
    path: str

    @property
    def writes(self) -> bool:
        """Whether it may change something; signing in does not."""
        return self.method not in ("GET", "HEAD") and self.path != "/v1/sessions"


@dataclass(frozen=True, slots=True)
class Given:
    """An answer on its way."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass(slots=True)
class Gate:
    """What went through, and what is to happen.

    `shut_after`: so many requests are still answered, then the line is dead. `acts`: called once,
    before the n-th request that fits is handed on. `clip`: the next answer to a path that holds the
    text breaks off after so many bytes.
    """

    asked: list[Asked] = field(default_factory=list)
    shut_after: int | None = None
    acts: list[tuple[Callable[[Asked], bool], int, Callable[[], object]]] = field(
        default_factory=list
    )
    clip: tuple[str, int] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def writes(self) -> list[Asked]:
        """The requests that may have changed something."""
        return [one for one in self.asked if one.writes]

    def afresh(self) -> None:
        """Forget what went through, and open again."""
        self.asked.clear()
        self.acts.clear()
        self.shut_after = None

    def before(self, number: int, fits: Callable[[Asked], bool], act: Callable[[], object]) -> None:
        """Let `act` happen before the `number`-th request from now that fits."""
        self.acts.append((fits, number, act))

    def admits(self, method: str, path: str) -> bool:
        """Note a request and let happen what was to happen before it; whether it may pass."""
        one = Asked(method, unquote(path))
        with self.lock:
            if self.shut_after is not None and len(self.asked) >= self.shut_after:
                return False
            self.asked.append(one)
            due: list[Callable[[], object]] = []
            left: list[tuple[Callable[[Asked], bool], int, Callable[[], object]]] = []
            for fits, number, act in self.acts:
                number -= fits(one)
                due += [act] if number == 0 else []
                left += [(fits, number, act)] if number else []
            self.acts[:] = left
        for act in due:
            act()
        return True

    @contextmanager
    def to(self, upstream: str) -> Iterator[str]:
        """Stand before the server at `upstream`; gives the address of the gate."""
        gate = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if not gate.admits(self.command, self.path):
                    self.close_connection = True
                    return
                given = passed_on(self, upstream, body)
                clip = gate.clip if gate.clip and gate.clip[0] in self.path else None
                if clip:
                    gate.clip = None
                    self.close_connection = True
                respond(self, given, clip[1] if clip else None)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, format: str, *args: object) -> None:
                """Silence: tests read answers, not logs."""

        with serving(Handler) as url:
            yield url


def passed_on(request: BaseHTTPRequestHandler, upstream: str, body: bytes) -> Given:
    """The upstream server's answer to a request, asked with the very same headers."""
    with closing(http.client.HTTPConnection(urlsplit(upstream).netloc, timeout=120)) as line:
        line.putrequest(request.command, request.path, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name.lower() != "connection":
                line.putheader(name, value)
        line.endheaders(body or None)
        answer = line.getresponse()
        content = answer.read()
        return Given(answer.status, answer.getheaders(), content)


def respond(request: BaseHTTPRequestHandler, given: Given, clip: int | None = None) -> None:
    """Send an answer; of its body only `clip` bytes."""
    request.send_response(given.status)
    for name, value in given.headers:
        if name.lower() not in HOP:
            request.send_header(name, value)
    if given.status not in (204, 304):
        request.send_header("Content-Length", str(len(given.body)))
    request.end_headers()
    if request.command != "HEAD":
        request.wfile.write(given.body[:clip])
