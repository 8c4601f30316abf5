"""The mirror's tables, and how a mirror of an earlier version becomes one of this version.

A change of tables is a step in `STEPS`; step and version number are one transaction, so a stop
half-way leaves the old version whole.
"""

from __future__ import annotations

import sqlite3

__all__ = ["VERSION", "upgrade"]

FIRST = """
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

FILES_LOG_AND_COMMENTS = """
ALTER TABLE forms ADD COLUMN stamp TEXT NOT NULL DEFAULT '';
ALTER TABLE forms ADD COLUMN counted INTEGER NOT NULL DEFAULT 0;
ALTER TABLE forms ADD COLUMN logged TEXT NOT NULL DEFAULT '';
ALTER TABLE forms ADD COLUMN state INTEGER NOT NULL DEFAULT 0;
CREATE TABLE made (what TEXT PRIMARY KEY, of TEXT NOT NULL) STRICT;
ALTER TABLE rows ADD COLUMN waiting INTEGER NOT NULL DEFAULT 0;
ALTER TABLE versions ADD COLUMN replaced_at TEXT NOT NULL DEFAULT '';
DROP INDEX rows_light;
CREATE INDEX rows_order ON rows (form_id, row_id, root_id, mark, withdrawn);
CREATE INDEX rows_waiting ON rows (form_id, submitted_at) WHERE waiting;
CREATE TABLE attachments (
    form_id TEXT NOT NULL,
    root_id TEXT NOT NULL,
    name TEXT NOT NULL,
    question TEXT NOT NULL,
    address TEXT NOT NULL,
    media_type TEXT NOT NULL,
    listed INTEGER NOT NULL DEFAULT 1,
    sha256 TEXT NOT NULL DEFAULT '',
    size INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (form_id, root_id, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE log (
    form_id TEXT NOT NULL,
    root_id TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL,
    PRIMARY KEY (form_id, root_id, at, action, who, detail)
) STRICT, WITHOUT ROWID;
CREATE TABLE comments (
    n INTEGER PRIMARY KEY,
    form_id TEXT NOT NULL,
    root_id TEXT NOT NULL,
    at TEXT NOT NULL,
    who TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL,
    comment TEXT NOT NULL
) STRICT;
"""

STEPS = (FIRST, FILES_LOG_AND_COMMENTS)
VERSION = len(STEPS)


def upgrade(base: sqlite3.Connection, version: int) -> None:
    """Bring the tables from `version` (0: none yet) to `VERSION`, inside the caller's transaction."""
    for step in STEPS[version:]:
        for statement in step.split(";"):
            base.execute(statement)
    base.execute(f"PRAGMA user_version = {VERSION}")
