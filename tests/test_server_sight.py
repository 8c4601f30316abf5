"""What an evaluator and a province team may read of the submissions, over the API."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from office import Office, RunningServer
from visitors import add_account, in_store

import watphon
from forms.programme import shipped
from server.people.accounts import mint_token
from server.times import utc_now

REGISTRATION = "mne_registration"
DIRECT = ("first_name", "last_name", "phone", "line_name", "address_line", "national_id")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server with a simulated season of 200 people on it."""
    folder = tmp_path_factory.mktemp("sight")
    running = RunningServer(folder / "data", "--programme", str(shipped()))
    running.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WATPHON_TOKEN", running.token)
        patch.setenv("WATPHON_URL", running.url)
        common = ("-C", str(shipped()), "--data", str(folder / "data"))
        assert watphon.main(["publish", *common]) == 0
        assert watphon.main(["simulate", *common, "--people", "200"]) == 0
    add_account(running, "auntie", "evaluator")
    add_account(running, "boss", "manager")
    yield running
    running.end()


def office_of(server: RunningServer, name: str) -> Office:
    token = in_store(server, lambda connection: mint_token(connection, name, now=utc_now()))
    return Office(server.url, token)


@pytest.fixture(scope="module")
def admin(server: RunningServer) -> Office:
    return Office(server.url, server.token)


@pytest.fixture(scope="module")
def uid(admin: Office) -> str:
    """The registration form's asset."""
    found = admin.get("/api/v2/assets/", limit=100)["results"]
    return next(asset["uid"] for asset in found if asset["form_id"] == REGISTRATION)


@pytest.fixture(scope="module")
def whole(admin: Office, uid: str) -> list[dict[str, Any]]:
    """All rows as an admin reads them."""
    rows = admin.rows(uid, limit=1000)
    assert len(rows) > 30
    return rows


def code(row: dict[str, Any]) -> str:
    """The participant code, whose first two digits are the province."""
    return next((str(v) for k, v in row.items() if k.rpartition("/")[2] == "participant_id"), "")


@pytest.fixture(scope="module")
def home(server: RunningServer, whole: list[dict[str, Any]]) -> str:
    """A province that has rows, and the account `team` of its team."""
    province = code(whole[0])[:2]
    add_account(server, "team", "province", (province,))
    return province


def named(row: dict[str, Any]) -> set[str]:
    return {key.rpartition("/")[2] for key in row}


def test_an_evaluator_reads_every_row_without_who(
    server: RunningServer, uid: str, whole: list[dict[str, Any]]
) -> None:
    """All rows, the same codes and answers, but no name, phone, address, photograph or free text."""
    rows = office_of(server, "auntie").rows(uid, limit=1000)
    assert [row["_id"] for row in rows] == [row["_id"] for row in whole]
    assert {"participant_id", "sex", "age_years"} <= set.union(*map(named, rows))
    assert any(name in named(row) for row in whole for name in DIRECT)
    for row in rows:
        assert not named(row) & {*DIRECT, "access_needs", "audit", "instanceName"}
        assert not any("signature" in file["question_xpath"] for file in row["_attachments"])
    told = json.dumps(rows, ensure_ascii=False)
    for row in whole:
        for key, value in row.items():
            if key.rpartition("/")[2] in DIRECT and len(str(value)) > 3:
                assert value not in told


def test_what_is_hidden_cannot_be_asked_for(
    server: RunningServer, uid: str, whole: list[dict[str, Any]]
) -> None:
    """A query about a hidden answer finds nothing, so nothing can be guessed by asking."""
    key = next(key for key in whole[0] if key.endswith("/first_name") or key == "first_name")
    query = json.dumps({key: whole[0][key]})
    admin, evaluator = Office(server.url, server.token), office_of(server, "auntie")
    assert len(admin.rows(uid, query=query)) >= 1
    assert evaluator.rows(uid, query=query) == []
    fields = evaluator.rows(uid, fields=json.dumps([key]), limit=1000)
    assert all(key not in row for row in fields)
    number = whole[0]["_id"]
    assert key not in evaluator.get(f"/api/v2/assets/{uid}/data/{number}/")
    document = evaluator.call("GET", f"/api/v2/assets/{uid}/data/{number}.xml")
    assert document.status_code == 403
    for row in whole:
        for file in row["_attachments"]:
            assert evaluator.call("GET", file["download_url"]).status_code == 403


