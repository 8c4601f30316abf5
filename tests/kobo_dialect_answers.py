"""Answers of the KoboToolbox dialect: recorded bodies with other values, pages; and bodies taken apart."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import orjson
from recorded import recording

__all__ = ["NOT_FOUND", "PAGE_500", "Reply", "body_of", "page_of", "parts_of", "shaped"]


@dataclass(slots=True)
class Reply:
    """An answer: JSON unless it is bytes."""

    status: int
    body: Any = None
    kind: str = "application/json"
    headers: dict[str, str] | None = None

    def bytes(self) -> bytes:
        if isinstance(self.body, bytes):
            return self.body
        return b"" if self.body is None else orjson.dumps(self.body)


NOT_FOUND = Reply(404, {"detail": "Not found."})
PAGE_500 = Reply(500, b"<!DOCTYPE html><html><body>Server Error (500)</body></html>", "text/html")


@functools.cache
def template(number: int) -> str:
    """A recorded body as text: the asset's own object, of a list the first entry."""
    found = recording(number)["response_body"]
    found = found["results"][0] if number in (182, 287) else found
    return json.dumps({k: v for k, v in found.items() if k != "asset" or number != 16})


def shaped(number: int, url: str, uid: str, own: Mapping[str, Any]) -> dict[str, Any]:
    """A recorded body with addresses of this server, this asset's uid, and values of its own."""
    text = template(number).replace("http://kobo.example", url)
    for theirs in ("a4AMDX2ozJ2zAhanaYrmG5", "ahkZCk2mKrmE7e9FJoNHi2"):
        text = text.replace(theirs, uid or theirs)
    return {**json.loads(text), **own}


def page_of(entries: Sequence[Any], query: Mapping[str, str]) -> dict[str, Any]:
    """A page by `start` and `limit`."""
    start = int(query.get("start", "0"))
    page = list(entries[start : start + int(query.get("limit", "100"))])
    more = "more" if start + len(page) < len(entries) else None
    return {"count": len(entries), "next": more, "previous": None, "results": page}


def body_of(body: bytes, kind: str) -> dict[str, str]:
    """The fields of a form-encoded or multipart body; of JSON none (295)."""
    if kind.startswith("application/x-www-form-urlencoded"):
        return {name: values[-1] for name, values in parse_qs(body.decode()).items()}
    return parts_of(body, kind)[0] if kind.startswith("multipart/") else {}


def parts_of(body: bytes, kind: str) -> tuple[dict[str, str], list[tuple[str, bytes, str]]]:
    """Fields and files (name, content, media type) of a multipart body."""
    fields: dict[str, str] = {}
    files: list[tuple[str, bytes, str]] = []
    boundary = b"--" + kind.rpartition("boundary=")[2].strip('"').encode()
    for piece in body.split(boundary)[1:-1]:
        head, _, content = piece.partition(b"\r\n\r\n")
        text, content = head.decode(), content.removesuffix(b"\r\n")
        name = re.search(r'name="([^"]*)"', text)
        file = re.search(r'filename="([^"]*)"', text)
        media_type = re.search(r"Content-Type: (\S+)", text)
        if name and name[1] == "xml_submission_file":
            fields["xml"] = content.decode()
        elif name and file:
            files.append((file[1], content, media_type[1] if media_type else ""))
        elif name:
            fields[name[1]] = content.decode()
    return fields, files
