"""The local copy of what lies on the server: one SQLite file that loses nothing and repeats nothing.

Each submission is one row, keyed by form and root id; its payload is the server's own JSON, decoded
only when it is read. What a row was before an edit stays in its version chain; a row that is gone
from the server becomes a tombstone. The cursor is saved in the transaction of the rows it stands for,
so a stop at any moment leaves a mirror from which the next pull ends where an undisturbed one ends.

`save` is the only door through which raw payloads come in, personal data included.
"""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson

from forms.problems import Finding, Problem
from sync.backend import Mark, Row

__all__ = ["Mirror", "Saved", "Stored", "storage_problem"]

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE forms (
    form_id TEXT PRIMARY KEY,
    uid TEXT NOT NULL,
    cursor TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE TABLE rows (
    form_id TEXT NOT NULL,
    root_id TEXT NOT NULL,
    row_id INTEGER NOT NULL,
    uuid TEXT NOT NULL,
    mark TEXT NOT NULL,
    submitted_at TEXT NOT NULL,
    validation TEXT NOT NULL,
    withdrawn INTEGER NOT NULL DEFAULT 0,
    payload BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX rows_root ON rows (form_id, root_id);
CREATE INDEX rows_light ON rows (form_id, root_id, row_id, mark, withdrawn);
CREATE TABLE versions (
    form_id TEXT NOT NULL,
    root_id TEXT NOT NULL,
    n INTEGER NOT NULL,
    uuid TEXT NOT NULL,
    mark TEXT NOT NULL,
    submitted_at TEXT NOT NULL,
    validation TEXT NOT NULL,
    payload BLOB NOT NULL,
    PRIMARY KEY (form_id, root_id, n)
) STRICT;
"""
LEDGER = """
DROP TABLE IF EXISTS temp.ledger;
CREATE TEMP TABLE ledger (row_id INTEGER PRIMARY KEY, root_id TEXT NOT NULL, mark TEXT NOT NULL);
"""
WINNERS = """
WITH winners AS (SELECT root_id, max(row_id) AS row_id, mark FROM temp.ledger GROUP BY root_id)
SELECT winners.row_id FROM winners
LEFT JOIN rows ON rows.form_id = ? AND rows.root_id = winners.root_id
WHERE rows.root_id IS NULL OR rows.withdrawn
   OR rows.row_id <> winners.row_id OR rows.mark <> winners.mark
ORDER BY winners.row_id
"""
GONE = """
rows.form_id = ? AND NOT rows.withdrawn
AND NOT EXISTS (SELECT 1 FROM temp.ledger WHERE ledger.root_id = rows.root_id)
"""
CHAIN = """
INSERT INTO versions
SELECT form_id, root_id,
       1 + (SELECT count(*) FROM versions AS v
            WHERE v.form_id = rows.form_id AND v.root_id = rows.root_id),
       uuid, mark, submitted_at, validation, payload
FROM rows WHERE form_id = ? AND root_id = ?
"""
PUT = """
INSERT INTO rows (form_id, root_id, row_id, uuid, mark, submitted_at, validation, payload)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (form_id, root_id) DO UPDATE SET
    row_id = excluded.row_id, uuid = excluded.uuid, mark = excluded.mark,
    submitted_at = excluded.submitted_at, validation = excluded.validation,
    payload = excluded.payload, withdrawn = 0
"""


@dataclass(frozen=True, slots=True)
class Saved:
    """How many submissions a `save` brought, and how many it changed."""

    new: int
    changed: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A submission as the mirror holds it; `payload` is the server's JSON row."""

    root_id: str
    validation: str
    withdrawn: bool
    payload: bytes


class Mirror:
    """The mirror at `path`, made when it is not there. A context manager; one writer at a time.

    Every method raises `Problem` when the disk is full, the file is broken or another program holds
    it; nothing is half-written then.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        with storage_problem(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self.base = sqlite3.connect(path, isolation_level=None, timeout=10.0)
            try:
                self.prepare()
            except BaseException:
                self.base.close()
                raise

    def prepare(self) -> None:
        # Rows are 2 kB: a page of 8 kB holds some, and a checkpoint each 16 MB saves flushes.
        self.base.execute("PRAGMA page_size = 8192")
        self.base.execute("PRAGMA journal_mode = WAL")
        self.base.execute("PRAGMA wal_autocheckpoint = 2000")
        self.base.execute("PRAGMA cache_size = -32000")
        self.base.execute("PRAGMA synchronous = NORMAL")
        (version,) = self.base.execute("PRAGMA user_version").fetchone()
        if version == SCHEMA_VERSION:
            return
        if version:
            raise Problem.at(
                str(self.path),
                f"was written by another version of watphon (schema {version})",
                "move the file away and run watphon pull: everything is still on the server",
                code="mirror_version",
            )
        with self.transaction():
            (tables,) = self.base.execute("SELECT count(*) FROM sqlite_schema").fetchone()
            if not tables:
                for statement in SCHEMA.split(";"):
                    self.base.execute(statement)
                self.base.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    def __enter__(self) -> Mirror:
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
                "ON CONFLICT (form_id) DO UPDATE SET uid = excluded.uid, cursor = ''",
                (form_id, uid),
            )
            self.base.execute("UPDATE rows SET row_id = 0, mark = '' WHERE form_id = ?", (form_id,))
        return ""

    def form_ids(self) -> tuple[str, ...]:
        """Forms that were pulled at least once."""
        with storage_problem(self.path):
            return tuple(
                row[0] for row in self.base.execute("SELECT form_id FROM forms ORDER BY form_id")
            )

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def save(
        self, form_id: str, rows: Sequence[Row], *, cursor: str | None = None, settle: bool = False
    ) -> Saved:
        """Take in rows and, in the same transaction, the cursor they stand for.

        Of two rows of one submission the one with the highest id wins; with `settle` the row given
        wins, because the ledger says it is the one that stands.
        """
        with self.transaction():
            known = self.known(form_id, rows)
            before = dict(known)
            standing: dict[str, Row] = {}
            for row in rows:
                old = known.get(row.root_id)
                if old and not settle and not old.withdrawn and row.row_id < old.row_id:
                    continue
                standing[row.root_id] = row
                known[row.root_id] = Known(row.row_id, row.uuid, row.mark, withdrawn=False)
            put = [
                row
                for root_id, row in standing.items()
                if root_id not in before or before[root_id] != known[root_id]
            ]
            edited = [
                row for row in put if row.root_id in before and before[row.root_id].edited(row)
            ]
            self.base.executemany(CHAIN, [(form_id, row.root_id) for row in edited])
            self.base.executemany(
                PUT,
                [
                    (
                        form_id,
                        row.root_id,
                        row.row_id,
                        row.uuid,
                        row.mark,
                        row.submitted_at,
                        row.validation,
                        row.payload,
                    )
                    for row in put
                ],
            )
            if cursor is not None:
                self.base.execute(
                    "UPDATE forms SET cursor = ? WHERE form_id = ?", (cursor, form_id)
                )
        new = sum(row.root_id not in before or before[row.root_id].withdrawn for row in put)
        return Saved(new, sum(not before[row.root_id].withdrawn for row in edited))

    def known(self, form_id: str, rows: Sequence[Row]) -> dict[str, Known]:
        found = self.base.execute(
            "SELECT root_id, row_id, uuid, mark, withdrawn FROM rows "
            "WHERE form_id = ? AND root_id IN (SELECT value FROM json_each(?))",
            (form_id, orjson.dumps([row.root_id for row in rows]).decode()),
        )
        return {
            root_id: Known(row_id, uuid, mark, withdrawn=bool(withdrawn))
            for root_id, row_id, uuid, mark, withdrawn in found
        }

    # ── the ledger: what the server says is there now ────────────────────────────────────────────

    def begin_ledger(self) -> None:
        """Forget the ledger of an earlier sweep. It lies in a temporary file, not in memory."""
        with storage_problem(self.path):
            self.base.executescript(LEDGER)

    def add_to_ledger(self, marks: Iterable[Mark]) -> None:
        """Note light lines of rows."""
        with storage_problem(self.path):
            self.base.execute("BEGIN")
            try:
                self.base.executemany(
                    "INSERT OR REPLACE INTO temp.ledger VALUES (?, ?, ?)",
                    [(mark.row_id, mark.root_id, mark.mark) for mark in marks],
                )
            finally:
                if self.base.in_transaction:
                    self.base.execute("COMMIT")

    def end_ledger(self) -> tuple[int, int]:
        """How many rows and how many submissions the ledger names."""
        with storage_problem(self.path):
            self.base.execute("CREATE INDEX temp.ledger_root ON ledger (root_id, row_id)")
            return self.base.execute(
                "SELECT count(*), count(DISTINCT root_id) FROM temp.ledger"
            ).fetchone()

    def unsettled(self, form_id: str) -> list[int]:
        """Row ids whose row here is missing, withdrawn or not as the ledger has it."""
        with storage_problem(self.path):
            return [row[0] for row in self.base.execute(WINNERS, (form_id,))]

    def withdraw_missing(self, form_id: str) -> int:
        """Make tombstones of the rows the ledger does not name; gives their number."""
        with self.transaction():
            return self.base.execute(
                f"UPDATE rows SET withdrawn = 1 WHERE {GONE}", (form_id,)
            ).rowcount

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def count(self, form_id: str, *, withdrawn: bool = False) -> int:
        """Live submissions of a form, or its tombstones."""
        with storage_problem(self.path):
            return self.base.execute(
                "SELECT count(*) FROM rows WHERE form_id = ? AND withdrawn = ?",
                (form_id, int(withdrawn)),
            ).fetchone()[0]

    def stored(self, form_id: str) -> Iterator[Stored]:
        """Every submission of a form, tombstones too, by root id; a stream, not a list."""
        with storage_problem(self.path):
            for root_id, validation, withdrawn, payload in self.base.execute(
                "SELECT root_id, validation, withdrawn, payload FROM rows "
                "WHERE form_id = ? ORDER BY root_id",
                (form_id,),
            ):
                yield Stored(root_id, validation, bool(withdrawn), payload)

    def history(self, form_id: str, root_id: str) -> tuple[bytes, ...]:
        """Earlier payloads of a submission, oldest first; the present one is not among them."""
        with storage_problem(self.path):
            return tuple(
                row[0]
                for row in self.base.execute(
                    "SELECT payload FROM versions WHERE form_id = ? AND root_id = ? ORDER BY n",
                    (form_id, root_id),
                )
            )


@dataclass(frozen=True, slots=True)
class Known:
    """What the mirror knows of a row before a save."""

    row_id: int
    uuid: str
    mark: str
    withdrawn: bool

    def edited(self, row: Row) -> bool:
        """Whether `row` says something else, rather than the same submission under another id.

        A phone that re-sends a deleted submission, or a phantom row, has a new row id and the old
        uuid: nothing was edited (CONTRACT 2.8).
        """
        return self.uuid != row.uuid or (self.row_id == row.row_id and self.mark != row.mark)


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
