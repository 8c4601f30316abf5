"""The file of a backup: a tar that any program unpacks, with every part's hash, for either database.

In this order: `begin.json` (schema, tables and their columns), `rows/TABLE/NNNNNN.jsonl` (a row a line, as
a JSON list in the order of the columns; binary values in base64), `contents/SHA256` (photographs and
media as they came), `manifest.json` (how many of each, and the hashes). The manifest comes last, so a
file that was cut off has none. Nothing is ever unpacked by the names in it: a name that is not one of
these is refused.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import tarfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson
from sqlalchemy import LargeBinary, Table

from forms.problems import Problem

__all__ = ["Begin", "Seen", "Writer", "binary", "line", "row", "walk"]

FORMAT = "watphon-backup"
VERSION = 1
ROWS = re.compile(r"rows/([a-z_]{1,40})/([0-9]{6})\.jsonl")
CONTENT = re.compile(r"contents/([0-9a-f]{64})")
LARGEST_ROWS = 256_000_000
"""Bytes of one member of rows; the writer makes them of eight millions, and one row may be larger."""
LARGEST_JSON = 64_000_000
CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Begin:
    """What a backup begins with: of which schema it is, its tables with their columns, and the last
    number each table has given."""

    schema: int
    made_at: str
    tables: dict[str, list[str]]
    numbers: dict[str, int]


@dataclass(slots=True)
class Seen:
    """What a backup holds: rows by table, contents, contents that were not there to be read."""

    made_at: str = ""
    rows: dict[str, int] = field(default_factory=dict)
    contents: int = 0
    bytes: int = 0
    missing: list[str] = field(default_factory=list)


class Writer:
    """A backup being written; members go out as they come."""

    def __init__(self, file: IO[bytes], begin: Begin) -> None:
        self.tar = tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT)  # noqa: SIM115
        self.members: dict[str, str] = {}
        self.digests = hashlib.sha256()
        self.seen = Seen(begin.made_at, dict.fromkeys(begin.tables, 0))
        self.parts: dict[str, int] = {}
        head = {
            "format": FORMAT,
            "version": VERSION,
            "schema": begin.schema,
            "made_at": begin.made_at,
            "tables": begin.tables,
            "numbers": begin.numbers,
        }
        self.add("begin.json", orjson.dumps(head, option=orjson.OPT_INDENT_2))

    def add(self, name: str, content: bytes) -> None:
        """A member whose hash the manifest tells."""
        self.members[name] = hashlib.sha256(content).hexdigest()
        self.tar.addfile(head(name, len(content)), io.BytesIO(content))

    def rows(self, table: str, lines: Sequence[bytes]) -> None:
        """Some rows of a table, each a line."""
        part = self.parts[table] = self.parts.get(table, -1) + 1
        self.add(f"rows/{table}/{part:06d}.jsonl", b"".join(lines))
        self.seen.rows[table] += len(lines)

    def content(self, digest: str, size: int, file: IO[bytes]) -> None:
        """A content under its hash, which the caller has checked; in the order of the hashes."""
        self.tar.addfile(head(f"contents/{digest}", size), file)
        self.digests.update(digest.encode())
        self.seen.contents += 1
        self.seen.bytes += size

    def end(self, missing: Sequence[str]) -> Seen:
        """Write the manifest."""
        self.seen.missing = list(missing)
        told = {
            "rows": self.seen.rows,
            "contents": {
                "count": self.seen.contents,
                "bytes": self.seen.bytes,
                "sha256": self.digests.hexdigest(),
                "missing": self.seen.missing,
            },
            "members": self.members,
        }
        self.add("manifest.json", orjson.dumps(told, option=orjson.OPT_INDENT_2))
        self.tar.close()
        return self.seen


def head(name: str, size: int) -> tarfile.TarInfo:
    """A member's head: a file that only its owner may read."""
    made = tarfile.TarInfo(name)
    made.size, made.mode, made.mtime = size, 0o600, int(time.time())
    return made


def binary(table: Table, columns: Sequence[str]) -> frozenset[int]:
    """Which of the columns hold bytes."""
    return frozenset(
        place
        for place, name in enumerate(columns)
        if name in table.c and isinstance(table.c[name].type, LargeBinary)
    )


def line(values: Iterable[Any], binaries: frozenset[int]) -> bytes:
    """A row as a line."""
    told = [
        base64.b64encode(value).decode() if place in binaries and value is not None else value
        for place, value in enumerate(values)
    ]
    return orjson.dumps(told, option=orjson.OPT_APPEND_NEWLINE)


def row(told: bytes, binaries: frozenset[int]) -> list[Any]:
    """The values of a line."""
    values = orjson.loads(told)
    for place in binaries:
        if values[place] is not None:
            values[place] = base64.b64decode(values[place], validate=True)
    return values


