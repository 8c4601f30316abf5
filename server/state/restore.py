"""Putting a backup back, into either kind of database: also the way from one to the other.

Nothing counts until all of it has been read and every hash agreed. A SQLite state is built in a folder
beside, which then takes the other's place; rows for PostgreSQL come in one transaction. What was there
before is refused, or with `replace` kept aside (the folder) or replaced (the rows of PostgreSQL).
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, select, text
from sqlalchemy.exc import DBAPIError

from forms.problems import Problem
from server.state.archive import Seen
from server.state.blobs import Blobs, sync_folder
from server.state.engines import Database, database_of, refuse_spoken
from server.state.loading import Loading, load
from server.state.lock import hold_database, hold_folder
from server.state.objects import object_blobs
from server.state.remembered import asked, remember
from server.state.schema import accounts, assets, submissions
from server.state.store import (
    RESTORED,
    Store,
    finish_move,
    migrate,
    open_store,
    state_folder,
    unusable,
)
from server.state.trouble import Locked
from server.times import utc_now

__all__ = ["restore"]

Progress = Callable[[str, int, int], None]


def restore(
    file: Path,
    data: Path,
    *,
    database: str | None,
    storage: str | None,
    replace: bool,
    progress: Progress,
) -> Seen:
    """Put a backup in the place of a data folder's state; what it held.

    `database` and `storage` are addresses; None asks the environment and what the folder remembers.
    Raises `Problem` when the backup is damaged, a server is running, or something is there already
    and `replace` was not said.
    """
    refuse_spoken(database)
    folder = state_folder(data)
    finish_move(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = database_of(asked(folder, "database", database), folder / "server.sqlite3")
    address = asked(folder, "storage", storage)
    lock = hold_folder(folder)
    try:
        if not target.is_file:
            return into_postgres(file, folder, target, address, replace, progress)
        if target.file.exists() and not replace:
            store = open_store(data, "sqlite")
            try:
                with store.read() as connection:
                    refuse_rows(connection, str(folder))
            finally:
                store.close()
        return into_folder(file, folder, address, progress)
    finally:
        lock.close()


def refuse_rows(connection: Connection, where: str) -> None:
    """Raise `Problem` where anything is kept."""
    for table in (accounts, assets, submissions):
        if connection.execute(select(table.c.id).limit(1)).first():
            raise Problem.at(
                where,
                "holds data already",
                "name an empty folder or database, or say --replace",
                code="restore_full",
            )


def into_folder(file: Path, folder: Path, address: str, progress: Progress) -> Seen:
    """Build the state in a folder beside, then let it take this one's place."""
    beside = folder.with_name(f"{folder.name}.restoring")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(mode=0o700)
    try:
        store = Store(database_of("", beside / "server.sqlite3"), beside)
        try:
            migrate(store)
            blobs = contents(address, beside)

            def run(change: Callable[[Connection], Any]) -> Any:
                with store.write() as connection:
                    return change(connection)

            seen = load(file, Loading(run, blobs), progress)
        finally:
            store.close()
        remember_both(beside, store.database, blobs)
        settle(beside / "server.sqlite3")
        whole = folder.with_name(f"{folder.name}{RESTORED}")
        if whole.exists():
            shutil.rmtree(whole)
        beside.rename(whole)
        if is_bare(folder):
            shutil.rmtree(folder)
        else:
            folder.rename(folder.with_name(f"{folder.name}.before-{utc_now():%Y%m%dT%H%M%S}"))
        whole.rename(folder)
        sync_folder(folder.parent)
        return seen
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def is_bare(folder: Path) -> bool:
    """Whether nothing worth keeping stands in a state's folder."""
    files = folder / "files" / "contents"
    kept = files.exists() and any(files.iterdir())
    return not kept and not (folder / "server.sqlite3").exists()


def settle(file: Path) -> None:
    """Bring a finished SQLite file to the disk, without a log beside it."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").close()
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
    sync_folder(file.parent)


def into_postgres(
    file: Path, folder: Path, target: Database, address: str, replace: bool, progress: Progress
) -> Seen:
    """All rows in one transaction, after the contents; a SQLite file that was here is kept aside."""
    store = Store(target, folder)
    try:
        migrate(store)
        blobs = contents(address, folder)
        session, alone = hold_database(store, sole=True)
        try:
            if not alone:
                words = "a watphon server is at work on it"
                raise Problem.at(target.told, words, "stop it first", code="server_running")
            with store.write() as connection:
                connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
                if not replace:
                    refuse_rows(connection, target.told)
                seen = load(file, Loading(lambda change: change(connection), blobs), progress)
        finally:
            session.invalidate()
            session.close()
        remember_both(folder, target, blobs)
        old = folder / "server.sqlite3"
        if old.exists():
            settle(old)
            old.rename(old.with_name(f"{old.name}.before-{utc_now():%Y%m%dT%H%M%S}"))
        # the planner knows nothing of rows that came all at once
        with store.writing.connect().execution_options(isolation_level="AUTOCOMMIT") as once:
            once.execute(text("ANALYZE"))
        return seen
    except Locked as error:
        words = "another process is writing to it all the time"
        raise Problem.at(target.told, words, "stop it first", code="server_running") from error
    except DBAPIError as error:
        raise unusable(store, error) from error
    finally:
        store.close()


def contents(address: str, folder: Path) -> Blobs:
    """The contents at an address, ready to take some."""
    files = folder / "files"
    own = address in ("", "folder")
    blobs = Blobs(files) if own else object_blobs(address, files)
    blobs.prepare()
    return blobs


def remember_both(folder: Path, target: Database, blobs: Blobs) -> None:
    """Keep where rows and contents are, where that is not here."""
    if not target.is_file:
        remember(folder, "database", target.told)
    if blobs.elsewhere:
        remember(folder, "storage", blobs.address)
    else:
        (folder / "storage").unlink(missing_ok=True)
