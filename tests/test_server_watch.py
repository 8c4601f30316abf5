"""Whoever watches the server sees how it does, and never whose data it has."""

from __future__ import annotations

import signal
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests
from office import Office, RunningServer, instance
from postgres import only_sqlite
from prometheus_client.parser import text_string_to_metric_families

from server.people.keys import mint_key
from server.state.store import open_store
from server.times import utc_now


@pytest.fixture
def logged(tmp_path: Path) -> Iterator[RunningServer]:
    options = ("--access-log", "--log-level", "debug")
    server = RunningServer(tmp_path / "data", *options, log=tmp_path / "log")
    server.start()
    yield server
    server.end()


def counted(server: RunningServer) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """All samples of /metrics by name and labels."""
    text = requests.get(f"{server.url}/metrics", timeout=10).text
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def key_of(server: RunningServer) -> str:
    store = open_store(server.data)
    with store.write() as connection:
        _, key = mint_key(connection, "Phone of Somchai", now=utc_now())
    store.close()
    return key


STRANGER = {"X-Forwarded-For": "203.0.113.9"}


def test_a_stranger_learns_ok_and_nothing_else(running_server: RunningServer) -> None:
    """No version, no paths, no sizes; the metrics are not there for him."""
    answer = requests.get(f"{running_server.url}/healthz", headers=STRANGER, timeout=10)
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert requests.get(f"{running_server.url}/healthz/live", timeout=10).json() == {"status": "ok"}
    hidden = requests.get(f"{running_server.url}/metrics", headers=STRANGER, timeout=10)
    assert (hidden.status_code, hidden.json()) == (404, {"detail": "Not found."})
    for token in ("wrong", ""):
        headers = {**STRANGER, "Authorization": f"Token {token}"}
        assert (
            requests.get(f"{running_server.url}/metrics", headers=headers, timeout=10).status_code
            == 404
        )


def test_this_machine_and_a_managing_token_see_more(running_server: RunningServer) -> None:
    """The checks by name, and the metrics; from elsewhere only with a token that may manage."""
    for headers in ({}, {**STRANGER, **running_server.headers}):
        told = requests.get(f"{running_server.url}/healthz", headers=headers, timeout=10).json()
        assert (told["writer"], told["database"], told["disk"]) == ("ok", "ok", "ok")
        assert told["disk_free"] > 0
        answer = requests.get(f"{running_server.url}/metrics", headers=headers, timeout=10)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")


@only_sqlite
def test_health_costs_little_however_often_it_is_asked(running_server: RunningServer) -> None:
    """The database is written to once in some seconds, not once per question."""
    base = running_server.data / "server" / "server.sqlite3-wal"
    requests.get(f"{running_server.url}/healthz", timeout=10)
    before = base.stat().st_size
    with requests.Session() as session:
        for _ in range(300):
            assert session.get(f"{running_server.url}/healthz", timeout=10).status_code == 200
    assert base.stat().st_size - before < 100_000


