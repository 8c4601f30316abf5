"""A replay of recordings by method and path, whatever the order in which they are asked for.

Every request is noted with its headers. After a deployment the replay gives the answers that were
recorded after one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlsplit

from recorded import Given
from small_kobo import serving

from sync.kobo import Kobo

Answers = Mapping[str, Given | int]


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it came."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class Replay:
    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def writes(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method != "GET"]


@contextmanager
def answering(before: Answers, after: Answers | None = None) -> Iterator[Replay]:
    """Answer `"GET /path/"` with a recording; `after` holds what changes with the deployment."""
    replay = Replay()
    deployed = False

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def answer(self) -> None:
            nonlocal deployed
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            replay.asked.append(
                Asked(self.command, parts.path, parse_qs(parts.query), headers, body)
            )
            known = {**before, **(after or {})} if deployed else before
            found = known.get(f"{self.command} {parts.path}", NOWHERE)
            given = Given.of(found) if isinstance(found, int) else found
            deployed = deployed or (
                parts.path.endswith("/deployment/") and self.command in ("POST", "PATCH")
            )
            self.send_response(given.status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(given.body)))
            self.end_headers()
            self.wfile.write(given.body)

        do_GET = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, format: str, *args: object) -> None:
            """Silence: tests read answers, not logs."""

    with serving(Handler) as url:
        replay.url = url
        yield replay


NOWHERE = Given.json({"detail": "Not found."}, 404)


def kobo(url: str) -> Kobo:
    """A client that does not wait."""
    return Kobo(url, "token", patience=0.5, sleep=lambda seconds: None)
