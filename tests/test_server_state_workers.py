"""Several processes serve one state: as durable, as exact and as quick to notice as one."""

from __future__ import annotations

import json
import signal
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import requests
from conftest import RunningServer
from office import Office, instance, workbook
from postgres import cluster, needs_postgres, on_postgres
from visitors import in_store

from server.people.keys import mint_key, revoke_key
from server.times import utc_now

WORKERS = 3


@pytest.fixture(
    params=[
        pytest.param("sqlite", marks=pytest.mark.skipif(on_postgres, reason="the other run's")),
        pytest.param("postgresql", marks=needs_postgres),
    ]
)
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RunningServer]:
    """A server of three workers."""
    more = ("--database", cluster().fresh()) if request.param == "postgresql" else ()
    running = RunningServer(tmp_path / "data", "--workers", str(WORKERS), *more)
    running.start()
    yield running
    running.end()


def workers_of(server: RunningServer) -> list[psutil.Process]:
    """The processes that serve, without what they started themselves."""
    own = psutil.Process(server.process.pid)
    found = []
    for one in own.children():
        with suppress(psutil.Error):
            if "server.worker" in one.cmdline():
                found.append(one)
    return found


def lines(server: RunningServer, count: int = 12) -> list[Office]:
    """Callers on lines of their own, which the system spreads over the workers."""
    return [Office(server.url, server.token) for _ in range(count)]


