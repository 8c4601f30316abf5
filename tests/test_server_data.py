"""Reading submissions back: pages, order, fields, queries, changes."""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest
from koboextractor import KoboExtractor
from office import Office, RunningServer, instance

NAMES = ("กานดา", "ขวัญ", "ค", "ง", "จ")


@pytest.fixture(scope="module")
def uid(office: Office) -> str:
    """A form with 25 rows that no test changes."""
    made = office.publish()
    for number in range(25):
        more = "<photo>p.png</photo>" if number == 3 else ""
        document = instance(made, f"id-{number:03d}", who=NAMES[number % 5], more=more)
        files = {"a": ("p.png", b"png", "image/png")} if more else {}
        assert office.send(document, **files).status_code == 201
    return made


def found(office: Office, uid: str, query: Any, **more: Any) -> set[str]:
    """Instance ids of the rows a query gives; the count must agree."""
    page = office.get(f"/api/v2/assets/{uid}/data/", query=json.dumps(query), limit=1000, **more)
    assert page["count"] == len(page["results"])
    return {row["_uuid"] for row in page["results"]}


def test_pages_follow_their_links(office: Office, uid: str) -> None:
    """`next` leads through every row once, by `_id`; the default is 100, the most 1000."""
    page = office.get(f"/api/v2/assets/{uid}/data/", limit=10)
    assert (page["count"], page["previous"]) == (25, None)
    ids = [row["_id"] for row in page["results"]]
    while page["next"]:
        page = office.call("GET", page["next"]).json()
        ids += [row["_id"] for row in page["results"]]
    assert ids == sorted(set(ids))
    assert len(ids) == 25
    assert "start=10" in page["previous"]
    beyond = office.get(f"/api/v2/assets/{uid}/data/", start=5000)
    assert (beyond["results"], beyond["next"]) == ([], None)
    assert office.get(f"/api/v2/assets/{uid}/data/", limit=5000, start=24)["count"] == 25


def test_keyset_paging_counts_what_is_left(office: Office, uid: str) -> None:
    """`_id > N` in pages, as a sync reads; `count` is right on every page, also after a change."""
    last, seen = 0, 0
    while True:
        query = {"_id": {"$gt": last}}
        page = office.get(
            f"/api/v2/assets/{uid}/data/", query=json.dumps(query), sort='{"_id":1}', limit=10
        )
        assert page["count"] == 25 - seen
        if not page["results"]:
            break
        seen += len(page["results"])
        last = page["results"][-1]["_id"]
    assert seen == 25
    backwards = office.get(
        f"/api/v2/assets/{uid}/data/",
        query='{"_id":{"$gt":0}}',
        sort='{"_id":-1}',
        limit=10,
    )
    lowest = backwards["results"][-1]["_id"]
    assert len(found(office, uid, {"_id": {"$gt": lowest}})) == 9


def test_order(office: Office, uid: str) -> None:
    """By `_id` both ways, by time with `_id` in between."""
    up = [row["_id"] for row in office.rows(uid, sort='{"_submission_time":1}', limit=1000)]
    down = [row["_id"] for row in office.rows(uid, sort='{"_id":-1}', limit=1000)]
    assert up == down[::-1]


def test_fields_choose_columns_and_answers(office: Office, uid: str) -> None:
    """Only what was asked and the four that KoboToolbox always adds."""
    always = {"_id", "_uuid", "meta/rootUuid", "_validation_status"}
    light = office.rows(uid, fields='["_id","_uuid","_validation_status"]')
    assert all(set(row) == always for row in light)
    some = office.rows(uid, fields='["who","g/age","absent"]')
    assert all(set(row) == always | {"who", "g/age"} for row in some)
    (row,) = office.rows(uid, fields='["_attachments"]', query='{"_uuid":"id-003"}')
    assert row["_attachments"][0]["media_file_basename"] == "p.png"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, 25),
        ({"who": "ค"}, 5),
        ({"who": {"$eq": "ค"}}, 5),
        ({"who": {"$ne": "ค"}}, 20),
        ({"who": {"$in": ["ค", "ง", "nobody"]}}, 10),
        ({"who": {"$gt": "ค"}}, 10),
        ({"who": {"$gte": "ค"}}, 15),
        ({"who": {"$lt": "ค"}}, 10),
        ({"who": {"$lte": "ค"}}, 15),
        ({"photo": {"$exists": True}}, 1),
        ({"photo": {"$exists": False}}, 24),
        ({"photo": None}, 24),
        ({"g/age": "45"}, 25),
        ({"_uuid": "id-007"}, 1),
        ({"_uuid": {"$in": ["id-007", "id-008", "id-999"]}}, 2),
        ({"_uuid": {"$ne": "id-007"}}, 24),
        ({"meta/rootUuid": "uuid:id-007"}, 1),
        ({"meta/instanceID": {"$in": ["uuid:id-007"]}}, 1),
        ({"_id": {"$gt": 0, "$lt": 0}}, 0),
        ({"_id": {"$in": []}}, 0),
        ({"_submitted_by": "admin"}, 25),
        ({"_submitted_by": None}, 0),
        ({"_submission_time": {"$gte": "2020-01-01T00:00:00"}}, 25),
        ({"_date_modified": {"$gt": "2999"}}, 0),
        ({"_validation_status.uid": {"$exists": False}}, 25),
        ({"$and": [{"who": "ค"}, {"_uuid": "id-002"}]}, 1),
        ({"$or": [{"who": "ค"}, {"_uuid": "id-000"}]}, 6),
        ({"$or": [{"_uuid": "id-001"}, {"_uuid": "id-000"}]}, 2),
        ({"$or": [{"$and": [{"who": "ค"}, {"_uuid": "id-002"}]}, {"who": "ง"}]}, 6),
        ({"_uuid": {"$gt": "id-010"}, "who": "ค"}, 3),
        ({"tree": {"$exists": False}}, 25),
    ],
)
def test_queries(office: Office, uid: str, query: dict[str, Any], expected: int) -> None:
    """Each known operator, on columns, on answers, and joined."""
    assert len(found(office, uid, query)) == expected


