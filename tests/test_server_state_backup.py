"""A backup is whole or not there, and what is restored from it is what was kept: on either database."""

from __future__ import annotations

import hashlib
import io
import json
import signal
import subprocess
import tarfile
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from command import WATPHON, watphon
from office import ROOT, Office, RunningServer, instance, workbook
from postgres import PROGRAMS, cluster, needs_postgres
from sqlalchemy import insert, select
from visitors import add_account

from server.people.keys import mint_key
from server.state.schema import metadata, settings
from server.state.store import open_store
from server.times import utc_now

PHOTO = b"\x89PNG" + bytes(range(256)) * 40
VOLATILE = ("last_backup", "backup_running")


@dataclass
class Kept:
    """A server with a bit of everything, its form, and a backup of it."""

    server: RunningServer
    office: Office
    uid: str
    file: Path
    rows: dict[str, list[tuple[Any, ...]]]
    contents: dict[str, str]
    """What was there when the backup was taken."""


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kept]:
    folder = tmp_path_factory.mktemp("kept")
    server = RunningServer(folder / "data")
    server.start()
    office = Office(server.url, server.token)
    uid = office.publish()
    names = [str(uuid.uuid4()) for _ in range(30)]
    for number, name in enumerate(names):
        photo = ("p.png", PHOTO + str(number % 7).encode(), "image/png")
        document = instance(uid, name, who=f"คนที่ {number} \U0001f600", more="<photo>p.png</photo>")
        assert office.send(document, a=photo).status_code == 201
    edit = instance(uid, str(uuid.uuid4()), deprecated=names[0], who="แก้แล้ว")
    assert office.send(edit).status_code == 201
    gone = office.import_form(workbook())
    assert office.call("DELETE", f"/api/v2/assets/{gone}/").status_code == 204
    assert office.call("DELETE", f"/api/v2/assets/{uid}/data/{names[-1]}/").status_code == 204
    add_account(server, "mali")
    store = open_store(server.data)
    with store.write() as connection:
        mint_key(connection, "Lamphun 3", now=utc_now())
    store.close()
    file = folder / "kept.tar"
    done = watphon("backup", str(file), "--data", str(server.data))
    assert done.returncode == 0, done.stderr
    assert "1 forms, 29 submissions" in done.stdout
    yield Kept(server, office, uid, file, rows_of(server.data), contents_of(server.data))
    server.end()


