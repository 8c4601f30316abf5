"""The state's own files: a copy before tables change, a move that a power cut came into."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, select, update

from forms.problems import Problem
from server.state.engines import database_of
from server.state.schema import schema, settings
from server.state.store import MIGRATIONS, RESTORED, open_store
from server.state.trouble import is_busy, is_full, is_lost


def test_a_copy_is_kept_before_tables_change(tmp_path: Path) -> None:
    """An older folder is copied once, as it was, readable by its owner only; a fresh one is not."""
    store = open_store(tmp_path)
    folder = store.folder
    assert not list(folder.glob("*.schema-*"))
    with store.write() as connection:
        connection.execute(update(schema).values(version=2))
        connection.execute(insert(settings), {"name": "before", "value": "ก่อน"})
    store.close()
    for _ in range(2):
        store = open_store(tmp_path)
        with store.read() as connection:
            assert connection.execute(select(schema.c.version)).scalar_one() == len(MIGRATIONS)
        store.close()
    (kept,) = folder.glob("*.schema-*")
    assert kept.name == "server.sqlite3.schema-2"
    assert kept.stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(kept)) as base:
        assert base.execute("SELECT version FROM schema_version").fetchone() == (2,)
        assert base.execute("SELECT value FROM settings").fetchall() == [("ก่อน",)]
        assert base.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_restored_folder_finds_its_place(tmp_path: Path) -> None:
    """A power cut between a restore's last two steps: the next start ends what was begun."""
    store = open_store(tmp_path)
    with store.write() as connection:
        connection.execute(insert(settings), {"name": "restored", "value": "1"})
    folder = store.folder
    store.close()
    shutil.move(folder, folder.with_name(f"{folder.name}{RESTORED}"))
    store = open_store(tmp_path)
    with store.read() as connection:
        assert connection.execute(select(settings.c.value)).scalar_one() == "1"
    store.close()


@pytest.mark.parametrize(
    "address",
    [
        "mysql://a@b/c",
        "postgresql://host",
        "postgresql://host/name?sslmode=maybe",
        "postgresql://host/name?options=-csynchronous_commit%3Doff",
        "/var/lib/other.sqlite3",
        "postgresql://keeper:secret@host:port/name",
    ],
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, address: str) -> None:
    """With the way one is written, and never with what was given: it may hold a password."""
    with pytest.raises(Problem, match="postgresql://USER@HOST/NAME") as refused:
        database_of(address, tmp_path / "x")
    assert "secret" not in str(refused.value)


def test_a_password_is_not_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the one in the address nor that of the environment; both are used."""
    file = tmp_path / "x"
    known = database_of("postgresql://keeper:secret@db.example/name?sslmode=require", file)
    assert known.url.password == "secret"
    assert known.told == "postgresql://keeper@db.example/name?sslmode=require"
    monkeypatch.setenv("PGPASSWORD", "secret")
    known = database_of("postgresql://keeper@/name?host=/run/postgresql", file)
    assert known.url.password == "secret"
    assert known.told == "postgresql://keeper@/name?host=/run/postgresql"
    assert database_of(known.told, file) == known


def test_ordinary_errors_are_no_trouble_of_the_database() -> None:
    """A mistake in the program is not taken for a disk that is full or a line that broke."""
    for error in (ValueError("x"), KeyError("x"), OSError(2, "x"), ConnectionError("x")):
        assert not is_busy(error)
        assert not is_full(error)
        assert not is_lost(error)
    assert is_full(OSError(28, "no space"))