@pytest.mark.parametrize(
    "params",
    [
        {"query": "{bad"},
        {"query": "[]"},
        {"query": '{"who":{"$regex":"a"}}'},
        {"query": '{"$where":"1"}'},
        {"query": '{"who":{"$date":1}}'},
        {"query": '{"who":{}}'},
        {"query": '{"g/age":{"$gt":30}}'},
        {"query": '{"_id":"7"}'},
        {"query": '{"_id":{"$gt":true}}'},
        {"query": '{"_id":99999999999999999999}'},
        {"query": '{"tree.kind":"a"}'},
        {"query": '{"who":{"$in":"a"}}'},
        {"query": '{"photo":{"$exists":1}}'},
        {"query": '{"$and":[]}'},
        {"query": json.dumps({"$or": [{"_uuid": str(number)} for number in range(600)]})},
        {"query": '{"$or":' * 30 + "[]" + "}" * 30},
        {"sort": '{"who":1}'},
        {"sort": '{"_id":2}'},
        {"sort": "_id"},
        {"fields": "who"},
        {"fields": '{"a":1}'},
        {"limit": "0"},
        {"limit": "x"},
        {"limit": "-1"},
        {"start": "x"},
        {"format": "xml"},
    ],
)
def test_what_is_not_known_is_refused(office: Office, uid: str, params: dict[str, str]) -> None:
    """400 that names the parameter, never a silent empty page."""
    answer = office.call("GET", f"/api/v2/assets/{uid}/data/", params=params)
    assert answer.status_code == 400
    assert next(iter(params)) in answer.json()


def test_a_refused_query_tells_what_is_known(office: Office, uid: str) -> None:
    """The list of operators is in the answer."""
    answer = office.call("GET", f"/api/v2/assets/{uid}/data/", params={"query": '{"a":{"$x":1}}'})
    assert all(known in answer.json()["query"] for known in ("$gte", "$exists", "$or"))


def test_one_row_by_id_or_by_uuid(office: Office, uid: str) -> None:
    """The same row either way; 404 for others."""
    row = office.get(f"/api/v2/assets/{uid}/data/id-004/")
    assert office.get(f"/api/v2/assets/{uid}/data/{row['_id']}/") == row
    assert row in office.rows(uid)
    for name in ("999999", "id-999", "99999999999999999999"):
        assert office.call("GET", f"/api/v2/assets/{uid}/data/{name}/").status_code == 404


def test_every_change_moves_date_modified_in_order(running_server: RunningServer) -> None:
    """New, edit, status, attachment: `_date_modified` is unique, grows, and finds what changed."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    for number in range(5):
        assert office.send(instance(uid, f"i{number}", more="<photo>p</photo>")).status_code == 201
    moments = [row["_date_modified"] for row in office.rows(uid)]
    assert moments == sorted(set(moments))
    mark = moments[-1]
    path = f"/api/v2/assets/{uid}/data/"
    ids = [row["_id"] for row in office.rows(uid)]
    body = {
        "payload": {"submission_ids": ids[:2], "validation_status.uid": "validation_status_on_hold"}
    }
    told = office.call("PATCH", f"{path}validation_statuses/", json=body)
    assert told.json() == {"detail": "2 submissions have been updated"}
    assert office.send(instance(uid, "e2", deprecated="i2")).status_code == 201
    document = instance(uid, "i3", more="<photo>p</photo>")
    assert office.send(document, a=("p", b"1", "image/png")).status_code == 201
    changed = {
        row["_id"] for row in office.rows(uid, query=f'{{"_date_modified":{{"$gt":"{mark}"}}}}')
    }
    assert changed == set(ids[:4])
    assert office.call("DELETE", f"{path}{ids[0]}/validation_status/").status_code == 204
    assert office.get(f"{path}{ids[0]}/validation_status/") == {}
    assert office.get(f"{path}{ids[1]}/validation_status/")["label"] == "On Hold"
    held = found(office, uid, {"_validation_status.uid": "validation_status_on_hold"})
    assert held == {"i1"}


def test_a_wrong_status_is_refused(office: Office, uid: str) -> None:
    """400 with KoboToolbox's words."""
    path = f"/api/v2/assets/{uid}/data/id-001/validation_status/"
    answer = office.call("PATCH", path, json={"validation_status.uid": "nonsense"})
    assert (answer.status_code, answer.json()["detail"]) == (
        400,
        "Invalid validation status: `nonsense`",
    )
    bulk = f"/api/v2/assets/{uid}/data/validation_statuses/"
    assert office.call("PATCH", bulk, json={"submission_ids": [1]}).status_code == 400