def rows_of(data: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables but what a backup itself changes."""
    store = open_store(data)
    with store.read() as connection:
        found = {
            table.name: [tuple(row) for row in connection.execute(select(table).order_by(*table.c))]
            for table in metadata.sorted_tables
        }
    store.close()
    found["settings"] = [row for row in found["settings"] if row[0] not in VOLATILE]
    return found


def contents_of(data: Path) -> dict[str, str]:
    """The hash of each content by its name."""
    folder = data / "server" / "files" / "contents"
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.iterdir()}


def own_folder(folder: Path) -> str:
    return "sqlite"


def fresh_postgres(folder: Path) -> str:
    return cluster().fresh()


def other_kind(kind: Callable[[Path], str]) -> Callable[[Path], str]:
    return own_folder if kind is fresh_postgres else fresh_postgres


KINDS = [
    pytest.param(own_folder, id="sqlite"),
    pytest.param(fresh_postgres, id="postgresql", marks=needs_postgres),
]


def restored(file: Path, data: Path, database: str, *more: str) -> subprocess.CompletedProcess[str]:
    return watphon("restore", str(file), "--data", str(data), "--database", database, *more)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_restored_is_what_was_kept(
    kept: Kept, tmp_path: Path, kind: Callable[[Path], str]
) -> None:
    """Every row of every table and every file's hash, into either database; the server serves them,
    a backup of that is restored into the other, and is still the same."""
    data = tmp_path / "data"
    done = restored(kept.file, data, kind(data))
    assert done.returncode == 0, done.stderr
    assert rows_of(data) == kept.rows
    assert contents_of(data) == kept.contents
    assert all(name == found for name, found in kept.contents.items())
    assert len(kept.contents) == 8
    again, other = tmp_path / "again.tar", tmp_path / "other"
    assert watphon("backup", str(again), "--data", str(data)).returncode == 0
    if PROGRAMS:
        assert restored(again, other, other_kind(kind)(other)).returncode == 0
        assert rows_of(other) == kept.rows
        assert contents_of(other) == kept.contents
    server = RunningServer(data)
    server.token = kept.server.token
    server.start()
    try:
        office = Office(server.url, server.token)
        row = office.rows(kept.uid, start=5, limit=1)[0]
        assert row == {**kept.office.rows(kept.uid, start=5, limit=1)[0], **addresses(row)}
        url = row["_attachments"][0]["download_url"]
        assert office.call("GET", url).content.startswith(PHOTO)
        assert office.send(instance(kept.uid, str(uuid.uuid4()))).status_code == 201
    finally:
        server.end()


def addresses(row: dict[str, Any]) -> dict[str, Any]:
    """What of a row names the server that told it."""
    return {"_attachments": row["_attachments"]}


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_go_on_where_they_were(
    kept: Kept, tmp_path: Path, kind: Callable[[Path], str]
) -> None:
    """A number that was told once means no other row, also when its row had gone before the backup."""
    data = tmp_path / "data"
    assert restored(kept.file, data, kind(data)).returncode == 0
    store = open_store(data)
    assets = metadata.tables["assets"]
    with store.write() as connection:
        (row,) = connection.execute(select(assets)).mappings()
        more = {**row, "uid": "aNew", "deployment_uuid": None}
        del more["id"]
        made = connection.execute(insert(assets), more).inserted_primary_key
    store.close()
    assert row["id"] == 1
    assert made is not None
    assert made[0] == 3  # 2 was deleted before the backup


def test_a_backup_is_consistent_while_phones_send(kept: Kept, tmp_path: Path) -> None:
    """Taken amid a stream: whole, its counts agree with each other, and every named file is in it."""
    stop = threading.Event()

    def phone() -> None:
        own = Office(kept.server.url, kept.server.token)
        while not stop.is_set():
            one = str(uuid.uuid4())
            photo = ("q.png", one.encode(), "image/png")
            document = instance(kept.uid, one, more="<photo>q.png</photo>")
            assert own.send(document, a=photo).status_code == 201

    phones = [threading.Thread(target=phone) for _ in range(3)]
    for thread in phones:
        thread.start()
    files = []
    for number in range(2):
        files.append(tmp_path / f"{number}.tar")
        done = watphon("backup", str(files[-1]), "--data", str(kept.server.data))
        assert done.returncode == 0, done.stderr
    stop.set()
    for thread in phones:
        thread.join(30)
    for file in files:
        assert watphon("backup", "--verify", str(file)).returncode == 0
        data = tmp_path / file.stem
        assert restored(file, data, "sqlite").returncode == 0
        rows = rows_of(data)
        assert len(rows["submissions"]) == rows["assets"][0][17]
        assert {row[6] for row in rows["attachments"]} <= contents_of(data).keys()


def test_only_its_owner_may_read_a_backup(kept: Kept, tmp_path: Path) -> None:
    """Mode 0600 from its first byte; a file that is there already is not touched."""
    assert kept.file.stat().st_mode & 0o777 == 0o600
    there = tmp_path / "there.tar"
    there.write_bytes(b"mine")
    done = watphon("backup", str(there), "--data", str(kept.server.data))
    assert done.returncode == 1
    assert "is there already" in done.stderr
    assert there.read_bytes() == b"mine"


def test_what_is_kept_is_not_overwritten(kept: Kept, tmp_path: Path) -> None:
    """A folder with data is refused; with --replace the old one is kept beside it."""
    data = tmp_path / "data"
    assert restored(kept.file, data, "sqlite").returncode == 0
    store = open_store(data)
    with store.write() as connection:
        connection.execute(insert(settings), {"name": "mine", "value": "1"})
    store.close()
    again = restored(kept.file, data, "sqlite")
    assert again.returncode == 1
    assert "holds data already" in again.stderr
    assert ("mine", "1") in rows_of(data)["settings"]
    assert restored(kept.file, data, "sqlite", "--replace").returncode == 0
    assert rows_of(data) == kept.rows
    (before,) = tmp_path.glob("data/server.before-*")
    (tmp_path / "old").mkdir()
    before.rename(tmp_path / "old" / "server")
    assert ("mine", "1") in rows_of(tmp_path / "old")["settings"]


def test_a_running_server_is_not_restored_over(kept: Kept) -> None:
    """Refused in words, and the server goes on."""
    done = watphon("restore", str(kept.file), "--data", str(kept.server.data), "--replace")
    assert done.returncode == 1
    assert "running" in done.stderr
    assert kept.office.rows(kept.uid, limit=1)


def flipped(whole: bytes) -> bytes:
    at = whole.rfind(PHOTO) + 50
    return whole[:at] + b"\xff" + whole[at + 1 :]


def with_member(name: str, kind: bytes = tarfile.REGTYPE) -> Callable[[bytes], bytes]:
    """A copy with one more member before the manifest."""

    def change(whole: bytes) -> bytes:
        out = io.BytesIO()
        with (
            tarfile.open(fileobj=io.BytesIO(whole)) as old,
            tarfile.open(fileobj=out, mode="w") as new,
        ):
            for member in old:
                if member.name == "manifest.json":
                    more = tarfile.TarInfo(name)
                    more.type, more.linkname = kind, "/etc/passwd"
                    more.size = 3 if kind == tarfile.REGTYPE else 0
                    new.addfile(more, io.BytesIO(b"abc"))
                new.addfile(member, old.extractfile(member))
        return out.getvalue()

    return change


DAMAGES = {
    "a flipped byte": flipped,
    "cut off": lambda whole: whole[: len(whole) * 2 // 3],
    "without its end": lambda whole: whole[: whole.rfind(b"manifest.json")],
    "a path upwards": with_member("contents/../../evil"),
    "an absolute path": with_member("/evil"),
    "a link": with_member("contents/" + "0" * 64, tarfile.SYMTYPE),
    "a device": with_member("contents/" + "f" * 64, tarfile.CHRTYPE),
    "a foreign table": with_member("rows/sqlite_master/000000.jsonl"),
    "no tar": lambda whole: b"PK\x03\x04" + whole[:2000],
    "empty": lambda whole: b"",
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_refused(kept: Kept, tmp_path: Path, damage: str) -> None:
    """Both by --verify and by restore, which leaves nothing; no name in it leads anywhere."""
    file, data = tmp_path / "bad.tar", tmp_path / "data"
    file.write_bytes(DAMAGES[damage](kept.file.read_bytes()))
    for done in (watphon("backup", "--verify", str(file)), restored(file, data, "sqlite")):
        assert done.returncode == 1, done.stdout
        assert "cannot be used as a backup" in done.stderr
    assert not (data / "server" / "server.sqlite3").exists()
    assert not (data / "server.restoring").exists()
    assert not Path("/evil").exists()


@needs_postgres
def test_a_damaged_backup_leaves_postgresql_as_it_was(kept: Kept, tmp_path: Path) -> None:
    """Its rows come in one transaction, after the last hash has agreed."""
    file, data, database = tmp_path / "bad.tar", tmp_path / "data", cluster().fresh()
    assert restored(kept.file, data, database).returncode == 0
    before = rows_of(data)
    file.write_bytes(flipped(kept.file.read_bytes()))
    assert restored(file, data, database, "--replace").returncode == 1
    assert rows_of(data) == before
    assert restored(kept.file, tmp_path / "second", database).returncode == 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_killed_restore_leaves_nothing_half(
    kept: Kept, tmp_path: Path, kind: Callable[[Path], str]
) -> None:
    """SIGKILL at many moments: the state is what was kept, or it is not there and can be restored."""
    data = tmp_path / "data"
    database = kind(data)
    whole = kept.rows
    for delay in (0.0, 0.02, 0.05, 0.1, 0.2, 0.4):
        command = [*WATPHON, "restore", str(kept.file), "--data", str(data)]
        command += ["--database", database, "--replace"]
        with subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            deadline = time.monotonic() + 60
            begun = data / "server"
            while not begun.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.005)
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        if (
            (data / "server" / "server.sqlite3").exists()
            or (data / "server" / "database").exists()
            or (data / "server.restored").exists()
        ):
            assert rows_of(data) == whole
    assert restored(kept.file, data, database, "--replace").returncode == 0
    assert rows_of(data) == whole
    assert contents_of(data) == kept.contents


def test_a_killed_backup_leaves_no_file_of_that_name(kept: Kept, tmp_path: Path) -> None:
    """What stands under a backup's name is whole; what a killed one left does not hinder the next."""
    file = tmp_path / "b.tar"
    command = [*WATPHON, "backup", str(file), "--data", str(kept.server.data)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".b.tar.*")) and time.monotonic() < deadline:
            time.sleep(0.002)
        process.kill()
    if file.exists():
        assert watphon("backup", "--verify", str(file)).returncode == 0
        file.unlink()
    assert watphon("backup", str(file), "--data", str(kept.server.data)).returncode == 0
    assert watphon("backup", "--verify", str(file)).returncode == 0


