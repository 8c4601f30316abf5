"""What the disk and SQLite refuse, in words with a remedy."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from forms.problems import Finding, Problem

__all__ = ["storage_problem"]


@contextmanager
def storage_problem(path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk say into a `Problem` with a remedy."""
    try:
        yield
    except sqlite3.Error as error:
        raise Problem(sqlite_finding(path, error)) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EFBIG, errno.EDQUOT):
            raise Problem(disk_full(path)) from error
        raise Problem.at(
            str(path),
            f"cannot be written ({error.strerror})",
            "check that the folder exists and belongs to you",
            code="not_writable",
        ) from error


def disk_full(path: Path) -> Finding:
    return Finding(
        "disk_full",
        "error",
        str(path),
        "no space is left on the disk; what was complete is kept",
        "free some space and run the same command again; it goes on where it stopped",
    )


def sqlite_finding(path: Path, error: sqlite3.Error) -> Finding:
    """SQLite's result codes in words (https://www.sqlite.org/rescode.html)."""
    code = getattr(error, "sqlite_errorcode", 0)
    match code & 0xFF:
        case sqlite3.SQLITE_FULL:
            return disk_full(path)
        # A file-size limit or a quota shows as a failed write.
        case sqlite3.SQLITE_IOERR:
            return disk_full(path)
        case sqlite3.SQLITE_BUSY | sqlite3.SQLITE_LOCKED:
            what = "is being written by another watphon"
            remedy = "wait until it has finished and run the same command again"
            return Finding("mirror_busy", "error", str(path), what, remedy)
        case sqlite3.SQLITE_CORRUPT | sqlite3.SQLITE_NOTADB:
            what = "is damaged or is no mirror"
            remedy = "move the file away and run watphon pull: everything is still on the server"
            return Finding("mirror_broken", "error", str(path), what, remedy)
        case sqlite3.SQLITE_READONLY | sqlite3.SQLITE_CANTOPEN | sqlite3.SQLITE_PERM:
            what = "cannot be opened for writing"
            remedy = "check that the folder exists, has space and belongs to you"
            return Finding("not_writable", "error", str(path), what, remedy)
    return Finding("mirror_failed", "error", str(path), f"failed: {error}", "report this")
