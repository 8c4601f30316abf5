"""A full disk: 507 for the phone to try again, nothing half stored, a line in the log, and once there
is room everything goes on by itself."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import time
import uuid
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from office import ROOT, Office, RunningServer, instance, workbook
from postgres import only_sqlite
from small_disk import grow, small_disk

PAD = "pad"


class Tight(RunningServer):
    """The real server on a file system of 12 MB in memory, its log in a file elsewhere."""

    def __init__(self, folder: Path, log: Path) -> None:
        super().__init__(folder / "data", log=log)
        self.folder = folder

    def leave(self, room: int) -> None:
        """Fill the disk up to so many bytes."""
        free = shutil.disk_usage(self.folder).free
        with (self.folder / PAD).open("ab") as pad:
            pad.write(b"\0" * max(0, free - room))

    def free(self) -> None:
        (self.folder / PAD).unlink(missing_ok=True)


@pytest.fixture
def tight(tmp_path: Path) -> Iterator[Tight]:
    with small_disk(tmp_path / "small", "12m") as folder:
        server = Tight(folder, tmp_path / "log")
        try:
            server.start()
            yield server
        finally:
            server.end()


def ids_of(office: Office, uid: str) -> list[str]:
    rows = office.rows(uid, limit=1000, fields='["_uuid"]')
    return sorted(row["_uuid"] for row in rows)


def sent_until_full(office: Office, uid: str) -> list[str]:
    """Send documents of 10 KB until one is refused with 507; the acknowledged."""
    taken: list[str] = []
    for _ in range(2000):
        one = str(uuid.uuid4())
        answer = office.send(instance(uid, one, who="x" * 10_000))
        if answer.status_code != 201:
            assert answer.status_code == 507, answer.text
            assert "disk is full" in answer.text
            assert answer.headers["X-OpenRosa-Version"] == "1.0"
            return taken
        taken.append(one)
    raise AssertionError("the disk never got full")


@only_sqlite
def test_submissions_on_a_full_disk(tight: Tight) -> None:
    """Acknowledged = stored before, while and after; the refused are taken when there is room."""
    office = Office(tight.url, tight.token)
    uid = office.publish()
    tight.leave(1_500_000)
    taken = sent_until_full(office, uid)
    refused = [str(uuid.uuid4()) for _ in range(10)]
    for one in refused:
        assert office.send(instance(uid, one, who="x" * 10_000)).status_code == 507
    assert ids_of(office, uid) == sorted(taken)
    assert office.call("GET", "/formList").status_code == 200
    tight.free()
    for one in refused:
        assert office.send(instance(uid, one, who="x" * 10_000)).status_code == 201
    assert ids_of(office, uid) == sorted([*taken, *refused])
    assert office.get(f"/api/v2/assets/{uid}/data/")["count"] == len(taken) + len(refused)
    tight.restart()
    assert ids_of(Office(tight.url, tight.token), uid) == sorted([*taken, *refused])
    told = [line for line in tight.lines() if "disk full" in str(line["message"])]
    assert told
    assert not any(one in tight.said() for one in (*taken, *refused, tight.token))


def test_photographs_on_a_full_disk(tight: Tight) -> None:
    """A photograph that does not fit refuses its submission whole; no piece of either stays."""
    office = Office(tight.url, tight.token)
    uid = office.publish()
    before = list((tight.data / "server" / "files" / "contents").iterdir())
    tight.leave(2_000_000)
    one = str(uuid.uuid4())
    document = instance(uid, one, more="<photo>p.png</photo>")
    photo = ("p.png", os.urandom(4_000_000), "image/png")
    for _ in range(3):
        assert office.send(document, p=photo).status_code == 507
        assert list((tight.data / "server" / "files" / "incoming").iterdir()) == []
    assert ids_of(office, uid) == []
    assert list((tight.data / "server" / "files" / "contents").iterdir()) == before
    tight.free()
    assert office.send(document, p=photo).status_code == 201
    (item,) = office.get(f"/api/v2/assets/{uid}/data/{one}/")["_attachments"]
    assert office.call("GET", item["download_url"]).content == photo[1]


@only_sqlite
def test_forms_and_media_on_a_full_disk(tight: Tight) -> None:
    """An import is refused, or ends in an error that says why; media are refused; later both go."""
    office = Office(tight.url, tight.token)
    uid = office.publish()
    large = io.BytesIO(workbook())
    with zipfile.ZipFile(large, "a") as archive:
        archive.writestr("xl/media/picture.bin", os.urandom(3_000_000))
    tight.leave(1_500_000)
    url = office.begin_import(large.getvalue())
    assert office.add_media(uid, "more.csv", os.urandom(3_000_000)).status_code == 507
    found = office.polled(url)
    assert found["status"] == "error"
    assert "disk is full" in found["messages"]["error"]
    sent_until_full(office, uid)
    while (
        answer := office.call("POST", "/api/v2/imports/", data={"name": "a"})
    ).status_code == 201:
        pass
    assert answer.status_code == 507
    assert answer.json()["detail"].startswith("The server's disk is full")
    tight.free()
    assert office.import_form(large.getvalue())
    assert office.add_media(uid, "more.csv", b"name\n").status_code == 201


@only_sqlite
def test_an_import_that_ends_on_a_full_disk_is_told_later(tight: Tight) -> None:
    """The disk fills up while the workbook is read: whoever polls hears of it when there is room."""
    office = Office(tight.url, tight.token)
    url = office.begin_import(workbook())
    tight.leave(0)
    time.sleep(3)
    tight.free()
    found = office.polled(url)
    assert found["status"] in ("error", "complete")


@only_sqlite
def test_signing_in_on_a_full_disk(tight: Tight) -> None:
    """Who is known stays known; what needs a new line in the database is refused with 507."""
    office = Office(tight.url, tight.token)
    uid = office.publish()
    tight.leave(300_000)
    sent_until_full(office, uid)
    tight.leave(0)
    assert office.get("/me/")["username"] == "admin"
    wrong = requests.get(f"{tight.url}/me/", headers={"Authorization": "Token no"}, timeout=10)
    assert wrong.status_code == 401
    basic = requests.get(f"{tight.url}/token/", auth=("admin", "wrong"), timeout=20)
    assert basic.status_code in (401, 507)


@only_sqlite
def test_healthz_tells_of_a_full_disk_and_of_its_end(tight: Tight) -> None:
    """503 while nothing can be written; a stranger hears `not ok` and nothing else."""
    office = Office(tight.url, tight.token)
    uid = office.publish()
    tight.leave(400_000)
    sent_until_full(office, uid)
    tight.leave(0)
    answer = requests.get(f"{tight.url}/healthz", timeout=10)
    assert answer.status_code == 503
    assert answer.json()["disk"] == "less than 50 MB are free"
    stranger = requests.get(
        f"{tight.url}/healthz", headers={"X-Forwarded-For": "203.0.113.9"}, timeout=10
    )
    assert (stranger.status_code, stranger.json()) == (503, {"status": "not ok"})
    assert requests.get(f"{tight.url}/healthz/live", timeout=10).status_code == 200
    grow(tight.folder, "200m")
    deadline = time.monotonic() + 15
    while requests.get(f"{tight.url}/healthz", timeout=10).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert office.send(instance(uid, str(uuid.uuid4()))).status_code == 201


@only_sqlite
def test_a_start_on_a_full_disk_says_so(tight: Tight) -> None:
    """Exit code 1 or a running server, never a traceback; with room it starts and has everything."""
    office = Office(tight.url, tight.token)
    uid = office.publish()
    one = str(uuid.uuid4())
    assert office.send(instance(uid, one)).status_code == 201
    tight.kill()
    tight.leave(0)
    command = [sys.executable, "-m", "server", "--data", str(tight.data), "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("ready "):
                process.terminate()
        assert process.stderr is not None
        said = process.stderr.read()
    assert "Traceback" not in said
    tight.free()
    tight.restart()
    assert ids_of(Office(tight.url, tight.token), uid) == [one]
