"""Taking a backup of all that the server keeps, while it runs.

The rows are those of one moment. The contents they name are copied after that; while a backup says
that it is at work, the server removes none (`server.state.unused`). The file appears under its name
when it is whole and on disk, and only its owner may read it: it holds everything.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from sqlalchemy import Connection, and_, delete, func, insert, inspect, select, text, union, update

from forms.problems import Problem
from server.state.archive import Begin, Seen, Writer, binary, line
from server.state.blobs import Blobs, sync_folder
from server.state.schema import (
    attachments,
    deployed_media,
    media,
    metadata,
    schema,
    settings,
)
from server.state.store import MIGRATIONS, Store
from server.state.unused import BACKUP_RUNNING, UNUSED, referred_to
from server.times import moment, utc_now

__all__ = ["LAST_BACKUP", "back_up", "kept_tables"]

LAST_BACKUP = "last_backup"
"""Setting: when a backup was last finished."""
PART = 8_000_000
"""Bytes of rows in one member."""
BY_TURN = 500
BEAT = 60.0
SMALL = 16_000_000
"""Bytes of a content that is kept in memory while it is checked."""

Progress = Callable[[str, int, int], None]


def back_up(store: Store, blobs: Blobs, file: Path, progress: Progress) -> Seen:
    """Write a backup to a new file; what it holds.

    Raises `Problem` when the file is there already, and `OSError` when it cannot be written.
    """
    if file.exists():
        raise Problem.at(str(file), "is there already", "name another file", code="backup_exists")
    fresh = file.with_name(f".{file.name}.{secrets.token_hex(4)}")
    beat = Beat(store)
    try:
        fresh.touch(0o600)
        with fresh.open("wb") as opened:
            beat.now()
            seen = write(store, blobs, opened, progress, beat)
            opened.flush()
            os.fsync(opened.fileno())
        fresh.rename(file)
        sync_folder(file.parent)
        with store.write() as connection:
            keep(connection, LAST_BACKUP, moment(utc_now()))
        return seen
    finally:
        fresh.unlink(missing_ok=True)
        beat.end()


class Beat:
    """Says now and then that a backup is at work."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.said = 0.0

    def now(self) -> None:
        """Say it, if that was long ago."""
        if time.monotonic() - self.said > BEAT or not self.said:
            with self.store.write() as connection:
                keep(connection, BACKUP_RUNNING, moment(utc_now()))
            self.said = time.monotonic()

    def end(self) -> None:
        if self.said:
            with contextlib.suppress(Exception), self.store.write() as connection:
                connection.execute(delete(settings).where(settings.c.name == BACKUP_RUNNING))


def keep(connection: Connection, name: str, value: str) -> None:
    """Keep a setting."""
    here = settings.c.name == name
    if not connection.execute(update(settings).where(here).values(value=value)).rowcount:
        connection.execute(insert(settings), {"name": name, "value": value})


def write(store: Store, blobs: Blobs, file: IO[bytes], progress: Progress, beat: Beat) -> Seen:
    """Write all parts."""
    with tempfile.TemporaryFile(dir=store.folder) as digests:
        with store.read() as connection:
            tables = {str(table.name): table for table in kept_tables()}
            columns = {name: [str(c.name) for c in table.c] for name, table in tables.items()}
            begin = Begin(len(MIGRATIONS), moment(utc_now()), columns, last_numbers(connection))
            writer = Writer(file, begin)
            for name in tables:
                write_rows(connection, writer, name, progress, beat)
            wanted = 0
            for digest in named(connection):
                digests.write(digest.encode() + b"\n")
                wanted += 1
        digests.seek(0)
        missing = []
        for done, told in enumerate(digests):
            digest = told.decode().strip()
            progress("contents", done, wanted)
            beat.now()
            if not write_content(blobs, writer, digest):
                missing.append(digest)
    with store.read() as connection:
        # what an office deleted between the rows and the contents is not lost
        lost = [digest for digest in missing if referred_to(connection, digest)]
    return writer.end(lost)


def kept_tables() -> list:
    """The tables of a backup, each after those it refers to."""
    return [table for table in metadata.sorted_tables if table is not schema]


def write_rows(
    connection: Connection, writer: Writer, name: str, progress: Progress, beat: Beat
) -> None:
    """All rows of a table, in the order of its key."""
    table = metadata.tables[name]
    total = connection.execute(select(func.count()).select_from(table)).scalar_one()
    binaries = binary(table, [column.name for column in table.c])
    query = select(table).order_by(*table.primary_key.columns)
    if table is settings:
        own = and_(settings.c.name != BACKUP_RUNNING, ~settings.c.name.startswith(UNUSED))
        query = query.where(own)
    lines: list[bytes] = []
    size = done = 0
    for part in connection.execution_options(yield_per=BY_TURN).execute(query).partitions():
        for values in part:
            lines.append(line(values, binaries))
            size += len(lines[-1])
        done += len(part)
        if size > PART:
            writer.rows(name, lines)
            lines, size = [], 0
        progress(name, done, total)
        beat.now()
    if lines:
        writer.rows(name, lines)


def named(connection: Connection) -> Iterator[str]:
    """The hashes of all contents that rows name, in their order."""
    query = union(*(select(table.c.digest) for table in (attachments, media, deployed_media)))
    digest = query.subquery().c.digest
    found = connection.execution_options(yield_per=BY_TURN).execute(select(digest).order_by(digest))
    yield from found.scalars()


def write_content(blobs: Blobs, writer: Writer, digest: str) -> bool:
    """One content, if it is there and is what it should be."""
    hashed, size = hashlib.sha256(), 0
    with tempfile.SpooledTemporaryFile(SMALL, dir=str(blobs.folder)) as spool:
        try:
            for chunk in blobs.read(digest):
                hashed.update(chunk)
                size += len(chunk)
                spool.write(chunk)
        except FileNotFoundError:
            return False
        if hashed.hexdigest() != digest:
            return False
        spool.seek(0)
        writer.content(digest, size, spool)  # pyright: ignore[reportArgumentType]
    return True


def last_numbers(connection: Connection) -> dict[str, int]:
    """The last number each table has given to a row, where the database counts: none is used again."""
    if connection.dialect.name == "sqlite":
        if not inspect(connection).has_table("sqlite_sequence"):
            return {}
        return {
            row.name: row.seq
            for row in connection.execute(text("SELECT name, seq FROM sqlite_sequence"))
        }
    found: dict[str, int] = {}
    for table in kept_tables():
        if (sequence := sequence_of(connection, table.name)) is not None:
            query = text(f"SELECT last_value, is_called FROM {sequence}")
            last, given = connection.execute(query).one()
            if given:
                found[str(table.name)] = last
    return found


def sequence_of(connection: Connection, table: str) -> str | None:
    """PostgreSQL's counter of a table's `id`."""
    if "id" not in metadata.tables[table].c:
        return None
    query = text("SELECT pg_get_serial_sequence(:table, 'id')")
    return connection.execute(query, {"table": table}).scalar_one()