def test_a_lost_file_is_named_and_the_rest_is_kept(kept: Kept, tmp_path: Path) -> None:
    """A backup says which file the server has lost, and ends with 1; it holds everything else."""
    data, file = tmp_path / "data", tmp_path / "b.tar"
    assert restored(kept.file, data, "sqlite").returncode == 0
    one, other, *_ = sorted((data / "server" / "files" / "contents").iterdir())
    one.unlink()
    other.write_bytes(b"rotten")
    done = watphon("backup", str(file), "--data", str(data))
    assert done.returncode == 1
    assert one.name in done.stderr
    assert other.name in done.stderr
    verified = watphon("backup", "--verify", str(file))
    assert "6 files" in verified.stdout


def test_a_backup_holds_off_removals(running_server: RunningServer, tmp_path: Path) -> None:
    """A file whose submission is deleted while a backup reads stays until it is done, and then goes
    at the next occasion."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    one = str(uuid.uuid4())
    document = instance(uid, one, more="<photo>p.png</photo>")
    assert office.send(document, a=("p.png", PHOTO, "image/png")).status_code == 201
    digest = hashlib.sha256(PHOTO).hexdigest()
    store = open_store(running_server.data)
    with store.write() as connection:
        at = utc_now().strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        connection.execute(insert(settings), {"name": "backup_running", "value": at})
    assert office.call("DELETE", f"/api/v2/assets/{uid}/data/{one}/").status_code == 204
    content = running_server.data / "server" / "files" / "contents" / digest
    assert content.exists()
    with store.read() as connection:
        names = connection.execute(select(settings.c.name)).scalars().all()
    store.close()
    assert f"unused {digest}" in names


def test_the_manifest_tells_what_is_inside(kept: Kept) -> None:
    """A person with tar and a text editor finds everything: counts, hashes, rows as JSON."""
    with tarfile.open(kept.file) as tar:
        names = tar.getnames()
        manifest = json.loads(tar.extractfile("manifest.json").read())  # pyright: ignore[reportOptionalMemberAccess]
        begin = json.loads(tar.extractfile("begin.json").read())  # pyright: ignore[reportOptionalMemberAccess]
        lines = tar.extractfile("rows/submissions/000000.jsonl").read().splitlines()  # pyright: ignore[reportOptionalMemberAccess]
    assert names[0] == "begin.json"
    assert names[-1] == "manifest.json"
    assert manifest["rows"]["submissions"] == len(lines) == 29
    assert begin["tables"]["submissions"][0] == "id"
    assert manifest["contents"]["count"] == 8
