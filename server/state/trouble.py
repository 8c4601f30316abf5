"""What a database's errors mean to whoever waits: busy, full, or the line to it lost.

SQLite tells by the name of its result code, PostgreSQL by SQLSTATE
(https://www.postgresql.org/docs/current/errcodes-appendix.html); the operating system by errno.
"""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

__all__ = ["Locked", "StorageLost", "is_busy", "is_full", "is_lost", "is_unstorable", "state_of"]

FULL = (27, 28, 30, 122)
"""EFBIG, ENOSPC, EROFS, EDQUOT (numbers: Windows lacks the last name)."""

FULL_STATES = ("53100",)
LOST_STATES = ("57P01", "57P02", "57P03", "57P05", "25P03")
"""The database is stopping, crashed or starting, or ended a session that slept in a transaction."""
BUSY_STATES = ("40001", "40P01", "55P03", "57014", "53300", "53200", "25006")
"""Conflict, deadlock, a lock not had in time, a cancelled statement, too many connections, no memory,
a standby that has not taken over yet."""


class Locked(Exception):
    """Another process is writing just now."""


class StorageLost(Exception):
    """The store of file contents does not answer, or answers wrongly."""


def state_of(error: BaseException) -> str:
    """PostgreSQL's five characters for an error; empty where it has none."""
    original = error.orig if isinstance(error, DBAPIError) else error
    told = original.args[0] if original is not None and original.args else None
    return str(told.get("C", "")) if isinstance(told, dict) else ""


def is_lost(error: BaseException) -> bool:
    """Whether the line to the database broke: whether a commit arrived is then not known."""
    if not isinstance(error, DBAPIError) or isinstance(error.orig, sqlite3.Error):
        return False
    state = state_of(error)
    if error.connection_invalidated or state in LOST_STATES or state.startswith("08"):
        return True
    return isinstance(error, InterfaceError) and not state


def is_busy(error: BaseException) -> bool:
    """Whether an error means: try again soon. Another process was writing all the time we waited, or
    the database cannot be reached just now."""
    if isinstance(error, Locked | StorageLost | NoConnectionLeft) or is_lost(error):
        return True
    if not isinstance(error, DBAPIError):
        return False
    name = getattr(error.orig, "sqlite_errorname", "") or ""
    return name.startswith("SQLITE_BUSY") or state_of(error) in BUSY_STATES


def is_unstorable(error: BaseException) -> bool:
    """Whether an error means that a text has a character which the database keeps in none: NUL."""
    return state_of(error) in ("22021", "22P05")


def is_full(error: BaseException) -> bool:
    """Whether an error means that the disk took no more (full, over quota, file size limit)."""
    if isinstance(error, DBAPIError):
        name = getattr(error.orig, "sqlite_errorname", "") or ""
        return (
            name.startswith(("SQLITE_FULL", "SQLITE_IOERR", "SQLITE_CANTOPEN"))
            or state_of(error) in FULL_STATES
        )
    return isinstance(error, OSError) and error.errno in FULL
