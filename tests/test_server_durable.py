"""Acknowledged means stored: races, power cuts, full disks, and one server per folder."""

from __future__ import annotations

import importlib
import resource
import signal
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from office import ROOT, Office, RunningServer, instance
from postgres import only_sqlite

from server.state.store import open_store


def ids_of(office: Office, uid: str) -> list[str]:
    """The instance ids of all rows, by keyset on `_id`."""
    found: list[str] = []
    last = 0
    while True:
        query = f'{{"_id":{{"$gt":{last}}}}}'
        rows = office.rows(uid, query=query, sort='{"_id":1}', limit=1000)
        if not rows:
            return found
        found += [row["_uuid"] for row in rows]
        last = rows[-1]["_id"]


def test_identical_submissions_at_once_are_one_row(running_server: RunningServer) -> None:
    """Of 16 equal submissions that race, one is 201 and fifteen are 202; one row."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    for _ in range(5):
        document = instance(uid, str(uuid.uuid4()))
        gate = threading.Barrier(16)

        def send(document: bytes = document, gate: threading.Barrier = gate) -> int:
            phone = Office(running_server.url, running_server.token)
            gate.wait(10)
            return phone.send(document).status_code

        with ThreadPoolExecutor(16) as pool:
            answers = Counter(future.result() for future in [pool.submit(send) for _ in range(16)])
        assert answers == {201: 1, 202: 15}
    assert len(ids_of(office, uid)) == 5


def test_racing_edits_of_one_version_leave_one_winner(running_server: RunningServer) -> None:
    """Of 8 edits of the same version one is 201, the others are 410; one row."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    first = str(uuid.uuid4())
    assert office.send(instance(uid, first)).status_code == 201
    edits = [instance(uid, str(uuid.uuid4()), deprecated=first, who=str(n)) for n in range(8)]

    def send(document: bytes) -> int:
        return Office(running_server.url, running_server.token).send(document).status_code

    with ThreadPoolExecutor(8) as pool:
        assert Counter(pool.map(send, edits)) == {201: 1, 410: 7}
    assert len(ids_of(office, uid)) == 1


def test_a_killed_server_has_everything_it_acknowledged(running_server: RunningServer) -> None:
    """SIGKILL amid a stream, twice; phones retry; every acknowledged one is there, none twice."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    waiting = [str(uuid.uuid4()) for _ in range(900)]
    everyone = set(waiting)
    acknowledged: set[str] = set()
    lock = threading.Lock()

    def phone() -> None:
        own = Office(running_server.url, running_server.token)
        while True:
            with lock:
                if not waiting:
                    return
                one = waiting.pop()
            for _ in range(200):
                try:
                    status = own.send(instance(uid, one)).status_code
                except requests.RequestException:
                    time.sleep(0.05)
                    continue
                assert status in (201, 202)
                with lock:
                    acknowledged.add(one)
                break

    phones = [threading.Thread(target=phone) for _ in range(6)]
    for thread in phones:
        thread.start()
    for share in (0.25, 0.6):
        deadline = time.monotonic() + 30
        while len(acknowledged) < share * len(everyone) and time.monotonic() < deadline:
            time.sleep(0.01)
        with lock:
            before = set(acknowledged)
        running_server.kill()
        running_server.restart()
        office = Office(running_server.url, running_server.token)
        stored = ids_of(office, uid)
        assert before <= set(stored)
        assert len(stored) == len(set(stored))
    for thread in phones:
        thread.join(60)
    stored = ids_of(office, uid)
    assert acknowledged == everyone == set(stored)
    assert len(stored) == len(everyone)
    assert office.get(f"/api/v2/assets/{uid}/data/", limit=1)["count"] == len(everyone)


@only_sqlite
def test_kills_under_thirty_two_phones(tmp_path: Path) -> None:
    """The bench's torture, three kills of it: acknowledged = stored with photographs, none twice."""
    sys.path.insert(0, str(ROOT / "bench"))
    torture = importlib.import_module("torture").torture
    toll = torture(tmp_path, kills=3, seed=2564)
    assert toll.faults == []
    assert toll.kills == 3
    assert toll.acknowledged > 20
    assert toll.with_photo > 2