def test_a_province_team_reads_its_own_rows_whole(
    server: RunningServer, uid: str, whole: list[dict[str, Any]], home: str
) -> None:
    """A team sees its province's people with names, and of others neither rows nor counts."""
    team = office_of(server, "team")
    mine = [row for row in whole if code(row).startswith(home)]
    others = [row for row in whole if not code(row).startswith(home)]
    assert mine
    assert others
    found = team.get(f"/api/v2/assets/{uid}/data/", limit=1000)
    assert found["count"] == len(found["results"]) == len(mine)
    assert found["results"] == mine
    after = json.dumps({"_id": {"$gt": mine[0]["_id"]}})
    assert team.get(f"/api/v2/assets/{uid}/data/", query=after)["count"] == len(mine) - 1
    for row in others[:3]:
        for ending in ("/", ".xml", "/validation_status/"):
            path = f"/api/v2/assets/{uid}/data/{row['_id']}{ending}"
            assert team.call("GET", path).status_code == 404
    document = team.call("GET", f"/api/v2/assets/{uid}/data/{mine[0]['_id']}.xml")
    assert document.status_code == 200


def test_reviews_stop_at_the_province(
    server: RunningServer, admin: Office, uid: str, whole: list[dict[str, Any]], home: str
) -> None:
    """A team's statuses reach its own rows only; an evaluator's reach every row."""
    team, evaluator = office_of(server, "team"), office_of(server, "auntie")
    other = next(r for r in whole if not code(r).startswith(home))
    mine = next(r for r in whole if code(r).startswith(home))
    approved = "validation_status_approved"
    payload = {
        "payload": {
            "submission_ids": [other["_id"], mine["_id"]],
            "validation_status.uid": approved,
        }
    }
    address = f"/api/v2/assets/{uid}/data/validation_statuses/"
    told = team.call("PATCH", address, json=payload)
    assert told.json() == {"detail": "1 submissions have been updated"}
    path = f"/api/v2/assets/{uid}/data/{other['_id']}/validation_status/"
    assert admin.get(path) == {}
    assert team.call("PATCH", path, json={"validation_status.uid": approved}).status_code == 404
    assert (
        evaluator.call("PATCH", path, json={"validation_status.uid": approved}).status_code == 200
    )
    assert admin.get(path)["by_whom"] == "auntie"


def test_readers_change_no_forms(server: RunningServer, uid: str, home: str) -> None:
    """Reading a form's description is no right to change, publish or delete it."""
    for name in ("auntie", "team"):
        office = office_of(server, name)
        assert office.get(f"/api/v2/assets/{uid}/")["form_id"] == REGISTRATION
        assert office.call("PATCH", f"/api/v2/assets/{uid}/", json={"name": "x"}).status_code == 404
        assert office.call("DELETE", f"/api/v2/assets/{uid}/").status_code == 404
        assert office.call("GET", f"/api/v2/assets/{uid}/files/").status_code == 404
        row = office.rows(uid)[0]["_id"]
        assert office.call("DELETE", f"/api/v2/assets/{uid}/data/{row}/").status_code == 404


def test_a_manager_reads_no_rows(server: RunningServer, uid: str) -> None:
    """A manager reads reports; the API shows no form and no row."""
    manager = office_of(server, "boss")
    assert manager.get("/api/v2/assets/")["results"] == []
    assert manager.call("GET", f"/api/v2/assets/{uid}/data/").status_code == 404


def test_without_a_programme_nothing_is_shown_as_impersonal(tmp_path: Path) -> None:
    """A server that does not know which answers are personal tells an evaluator so, and nothing
    more."""
    running = RunningServer(tmp_path)
    running.start()
    try:
        admin = Office(running.url, running.token)
        uid = admin.publish()
        add_account(running, "auntie", "evaluator", ())
        answer = office_of(running, "auntie").call("GET", f"/api/v2/assets/{uid}/data/")
        assert answer.status_code == 403
        assert "data_dictionary.csv" in answer.json()["detail"]
        stranger = requests.get(f"{running.url}/api/v2/assets/{uid}/data/", timeout=10)
        assert stranger.status_code == 404
    finally:
        running.end()
