"""The local copy of what lies on the server: one SQLite file that loses nothing and repeats nothing.

Each submission is one row, keyed by form and root id; its payload is the server's own JSON, decoded
only when it is read. What a row was before an edit stays in its version chain; a row that is gone
from the server becomes a tombstone. The cursor is saved in the transaction of the rows it stands for,
so a stop at any moment leaves a mirror from which the next pull ends where an undisturbed one ends.

`save` is the only door through which raw payloads come in, personal data included.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import orjson

from sync.backend import Mark, Row
from sync.mirror_file import MirrorFile
from sync.storage import storage_problem

__all__ = ["Mirror", "Saved", "Stored"]

CHAIN = """
INSERT INTO versions
SELECT form_id, root_id,
       1 + (SELECT count(*) FROM versions AS v
            WHERE v.form_id = rows.form_id AND v.root_id = rows.root_id),
       uuid, mark, submitted_at, validation, payload, ?
FROM rows WHERE form_id = ? AND root_id = ?
"""
PUT = """
INSERT INTO rows (form_id, root_id, row_id, uuid, mark, submitted_at, validation, payload, waiting)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (form_id, root_id) DO UPDATE SET
    row_id = excluded.row_id, uuid = excluded.uuid, mark = excluded.mark,
    submitted_at = excluded.submitted_at, validation = excluded.validation,
    payload = excluded.payload, waiting = excluded.waiting, withdrawn = 0
"""
PUT_NEW = PUT.partition("ON CONFLICT")[0] + "ON CONFLICT DO NOTHING"
LIST_FILE = """
INSERT INTO attachments (form_id, root_id, name, question, address, media_type, listed)
VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (form_id, root_id, name) DO UPDATE SET
    sha256 = CASE WHEN address = excluded.address THEN sha256 ELSE '' END,
    question = excluded.question, address = excluded.address, media_type = excluded.media_type,
    listed = excluded.listed
"""


@dataclass(frozen=True, slots=True)
class Saved:
    """How many submissions a `save` brought and how many it changed; the marks of the changed ones."""

    new: int
    changed: int
    touched: tuple[Mark, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class Stored:
    """A submission as the mirror holds it; `payload` is the server's JSON row."""

    root_id: str
    validation: str
    withdrawn: bool
    payload: bytes