def test_a_stopped_server_finishes_what_it_took(running_server: RunningServer) -> None:
    """SIGTERM and SIGINT end it with 0; the data are there at the next start, the token too."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    one = str(uuid.uuid4())
    assert office.send(instance(uid, one)).status_code == 201
    assert running_server.stop() == 0
    running_server.restart()
    assert ids_of(Office(running_server.url, running_server.token), uid) == [one]
    running_server.process.send_signal(signal.SIGINT)
    assert running_server.wait() == 0


def test_a_second_server_on_the_folder_is_refused(running_server: RunningServer) -> None:
    """One line that says what to do, exit code 1; the first goes on."""
    command = [sys.executable, "-m", "server", "--data", str(running_server.data), "--port", "0"]
    second = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
    assert second.returncode == 1
    assert "another watphon server" in second.stderr
    assert "Traceback" not in second.stderr
    assert "ready" not in second.stdout
    answer = requests.get(f"{running_server.url}/me/", headers=running_server.headers, timeout=10)
    assert answer.status_code == 200


def test_a_taken_port_and_a_bad_folder_are_said_plainly(
    running_server: RunningServer, tmp_path: Path
) -> None:
    """Exit code 1 and what to do, without a traceback."""
    port = running_server.url.rpartition(":")[2]
    (tmp_path / "file").write_text("x")
    for data, number in ((tmp_path / "other", port), (tmp_path / "file", "0")):
        command = [sys.executable, "-m", "server", "--data", str(data), "--port", number]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=30)
        assert ended.returncode == 1
        assert "→" in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_writer_beside_the_server_is_waited_for(running_server: RunningServer) -> None:
    """While another process holds the database, readers are served; submissions wait, then 201."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    store = open_store(running_server.data)
    with ThreadPoolExecutor(1) as pool, store.write():
        document = instance(uid, str(uuid.uuid4()), more="<photo>p</photo>")
        sent = pool.submit(office.send, document, a=("p", b"1", "image/png"))
        reader = Office(running_server.url, running_server.token)
        began = time.monotonic()
        for _ in range(5):
            assert reader.rows(uid) == []
        assert time.monotonic() - began < 2
        assert not sent.done()
        time.sleep(0.3)
        store_left = time.monotonic()
    store.close()
    assert sent.result().status_code == 201
    assert time.monotonic() - store_left < 10
    (row,) = office.rows(uid)
    assert len(row["_attachments"]) == 1


def test_commits_reach_the_disk(tmp_path: Path) -> None:
    """Write-ahead log and synchronous=FULL on every connection: the promise behind each 201."""
    store = open_store(tmp_path)
    with store.read() as one, store.read() as other:
        for connection in (one, other):
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar_one() == "wal"
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar_one() == 2
            assert connection.exec_driver_sql("PRAGMA foreign_keys").scalar_one() == 1
    store.close()


def fill(office: Office, uid: str, size: int) -> tuple[list[str], int]:
    """Send submissions of `size` bytes until one is refused; the acknowledged and the refusal."""
    taken: list[str] = []
    for _ in range(400):
        one = str(uuid.uuid4())
        answer = office.send(instance(uid, one, who="x" * size))
        if answer.status_code != 201:
            assert "<message" in answer.text
            return taken, answer.status_code
        taken.append(one)
    raise AssertionError("the disk never got full")


@only_sqlite  # tests/test_server_postgres.py fills the other one's disk
@pytest.mark.skipif(sys.platform != "linux", reason="limits another process's files with prlimit")
def test_a_full_disk_refuses_and_recovers(running_server: RunningServer) -> None:
    """507 with a reason while files cannot grow; nothing half stored; then it takes again."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    pid = running_server.process.pid
    unlimited = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (2_000_000, unlimited[1]))
    taken, status = fill(office, uid, 20_000)
    assert status == 507
    assert sorted(ids_of(office, uid)) == sorted(taken)
    one = str(uuid.uuid4())
    photo = ("p.png", b"x" * 3_000_000, "image/png")
    document = instance(uid, one, more="<photo>p.png</photo>")
    assert office.send(document, a=photo).status_code == 507
    incoming = running_server.data / "server" / "files" / "incoming"
    assert list(incoming.iterdir()) == []
    resource.prlimit(pid, resource.RLIMIT_FSIZE, unlimited)
    assert office.send(document, a=photo).status_code == 201
    assert sorted(ids_of(office, uid)) == sorted([*taken, one])
    running_server.restart()
    assert len(ids_of(Office(running_server.url, running_server.token), uid)) == len(taken) + 1
