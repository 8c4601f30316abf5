"""Exchanges with a real ODK Central, written down once and given again on loopback.

A tape is one JSON file per test: for each method and path (with its query) the answers in the order in
which they were asked for. Tokens and the server's address stand there as placeholders. With
WATPHON_TEST_CENTRAL (http://EMAIL:PASSWORD@HOST:PORT) the tape records, without it it replays; a
request that is not on it, or more often than it is on it, is answered with words and fails the test.
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import requests
from gate import Given, passed_on, respond
from small_kobo import serving

__all__ = ["RECORDING", "Tape", "account"]

FOLDER = Path(__file__).parent / "central"
RECORDING = os.environ.get("WATPHON_TEST_CENTRAL", "")
SECRET = re.compile(rb"(?<![A-Za-z0-9!$])[A-Za-z0-9!$]{64}(?![A-Za-z0-9!$])")
KEPT = ("content-type", "etag", "location", "content-disposition")
PLACEHOLDER = "http://central.example"


def account() -> tuple[str, str]:
    """Who signs in: of the server that is recorded, else anybody."""
    parts = urlsplit(RECORDING)
    return unquote(parts.username or "admin@example.org"), unquote(parts.password or "any")


@dataclass(slots=True)
class Tape:
    """One test's exchanges; `answers` are numbers of `bodies` with status and headers."""

    name: str
    answers: dict[str, list[list[Any]]] = field(default_factory=dict)
    bodies: list[Any] = field(default_factory=list)
    played: dict[str, int] = field(default_factory=dict)
    unexpected: list[str] = field(default_factory=list)
    secrets: dict[bytes, bytes] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)
    newest: int = 0
    ended: set[str] = field(default_factory=set)

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.json"

    @property
    def origin(self) -> str:
        """The recorded server's address without who signs in."""
        parts = urlsplit(RECORDING)
        return f"{parts.scheme}://{parts.hostname}:{parts.port}"

    @contextmanager
    def running(self) -> Iterator[str]:
        """Answer on loopback until the block ends; a good recording is then written."""
        tape = self
        if RECORDING:
            self.newest = clear(self.origin, self.name)
        else:
            found = json.loads(self.path.read_text("utf-8"))
            self.answers, self.bodies = found["answers"], found["bodies"]

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if RECORDING:
                    given = tape.trimmed(self.path, passed_on(self, tape.origin, body))
                    tape.note(self.command, self.path, given)
                else:
                    signed = self.headers.get("Authorization", "")
                    given = tape.recall(self.command, self.path, signed)
                respond(self, given)

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = answer

            def log_message(self, format: str, *args: object) -> None:
                """Silence: tests read answers, not logs."""

        with serving(Handler) as url:
            yield url
        if RECORDING:
            FOLDER.mkdir(exist_ok=True)
            written = {"answers": self.answers, "bodies": self.bodies}
            self.path.write_text(
                json.dumps(written, ensure_ascii=False, separators=(",", ":")).replace(
                    "]],", "]],\n"
                )
                + "\n",
                "utf-8",
            )
        assert not self.unexpected, (
            f"{self.path.name} does not hold {self.unexpected[:5]}: if the requests were meant to "
            "change, record it again with WATPHON_TEST_CENTRAL"
        )

    # ── recording ────────────────────────────────────────────────────────────────────────────────

    def trimmed(self, path: str, given: Given) -> Given:
        """The answer without other people's projects, which are nobody's business here."""
        if path != "/v1/projects" or given.status != 200 or not given.body.startswith(b"["):
            return given
        ours = [one for one in json.loads(given.body) if one["id"] > self.newest]
        return Given(given.status, given.headers, json.dumps(ours).encode())

    def note(self, method: str, path: str, given: Given) -> None:
        """Write down one exchange."""
        with self.lock:
            headers = {k: v for k, v in given.headers if k.lower() in KEPT}
            body = self.veiled(given.body)
            try:
                text: Any = body.decode()
            except UnicodeDecodeError:
                text = {"$base64": base64.b64encode(body).decode()}
            if text not in self.bodies:
                self.bodies.append(text)
            key = f"{method} {self.veiled_path(path)}"
            said = {k: self.veiled(v.encode()).decode() for k, v in headers.items()}
            self.answers.setdefault(key, []).append([given.status, said, self.bodies.index(text)])

    def veiled(self, body: bytes) -> bytes:
        """The body with placeholders for tokens and for the server's address."""

        def placeholder(found: re.Match[bytes]) -> bytes:
            return self.secrets.setdefault(found[0], b"token-%d" % (len(self.secrets) + 1))

        body = SECRET.sub(placeholder, body).replace(self.origin.encode(), PLACEHOLDER.encode())
        for secret, name in self.secrets.items():
            body = body.replace(quote(secret.decode(), safe="").encode(), name)
        return body

    def veiled_path(self, path: str) -> str:
        for secret, name in self.secrets.items():
            for written in (secret.decode(), quote(secret.decode(), safe="")):
                path = path.replace(written, name.decode())
        return path

    # ── replaying ────────────────────────────────────────────────────────────────────────────────

    def recall(self, method: str, path: str, signed: str) -> Given:
        """The recorded answer to the n-th asking; who asks in a session that ended gets a 401 only."""
        key = f"{method} {path}"
        with self.lock:
            number = self.played.get(key, 0)
            self.played[key] = number + 1
            known = self.answers.get(key, [])
            over = signed in self.ended
            if (method, path) == ("DELETE", "/v1/sessions/current"):
                self.ended.add(signed)
            if number >= len(known) or (over and known[number][0] != 401):
                self.unexpected.append(f"{key} (asking {number + 1})")
                words = json.dumps({"message": f"{self.path.name} does not hold {key}"}).encode()
                return Given(418, [("Content-Type", "application/json")], words)
        status, headers, body = known[number]
        held = self.bodies[body]
        raw = held.encode() if isinstance(held, str) else base64.b64decode(held["$base64"])
        return Given(status, list(headers.items()), raw)


def clear(origin: str, name: str) -> int:
    """Delete what an earlier recording left, outside of this one; gives the newest project's id."""
    email, password = account()
    with requests.Session() as session:
        session.trust_env = False
        opened = session.post(
            f"{origin}/v1/sessions", json={"email": email, "password": password}, timeout=60
        )
        session.headers["Authorization"] = f"Bearer {opened.json()['token']}"
        session.cookies.clear()
        listed = session.get(f"{origin}/v1/projects", timeout=60).json()
        for project in listed:
            marked = f"watphon:{name}" in (project["description"] or "")
            if project["name"].startswith(name) or marked or project["name"] == f"lost {name}":
                gone = session.delete(f"{origin}/v1/projects/{project['id']}", timeout=60)
                assert gone.status_code == 200, gone.text
        return max((one["id"] for one in listed), default=0)
