"""One server per data folder, and who else serves the same database: locks that the system takes
back whatever happens.

The folder's lock is a file's; workers inherit it, so the folder stays locked until the last of them
has gone. Of a PostgreSQL database every server holds a shared lock; whoever can have it alone knows
that nobody else is at work.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sqlalchemy import Connection, text

from forms.problems import Problem
from server.state.store import Store

__all__ = ["Held", "hold", "hold_database", "hold_folder"]

PATIENCE = 1.0
"""Seconds for the workers of a killed server to notice that and go."""
SERVING = int.from_bytes(b"serving", "big")


@dataclass(frozen=True, slots=True)
class Held:
    """The locks of a server. `alone`: no other server is at work on the database."""

    file: BinaryIO
    session: Connection | None
    alone: bool

    def release(self) -> None:
        """Give the folder and the database free."""
        self.file.close()
        if self.session is not None:
            # the connection must end, not go back to the pool with the lock
            self.session.invalidate()
            self.session.close()


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


def hold_database(store: Store) -> tuple[Connection, bool]:
    """A connection that tells others that a server is at work on a PostgreSQL database, as long as it
    lives (end it by `invalidate`); and whether there is no other."""
    # a session's lock stands outside of transactions
    session = store.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    number = {"number": SERVING}
    alone = session.execute(text("SELECT pg_try_advisory_lock(:number)"), number).scalar_one()
    session.execute(text("SELECT pg_advisory_lock_shared(:number)"), number)
    if alone:
        session.execute(text("SELECT pg_advisory_unlock(:number)"), number)
    return session, bool(alone)


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
