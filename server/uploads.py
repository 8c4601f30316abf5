"""Reading request bodies: multipart, form-encoded and JSON, each bounded, files straight to disk.

Nothing here trusts the caller: a body that is too large is refused before it is read where its
length is stated, and while it is read where it is not; names of files are data, never paths.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import orjson
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request

from server.answers import ACCEPTED_LENGTH, Refusal
from server.budget import budget
from server.state.blobs import Blobs, Staged, Staging

__all__ = [
    "BASE64_LIMIT",
    "Upload",
    "decoded",
    "file_name",
    "read_fields",
    "read_form",
    "read_json",
    "read_upload",
]

NUL = "A text must not hold the character NUL."
MEMORY_PART = 5_000_000
"""Bytes of a part that is kept in memory: an instance document, a form field."""
MAX_PARTS = 200
BODY_LIMIT = ACCEPTED_LENGTH + 1_000_000
"""Phones count the bytes of their files up to `ACCEPTED_LENGTH`; the heads of the parts come on top."""
FORM_LIMIT = 200_000
"""Bytes of a page's form."""
BASE64_LIMIT = 28_000_000
"""Bytes of a body that carries a file as base64: one of `ACCEPTED_LENGTH`, and some fields."""
JSON_LIMIT = 2_000_000
"""Bytes of any other JSON body; it is read at one go, while everybody else waits."""
MOST_ESCAPES = 1_500_000
"""`%` in a form-encoded body; base64 of 20 MB has half as many, and each takes forty bytes."""


@dataclass(slots=True)
class Upload:
    """A multipart body: fields in memory, files staged on disk. `discard` whatever is not used."""

    fields: dict[str, bytes] = field(default_factory=dict)
    files: list[tuple[str, Staged]] = field(default_factory=list)
    held: int = 0
    """Bytes of the fields, of the memory that all bodies share."""

    def discard(self, keep: Sequence[Staged] = ()) -> None:
        """Remove staged files that were not put to use; the fields' memory is given back."""
        budget.give(self.held)
        self.held = 0
        kept = {staged.path for staged in keep}
        for _, staged in self.files:
            if staged.path not in kept:
                staged.path.unlink(missing_ok=True)


class Reader:
    """State of one multipart body being read; python-multipart calls the `on_` functions."""

    def __init__(self, blobs: Blobs, in_memory: frozenset[str]) -> None:
        self.blobs = blobs
        self.in_memory = in_memory
        self.fields: dict[str, bytes] = {}
        self.staged: list[tuple[str, Staging]] = []
        self.parts = 0
        self.held = 0
        self.whole = False
        self.new_part()

    def new_part(self) -> None:
        self.header_name = self.header_value = b""
        self.name = ""
        self.buffer: bytearray | None = None
        self.staging: Staging | None = None
        self.headers: dict[bytes, bytes] = {}

    def on_part_begin(self) -> None:
        self.parts += 1
        if self.parts > MAX_PARTS:
            raise Refusal(413, f"more than {MAX_PARTS} parts")
        self.new_part()

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self.header_name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self.header_value += data[start:end]

    def on_header_end(self) -> None:
        self.headers[self.header_name.lower()] = self.header_value
        self.header_name = self.header_value = b""

    def on_headers_finished(self) -> None:
        _, options = parse_options_header(self.headers.get(b"content-disposition", b""))
        if b"name" not in options:
            raise Refusal(400, "a part of the form has no name")
        self.name = words(options[b"name"])
        if b"filename" in options and self.name not in self.in_memory:
            kind = words(self.headers.get(b"content-type", b""))[:100]
            self.staging = self.blobs.stage(file_name(words(options[b"filename"])), kind)
            self.staged.append((self.name, self.staging))
        else:
            self.buffer = bytearray()

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self.staging:
            self.staging.write(data[start:end])
        elif self.buffer is not None:
            budget.take(end - start)
            self.held += end - start
            self.buffer += data[start:end]
            if len(self.buffer) > MEMORY_PART:
                raise Refusal(413, f"{self.name[:40]} is larger than {MEMORY_PART} bytes")

    def on_part_end(self) -> None:
        if self.buffer is not None:
            # the first of a name counts, whatever follows
            self.fields.setdefault(self.name, bytes(self.buffer))
        self.new_part()

    def on_end(self) -> None:
        self.whole = True

    def discard(self) -> None:
        budget.give(self.held)
        self.held = 0
        for _, staging in self.staged:
            staging.discard()


