"""The log of what happened to submissions: adding, editing, judging, deleting."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests
from office import Office, instance
from postgres import placed
from recorded import recording
from sqlalchemy import insert, select, update

from server.state.schema import assets, changes, documents, schema, submissions
from server.state.store import MIGRATIONS, open_store

KEPT = {"source", "asset_uid", "submission", "log_subtype", "project_owner"}
"""Keys of `metadata` that this server knows; it keeps no IP addresses."""


@pytest.fixture(scope="module")
def uid(office: Office) -> str:
    """Two submissions: one edited and judged twice; one sent, deleted, sent again."""
    made = office.publish()
    path = f"/api/v2/assets/{made}/data"
    assert office.send(instance(made, "one")).status_code == 201
    assert office.send(instance(made, "two")).status_code == 201
    assert office.send(instance(made, "one-b", deprecated="one")).status_code == 201
    status = {"validation_status.uid": "validation_status_on_hold"}
    assert office.call("PATCH", f"{path}/one/validation_status/", json=status).ok
    assert office.call("DELETE", f"{path}/one/validation_status/").ok
    assert office.call("DELETE", f"{path}/two/").ok
    assert office.send(instance(made, "two")).status_code == 201
    return made


def entries(office: Office, uid: str, **params: Any) -> list[dict[str, Any]]:
    return office.get(f"/api/v2/assets/{uid}/history/", **params)["results"]


def asked(number: int) -> str:
    """The `q` of a recorded request."""
    return parse_qs(urlsplit(recording(number)["path"]).query)["q"][0]


def told(found: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Action, submission and status of entries."""
    return [
        (entry["action"].removesuffix("-submission"), about["root_uuid"], about.get("status", ""))
        for entry in found
        for about in [entry["metadata"]["submission"]]
    ]


def test_everything_is_told_the_newest_first(office: Office, uid: str) -> None:
    """Additions, edits, statuses with their label ("None" when taken away), deletions, returns."""
    assert told(entries(office, uid)) == [
        ("add", "two", ""),
        ("delete", "two", ""),
        ("modify", "one", "None"),
        ("modify", "one", "On Hold"),
        ("modify", "one", ""),
        ("add", "two", ""),
        ("add", "one", ""),
    ]


def test_entries_have_the_recorded_shape(office: Office, uid: str) -> None:
    """Keys as in recordings 266 and 268, but for the user's uid and the IP address."""
    page = office.get(f"/api/v2/assets/{uid}/history/")
    theirs = recording(268)["response_body"]
    assert page.keys() == theirs.keys()
    for entry in page["results"]:
        assert entry.keys() == theirs["results"][0].keys() - {"user_uid"}
        assert entry["metadata"].keys() == theirs["results"][0]["metadata"].keys() & KEPT
        assert (entry["username"], entry["user"]) == (
            "admin",
            f"{office.url}/api/v2/users/admin/",
        )
    ours = {e["action"]: e for e in page["results"]}["delete-submission"]
    assert len(ours["date_created"]) == len(theirs["results"][0]["date_created"])
    assert ours["metadata"]["submission"] == {"root_uuid": "two", "submitted_by": "admin"}


@pytest.mark.parametrize(("number", "count"), [(144, 1), (266, 3), (267, 3), (268, 7)])
def test_recorded_searches_are_understood(
    office: Office, uid: str, number: int, count: int
) -> None:
    """By action, since a moment with and without Z, alternatives in parentheses."""
    search = asked(number).replace("2026-11-23", "2021-01-01")
    assert office.get(f"/api/v2/assets/{uid}/history/", q=search)["count"] == count


def test_since_a_moment(office: Office, uid: str) -> None:
    """`__gte` a told moment finds its entry again, a moment later finds nothing; zones count."""
    newest = entries(office, uid, limit=1)[0]["date_created"]
    found = entries(office, uid, q=f'date_created__gte:"{newest}"')
    assert ("add", "two", "") in told(found)
    assert entries(office, uid, q='date_created__gt:"2999-01-01"') == []
    assert entries(office, uid, q="date_created__gt:2999-01-01T00:00:00+07:00") == []
    both = "action:add-submission OR action:delete-submission AND date_created__gt:2999-01-01"
    assert len(entries(office, uid, q=both)) == 3


@pytest.mark.parametrize(
    "search",
    [
        "action:deploy",
        "username:admin",
        "word",
        'date_created__gt:"yesterday"',
        "date_created__lt:2021-01-01",
        "action:add-submission AND",
        "action:add-submission)",
        "(action:add-submission",
        "(" * 30 + "action:add-submission" + ")" * 30,
        'action:"add-submission',
        " OR ".join(["action:add-submission"] * 200),
    ],
)
def test_what_is_not_known_is_refused(office: Office, uid: str, search: str) -> None:
    """400 under `q`, never a silent empty page."""
    answer = office.call("GET", f"/api/v2/assets/{uid}/history/", params={"q": search})
    assert answer.status_code == 400
    assert answer.json()["q"]


def test_a_refusal_tells_what_is_known(office: Office, uid: str) -> None:
    """Actions, comparisons and how a moment is written."""
    answer = office.call("GET", f"/api/v2/assets/{uid}/history/", params={"q": "who:x"})
    known = ("delete-submission", "date_created__gte", "AND", "2021-03-11T09:00:00")
    assert all(word in answer.json()["q"] for word in known)


def test_pages_follow_their_links(office: Office, uid: str) -> None:
    """`next` leads through every entry once; the count is of all."""
    page = office.get(f"/api/v2/assets/{uid}/history/", limit=3)
    found = page["results"]
    while page["next"]:
        assert page["count"] == 7
        page = office.call("GET", page["next"]).json()
        found += page["results"]
    assert found == entries(office, uid)