def until(true: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def all_rows(office: Office, uid: str) -> list[dict[str, object]]:
    """By keyset on `_id`, as a sync pages."""
    found: list[dict[str, object]] = []
    last: object = 0
    while rows := office.rows(uid, query=json.dumps({"_id": {"$gt": last}}), limit=100):
        found += rows
        last = rows[-1]["_id"]
    return found


def test_submissions_are_as_exact_as_by_one(server: RunningServer) -> None:
    """From the moment a form is published every worker takes it; equal ones that race at several
    workers are one row; ids and moments of change grow together; counts agree everywhere."""
    callers = lines(server)
    uid = callers[0].publish()
    documents = [instance(uid, str(uuid.uuid4())) for _ in range(120)]
    with ThreadPoolExecutor(12) as pool:

        def sent(place: int) -> list[int]:
            mine = documents[place::6] if place < 6 else documents[place - 6 :: 6]
            return [callers[place].send(one).status_code for one in mine]

        answers = Counter(code for codes in pool.map(sent, range(12)) for code in codes)
    assert answers == {201: 120, 202: 120}
    for caller in callers:
        rows = all_rows(caller, uid)
        assert len(rows) == 120
        assert len({row["_uuid"] for row in rows}) == 120
        assert [row["_id"] for row in rows] == list(range(1, 121))
        moments = [row["_date_modified"] for row in rows]
        assert moments == sorted(moments)  # pyright: ignore[reportArgumentType]
        assert caller.get(f"/api/v2/assets/{uid}/data/", limit=1)["count"] == 120


def test_a_new_version_counts_at_every_worker_at_once(server: RunningServer) -> None:
    """After a redeployment the rows of the new version are read by the new form, wherever they land;
    after the form was closed every worker refuses."""
    callers = lines(server)
    uid = callers[0].publish()
    for number in range(2, 5):
        survey = (
            ("type", "name", "label"),
            ("text", "who", "Name"),
            ("begin_group", f"g{number}", "Group"),
            ("text", "sex", "x"),
            ("end_group", None, None),
        )
        content = workbook(survey=survey)
        destination = f"{server.url}/api/v2/assets/{uid}/"
        callers[0].import_form(content, destination=destination)
        version = callers[0].get(f"/api/v2/assets/{uid}/")["version_id"]
        body = {"active": True, "version_id": version}
        answer = callers[0].call("PATCH", f"/api/v2/assets/{uid}/deployment/", json=body)
        assert answer.status_code == 200, answer.text
        listed = callers[0].call("GET", "/formList").text
        shown = listed.partition("<version>")[2].partition("</version>")[0]
        for caller in callers:
            one = str(uuid.uuid4())
            document = (
                f'<{uid} id="{uid}" version="{shown}"><who>a</who><g{number}><sex>s</sex>'
                f"</g{number}><meta><instanceID>uuid:{one}</instanceID></meta></{uid}>"
            )
            assert caller.send(document.encode()).status_code == 201
            row = caller.get(f"/api/v2/assets/{uid}/data/{one}/")
            assert row[f"g{number}/sex"] == "s"
    body = {"active": False}
    assert callers[0].call("PATCH", f"/api/v2/assets/{uid}/deployment/", json=body).ok
    assert {caller.send(instance(uid, str(uuid.uuid4()))).status_code for caller in callers} == {
        405
    }


def test_a_revoked_key_is_worthless_at_every_worker(server: RunningServer) -> None:
    """A tenth of a second after it was taken back by another process."""
    number, secret = in_store(server, lambda c: mint_key(c, "Lamphun 3", now=utc_now()))
    sessions = [requests.Session() for _ in range(12)]
    address = f"{server.url}/key/{secret}/formList"
    assert {one.get(address, timeout=10).status_code for one in sessions} == {200}
    in_store(server, lambda c: revoke_key(c, number, now=utc_now()))
    time.sleep(0.1)
    assert {one.get(address, timeout=10).status_code for one in sessions} == {403}


def test_an_import_is_seen_from_every_worker(server: RunningServer) -> None:
    """Begun at one, polled at the others."""
    callers = lines(server)
    for caller in callers[:4]:
        url = caller.begin_import(workbook())
        for other in callers:
            assert other.polled(url)["status"] == "complete"


def test_a_worker_that_dies_is_replaced_and_nothing_is_lost(server: RunningServer) -> None:
    """Phones go on while workers are killed one after the other; what was acknowledged is stored once."""
    office = Office(server.url, server.token)
    uid = office.publish()
    acknowledged: set[str] = set()
    stop = threading.Event()

    def phone() -> None:
        while not stop.is_set():
            one = str(uuid.uuid4())
            own = Office(server.url, server.token)
            for _ in range(200):
                with suppress(requests.RequestException):
                    if own.send(instance(uid, one)).status_code in (201, 202):
                        acknowledged.add(one)
                        break
                if stop.is_set():
                    return

    phones = [threading.Thread(target=phone) for _ in range(6)]
    for thread in phones:
        thread.start()
    try:
        for _ in range(WORKERS):
            before = len(acknowledged)
            victim = workers_of(server)[0]
            victim.kill()
            until(lambda gone=victim: gone not in workers_of(server))
            until(lambda: len(workers_of(server)) == WORKERS)
            until(lambda before=before: len(acknowledged) > before + 5)
    finally:
        stop.set()
        for thread in phones:
            thread.join(60)
    rows = all_rows(office, uid)
    stored = [str(row["_uuid"]) for row in rows]
    assert acknowledged <= set(stored)
    assert len(stored) == len(set(stored))


def test_an_import_of_a_worker_that_died_ends_in_an_error(server: RunningServer) -> None:
    """Whoever polls it hears so, while the other workers go on."""
    callers = lines(server)
    urls = [caller.begin_import(workbook()) for caller in callers]
    for worker in workers_of(server):
        worker.kill()
    until(lambda: len(workers_of(server)) == WORKERS)
    fresh = Office(server.url, server.token)
    until(lambda: requests.get(f"{server.url}/healthz/live", timeout=10).ok)
    for url in urls:
        assert fresh.polled(url)["status"] in ("complete", "error")
    incoming = server.data / "server" / "files" / "incoming"
    assert list(incoming.iterdir()) == []


def test_all_stop_together(server: RunningServer) -> None:
    """SIGTERM ends all with 0, Ctrl-C too; after SIGKILL of the first no worker lives on, and the
    address and the folder are free."""
    workers = workers_of(server)
    assert len(workers) == WORKERS
    assert server.stop() == 0
    assert not any(one.is_running() for one in workers)
    server.restart()
    server.process.send_signal(signal.SIGINT)
    assert server.wait() == 0
    server.restart()
    workers = workers_of(server)
    server.kill()
    server.restart()
    until(lambda: not any(one.is_running() for one in workers))
    assert Office(server.url, server.token).get("/me/")["username"] == "admin"


def test_counters_are_those_of_all_workers(server: RunningServer) -> None:
    """/metrics sums what every worker counted, whichever answers."""
    callers = lines(server)
    uid = callers[0].publish()
    for caller in callers:
        assert caller.send(instance(uid, str(uuid.uuid4()))).status_code == 201
    for _ in range(4):
        text = requests.get(f"{server.url}/metrics", timeout=10).text
        assert 'watphon_submissions_total{outcome="accepted",reason=""} 12.0' in text


def test_an_address_that_is_taken_is_refused(server: RunningServer, tmp_path: Path) -> None:
    """Also where both servers have several workers, whose sockets could share it."""
    port = server.url.rpartition(":")[2]
    other = RunningServer(tmp_path / "other", "--workers", "2")
    with pytest.raises(AssertionError, match="ended with 1"):
        other.start(port=port)
    other.wait()
    assert Office(server.url, server.token).get("/me/")["username"] == "admin"