def test_a_stuck_writer_is_not_ready(running_server: RunningServer) -> None:
    """While another process holds the database, /healthz is 503 and says what; then 200 again."""
    store = open_store(running_server.data)
    with store.write():
        answer = requests.get(f"{running_server.url}/healthz", timeout=30)
        assert answer.status_code == 503
        assert "did not answer" in answer.json()["writer"]
        assert requests.get(f"{running_server.url}/healthz/live", timeout=10).status_code == 200
    store.close()
    deadline = time.monotonic() + 20
    while requests.get(f"{running_server.url}/healthz", timeout=30).status_code != 200:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_submissions_are_counted_by_what_became_of_them(running_server: RunningServer) -> None:
    """Accepted, duplicate, refused by reason; batches; how many are stored."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    one = instance(uid, str(uuid.uuid4()))
    statuses = [office.send(one).status_code, office.send(one).status_code]
    statuses += [
        office.send(b"<x").status_code,
        office.send(one, "/key/none/submission").status_code,
    ]
    statuses.append(office.send(one.replace(b"<sex>f", b"<sex>m")).status_code)
    assert statuses[:3] + statuses[4:] == [201, 202, 400, 409]
    assert statuses[3] in (401, 403)
    found = counted(running_server)

    def submissions(outcome: str, reason: str = "") -> float:
        labels = (("outcome", outcome), ("reason", reason))
        return found["watphon_submissions_total", labels]

    assert submissions("accepted") == 1
    assert submissions("duplicate") == 1
    assert submissions("refused", "malformed") == 1
    assert submissions("refused", "stranger" if statuses[3] == 401 else "no right") == 1
    assert submissions("refused", "same id with other content") == 1
    assert found["watphon_batch_submissions_count", ()] == 3
    assert found["watphon_stored_submissions", ()] == 1
    assert found["watphon_last_submission_timestamp_seconds", ()] == pytest.approx(
        time.time(), abs=30
    )
    assert found["watphon_disk_free_bytes", ()] > 0
    assert found["watphon_ready", ()] == 1


def test_requests_are_counted_by_template(running_server: RunningServer) -> None:
    """Keys, ids and nonsense paths never become labels, so their number stays small."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    key = key_of(running_server)
    for path in (f"/key/{key}/formList", f"/api/v2/assets/{uid}/data/", "/nowhere/12345", "/%00"):
        office.call("GET", path)
    for n in range(50):
        office.call("GET", f"/random/{n}")
    text = requests.get(f"{running_server.url}/metrics", timeout=10).text
    assert key not in text
    assert uid not in text
    assert "random" not in text
    assert 'route="/key/{key}/formList"' in text
    assert 'route="/api/v2/assets/{uid}/data/"' in text
    routes = {
        dict(labels)["route"]
        for name, labels in counted(running_server)
        if name == "watphon_requests_total"
    }
    assert "(no such address)" in routes


def test_connections_are_counted(running_server: RunningServer) -> None:
    """Open connections are told a second later."""
    import socket

    port = int(running_server.url.rpartition(":")[2])
    connections = [socket.create_connection(("127.0.0.1", port)) for _ in range(7)]
    deadline = time.monotonic() + 10
    while counted(running_server)["watphon_connections", ()] < 7:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    for one in connections:
        one.close()


SECRETS = ("ก้านกล้วย", "Somchai", "0812345678")


def test_the_log_tells_no_secret_and_no_person(logged: RunningServer) -> None:
    """With every line on: no key, token, password, name, query, answer, file name or path."""
    office = Office(logged.url, logged.token)
    uid = office.publish()
    key = key_of(logged)
    one = str(uuid.uuid4())
    photo = ("Somchai.png", b"\x89PNG", "image/png")
    document = instance(uid, one, who=" ".join(SECRETS), more="<photo>Somchai.png</photo>")
    assert office.send(document, f"/key/{key}/submission", p=photo).status_code == 201
    assert office.send(document[:-20], f"/key/{key}/submission").status_code == 400
    office.send(document.replace(b"<sex>f", b"<sex>m"))
    for path in (
        f"/key/{key}/formList?name=Somchai",
        f"/key/{key}x/formList",
        f"/api/v2/assets/{uid}/data/?query=%7B%22who%22%3A%22Somchai%22%7D",
        "/Somchai/0812345678",
    ):
        office.call("GET", path)
    requests.get(f"{logged.url}/me/", auth=("Somchai", "secret-password"), timeout=10)
    requests.post(
        f"{logged.url}/signin", data={"name": "Somchai", "password": "hunter2"}, timeout=10
    )
    office.call("POST", "/api/v2/imports/", data={"base64Encoded": "%%Somchai"})
    logged.stop()
    said = logged.said()
    assert len(logged.lines()) > 10
    forbidden = (
        *SECRETS,
        key,
        logged.token,
        one,
        uid,
        "secret-password",
        "hunter2",
        "query=",
        "%7B",
    )
    assert [word for word in forbidden if word in said] == []
    assert str(logged.data) not in said