def test_only_the_manager_may_look(office: Office, uid: str) -> None:
    """Others hear 403 as recorded (269, 270), a wrong token 401, an unknown form 404."""
    path = f"{office.url}/api/v2/assets/{uid}/history/"
    answer = requests.get(path, timeout=10)
    for number in (269, 270):
        theirs = recording(number)
        assert (answer.status_code, answer.json()) == (theirs["status"], theirs["response_body"])
    wrong = requests.get(path, headers={"Authorization": "Token x"}, timeout=10)
    assert wrong.status_code == 401
    assert office.call("GET", "/api/v2/assets/aNone/history/").status_code == 404


def test_the_actions_are_listed(office: Office, uid: str) -> None:
    """The three that are logged here, each one of KoboToolbox's (271)."""
    actions = office.get(f"/api/v2/assets/{uid}/history/actions/")["actions"]
    assert len(actions) == 3
    assert set(actions) <= set(recording(271)["response_body"]["actions"])


def test_bulk_changes_are_logged_for_each_submission(office: Office) -> None:
    """Many judged and many deleted at once; a refused deletion leaves no trace in the log."""
    uid = office.publish()
    for number in range(3):
        assert office.send(instance(uid, f"b{number}")).status_code == 201
    path = f"/api/v2/assets/{uid}/data"
    ids = [row["_id"] for row in office.rows(uid)]
    status = {"submission_ids": ids, "validation_status.uid": "validation_status_approved"}
    assert office.call("PATCH", f"{path}/validation_statuses/", json={"payload": status}).ok
    wrong = {"payload": {"submission_ids": [*ids, 999_999]}}
    assert office.call("DELETE", f"{path}/bulk/", json=wrong).status_code == 400
    right = {"payload": {"submission_ids": ids[:2]}}
    assert office.call("DELETE", f"{path}/bulk/", json=right).ok
    found = told(entries(office, uid, q="action:modify-submission OR action:delete-submission"))
    assert found[:2] == [("delete", "b1", ""), ("delete", "b0", "")]
    assert sorted(found[2:]) == [("modify", f"b{n}", "Approved") for n in range(3)]


def test_a_photo_that_came_later_is_a_change(office: Office) -> None:
    """Each entry's moment is the `_date_modified` it gave; a resend that brings nothing is none."""
    uid = office.publish()
    document = instance(uid, "late", more="<photo>p.png</photo>")
    assert office.send(document).status_code == 201
    photo = ("p.png", b"1", "image/png")
    assert office.send(document, a=photo).status_code == 201
    assert office.send(document, a=photo).status_code == 202
    assert told(entries(office, uid)) == [("modify", "late", ""), ("add", "late", "")]
    (row,) = office.rows(uid)
    moment = entries(office, uid, limit=1)[0]["date_created"]
    assert moment == f"{row['_date_modified'][:19]}Z"
    since = f'date_created__gte:"{row["_date_modified"]}"'
    assert len(entries(office, uid, q=since)) == 1


def test_a_deleted_form_takes_its_log_along(office: Office) -> None:
    """404, and nothing of it is left in the table."""
    uid = office.publish()
    assert office.send(instance(uid, str(uuid.uuid4()))).status_code == 201
    assert office.call("DELETE", f"/api/v2/assets/{uid}/").status_code == 204
    assert office.call("GET", f"/api/v2/assets/{uid}/history/").status_code == 404


def test_an_older_folder_is_brought_up_to_date(tmp_path: Path) -> None:
    """Schema 1 becomes 2: the log begins with the submissions, edits and statuses that are there."""
    store = open_store(placed(tmp_path))
    status = {"timestamp": 1_600_000_000, "uid": "u", "by_whom": "admin", "label": "On Hold"}
    sent = {"asset_id": 1, "submission_id": 7, "digest": b"", "body": b"{}", "xml": b"<a/>"}
    with store.write() as connection:
        changes.drop(connection)
        connection.execute(update(schema).values(version=1))
        blank = {
            column.name: "" if column.type.python_type is str else 0
            for column in assets.c
            if not column.nullable
        }
        blank |= {"active": True, "workbook": b""}
        connection.execute(insert(assets), {**blank, "id": 1})
        connection.execute(
            insert(submissions),
            {
                "id": 7,
                "asset_id": 1,
                "root_id": "first",
                "instance_id": "second",
                "document_id": 2,
                "submitted_at": "2020-01-01T00:00:00",
                "modified_at": "2020-01-02T00:00:00.000000",
                "submitter": "Lamphun 3",
                "status_uid": "u",
                "status": json.dumps(status),
                "attachments": "[]",
            },
        )
        for number, name in ((1, "first"), (2, "second")):
            at = f"2020-01-0{number}T00:00:00.000000"
            row = {**sent, "id": number, "instance_id": name, "received_at": at}
            connection.execute(insert(documents), row)
    store.close()
    for _ in range(2):
        store = open_store(tmp_path)
        with store.read() as connection:
            rows = connection.execute(select(changes).order_by(changes.c.at)).all()
            assert connection.execute(select(schema.c.version)).scalar_one() == len(MIGRATIONS)
        store.close()
        assert [(row.at, row.action, row.who, row.status) for row in rows] == [
            ("2020-01-01T00:00:00.000000", "add-submission", "Lamphun 3", None),
            ("2020-01-02T00:00:00.000000", "modify-submission", "", None),
            ("2020-09-13T12:26:40.000000", "modify-submission", "admin", "On Hold"),
        ]
        assert {(row.root_id, row.submitter) for row in rows} == {("first", "Lamphun 3")}
