"""Recorded answers of a real KoboToolbox, given again over loopback.

A recording is asked for by its number (`tests/recordings/NNN_name.json`); an HTML page that was
trimmed in the recording is given as a page.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from small_kobo import serving

FOLDER = Path(__file__).parent / "recordings"
LEFT_TO_US = {"content-length", "date", "transfer-encoding", "connection"}


def recording(number: int) -> dict[str, Any]:
    (path,) = FOLDER.glob(f"{number:03d}_*.json")
    return json.loads(path.read_text("utf-8"))


@dataclass(slots=True)
class Given:
    """One answer: a recording's, or one written out."""

    status: int
    headers: dict[str, str]
    body: bytes
    cut: int | None = None
    """Close the line after so many bytes of the body."""

    @classmethod
    def of(cls, number: int) -> Given:
        found = recording(number)
        kept = {k: v for k, v in found["response_headers"].items() if k.lower() not in LEFT_TO_US}
        body = found["response_body"]
        if isinstance(body, str) and body.startswith("<!-- HTML page"):
            body = f"<!DOCTYPE html><html><body>{'x' * 1400}</body></html>"
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        return cls(found["status"], kept, b"" if body is None else raw)

    @classmethod
    def json(cls, found: object, status: int = 200) -> Given:
        return cls(status, {"Content-Type": "application/json"}, json.dumps(found).encode())


@dataclass(slots=True)
class Played:
    """A running replay: where it is, and what was asked of it."""

    url: str = ""
    asked: list[tuple[str, str, bytes]] = field(default_factory=list)


@contextmanager
def playing(answers: Sequence[Given | int]) -> Iterator[Played]:
    """Answer request after request with `answers` (a number is a recording); the last stays."""
    script = [Given.of(answer) if isinstance(answer, int) else answer for answer in answers]
    played = Played()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def answer(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            given = script[min(len(played.asked), len(script) - 1)]
            played.asked.append((self.command, self.path, self.rfile.read(length)))
            self.send_response(given.status)
            for name, value in given.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(given.body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(given.body[: given.cut])
            if given.cut is not None:
                self.close_connection = True

        do_GET = do_POST = do_PATCH = do_DELETE = do_HEAD = answer

        def log_message(self, format: str, *args: object) -> None:
            """Silence: tests read answers, not logs."""

    with serving(Handler) as url:
        played.url = url
        yield played
