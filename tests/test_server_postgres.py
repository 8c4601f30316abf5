"""PostgreSQL behind the server: durable, exclusive in writing, recovering, and never told aloud."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from command import watphon
from office import ROOT, Office, RunningServer, instance, workbook
from postgres import Cluster, cluster, needs_postgres, on_postgres
from sqlalchemy import select, text

from server.people import accounts
from server.state.lock import hold_database
from server.state.schema import metadata
from server.state.store import open_store
from server.state.trouble import Locked, is_busy
from server.times import utc_now

pytestmark = needs_postgres

SECRET = "ปลาทู-p@ss:w/rd"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RunningServer]:
    """A server on a fresh database."""
    running = RunningServer(tmp_path / "data")
    if not on_postgres:
        running.options = ("--database", cluster().fresh())
    running.start()
    yield running
    running.end()


def test_the_password_comes_from_the_environment_and_goes_nowhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With PGPASSWORD the server comes up; without it, or with a wrong one, it says what to do. It is
    refused on the command line, and stands in no file, log or process list."""
    own = Cluster("local all keeper scram-sha-256")
    try:
        own.sql(f"CREATE ROLE keeper LOGIN PASSWORD '{SECRET}'")
        own.sql("CREATE DATABASE kept OWNER keeper")
        address = f"postgresql://keeper@/kept?host={own.folder}"
        data = tmp_path / "data"
        command = [sys.executable, "-m", "server", "--data", str(data), "--port", "0"]
        for password in ("", "wrong"):
            monkeypatch.setenv("PGPASSWORD", password)
            done = subprocess.run(
                [*command, "--database", address],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=60,
            )
            assert done.returncode == 1
            assert "PGPASSWORD" in done.stderr
            assert address in done.stderr
        monkeypatch.setenv("PGPASSWORD", SECRET)
        log = tmp_path / "log"
        with log.open("wb") as written:
            process = subprocess.Popen(
                [*command, "--workers", "2", "--database", address, "--log-level", "debug"],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=written,
                text=True,
            )
            assert process.stdout is not None
            said = [process.stdout.readline(), process.stdout.readline()]
            assert said[1].startswith("ready ")
            for arguments in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    assert SECRET.encode() not in arguments.read_bytes()
                except (FileNotFoundError, ProcessLookupError):
                    continue
            process.terminate()
            assert process.wait(60) == 0
            process.stdout.close()
        written_files = [log, *(one for one in data.rglob("*") if one.is_file())]
        assert not [one for one in written_files if SECRET.encode() in one.read_bytes()]
        assert (data / "server" / "database").read_text().strip() == address
        listed = watphon("user", "--data", str(data))
        assert listed.returncode == 0, listed.stderr
        assert "admin" in listed.stdout
        spoken = f"postgresql://keeper:secret@/kept?host={own.folder}"
        done = watphon("serve", "--data", str(tmp_path / "x"), "--database", spoken)
        assert done.returncode == 1
        assert "PGPASSWORD" in done.stderr
        assert "secret" not in done.stderr
    finally:
        own.end()


def test_a_database_that_goes_and_comes_back(tmp_path: Path) -> None:
    """While PostgreSQL is away a phone is told to send again and nothing is lost; when it is back,
    after a power cut too, the server goes on without being started again."""
    own = Cluster()
    server = RunningServer(tmp_path / "data", "--database", own.fresh())
    try:
        (tmp_path / "data" / "server" / "database").unlink(missing_ok=True)
        server.start()
        office = Office(server.url, server.token)
        uid = office.publish()
        acknowledged = [str(uuid.uuid4()) for _ in range(3)]
        for one in acknowledged:
            assert office.send(instance(uid, one)).status_code == 201
        for mode in ("fast", "immediate"):
            own.stop(mode)
            one = str(uuid.uuid4())
            document = instance(uid, one, more="<photo>p.png</photo>")
            photo = ("p.png", one.encode(), "image/png")
            answer = office.send(document, a=photo)
            assert answer.status_code == 503
            health = requests.get(f"{server.url}/healthz", timeout=30)
            assert health.status_code == 503
            assert requests.get(f"{server.url}/healthz/live", timeout=10).ok
            own.start()
            deadline = time.monotonic() + 20
            while office.send(document, a=photo).status_code not in (201, 202):
                assert time.monotonic() < deadline
                time.sleep(0.1)
            acknowledged.append(one)
        assert sorted(str(row["_uuid"]) for row in office.rows(uid)) == sorted(acknowledged)
    finally:
        server.end()
        own.end()


