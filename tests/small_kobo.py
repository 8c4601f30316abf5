"""A few rows behind the measured KoboToolbox data API, on loopback, for tests that need to reach in.

It holds one asset in memory and answers `/me/`, the asset list and `data/` as the recordings show
(default 100 rows, at most 1000, `fields` adds the identifying keys, an edit keeps `_id`). Tests
insert, edit, review and delete rows behind the puller's back through its methods. Files of rows are
served with ETag and Range; what happened to rows is listed in `history/` when `keeps_history` is set.
"""

from __future__ import annotations

import copy
import itertools
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

TOKEN = "0123456789abcdef0123456789abcdef01234567"
ALWAYS = ("_id", "_uuid", "meta/rootUuid", "_validation_status")
NOON = 1_795_438_902
"""2026-11-23T13:01:42Z, when every row is sent."""


@dataclass(slots=True)
class Kept:
    """A file of a submission; without `etag` or `ranges` the server knows of no such thing.

    A careless server gives the rest of another file than was begun (`if_range` False), or no more of
    a rest than `most` bytes.
    """

    content: bytes
    media_type: str = "image/png"
    etag: str = '"1"'
    ranges: bool = True
    if_range: bool = True
    most: int = 1 << 30

    def answer(self, wanted: str, unless: str) -> tuple[int, dict[str, str], bytes]:
        """The file, or from a byte on (RFC 9110, 14.2) if it still is what `unless` says (13.1.5)."""
        said = {"Content-Type": self.media_type, "Content-Disposition": "inline; filename=f"}
        if self.etag:
            said["ETag"] = self.etag
        asked = re.fullmatch(r"bytes=(\d+)-", wanted)
        same = unless in ("", self.etag) or not self.if_range
        if not asked or not self.ranges or not same:
            return 200, said, self.content
        begin, size = int(asked[1]), len(self.content)
        if begin >= size:
            return 416, {"Content-Range": f"bytes */{size}"}, b""
        rest = self.content[begin:][: self.most]
        said["Content-Range"] = f"bytes {begin}-{begin + len(rest) - 1}/{size}"
        return 206, said, rest


