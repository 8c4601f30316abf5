"""The two databases the server can keep its state in, and how each is opened.

SQLite (a file of the data folder) needs nothing; PostgreSQL serves where several app processes or
machines share the state. Either way a transaction that returned is on disk, one writer writes at a
time, and a reader sees one moment. Nothing else in the house knows which of the two it is.

A PostgreSQL address is `postgresql://USER@HOST:PORT/NAME`, or with a folder of sockets
`postgresql://USER@/NAME?host=/run/postgresql`; `sslmode` may be `disable`, `require` or
`verify-full` (with `sslrootcert`). The password comes from PGPASSWORD, or stands in
WATPHON_DATABASE; never in a command's words, which everybody on the machine can read.
"""

from __future__ import annotations

import os
import sqlite3
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL, Connection, Engine, Table, create_engine, event, insert, make_url
from sqlalchemy.exc import ArgumentError

from forms.problems import Problem
from server.state.trouble import is_lost

__all__ = ["WAIT_SECONDS", "Database", "add_rows", "database_of", "engines_for", "refuse_spoken"]

WAIT_SECONDS = 15
"""How long a statement waits for another process's write before it gives up."""
LONGEST_SILENCE = 120
"""Seconds a line to PostgreSQL may be silent inside a statement before it counts as broken."""
WRITERS = int.from_bytes(b"watphon", "big")
"""The lock that a writing transaction holds: PostgreSQL's lock of this number, in its database."""
SSL_MODES = ("disable", "require", "verify-full")


@dataclass(frozen=True, slots=True)
class Database:
    """Where the state is kept; `url` has the password, `told` never has."""

    url: URL

    @property
    def is_file(self) -> bool:
        """Whether it is SQLite."""
        return self.url.get_backend_name() == "sqlite"

    @property
    def told(self) -> str:
        """The address for people and files, without the password."""
        if self.is_file:
            return str(self.url.database)
        shown = self.url._replace(drivername="postgresql", password=None)
        return shown.render_as_string().replace("%2F", "/")

    @property
    def file(self) -> Path:
        """The SQLite file."""
        return Path(str(self.url.database))


def database_of(address: str, file: Path) -> Database:
    """The database of an address; the SQLite file where it is empty or `sqlite`.

    Raises `Problem` for what is no address of one.
    """
    if address in ("", "sqlite"):
        return Database(URL.create("sqlite", database=str(file)))
    try:
        url = make_url(address)
    except (ArgumentError, ValueError) as error:
        raise no_database() from error
    if url.drivername not in ("postgresql", "postgres") or not url.database:
        raise no_database()
    known = {"host", "sslmode", "sslrootcert"}
    if set(url.query) - known or url.query.get("sslmode", "require") not in SSL_MODES:
        raise no_database()
    password = url.password or os.environ.get("PGPASSWORD") or None
    return Database(url._replace(drivername="postgresql+pg8000", password=password))


def refuse_spoken(address: str | None) -> None:
    """Raise `Problem` for an address in a command's words that has a password in it."""
    if address and "@" in address and ":" in address.partition("://")[2].rpartition("@")[0]:
        raise Problem.at(
            "--database",
            "has a password in it, which everybody on this machine can read while the command runs",
            "put the password into PGPASSWORD, or the whole address into WATPHON_DATABASE",
            code="server_database",
        )


def no_database() -> Problem:
    # the address itself may hold a password
    return Problem.at(
        "the database's address",
        "is none this server knows",
        "write it as postgresql://USER@HOST/NAME (options: host, sslmode, sslrootcert), "
        "the password in PGPASSWORD; or leave it out, then the data folder holds the database",
        code="server_database",
    )


def engines_for(database: Database) -> tuple[Engine, Engine]:
    """The engine that reads and the one that writes."""
    if database.is_file:
        return sqlite_engine(database, writes=False), sqlite_engine(database, writes=True)
    return postgres_engine(database, writes=False), postgres_engine(database, writes=True)


