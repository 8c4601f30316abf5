"""One server per data folder, and who else serves the same database: locks that the system takes
back whatever happens.

The folder's lock is a file's; workers inherit it, so the folder stays locked until the last of them
has gone. Of a PostgreSQL database every server holds a shared lock, as several may serve it; a restore
holds it alone, and whoever can have it alone knows that nobody else is at work. The lock lives as long
as its session: `keep` takes it again after PostgreSQL was started anew, and ends the server where a
restore came first.
"""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, text
from sqlalchemy.exc import SQLAlchemyError

from forms.problems import Problem
from server.state.store import Store

__all__ = ["Held", "hold", "hold_database", "hold_folder", "keep"]

PATIENCE = 1.0
"""Seconds for the workers of a killed server to notice that and go."""
TURN = 5.0
"""Seconds to wait where another server has the database's lock alone for the moment of its start."""
LOOK = 1.0
"""Seconds between two looks whether the database's session lives."""
SERVING = int.from_bytes(b"serving", "big")

log = logging.getLogger("watphon.server")


@dataclass(slots=True)
class Held:
    """The locks of a server. `alone`: no other server was at work on the database."""

    file: BinaryIO
    session: Connection | None
    alone: bool
    ended: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        """Give the folder and the database free."""
        self.ended.set()
        self.file.close()
        self.drop()

    def drop(self) -> None:
        """End the database's session."""
        session, self.session = self.session, None
        if session is not None:
            end(session)


def end(session: Connection) -> None:
    """Close a connection for good: it must not go back to the pool with a lock."""
    with contextlib.suppress(SQLAlchemyError):
        session.invalidate()
    session.close()


def hold(store: Store) -> Held:
    """Lock the state's folder until released or until the process ends, even by SIGKILL.

    Raises `Problem` when another server holds it.
    """
    file = hold_folder(store.folder)
    if store.database.is_file:
        return Held(file, None, True)
    try:
        session, alone = hold_database(store)
    except BaseException:
        file.close()
        raise
    return Held(file, session, alone)


def hold_database(store: Store, *, sole: bool = False) -> tuple[Connection, bool]:
    """A connection that tells others that a server is at work on a PostgreSQL database, as long as it
    lives (end it by `invalidate`); and whether there is no other.

    With `sole`, and where there is no other, none can begin meanwhile. Raises `Problem` where another
    has it so.
    """
    # a session's lock stands outside of transactions
    session = store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    try:
        alone = asked(session, "pg_try_advisory_lock")
        if sole:
            return session, alone
        if not shared(session):
            raise Problem.at(
                store.database.told,
                "a restore is at work on it",
                "wait until it has finished, then start the server again",
                code="server_running",
            )
        if alone:
            asked(session, "pg_advisory_unlock")
    except BaseException:
        end(session)
        raise
    return session, alone


def asked(session: Connection, function: str) -> bool:
    """What one of PostgreSQL's functions says of the lock."""
    words = text(f"SELECT {function}(:number)")
    return bool(session.execute(words, {"number": SERVING}).scalar_one())


def shared(session: Connection) -> bool:
    """Take the lock beside other servers; whether it could be had."""
    deadline = time.monotonic() + TURN
    while not asked(session, "pg_try_advisory_lock_shared"):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def keep(held: Held, store: Store, taken: Callable[[], None]) -> None:
    """Look after the database's lock in a thread until `Held.release`.

    After its session broke the lock is taken again as soon as the database answers. Where a restore
    has the database for itself by then, `taken` is called, once, in that thread.
    """
    if held.session is not None:
        threading.Thread(target=watch, args=(held, store, taken), daemon=True).start()


def watch(held: Held, store: Store, taken: Callable[[], None]) -> None:
    """`keep`, in its thread."""
    while not held.ended.wait(LOOK):
        session = held.session
        try:
            if session is not None:
                session.execute(text("SELECT 1"))
                continue
            held.session = store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            if not shared(held.session):
                held.drop()
                taken()
                return
            log.info("the database knows again that this server is at work")
        except (
            Exception
        ) as error:  # whatever a line that breaks brings, the next look may do better
            if held.ended.is_set():
                return
            held.drop()
            if session is not None:
                log.warning("the database ended the session that holds the server's lock")
            else:
                log.debug("the server's lock cannot be taken yet: %s", type(error).__name__)


def hold_folder(folder: Path) -> BinaryIO:
    """The folder's lock."""
    file = (folder / "lock").open("ab")
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            if os.name == "nt":
                import msvcrt

                file.seek(0)
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)  # pyright: ignore[reportAttributeAccessIssue]
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError as error:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            file.close()
            raise Problem.at(
                str(folder),
                "another watphon server is running on this data folder",
                "use that one, or stop it first",
                code="server_running",
            ) from error