async def read_upload(
    request: Request, blobs: Blobs, *, in_memory: frozenset[str] = frozenset()
) -> Upload:
    """The parts of a multipart/form-data body.

    Parts named in `in_memory` are kept as bytes even when they carry a file name. Raises `Refusal`
    400 for a body that is not whole, 413 for one that is too large, and `OSError` when the disk is
    full.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    boundary = options.get(b"boundary")
    if kind != b"multipart/form-data" or not boundary:
        raise Refusal(400, "The body must be multipart/form-data.")
    refuse_stated_length(request, BODY_LIMIT)
    reader = Reader(blobs, in_memory)
    try:
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": reader.on_part_begin,
                "on_header_field": reader.on_header_field,
                "on_header_value": reader.on_header_value,
                "on_header_end": reader.on_header_end,
                "on_headers_finished": reader.on_headers_finished,
                "on_part_data": reader.on_part_data,
                "on_part_end": reader.on_part_end,
                "on_end": reader.on_end,
            },
        )
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > BODY_LIMIT:
                raise too_large(BODY_LIMIT)
            if chunk:
                parser.write(chunk)
        parser.finalize()
        if not reader.whole:
            raise Refusal(400, "The body ends before its last part does.")
        files = []
        for name, staging in reader.staged:
            files.append((name, await staging.finished()))
    except FormParserError as error:
        reader.discard()
        raise Refusal(400, "The body is not well-formed multipart/form-data.") from error
    except BaseException:
        reader.discard()
        raise
    return Upload(reader.fields, files, reader.held)


async def read_body(request: Request, limit: int) -> bytes:
    """A whole body of at most `limit` bytes."""
    refuse_stated_length(request, limit)
    body = bytearray()
    held = 0
    try:
        async for chunk in request.stream():
            if len(body) + len(chunk) > limit:
                raise too_large(limit)
            budget.take(len(chunk))
            held += len(chunk)
            body += chunk
    finally:
        budget.give(held)
    return bytes(body)


async def read_json(request: Request, limit: int = JSON_LIMIT) -> dict[str, Any]:
    """A JSON object; raises `Refusal` 400 for anything else, 413 where it is too large, 415 where
    another type is stated."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind not in ("application/json", ""):
        raise Refusal(415, f'Unsupported media type "{kind[:100]}" in request.')
    body = await read_body(request, limit)
    try:
        content = orjson.loads(body or b"{}")
    except orjson.JSONDecodeError as error:
        raise Refusal(400, f"JSON parse error - {error}") from error
    if not isinstance(content, dict):
        raise Refusal(400, "The body must be a JSON object.")
    if b"\\u0000" in body and holds_nul(content):
        raise Refusal(400, NUL)
    return content


def holds_nul(value: Any) -> bool:
    """Whether any text in a JSON value has a NUL, which PostgreSQL keeps in no text."""
    if isinstance(value, dict):
        return any(holds_nul(one) for pair in value.items() for one in pair)
    if isinstance(value, list):
        return any(holds_nul(one) for one in value)
    return isinstance(value, str) and "\0" in value


async def read_fields(request: Request, blobs: Blobs) -> tuple[dict[str, str], Upload]:
    """Fields of a form, form-encoded or multipart, and the upload that holds its files.

    Another content type gives no fields, as on KoboToolbox.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        upload = await read_upload(request, blobs)
        return {name: words(value) for name, value in upload.fields.items()}, upload
    body = await read_body(request, BASE64_LIMIT)
    if kind != "application/x-www-form-urlencoded":
        return {}, Upload()
    try:
        if body.count(b"%") > MOST_ESCAPES:
            raise too_large(BASE64_LIMIT)
        pairs = await asyncio.to_thread(
            parse_qsl, body.decode("ascii"), keep_blank_values=True, max_num_fields=100
        )
    except ValueError as error:
        raise Refusal(400, "The body is not form-encoded.") from error
    refuse_nul(pairs)
    return dict(pairs), Upload()


async def read_form(request: Request) -> FormData:
    """Fields of a page's form (form-encoded); a name may come several times (`getlist`).

    Raises `Refusal` 400 or 413; another content type gives no fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    body = await read_body(request, FORM_LIMIT)
    if kind != "application/x-www-form-urlencoded":
        return FormData()
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=1000)
    except ValueError as error:
        raise Refusal(400, "The body is not form-encoded.") from error
    refuse_nul(pairs)
    fields: list[tuple[str, str | UploadFile]] = [*pairs]
    return FormData(fields)


def refuse_nul(pairs: Sequence[tuple[str, str]]) -> None:
    """Raise `Refusal` 400 where a field's name or text has a NUL."""
    if any("\0" in text for pair in pairs for text in pair):
        raise Refusal(400, NUL)


def decoded(text: str, field: str) -> bytes:
    """The bytes of a `data:…;base64,…` address or of plain base64; raises `Refusal` 400."""
    try:
        return base64.b64decode(text.partition(",")[2] or text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refusal(400, {field: ["The text is not base64."]}) from error


def refuse_stated_length(request: Request, limit: int) -> None:
    stated = request.headers.get("content-length", "0")
    if stated.isdigit() and int(stated) > limit:
        raise too_large(limit)


def too_large(limit: int) -> Refusal:
    return Refusal(413, f"The request is larger than {limit} bytes.")


def words(data: bytes) -> str:
    """Text of a header or field; NUL and what is not UTF-8 become the replacement character."""
    return data.decode("utf-8", "replace").replace("\0", "\ufffd")


def file_name(name: str) -> str:
    """The last step of a sent name, without what no file name may hold, at most 200 characters."""
    # a quotation mark travels as %22 in a multipart head (HTML, multipart/form-data encoding)
    last = name.replace("%22", '"').replace("\\", "/").rpartition("/")[2]
    return "".join(c for c in last if c.isprintable()).strip()[:200] or "unnamed"
