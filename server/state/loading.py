"""A backup's rows and contents on their way into a state: read back, counted, numbered on."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from sqlalchemy import Connection, delete, func, insert, inspect, select, text

from forms.problems import Problem
from server.state.archive import CHUNK, Begin, Seen, binary, row, walk
from server.state.backup import kept_tables, sequence_of
from server.state.blobs import Blobs, Staged
from server.state.schema import metadata
from server.state.store import MIGRATIONS

__all__ = ["Loading", "load"]

BY_TURN = 1000
BROUGHT_AT_ONCE = 16

Progress = Callable[[str, int, int], None]
Run = Callable[[Callable[[Connection], Any]], Any]


@dataclass(slots=True)
class Loading:
    """A backup on its way in: `run` makes changes of the rows, contents go to `blobs`."""

    run: Run
    blobs: Blobs
    schema: int = 0
    numbers: dict[str, int] = field(default_factory=dict)
    staged: list[Staged] = field(default_factory=list)

    def begin(self, begin: Begin) -> None:
        """See that the backup can be read here, and make room."""
        if begin.schema > len(MIGRATIONS):
            raise Problem.at(
                "the backup",
                f"was made by a newer watphon (schema {begin.schema})",
                "install the newer version",
                code="backup_newer",
            )
        self.schema, self.numbers = begin.schema, begin.numbers

        def clear(connection: Connection) -> None:
            if connection.dialect.name == "postgresql":
                names = ", ".join(table.name for table in kept_tables())
                connection.execute(text(f"TRUNCATE {names} RESTART IDENTITY"))
                return
            for table in reversed(kept_tables()):
                connection.execute(delete(table))

        self.run(clear)

    def rows(self, name: str, columns: list[str], lines: list[bytes]) -> None:
        """Some rows of a table."""
        table = metadata.tables.get(name)
        if table is None or set(columns) - set(table.c.keys()):
            raise Problem.at(
                "the backup",
                f"has a table {name!r} that is not known here",
                "",
                code="backup_newer",
            )
        binaries = binary(table, columns)

        def load(connection: Connection) -> None:
            if connection.dialect.name == "postgresql":
                copy(connection, name, columns, [row(one, binaries) for one in lines])
                return
            for at in range(0, len(lines), BY_TURN):
                values = [
                    dict(zip(columns, row(one, binaries), strict=True))
                    for one in lines[at : at + BY_TURN]
                ]
                connection.execute(insert(table), values)

        self.run(load)

    def content(self, digest: str, size: int, file: IO[bytes]) -> None:
        """One content."""
        staging = self.blobs.stage(digest, "")
        try:
            while chunk := file.read(CHUNK):
                staging.write(chunk)
            staged = staging.finish()
        except BaseException:
            staging.discard()
            raise
        if staged.digest != digest:
            staging.discard()
            return  # `walk` says so
        self.staged.append(staged)
        if len(self.staged) >= BROUGHT_AT_ONCE:
            self.bring()

    def bring(self) -> None:
        """Put contents in their place, durably."""
        asyncio.run(self.blobs.bring(self.staged))
        for staged in self.staged:
            if self.blobs.elsewhere:
                staged.path.unlink()
            else:
                self.blobs.place(staged)
        self.blobs.sync()
        self.staged.clear()

    def finish(self, seen: Seen) -> None:
        """Bring older tables up to date, count, and go on with the numbers where they were."""
        self.bring()

        def complete(connection: Connection) -> None:
            for name, count in seen.rows.items():
                found = select(func.count()).select_from(metadata.tables[name])
                if connection.execute(found).scalar_one() != count:
                    raise Problem.at(name, "has not all rows of the backup", "try again")
            for step in MIGRATIONS[self.schema :]:
                step(connection)
            go_on(connection, self.numbers)

        self.run(complete)


def load(file: Path, loading: Loading, progress: Progress) -> Seen:
    """Bring all of a backup in."""
    try:
        seen = walk(
            file,
            begin=loading.begin,
            rows=loading.rows,
            content=loading.content,
            progress=progress,
        )
        loading.finish(seen)
        return seen
    finally:
        for staged in loading.staged:
            staged.path.unlink(missing_ok=True)


SPECIAL = str.maketrans({"\\": "\\\\", "\n": "\\n", "\r": "\\r", "\t": "\\t"})


def copy(connection: Connection, table: str, columns: list[str], rows: list[list[Any]]) -> None:
    """Rows by PostgreSQL's COPY, which takes many times as many a second as statements do.

    https://www.postgresql.org/docs/current/sql-copy.html, text format
    """
    lines = ("\t".join(map(copied, values)) for values in rows)
    told = io.BytesIO("".join(f"{line}\n" for line in lines).encode())
    cursor = connection.connection.cursor()
    try:
        quote = connection.dialect.identifier_preparer.quote
        words = f"COPY {quote(table)} ({', '.join(map(quote, columns))}) FROM STDIN"
        cursor.execute(words, stream=told)  # pyright: ignore[reportCallIssue]
    finally:
        cursor.close()


def copied(value: Any) -> str:
    """A value as COPY reads it."""
    if value is None:
        return "\\N"
    if isinstance(value, str):
        return value.translate(SPECIAL)
    if isinstance(value, bytes):
        return f"\\\\x{value.hex()}"
    return str(value)


def go_on(connection: Connection, numbers: dict[str, int]) -> None:
    """Let each table count on from its last number, also where rows have gone since."""
    for table in kept_tables():
        last = numbers.get(table.name, 0)
        if "id" in table.c:
            most = connection.execute(select(func.max(table.c.id))).scalar() or 0
            last = max(last, most)
        if not last:
            continue
        if connection.dialect.name == "sqlite":
            if not table.dialect_options["sqlite"]["autoincrement"]:
                continue
            if not inspect(connection).has_table("sqlite_sequence"):
                continue
            values = {"name": table.name, "seq": last}
            connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), values)
            connection.execute(
                text("INSERT INTO sqlite_sequence(name, seq) VALUES (:name, :seq)"), values
            )
        elif (sequence := sequence_of(connection, table.name)) is not None:
            connection.execute(
                text("SELECT setval(CAST(:sequence AS regclass), :last)"),
                {"sequence": sequence, "last": last},
            )