def waiting_locks(own: Cluster, address: str) -> list[str]:
    """Modes of the advisory locks that servers hold of a database, apart from the writers' turns."""
    name = address.rpartition("@/")[2].partition("?")[0]
    number = int.from_bytes(b"serving", "big")
    found = own.sql(
        "SELECT mode FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = "
        f"(SELECT oid FROM pg_database WHERE datname = '{name}') "
        f"AND (classid::bigint << 32) + objid::bigint = {number}"
    )
    return found.split()


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_is_known_again_after_the_database_was_away(tmp_path: Path, workers: str) -> None:
    """PostgreSQL tells others that a server is at work also after it was started anew or ended the
    session: a restore into the same database is refused, another server may serve beside."""
    own = Cluster()
    address = own.fresh()
    server = RunningServer(tmp_path / "data", "--database", address, "--workers", workers)
    beside = RunningServer(tmp_path / "beside", "--database", address)
    try:
        for one in (server, beside):
            (one.data / "server" / "database").unlink(missing_ok=True)
        server.start()
        Office(server.url, server.token).publish()
        file = str(tmp_path / "all.tar")
        done = watphon("backup", file, "--data", str(server.data))
        assert done.returncode == 0, done.stderr
        for break_it in (
            lambda: (own.stop("fast"), own.start()),
            lambda: (own.stop("immediate"), own.start()),
            lambda: own.sql(
                "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory'"
            ),
        ):
            assert waiting_locks(own, address) == ["ShareLock"]
            break_it()
            until(lambda: waiting_locks(own, address) == ["ShareLock"])
            words = ("restore", file, "--replace", "--database", address)
            refused = watphon(*words, "--data", str(tmp_path / "other"))
            assert refused.returncode == 1
            assert "a watphon server is at work on it" in refused.stderr
        beside.start()
        assert waiting_locks(own, address) == ["ShareLock"] * 2
        assert beside.stop() == 0
        assert server.stop() == 0
        assert waiting_locks(own, address) == []
        done = watphon(*words, "--data", str(tmp_path / "other"))
        assert done.returncode == 0, done.stderr
    finally:
        for one in (server, beside):
            if hasattr(one, "process"):
                one.end()
        own.end()


@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_server_gives_way_to_a_restore_that_came_first(
    tmp_path: Path, workers: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """Where a restore has taken the database over while it was away, the server ends and says why,
    and none can be started until the restore is done; then one can."""
    own = Cluster()
    address = own.fresh()
    server = RunningServer(tmp_path / "data", "--database", address, "--workers", workers)
    try:
        (tmp_path / "data" / "server" / "database").unlink(missing_ok=True)
        server.start()
        server.process.send_signal(signal.SIGSTOP)  # so that the restore comes first
        own.stop()
        own.start()
        store = open_store(tmp_path / "other", address)
        session, alone = hold_database(store, sole=True)
        assert alone
        server.process.send_signal(signal.SIGCONT)
        assert server.wait() == 1
        assert "a restore took it over" in capfd.readouterr().err
        with pytest.raises(AssertionError):
            server.start()
        said = capfd.readouterr().err
        assert "a restore is at work on it" in said
        assert "Traceback" not in said
        server.wait()
        session.invalidate()
        session.close()
        store.close()
        server.start()
        assert requests.get(f"{server.url}/healthz", timeout=30).ok
    finally:
        server.end()
        own.end()


def test_a_full_disk_refuses_and_recovers(server: RunningServer) -> None:
    """507 while PostgreSQL says that its disk is full (53100), nothing half stored; then it takes."""
    office = Office(server.url, server.token)
    uid = office.publish()
    store = open_store(server.data)
    full = (
        "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        "RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$",
        "CREATE TRIGGER full_disk BEFORE INSERT ON documents EXECUTE FUNCTION full_disk()",
    )
    with store.write() as connection:
        for words in full:
            connection.execute(text(words))
    document = instance(uid, str(uuid.uuid4()), more="<photo>p.png</photo>")
    photo = ("p.png", b"photo", "image/png")
    before = list((server.data / "server" / "files" / "contents").iterdir())
    answer = office.send(document, a=photo)
    assert answer.status_code == 507
    assert "disk is full" in answer.text
    assert office.rows(uid) == []
    assert list((server.data / "server" / "files" / "contents").iterdir()) == before
    with store.write() as connection:
        connection.execute(text("DROP TRIGGER full_disk ON documents"))
    store.close()
    assert office.send(document, a=photo).status_code == 201


def test_commits_reach_the_disk(server: RunningServer) -> None:
    """Whatever the database's own settings say, a commit waits for the disk; readers see one moment
    and cannot write."""
    name = open_name(server)
    cluster().sql(f"ALTER DATABASE {name} SET synchronous_commit = off")
    store = open_store(server.data)
    with store.write() as connection:
        assert connection.execute(text("SHOW synchronous_commit")).scalar_one() == "on"
        assert (
            connection.execute(text("SHOW transaction_isolation")).scalar_one() == "read committed"
        )
    with store.read() as connection:
        shown = connection.execute(text("SHOW transaction_isolation")).scalar_one()
        assert shown == "repeatable read"
        assert connection.execute(text("SHOW transaction_read_only")).scalar_one() == "on"
    store.close()


def open_name(server: RunningServer) -> str:
    address = (server.data / "server" / "database").read_text()
    return address.rpartition("@/")[2].partition("?")[0]


def test_writers_take_turns(server: RunningServer) -> None:
    """What a writer has read stays true until it commits: of two processes that both find one admin
    left besides themselves, one may go; a read and write of a number by many loses no step."""
    stores = [open_store(server.data) for _ in range(4)]
    clock = metadata.tables["clock"]

    def count(store_number: int) -> None:
        for _ in range(25):
            with stores[store_number].write() as connection:
                found = connection.execute(select(clock.c.document)).scalar_one()
                connection.execute(clock.update().values(document=found + 1))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(4)))
    with stores[0].read() as connection:
        assert connection.execute(select(clock.c.document)).scalar_one() == 100
    with stores[0].write() as connection:
        accounts.add_user(connection, "second", now=utc_now())
    gate = threading.Barrier(2)

    def go(place: int) -> bool:
        gate.wait(10)
        try:
            with stores[place].write() as connection:
                accounts.remove_user(connection, ("admin", "second")[place])
        except Exception:
            return False
        return True

    with ThreadPoolExecutor(2) as pool:
        assert sorted(pool.map(go, range(2))) == [False, True]
    for store in stores:
        store.close()