def test_a_line_for_each_request_where_asked(logged: RunningServer) -> None:
    """Template, status, milliseconds, bytes and the id that the answer carries."""
    key = key_of(logged)
    answer = requests.get(f"{logged.url}/key/{key}/formList", timeout=10)
    logged.stop()
    (line,) = [line for line in logged.lines() if line.get("route", "").endswith("formList")]
    assert line["request"] == answer.headers["X-Request-ID"]
    assert line["route"] == "/key/{key}/formList"
    assert (line["message"], line["status"], line["level"]) == ("GET", 200, "info")
    assert line["bytes"] == len(answer.content)
    assert 0 <= line["ms"] < 10_000
    assert line["at"].endswith("Z")


def test_without_being_asked_it_says_nothing(tmp_path: Path) -> None:
    """A day without trouble leaves an empty log; nonsense from outside does not fill it."""
    server = RunningServer(tmp_path / "data", log=tmp_path / "log")
    server.start()
    office = Office(server.url, server.token)
    uid = office.publish()
    assert office.send(instance(uid, str(uuid.uuid4()))).status_code == 201
    for wrong in (b"<x", b"", b"\x00"):
        office.send(wrong)
    for _ in range(50):
        office.call("GET", "/nowhere")
    assert server.stop() == 0
    assert server.said() == ""


def test_an_error_has_an_id_that_the_answer_tells(logged: RunningServer) -> None:
    """What nobody expected is a 500 with an id; the log has the id, the kind and the place."""
    office = Office(logged.url, logged.token)
    uid = office.publish()
    one = str(uuid.uuid4())
    photo = ("p.png", b"content of a photograph", "image/png")
    assert office.send(instance(uid, one, more="<photo>p.png</photo>"), p=photo).status_code == 201
    (item,) = office.get(f"/api/v2/assets/{uid}/data/{one}/")["_attachments"]
    for file in (logged.data / "server" / "files" / "contents").iterdir():
        file.unlink()
    answer = office.call("GET", item["download_url"])
    assert answer.status_code == 500
    known = answer.headers["X-Request-ID"]
    assert f"(request {known})" in answer.json()["detail"]
    logged.stop()
    lines = [line for line in logged.lines() if line["level"] == "error"]
    assert [line["request"] for line in lines] == [known]
    assert "FileNotFoundError" in lines[0]["message"]
    assert str(logged.data) not in logged.said()


def test_the_same_complaint_is_not_written_a_thousand_times(logged: RunningServer) -> None:
    """A flood of failing requests leaves a line or two, not a full disk."""
    office = Office(logged.url, logged.token)
    uid = office.publish()
    one = str(uuid.uuid4())
    photo = ("p.png", b"content of a photograph", "image/png")
    assert office.send(instance(uid, one, more="<photo>p.png</photo>"), p=photo).status_code == 201
    (item,) = office.get(f"/api/v2/assets/{uid}/data/{one}/")["_attachments"]
    for file in (logged.data / "server" / "files" / "contents").iterdir():
        file.unlink()
    for _ in range(200):
        assert office.call("GET", item["download_url"]).status_code == 500
    logged.stop()
    assert 1 <= len([line for line in logged.lines() if line["level"] == "error"]) <= 3


def test_a_paused_server_is_found_out(running_server: RunningServer) -> None:
    """A process that does not run answers nobody; when it goes on, it is ready at once."""
    process = psutil.Process(running_server.process.pid)
    process.send_signal(signal.SIGSTOP)
    with pytest.raises(requests.RequestException):
        requests.get(f"{running_server.url}/healthz/live", timeout=1)
    process.send_signal(signal.SIGCONT)
    assert requests.get(f"{running_server.url}/healthz", timeout=10).status_code == 200