class Mirror(MirrorFile):
    """The mirror at `path`, made when it is not there; the rows in it.

    Every method raises `Problem` when the disk is full, the file is broken or another program holds
    it; nothing is half-written then.
    """

    # ── writing ──────────────────────────────────────────────────────────────────────────────────

    def save(
        self,
        form_id: str,
        rows: Sequence[Row],
        *,
        cursor: str | None = None,
        settle: bool = False,
        afresh: bool = False,
    ) -> Saved:
        """Take in rows and, in the same transaction, the cursor they stand for.

        Of two rows of one submission the one with the highest id wins; with `settle` the row given
        wins, because the ledger says it is the one that stands; with `afresh` it is written even
        when its mark says that nothing changed (a photo may have arrived).
        """
        with self.transaction():
            if not settle and self.all_new(form_id, rows):
                self.move_on(form_id, cursor, len(rows))
                return Saved(len(rows), 0)
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
                if afresh or root_id not in before or before[root_id] != known[root_id]
            ]
            edited = [
                row for row in put if row.root_id in before and before[row.root_id].edited(row)
            ]
            if edited:
                now = self.now()
                self.base.executemany(CHAIN, [(now, form_id, row.root_id) for row in edited])
                self.owe_log(form_id)
            self.base.executemany(PUT, [columns(form_id, row) for row in put])
            self.list_files(form_id, put, before)
            self.move_on(form_id, cursor, len(put))
        new = sum(row.root_id not in before or before[row.root_id].withdrawn for row in put)
        touched = tuple(Mark(row.row_id, row.root_id, row.mark) for row in edited)
        return Saved(new, sum(not before[row.root_id].withdrawn for row in edited), touched)

    def all_new(self, form_id: str, rows: Sequence[Row]) -> bool:
        """Put in rows of which none is known yet, and not twice in `rows`; else nothing, and False.

        A first pull is made of such pages, and the unique index asks the same question anyway.
        """
        before = self.base.total_changes
        self.base.execute("SAVEPOINT fresh")
        self.base.executemany(PUT_NEW, [columns(form_id, row) for row in rows])
        if self.base.total_changes - before < len(rows):
            self.base.execute("ROLLBACK TO fresh")
            self.base.execute("RELEASE fresh")
            return False
        self.base.execute("RELEASE fresh")
        self.list_files(form_id, rows, ())
        return True

    def move_on(self, form_id: str, cursor: str | None, changed: int) -> None:
        """Note the cursor, and that rows changed, in their transaction."""
        self.base.execute(
            "UPDATE forms SET cursor = coalesce(?, cursor), state = state + ? WHERE form_id = ?",
            (cursor, changed, form_id),
        )

    def list_files(self, form_id: str, rows: Sequence[Row], before: Container[str]) -> None:
        """Note which files the rows have; those of an earlier version stay, as not listed."""
        self.base.executemany(
            "UPDATE attachments SET listed = 0 WHERE form_id = ? AND root_id = ?",
            [(form_id, row.root_id) for row in rows if row.root_id in before],
        )
        self.base.executemany(
            LIST_FILE,
            [
                (form_id, row.root_id, f.name, f.question, f.url, f.media_type, not f.deleted)
                for row in rows
                for f in row.attachments
            ],
        )

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

    # ── the light side: what a sweep compares ────────────────────────────────────────────────────

    def light(self, form_id: str, after: int, upto: int) -> list[tuple[int, str, str]]:
        """The marks of live rows whose row id is above `after` and not above `upto`, in order."""
        with storage_problem(self.path):
            return self.base.execute(
                "SELECT row_id, root_id, mark FROM rows WHERE form_id = ? "
                "AND row_id > ? AND row_id <= ? AND NOT withdrawn ORDER BY row_id, root_id",
                (form_id, after, upto),
            ).fetchall()

    def withdraw(self, form_id: str, root_ids: Sequence[str]) -> int:
        """Make tombstones of rows; gives how many were alive."""
        if not root_ids:
            return 0
        with self.transaction():
            self.move_on(form_id, None, 1)
            self.owe_log(form_id)
            return self.base.execute(
                "UPDATE rows SET withdrawn = 1 WHERE form_id = ? AND NOT withdrawn "
                "AND root_id IN (SELECT value FROM json_each(?))",
                (form_id, orjson.dumps(root_ids).decode()),
            ).rowcount

    def named(self, form_id: str, root_ids: Iterable[str]) -> dict[str, Mark]:
        """The light lines of live rows as they lie here, by root id."""
        with storage_problem(self.path):
            return {
                root_id: Mark(row_id, root_id, mark)
                for root_id, row_id, mark in self.base.execute(
                    "SELECT root_id, row_id, mark FROM rows WHERE form_id = ? AND NOT withdrawn "
                    "AND root_id IN (SELECT value FROM json_each(?))",
                    (form_id, orjson.dumps(list(root_ids)).decode()),
                )
            }

    def waiting(self, form_id: str) -> list[Mark]:
        """Rows that name a file the server had not received, of the fortnight before the newest row.

        Older ones will hardly come any more, and asking for them each time would cost; `pull --full`
        asks for all.
        """
        with storage_problem(self.path):
            return [
                Mark(*row)
                for row in self.base.execute(
                    "SELECT row_id, root_id, mark FROM rows WHERE form_id = :form AND waiting "
                    "AND NOT withdrawn AND julianday(submitted_at) > "
                    "(SELECT julianday(max(submitted_at)) - 14 FROM rows WHERE form_id = :form) "
                    "ORDER BY row_id, root_id",
                    {"form": form_id},
                )
            ]

    # ── reading ──────────────────────────────────────────────────────────────────────────────────

    def count(self, form_id: str, *, withdrawn: bool = False) -> int:
        """Live submissions of a form, or its tombstones."""
        with storage_problem(self.path):
            return self.base.execute(
                "SELECT count(*) FROM rows WHERE form_id = ? AND withdrawn = ?",
                (form_id, int(withdrawn)),
            ).fetchone()[0]

    def stored(
        self, form_id: str, *, after: str = "", until: str | None = None
    ) -> Iterator[Stored]:
        """Every submission of a form, tombstones too, by root id; a stream, not a list.

        `after` and `until` cut a range: from the root id `after` up to, without, `until`.
        """
        with storage_problem(self.path):
            for root_id, validation, withdrawn, payload in self.base.execute(
                "SELECT root_id, validation, withdrawn, payload FROM rows "
                f"WHERE form_id = ? AND root_id >= ? {'AND root_id < ? ' if until else ''}"
                "ORDER BY root_id",
                (form_id, after, until) if until else (form_id, after),
            ):
                yield Stored(root_id, validation, bool(withdrawn), payload)

    def ranges(self, form_id: str, rows: int) -> Iterator[tuple[str, str | None]]:
        """Ranges for `stored` of so many rows each, in order; together they hold every row."""
        after: str | None = ""
        while after is not None:
            with storage_problem(self.path):
                found = self.base.execute(
                    "SELECT root_id FROM rows WHERE form_id = ? AND root_id >= ? "
                    "ORDER BY root_id LIMIT 1 OFFSET ?",
                    (form_id, after, rows),
                ).fetchone()
            until = found[0] if found else None
            yield after, until
            after = until

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


def columns(form_id: str, row: Row) -> tuple[object, ...]:
    """A row as `PUT` takes it."""
    return (form_id, *row[:7], row.waiting)


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