def test_a_deleted_row_is_gone_and_comes_back_with_a_new_id(running_server: RunningServer) -> None:
    """204, then 404; a phone that sends it again makes a new row, whose `_id` was never used."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    document = instance(uid, "once", more="<photo>p.png</photo>")
    assert office.send(document, a=("p.png", b"1", "image/png")).status_code == 201
    (row,) = office.rows(uid)
    path = f"/api/v2/assets/{uid}/data/{row['_id']}/"
    assert office.call("DELETE", path).status_code == 204
    assert office.call("DELETE", path).status_code == 404
    page = office.get(f"/api/v2/assets/{uid}/data/")
    assert (page["count"], page["results"]) == (0, [])
    files = running_server.data / "server" / "files"
    kept = [path for path in files.rglob("*") if path.is_file() and path.read_bytes() == b"1"]
    assert kept == []
    running_server.restart()
    office = Office(running_server.url, running_server.token)
    assert office.send(document, a=("p.png", b"1", "image/png")).status_code == 201
    (again,) = office.rows(uid)
    assert again["_id"] > row["_id"]
    assert len(again["_attachments"]) == 1
    bulk = f"/api/v2/assets/{uid}/data/bulk/"
    wrong = office.call("DELETE", bulk, json={"payload": {"submission_ids": [again["_id"], 999]}})
    assert wrong.status_code == 400
    assert len(office.rows(uid)) == 1
    right = office.call("DELETE", bulk, json={"payload": {"submission_ids": [again["_id"]]}})
    assert right.status_code == 200
    assert office.rows(uid) == []


def test_the_unmodified_koboextractor_reads_everything(
    office: Office, uid: str, module_server: RunningServer
) -> None:
    """PyPI's koboextractor lists forms, reads labels and choices, and pages by start and limit."""
    kobo = KoboExtractor(module_server.token, f"{module_server.url}/api/v2")
    assert uid in [asset["uid"] for asset in kobo.list_assets()["results"]]
    asset = kobo.get_asset(uid)
    choices = kobo.get_choices(asset)
    assert choices["sex"]["f"]["label"] == "หญิง"
    questions = kobo.get_questions(asset, unpack_multiples=True)
    assert questions["questions"]["who"]["label"] == "ชื่อ"
    assert questions["groups"]["g"]["questions"]["age"]["type"] == "integer"
    assert questions["groups"]["tree"]["repeat"] is True
    rows: list[dict[str, Any]] = []
    while True:
        page = kobo.get_data(uid, start=len(rows), limit=7)
        rows += page["results"]
        if not page["results"] or len(rows) == page["count"]:
            break
    assert [row["_uuid"] for row in rows] == [f"id-{number:03d}" for number in range(25)]
    after = kobo.get_data(uid, submitted_after="2020-01-01T00:00:00")
    assert after["count"] == 25
    told: Any = choices
    labelled = kobo.label_result(rows[0], told, questions, unpack_multiples=True)
    assert labelled["results"]["sex"]["answer_label"] == "หญิง"


def test_a_row_of_hostile_keys_cannot_forge_its_envelope(office: Office, uid: str) -> None:
    """Elements named like KoboToolbox's own keys do not replace them."""
    one = str(uuid.uuid4())
    other = office.publish()
    more = "<_id>1</_id><_uuid>x</_uuid><_date_modified>0</_date_modified><_status>x</_status>"
    assert office.send(instance(other, one, more=more)).status_code == 201
    text = office.call("GET", f"/api/v2/assets/{other}/data/{one}/").text
    row = json.loads(text)
    assert row["_uuid"] == one
    assert row["_status"] == "submitted_via_web"
    assert row["_date_modified"].startswith("2")
    assert text.count('"_id":') == text.count('"_date_modified":') == 1