@dataclass(slots=True)
class Found:
    """What was met on the way through a backup."""

    begin: Begin
    seen: Seen
    members: dict[str, str]
    digests: Any
    last: str = ""


def walk(
    file: Path,
    *,
    begin: Callable[[Begin], None] = lambda begin: None,
    rows: Callable[[str, list[str], list[bytes]], None] = lambda table, columns, lines: None,
    content: Callable[[str, int, IO[bytes]], None] | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Seen:
    """Go through a backup once, hand its parts over as they come, and see that all of it is there.

    `content` reads its file to the end. What was handed over is true once this has returned. Raises
    `Problem` for whatever is not as it was written.
    """
    found: Found | None = None
    try:
        with file.open("rb") as opened, tarfile.open(fileobj=opened, mode="r|") as tar:
            size = file.stat().st_size
            for member in tar:
                if not member.isreg():
                    raise damaged(file, f"{member.name[:80]!r} is no plain file")
                progress("read", opened.tell() // 1_000_000, size // 1_000_000)
                stream = tar.extractfile(member)
                assert stream is not None
                if found is None:
                    found = begun(file, member, stream)
                    begin(found.begin)
                elif member.name == "manifest.json":
                    ended(file, found, orjson.loads(limited(file, member, stream, LARGEST_JSON)))
                    return found.seen
                elif match := ROWS.fullmatch(member.name):
                    columns = found.begin.tables.get(match[1])
                    if columns is None or member.name in found.members:
                        raise damaged(file, f"{member.name} was not announced")
                    told = limited(file, member, stream, LARGEST_ROWS)
                    found.members[member.name] = hashlib.sha256(told).hexdigest()
                    lines = told.splitlines()
                    found.seen.rows[match[1]] += len(lines)
                    rows(match[1], columns, lines)
                elif match := CONTENT.fullmatch(member.name):
                    taken(file, found, match[1], member.size, stream, content)
                else:
                    raise damaged(file, f"{member.name[:80]!r} does not belong there")
    except (tarfile.TarError, EOFError, ValueError, KeyError, TypeError) as error:
        raise damaged(file, "it is no backup, or a damaged one") from error
    raise damaged(file, "its end is missing")


def begun(file: Path, member: tarfile.TarInfo, stream: IO[bytes]) -> Found:
    """What the first member says."""
    if member.name != "begin.json":
        raise damaged(file, "it is no backup of watphon")
    told = limited(file, member, stream, LARGEST_JSON)
    said = orjson.loads(told)
    if said.get("format") != FORMAT or said.get("version") != VERSION:
        raise damaged(file, "another program, or a newer watphon, has written it")
    begin = Begin(said["schema"], said["made_at"], said["tables"], said["numbers"])
    seen = Seen(begin.made_at, dict.fromkeys(begin.tables, 0))
    return Found(begin, seen, {"begin.json": hashlib.sha256(told).hexdigest()}, hashlib.sha256())


def taken(
    file: Path,
    found: Found,
    digest: str,
    size: int,
    stream: IO[bytes],
    content: Callable[[str, int, IO[bytes]], None] | None,
) -> None:
    """Hand a content over, and see that it is what its name says."""
    if digest <= found.last:
        raise damaged(file, f"content {digest[:12]} stands in the wrong place")
    hashed = Hashed(stream)
    if content is not None:
        content(digest, size, hashed)  # pyright: ignore[reportArgumentType]
    while hashed.read(CHUNK):
        pass
    if hashed.hash.hexdigest() != digest:
        raise damaged(file, f"content {digest[:12]} is not what was stored")
    found.last = digest
    found.digests.update(digest.encode())
    found.seen.contents += 1
    found.seen.bytes += size


class Hashed(io.RawIOBase):
    """A file that is hashed while somebody reads it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream = stream
        self.hash = hashlib.sha256()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        told = self.stream.read(size)
        self.hash.update(told)
        return told


def ended(file: Path, found: Found, told: dict[str, Any]) -> None:
    """See that the manifest tells what was met."""
    contents = told["contents"]
    found.seen.missing = contents["missing"]
    for what, said, seen in (
        ("rows", told["rows"], found.seen.rows),
        ("parts", told["members"], found.members),
        ("contents", contents["count"], found.seen.contents),
        ("bytes", contents["bytes"], found.seen.bytes),
        ("contents", contents["sha256"], found.digests.hexdigest()),
    ):
        if said != seen:
            raise damaged(file, f"its {what} are not those it was written with")


def limited(file: Path, member: tarfile.TarInfo, stream: IO[bytes], most: int) -> bytes:
    """All of a small member."""
    if member.size > most:
        raise damaged(file, f"{member.name[:80]} is too large")
    return stream.read()


def damaged(file: Path, words: str) -> Problem:
    return Problem.at(
        str(file),
        f"cannot be used as a backup: {words}",
        "take another copy of it, or an earlier backup",
        code="backup_damaged",
    )
