"""How the server keeps what it has: transactions, the migrations, and which database it is.

Everything that must survive is in one database: a SQLite file under `DATA/server/`, or PostgreSQL where
an address says so (`server.state.engines`). File contents stand beside it, by content hash
(`server.state.blobs`). A transaction that returned is on disk. The tables and statements are
SQLAlchemy Core without anything of one database's own.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    DDL,
    Connection,
    CursorResult,
    Table,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateColumn

from forms.problems import Problem
from server.state.engines import Database, database_of, engines_for, refuse_spoken
from server.state.history import begin_changes
from server.state.remembered import asked, remember
from server.state.schema import accounts, clock, metadata, phone_keys, schema, submissions
from server.state.trouble import Locked, is_busy, is_full

__all__ = [
    "MIGRATIONS",
    "RESTORED",
    "Locked",
    "Store",
    "is_busy",
    "is_full",
    "new_uid",
    "open_store",
    "plain",
    "state_folder",
]


def create_first(connection: Connection) -> None:
    """Schema 1: all tables as `server.state.schema` has them today, and the clock at zero."""
    metadata.create_all(connection)
    connection.execute(insert(clock), {"id": 1, "submission": 0, "document": 0, "change": 0})


def add_people(connection: Connection) -> None:
    """Schema 3: sessions, scopes of keys, devices, the audit trail; who and where of submissions."""
    metadata.create_all(connection)
    for table in (accounts, phone_keys, submissions):
        add_missing(connection, table)


def add_missing(connection: Connection, table: Table) -> None:
    """Add the columns and indexes that an older schema's table lacks."""
    known = {column["name"] for column in inspect(connection).get_columns(table.name)}
    for column in table.columns:
        if column.name not in known:
            written = CreateColumn(column).compile(connection)
            connection.execute(DDL(f"ALTER TABLE {table.name} ADD COLUMN {written}"))
    for index in table.indexes:
        index.create(connection, checkfirst=True)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (create_first, begin_changes, add_people)
"""Step n makes schema n+1 of schema n; a step and its record are one transaction."""


RESTORED = ".restored"
"""End of the name of a folder that a restore has finished, until it is in its place."""


class Store:
    """The open database; `read` and `write` give a connection inside one transaction."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.database = database
        self.folder = folder
        self.engine, self.writing = engines_for(database)

    @property
    def quick(self) -> bool:
        """Whether small statements cost less than handing them to a thread does."""
        return self.database.is_file

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A consistent view: what others commit meanwhile is not seen."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """One transaction, on disk when the block has been left; undone on any exception."""
        with self.transaction(wait=True) as (connection, commit):
            yield connection
            commit()

    @contextmanager
    def transaction(self, *, wait: bool) -> Iterator[tuple[Connection, Callable[[], None]]]:
        """A writing transaction and the call that commits it; undone where that was not called.

        Without `wait`, raises `Locked` at once when another process is writing (SQLite only).
        """
        with self.writing.connect().execution_options(waits=wait) as connection:
            try:
                transaction = connection.begin()
            except DBAPIError as error:
                if is_busy(error):
                    raise Locked from error
                raise
            with transaction:
                yield connection, transaction.commit

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()
        self.writing.dispose()


def state_folder(data: Path) -> Path:
    """Where the server keeps its state inside the programme's data folder."""
    return data / "server"


def open_store(data: Path, database: str | None = None) -> Store:
    """Open the database of a data folder, made or brought up to date where needed.

    `database` is its address; None asks WATPHON_DATABASE and then what the folder remembers.
    Raises `Problem` when it cannot be used or a newer watphon has written it.
    """
    refuse_spoken(database)
    folder = state_folder(data)
    finish_move(folder)
    found = database_of(asked(folder, "database", database), folder / "server.sqlite3")
    other = folder / ("database" if found.is_file else "server.sqlite3")
    if other.exists() and not (found.is_file and found.file.exists()):
        raise Problem.at(
            str(folder),
            f"has its data elsewhere than in {found.told}",
            "move them: watphon backup FILE, then watphon restore FILE --database URL; "
            "or leave --database and WATPHON_DATABASE out",
            code="server_database",
        )
    store = Store(found, folder)
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        migrate(store)
        if not found.is_file:
            remember(folder, "database", found.told)
    except Problem:
        store.close()
        raise
    except Locked as error:
        store.close()
        raise Problem.at(
            found.told,
            "another process is changing the database all the time",
            "wait until it has finished, then try again",
            code="server_database",
        ) from error
    except (OSError, DBAPIError) as error:
        store.close()
        raise unusable(store, error) from error
    return store


def finish_move(folder: Path) -> None:
    """Put a restored folder in its place, where a power cut came between the two steps of that."""
    whole = folder.with_name(f"{folder.name}{RESTORED}")
    if whole.exists() and not folder.exists():
        whole.rename(folder)


def unusable(store: Store, error: OSError | DBAPIError) -> Problem:
    """Why the state cannot be kept where it should be."""
    if not store.database.is_file and isinstance(error, DBAPIError):
        told = error.orig.args[0] if error.orig is not None and error.orig.args else ""
        words = told.get("M", "") if isinstance(told, dict) else str(told)
        return Problem.at(
            store.database.told,
            f"the server cannot keep its data there ({words})",
            "check the address, that PostgreSQL runs and has this database, and PGPASSWORD",
            code="server_database",
        )
    words = error.orig if isinstance(error, DBAPIError) else error.strerror
    return Problem.at(
        str(store.folder),
        f"the server cannot keep its data there ({words})",
        "check that the folder is writable, the disk has room and the file is whole",
        code="server_folder",
    )


def migrate(store: Store) -> None:
    """Bring the tables to the newest schema, one transaction per step; several processes may."""
    first: int | None = None
    while True:
        with store.write() as connection:
            if not inspect(connection).has_table(schema.name):
                schema.create(connection)
                connection.execute(insert(schema), {"version": 0})
            found = connection.execute(select(schema.c.version)).scalar_one()
            if found > len(MIGRATIONS):
                raise Problem.at(
                    str(store.folder),
                    f"was written by a newer watphon (schema {found}, this one knows "
                    f"{len(MIGRATIONS)})",
                    "install the newer version",
                    code="server_folder",
                )
            if found == len(MIGRATIONS):
                return
            first = found if first is None else first
            if found and found == first and store.database.is_file:
                keep_copy(store.database.file, found)
            MIGRATIONS[found](connection)
            connection.execute(update(schema).values(version=found + 1))


def keep_copy(file: Path, version: int) -> None:
    """A copy of a database before it is changed, as `server.sqlite3.schema-N`; whole or not there."""
    kept = file.with_name(f"{file.name}.schema-{version}")
    if kept.exists():
        return
    fresh = kept.with_suffix(f".{secrets.token_hex(4)}")
    try:
        with (
            closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(fresh)) as target,
        ):
            source.backup(target)
        fresh.chmod(0o600)
        fresh.replace(kept)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def plain(result: CursorResult[Any]) -> list[tuple[Any, ...]]:
    """All rows as the driver gives them. For pages of data: making SQLAlchemy's rows of them takes
    longer than reading them. Columns of types that need converting must not be among them."""
    assert result.cursor is not None
    rows = list(result.cursor.fetchall())
    result.close()
    if rows and not isinstance(rows[0], tuple):  # PostgreSQL's driver gives lists
        return [tuple(row) for row in rows]
    return rows


def new_uid(prefix: str) -> str:
    """An identifier of KoboToolbox's kind: a letter and 21 or more letters and digits."""
    alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    return prefix + "".join(secrets.choice(alphabet) for _ in range(21))