def test_who_waits_too_long_is_busy(server: RunningServer) -> None:
    """A writer that cannot have its turn gives up in time, and that counts as: try again."""
    one, other = open_store(server.data), open_store(server.data)
    with other.writing.connect() as connection:
        connection.execute(text("SET lock_timeout = 200"))
        connection.commit()
    with one.write():
        began = time.monotonic()
        with pytest.raises(Locked) as raised, other.write():
            pass
        assert time.monotonic() - began < 5
    assert is_busy(raised.value)
    one.close()
    other.close()


def test_many_processes_may_begin_a_database_at_once(tmp_path: Path) -> None:
    """Each step of the tables is made once, whoever comes first."""
    address = cluster().fresh()
    code = (
        "import sys; from pathlib import Path; from server.state.store import open_store; "
        "open_store(Path(sys.argv[1]), sys.argv[2]).close()"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path / str(number)), address], cwd=ROOT
        )
        for number in range(5)
    ]
    assert [process.wait(60) for process in processes] == [0] * 5
    store = open_store(tmp_path / "0")
    with store.read() as connection:
        assert len(connection.execute(select(metadata.tables["clock"])).all()) == 1
    store.close()


def test_a_folder_keeps_to_its_database(server: RunningServer, tmp_path: Path) -> None:
    """Without an address the remembered one is taken; an empty database beside the full one is never
    begun, in either direction."""
    remembered = open_store(server.data)
    assert not remembered.database.is_file
    remembered.close()
    refused = watphon("user", "--data", str(server.data), env={"WATPHON_DATABASE": "sqlite"})
    assert refused.returncode == 1
    assert "has its data elsewhere" in refused.stderr
    own = tmp_path / "own"
    open_store(own, "sqlite").close()
    refused = watphon("user", "--data", str(own), env={"WATPHON_DATABASE": cluster().fresh()})
    assert refused.returncode == 1
    assert "watphon restore" in refused.stderr


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_text_is_the_same_on_both(tmp_path: Path, kind: str) -> None:
    """Names sort by their characters' numbers, searches know upper from lower case as documented, NUL is
    refused and never stored, astral characters and long texts come back as they were."""
    server = RunningServer(tmp_path / "data")
    (tmp_path / "data" / "server" / "database").unlink(missing_ok=True)
    server.options = ("--database", cluster().fresh() if kind == "postgresql" else "sqlite")
    server.start()
    try:
        office = Office(server.url, server.token)
        names = ["ก", "ข", "b", "B", "a", "Z", "é", "\U0001f600", "_", "1", "ä", "เก" * 120]
        for name in names:
            uid = office.import_form(workbook())
            answer = office.call("PATCH", f"/api/v2/assets/{uid}/", json={"name": name})
            assert answer.status_code == 200
        found = office.get("/api/v2/assets/", ordering="name")["results"]
        assert [one["name"] for one in found] == sorted(names)
        for query, count in (("name__icontains:b", 2), ("name:b", 1), ("name__icontains:É", 0)):
            assert office.get("/api/v2/assets/", q=query)["count"] == count
        uid = found[0]["uid"]
        for answer in (
            office.call("PATCH", f"/api/v2/assets/{uid}/", json={"name": "a\0b"}),
            office.call("GET", "/api/v2/assets/?q=name:%00"),
            office.call(
                "GET", f"/api/v2/assets/{uid}/data/", params={"query": '{"_uuid":"\\u0000"}'}
            ),
            requests.post(f"{server.url}/signin", data={"name": "a\0", "csrf": "x"}, timeout=10),
        ):
            assert answer.status_code == 400, answer.text
        assert office.call("GET", f"/api/v2/assets/{uid}%00/").status_code == 404
        wrong = requests.get(f"{server.url}/me/", auth=("ad\0min", "x"), timeout=10)
        assert wrong.status_code == 401
        kept = office.get(f"/api/v2/assets/{uid}/")["name"]
        assert kept == sorted(names)[0]
    finally:
        server.end()