def sqlite_engine(database: Database, *, writes: bool) -> Engine:
    """Durable commits, readers that never wait for the writer.

    The writer's connection is its own: what it has read of a large database stays in its memory as
    long as nobody else writes, and every write of another connection would make that worthless.
    """
    engine = create_engine(
        database.url,
        pool_size=1 if writes else 8,
        max_overflow=3 if writes else 8,
        connect_args={"timeout": WAIT_SECONDS, "isolation_level": None},
    )
    cache_kilobytes = 32_000 if writes else 4_000

    @event.listens_for(engine, "connect")
    def prepare(connection: sqlite3.Connection, _: object) -> None:
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            f"cache_size=-{cache_kilobytes}",
            "journal_size_limit=67108864",
        ):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # the sqlite3 module must not open transactions by itself: a writer that began by reading
        # would be refused where it should have waited
        if not writes:
            connection.exec_driver_sql("BEGIN")
        elif connection.get_execution_options().get("waits", True):
            connection.exec_driver_sql("BEGIN IMMEDIATE")
        else:
            driver = cast(sqlite3.Connection, connection.connection.driver_connection)
            driver.execute("PRAGMA busy_timeout=0").close()
            try:
                connection.exec_driver_sql("BEGIN IMMEDIATE")
            finally:
                driver.execute(f"PRAGMA busy_timeout={WAIT_SECONDS * 1000}").close()

    return engine


def add_rows(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert rows of text, numbers and bytes, all with the same columns in the same order.

    SQLAlchemy looks at every value once more, for which it takes longer than SQLite for the whole
    statement; PostgreSQL's driver needs it, to send many rows in one message.
    """
    if connection.dialect.name != "sqlite":
        connection.execute(insert(table), rows)
        return
    statement = inserting(table.name, tuple(rows[0]))
    connection.exec_driver_sql(statement, [tuple(row.values()) for row in rows])


@cache
def inserting(table: str, columns: tuple[str, ...]) -> str:
    marks = ", ".join("?" * len(columns))
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})"


def postgres_engine(database: Database, *, writes: bool) -> Engine:
    """An engine whose transactions write, one at a time, or read one moment.

    A writer takes the lock before it looks at anything. So it sees all that was committed, and
    nothing it read can be changed by another: what holds on SQLite, where writers take turns too.
    """
    try:
        import pg8000  # noqa: F401  # pyright: ignore[reportMissingTypeStubs]
    except ImportError as error:
        raise Problem.at(
            database.told,
            "the driver for PostgreSQL is not installed",
            "install it: pip install 'watphon[postgres]'",
            code="server_database",
        ) from error
    engine = create_engine(
        database.url.set(query={}, host=None),
        pool_size=2 if writes else 8,
        max_overflow=2 if writes else 8,
        connect_args=connect_words(database.url, writes=writes),
    )
    # rows of one statement go in one message: several times as fast as one by one
    engine.dialect.use_insertmanyvalues_wo_returning = True

    @event.listens_for(engine, "handle_error")
    def lost(context: Any) -> None:
        if context.sqlalchemy_exception is not None and is_lost(context.sqlalchemy_exception):
            context.is_disconnect = True

    if writes:

        @event.listens_for(engine, "begin")
        def begin(connection: Connection) -> None:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITERS})")

    return engine


def connect_words(url: URL, *, writes: bool) -> dict[str, Any]:
    """What the driver is told of one connection."""
    settings = {
        "lock_timeout": str(WAIT_SECONDS * 1000),
        "idle_in_transaction_session_timeout": "60000",
        "default_transaction_isolation": "read committed" if writes else "repeatable read",
        "default_transaction_read_only": "off" if writes else "on",
        # a 201 means on disk, whatever the database's own settings say
        "synchronous_commit": "on",
        "tcp_keepalives_idle": "30",
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
    }
    words: dict[str, Any] = {
        # the driver fails on none where PostgreSQL asks for one
        "password": url.password or "",
        "application_name": "watphon",
        "timeout": LONGEST_SILENCE,
        "startup_params": settings,
    }
    host = str(url.query.get("host", "")) or url.host or "127.0.0.1"
    if host.startswith("/"):
        words["unix_sock"] = f"{host}/.s.PGSQL.{url.port or 5432}"
        return words
    words["host"] = host
    mode = url.query.get("sslmode", "")
    if mode == "disable":
        words["ssl_context"] = False
    elif mode:
        context = ssl.create_default_context(cafile=str(url.query.get("sslrootcert", "")) or None)
        if mode == "require":
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        words["ssl_context"] = context
    return words
