"""The mirror's file: opening it, its transactions, and what is noted of each form beside its rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Self

from forms.problems import Problem
from sync.schema import VERSION, upgrade
from sync.storage import storage_problem

__all__ = ["MirrorFile", "utc_now"]


def utc_now() -> str:
    """This moment, ISO 8601 in UTC to the second."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class MirrorFile:
    """The file at `path`, made when it is not there. A context manager; one writer at a time.

    `now` tells the moment that is noted beside a replaced version.
    """

    def __init__(self, path: Path, *, now: Callable[[], str] = utc_now) -> None:
        self.path = path
        self.now = now
        with storage_problem(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.base = sqlite3.connect(path, isolation_level=None, timeout=10.0)
            try:
                self.prepare()
            except BaseException:
                self.base.close()
                raise

    def prepare(self) -> None:
        # Rows are 2 kB: a page of 32 kB wastes little of itself; a checkpoint each 64 MB.
        self.base.execute("PRAGMA page_size = 32768")
        self.base.execute("PRAGMA journal_mode = WAL")
        self.base.execute("PRAGMA wal_autocheckpoint = 2000")
        self.base.execute("PRAGMA cache_size = -32000")
        self.base.execute("PRAGMA synchronous = NORMAL")
        (version,) = self.base.execute("PRAGMA user_version").fetchone()
        if version == VERSION:
            return
        if version > VERSION:
            raise Problem.at(
                str(self.path),
                f"was written by a later version of watphon (schema {version})",
                "use that version, or move the file away and run watphon pull: everything is still "
                "on the server",
                code="mirror_version",
            )
        with self.transaction():
            # Read again inside: another program may have just done it.
            (version,) = self.base.execute("PRAGMA user_version").fetchone()
            upgrade(self.base, version)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.base.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, whatever stops it."""
        with storage_problem(self.path):
            self.base.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.base.execute("COMMIT")
            except BaseException:
                # SQLite rolls back by itself on some errors (a full disk is one).
                if self.base.in_transaction:
                    self.base.execute("ROLLBACK")
                raise

    # ── forms and cursors ────────────────────────────────────────────────────────────────────────

    def bind(self, form_id: str, uid: str) -> str:
        """Say which asset of the server the form is now; gives the cursor to go on from.

        When it is another asset than last time (a new server), row ids begin anew: the rows stay, as
        unknown to the new asset, until the sweep recognises or withdraws them.
        """
        with storage_problem(self.path):
            found = self.base.execute(
                "SELECT uid, cursor FROM forms WHERE form_id = ?", (form_id,)
            ).fetchone()
        if found and found[0] == uid:
            return found[1]
        with self.transaction():
            self.base.execute(
                "INSERT INTO forms (form_id, uid) VALUES (?, ?) "
                "ON CONFLICT (form_id) DO UPDATE SET "
                "uid = excluded.uid, cursor = '', stamp = '', logged = ''",
                (form_id, uid),
            )
            self.base.execute("UPDATE rows SET row_id = 0, mark = '' WHERE form_id = ?", (form_id,))
        return ""

    def stamped(self, form_id: str) -> tuple[str, int]:
        """The server's stamp at the last complete pull, and how many rows it counted then."""
        with storage_problem(self.path):
            found = self.base.execute(
                "SELECT stamp, counted FROM forms WHERE form_id = ?", (form_id,)
            ).fetchone()
        return found or ("", 0)

    def set_stamp(self, form_id: str, stamp: str, counted: int) -> None:
        """Note that the mirror is what the server was when its stamp was read."""
        with self.transaction():
            self.base.execute(
                "UPDATE forms SET stamp = ?, counted = ? WHERE form_id = ?",
                (stamp, counted, form_id),
            )

    def states(self) -> str:
        """A word that changes whenever rows of any form do."""
        with storage_problem(self.path):
            found = self.base.execute("SELECT form_id, state FROM forms ORDER BY form_id")
            return " ".join(f"{form_id}:{state}" for form_id, state in found)

    def made_of(self, what: str) -> str:
        """What something outside (the tables) was last made of; `""` when it never was."""
        with storage_problem(self.path):
            found = self.base.execute("SELECT of FROM made WHERE what = ?", (what,)).fetchone()
        return found[0] if found else ""

    def note_made(self, what: str, of: str) -> None:
        """Note what something was made of, once it is there."""
        with self.transaction():
            self.base.execute("INSERT OR REPLACE INTO made VALUES (?, ?)", (what, of))

    def owe_log(self, form_id: str) -> None:
        """Note, in the transaction of a change, that the server's log has to tell of it yet."""
        self.base.execute("INSERT OR REPLACE INTO made VALUES (?, 'owed')", (log_of(form_id),))

    def owes_log(self, form_id: str) -> bool:
        """Whether rows changed since the server's log was last asked for to its end."""
        return self.made_of(log_of(form_id)) == "owed"

    def note_log(self, form_id: str) -> None:
        """Note that the server's log was asked for to its end."""
        self.note_made(log_of(form_id), "")

    def form_ids(self) -> tuple[str, ...]:
        """Forms that were pulled at least once."""
        with storage_problem(self.path):
            return tuple(
                row[0] for row in self.base.execute("SELECT form_id FROM forms ORDER BY form_id")
            )


def log_of(form_id: str) -> str:
    """How the server's log of a form is called among what was made."""
    return f"log of {form_id}"
