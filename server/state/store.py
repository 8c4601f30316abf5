"""How the server keeps what it has: the engine, transactions, the migrations.

Everything that must survive is in one database (SQLite by default) under `DATA/server/`; file
contents stand beside it, by content hash (`server.state.blobs`). A transaction that returned is on disk:
SQLite runs with a write-ahead log and `synchronous=FULL`. The tables and statements are SQLAlchemy
Core without anything of one database's own, so that PostgreSQL can take their place; what SQLite
alone needs is in `engine_for`.
"""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import (
    DDL,
    Connection,
    CursorResult,
    Engine,
    Table,
    create_engine,
    event,
    insert,
    inspect,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateColumn

from forms.problems import Problem
from server.state.history import begin_changes
from server.state.schema import accounts, clock, metadata, phone_keys, schema, submissions

__all__ = [
    "MIGRATIONS",
    "Locked",
    "Store",
    "is_busy",
    "is_full",
    "new_uid",
    "open_store",
    "plain",
    "state_folder",
]

WAIT_SECONDS = 15
"""How long a statement waits for another process's write before it gives up."""


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


class Locked(Exception):
    """Another process is writing just now."""


class Store:
    """The open database; `read` and `write` give a connection inside one transaction."""

    def __init__(self, engine: Engine, folder: Path) -> None:
        self.engine = engine
        self.folder = folder

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

        Without `wait`, raises `Locked` at once when another process is writing.
        """
        options = {"writes": True, "waits": wait}
        with self.engine.connect().execution_options(**options) as connection:
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


def state_folder(data: Path) -> Path:
    """Where the server keeps its state inside the programme's data folder."""
    return data / "server"


def open_store(data: Path) -> Store:
    """Open the database of a data folder, made or brought up to date where needed.

    Raises `Problem` when the folder cannot be used or a newer watphon has written it.
    """
    folder = state_folder(data)
    store = Store(engine_for(folder / "server.sqlite3"), folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        migrate(store)
    except Problem:
        store.close()
        raise
    except (OSError, DBAPIError) as error:
        store.close()
        words = error.orig if isinstance(error, DBAPIError) else error.strerror
        raise Problem.at(
            str(folder),
            f"the server cannot keep its data there ({words})",
            "check that the folder is writable, the disk has room and the file is whole",
            code="server_folder",
        ) from error
    return store


def migrate(store: Store) -> None:
    """Bring the tables to the newest schema, one transaction per step."""
    with store.write() as connection:
        if not inspect(connection).has_table(schema.name):
            schema.create(connection)
            connection.execute(insert(schema), {"version": 0})
        found = connection.execute(select(schema.c.version)).scalar_one()
    if found > len(MIGRATIONS):
        raise Problem.at(
            str(store.folder),
            f"was written by a newer watphon (schema {found}, this one knows {len(MIGRATIONS)})",
            "install the newer version",
            code="server_folder",
        )
    for number, step in enumerate(MIGRATIONS[found:], start=found + 1):
        with store.write() as connection:
            step(connection)
            connection.execute(update(schema).values(version=number))


def engine_for(path: Path) -> Engine:
    """The SQLite engine: durable commits, readers that never wait for the writer."""
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=8,
        max_overflow=8,
        connect_args={"timeout": WAIT_SECONDS, "isolation_level": None},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "cache_size=-8000",
            "wal_autocheckpoint=4000",
            "journal_size_limit=67108864",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # the sqlite3 module must not open transactions by itself: a writer that began by reading
        # would be refused where it should have waited
        options = connection.get_execution_options()
        if not options.get("writes"):
            connection.exec_driver_sql("BEGIN")
        elif options.get("waits", True):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            connection.exec_driver_sql("PRAGMA busy_timeout=0")
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            finally:
                connection.exec_driver_sql(f"PRAGMA busy_timeout={WAIT_SECONDS * 1000}")

    return engine


def plain(result: CursorResult[Any]) -> list[tuple[Any, ...]]:
    """All rows as the driver gives them. For pages of data: making SQLAlchemy's rows of them takes
    longer than reading them. Columns of types that need converting must not be among them."""
    assert result.cursor is not None
    rows = list(result.cursor.fetchall())
    result.close()
    return rows


def is_busy(error: BaseException) -> bool:
    """Whether an error means that another process was writing all the time we waited."""
    if isinstance(error, Locked):
        return True
    name = getattr(error.orig, "sqlite_errorname", "") if isinstance(error, DBAPIError) else ""
    return (name or "").startswith("SQLITE_BUSY")


def is_full(error: BaseException) -> bool:
    """Whether an error means that the disk took no more (full, over quota, file size limit)."""
    if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.Error):
        name = getattr(error.orig, "sqlite_errorname", "") or ""
        return name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN"))
    return isinstance(error, OSError) and error.errno in FULL


FULL = (27, 28, 30, 122)
"""EFBIG, ENOSPC, EROFS, EDQUOT (numbers: Windows lacks the last name)."""


def new_uid(prefix: str) -> str:
    """An identifier of KoboToolbox's kind: a letter and 21 or more letters and digits."""
    alphabet = "23456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
    return prefix + "".join(secrets.choice(alphabet) for _ in range(21))