class SmallKobo:
    """The rows of one asset; `url` is where it answers."""

    def __init__(self, description: str, uid: str = "aSmallAsset") -> None:
        self.uid = uid
        self.description = description
        self.rows: dict[int, dict[str, Any]] = {}
        self.ids = itertools.count(1)
        self.clock = itertools.count(1_795_438_000)
        self.lock = threading.Lock()
        self.requests: list[str] = []
        self.url = ""
        self.ahead = 0
        """Seconds by which this server's clock is wrong."""
        self.files: dict[str, Kept] = {}
        self.keeps_history = False
        self.history: list[dict[str, Any]] = []

    def insert(self, root_id: str, answers: dict[str, Any], *, uuid: str = "") -> int:
        with self.lock:
            row_id = next(self.ids)
            self.rows[row_id] = {
                "_id": row_id,
                **answers,
                "__version__": "1 (2026-11-23 13:01:40)",
                "meta/instanceID": f"uuid:{uuid or root_id}",
                "_xform_id_string": self.uid,
                "_uuid": uuid or root_id,
                "meta/rootUuid": f"uuid:{root_id}",
                "_attachments": [],
                "_submission_time": told(NOON + self.ahead),
                "_validation_status": {},
                "_submitted_by": "enum1",
            }
            return row_id

    def edit(self, row_id: int, uuid: str, answers: dict[str, Any]) -> None:
        with self.lock:
            row = self.rows[row_id]
            row["meta/deprecatedID"] = row["meta/instanceID"]
            row |= {"_uuid": uuid, "meta/instanceID": f"uuid:{uuid}", **answers}
            self.note("modify-submission", row)

    def review(self, row_id: int, status: str) -> None:
        """Give a row a status; `""` takes it away."""
        with self.lock:
            given = {
                "timestamp": next(self.clock) + self.ahead,
                "uid": f"validation_status_{status}",
                "by_whom": "me_office",
                "label": status,
            }
            self.rows[row_id]["_validation_status"] = given if status else {}
            self.note("modify-submission", self.rows[row_id], status=status or "None")

    def delete(self, row_id: int) -> None:
        with self.lock:
            self.note("delete-submission", self.rows[row_id])
            del self.rows[row_id]

    def attach(self, row_id: int, xpath: str, name: str, kept: Kept) -> str:
        """A file of a row arrives (057, 076); gives its path."""
        with self.lock:
            path = f"/api/v2/assets/{self.uid}/data/{row_id}/attachments/att{len(self.files)}/"
            self.files[path] = kept
            self.rows[row_id]["_attachments"].append(
                {
                    "download_url": f"http://kobo.example{path}",
                    "mimetype": kept.media_type,
                    "media_file_basename": name,
                    "question_xpath": xpath,
                    "is_deleted": False,
                }
            )
            return path

    def note(self, action: str, row: dict[str, Any], **more: str) -> None:
        root_id = row["meta/rootUuid"].removeprefix("uuid:")
        at = told(next(self.clock) + self.ahead) + "Z"
        submission = {"root_uuid": root_id, "submitted_by": "enum1", **more}
        self.history.append(
            {
                "username": "me_office",
                "action": action,
                "metadata": {"submission": submission},
                "date_created": at,
            }
        )

    def answer(self, path: str, query: dict[str, list[str]], token: str) -> tuple[int, object]:
        self.requests.append(path)
        signed = token == f"Token {TOKEN}"
        if token and not signed:
            return 401, {"detail": "Invalid token."}
        if path == "/me/":
            return (
                (200, {"username": "me_office"}) if signed else (200, {"message": "not logged in"})
            )
        if path == "/api/v2/assets/":
            listed = [self.asset()] if signed else []
            return 200, {"count": len(listed), "next": None, "previous": None, "results": listed}
        if path == f"/api/v2/assets/{self.uid}/data/" and signed:
            return self.data({name: values[-1] for name, values in query.items()})
        if path == f"/api/v2/assets/{self.uid}/history/" and signed and self.keeps_history:
            return self.happened({name: values[-1] for name, values in query.items()})
        return 404, {"detail": "Not found."}

    def asset(self) -> dict[str, Any]:
        return {
            "uid": self.uid,
            "settings": {"description": self.description},
            "has_deployment": True,
            "deployment_status": "deployed",
            "deployment__active": True,
            "deployment__submission_count": len(self.rows),
        }

    def data(self, query: dict[str, str]) -> tuple[int, object]:
        wanted = orjson.loads(query.get("query", "{}")).get("_id", {})
        limit = min(int(query.get("limit", "100")), 1000)
        with self.lock:
            rows = [
                copy.deepcopy(row)
                for row_id, row in sorted(self.rows.items())
                if row_id > wanted.get("$gt", 0)
                and row_id <= wanted.get("$lte", row_id)
                and row_id in wanted.get("$in", (row_id,))
            ]
        page = rows[int(query.get("start", "0")) :][:limit]
        if "fields" in query:
            names = {*orjson.loads(query["fields"]), *ALWAYS}
            page = [{k: v for k, v in row.items() if k in names} for row in page]
        return 200, {"count": len(rows), "next": None, "previous": None, "results": page}

    def happened(self, query: dict[str, str]) -> tuple[int, object]:
        """The newest first (266), after a moment (267)."""
        after = re.search(r'date_created__gte?:"([^"]*)"', query["q"])
        strictly = "date_created__gt:" in query["q"]
        with self.lock:
            found = [
                entry
                for entry in reversed(self.history)
                if not after
                or entry["date_created"] > after[1]
                or (entry["date_created"] == after[1] and not strictly)
            ]
        page = found[int(query.get("start", "0")) :][: int(query.get("limit", "100"))]
        return 200, {"count": len(found), "next": None, "previous": None, "results": page}


def told(seconds: int) -> str:
    """A moment as KoboToolbox writes it: UTC, without a zone."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


@contextmanager
def running(kobo: SmallKobo) -> Iterator[SmallKobo]:
    """Answer on a free loopback port until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            token = self.headers.get("Authorization", "")
            if (kept := kobo.files.get(parts.path)) and token == f"Token {TOKEN}":
                kobo.requests.append(parts.path)
                wanted = self.headers.get("Range", ""), self.headers.get("If-Range", "")
                status, said, body = kept.answer(*wanted)
            else:
                status, found = kobo.answer(parts.path, parse_qs(parts.query), token)
                said, body = {"Content-Type": "application/json"}, orjson.dumps(found)
            self.send_response(status)
            for name, value in said.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Silence: tests read answers, not logs."""

    with serving(Handler) as url:
        kobo.url = url
        yield kobo


class Server(ThreadingHTTPServer):
    """Says nothing of clients that hang up or die: tests have them."""

    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """A threading HTTP server on a free loopback port; gives its URL."""
    server = Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
