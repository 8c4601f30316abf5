"""What a phone is answered: every row of the contract's table of submissions."""

from __future__ import annotations

import re
import uuid

import pytest
import requests
from office import Office, RunningServer, instance

PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 8


def new_id() -> str:
    return str(uuid.uuid4())


def row_of(office: Office, uid: str, instance_id: str) -> dict:
    return office.get(f"/api/v2/assets/{uid}/data/{instance_id}/")


def count(office: Office, uid: str) -> int:
    return office.get(f"/api/v2/assets/{uid}/data/", limit=1)["count"]


def message(answer: requests.Response) -> str:
    found = re.search(r"<message nature=\"\">(.*?)</message>", answer.text)
    assert found, answer.text
    return found[1]


def test_a_new_submission_is_created_and_rendered(office: Office, uid: str) -> None:
    """201 with OpenRosa's metadata; the row has KoboToolbox's shape and every answer is text."""
    one = new_id()
    more = "<tree><kind>ต้นสัก &amp; &lt;โอ๊ก&gt;</kind></tree><tree><kind>b</kind></tree>"
    answer = office.send(instance(uid, one, more=more))
    assert answer.status_code == 201
    assert answer.headers["X-OpenRosa-Version"] == "1.0"
    assert "Date" in answer.headers
    assert f'instanceID="uuid:{one}"' in answer.text
    assert f'id="{uid}"' in answer.text
    row = row_of(office, uid, one)
    assert row["who"] == "มาลี"
    assert row["g/age"] == "45"
    assert "place" not in row
    assert row["tree"] == [{"tree/kind": "ต้นสัก & <โอ๊ก>"}, {"tree/kind": "b"}]
    assert row["_uuid"] == one
    assert row["meta/rootUuid"] == row["meta/instanceID"] == f"uuid:{one}"
    assert row["_validation_status"] == {}
    assert row["_submitted_by"] == "admin"
    assert row["_xform_id_string"] == uid
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d", row["_submission_time"])


def test_the_same_bytes_again_are_a_duplicate(office: Office, uid: str) -> None:
    """202 for every resend, and still one row."""
    document = instance(uid, new_id())
    assert office.send(document).status_code == 201
    before = count(office, uid)
    again = office.send(document)
    assert (again.status_code, message(again)) == (202, "Duplicate Instance")
    assert office.send(document).status_code == 202
    assert count(office, uid) == before


def test_a_split_upload_adds_the_attachment_to_its_row(office: Office, uid: str) -> None:
    """Identical XML with a new file is 201 and one row; the file comes back byte by byte."""
    one = new_id()
    more = "<photo>ภาพ 1.png</photo><tree><pic>t1.png</pic></tree><tree><pic>t2.png</pic></tree>"
    document = instance(uid, one, more=more)
    assert office.send(document).status_code == 201
    assert row_of(office, uid, one)["_attachments"] == []
    before = row_of(office, uid, one)["_date_modified"]
    added = office.send(document, a=("ภาพ 1.png", PNG, "image/png"))
    assert added.status_code == 201
    assert office.send(document, a=("ภาพ 1.png", PNG, "image/png")).status_code == 202
    assert office.send(document, a=("t2.png", PNG + b"2", "image/png")).status_code == 201
    row = row_of(office, uid, one)
    assert row["_date_modified"] > before
    listed = {item["media_file_basename"]: item for item in row["_attachments"]}
    assert listed["ภาพ 1.png"]["question_xpath"] == "photo"
    assert listed["t2.png"]["question_xpath"] == "tree[2]/pic"
    got = office.call("GET", listed["ภาพ 1.png"]["download_url"])
    assert got.content == PNG
    assert got.headers["Content-Type"] == "image/png"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    small = office.call("GET", listed["ภาพ 1.png"]["download_small_url"])
    assert small.content == PNG
    path = f"/api/v2/assets/{uid}/data/{row['_id']}/attachments/"
    assert office.call("GET", path, params={"xpath": "photo"}).content == PNG
    assert office.call("GET", path).status_code == 400


def test_a_file_no_answer_names_is_dropped(office: Office, uid: str) -> None:
    """Parts without a reference do not reach the row, and the submission is taken."""
    one = new_id()
    assert office.send(instance(uid, one), a=("stray.png", PNG, "image/png")).status_code == 201
    assert row_of(office, uid, one)["_attachments"] == []


def test_other_content_under_a_known_id_is_a_conflict(office: Office, uid: str) -> None:
    """409; the first content stays."""
    one = new_id()
    assert office.send(instance(uid, one, who="a")).status_code == 201
    assert office.send(instance(uid, one, who="b")).status_code == 409
    assert row_of(office, uid, one)["who"] == "a"


def test_the_same_answers_under_a_new_id_are_a_second_row(office: Office, uid: str) -> None:
    """201 twice."""
    before = count(office, uid)
    assert office.send(instance(uid, new_id())).status_code == 201
    assert office.send(instance(uid, new_id())).status_code == 201
    assert count(office, uid) == before + 2


def test_an_edit_keeps_the_row_and_its_validation(office: Office, uid: str) -> None:
    """Same _id, time, root and status; new _uuid; old versions stay known (202, 409, 410)."""
    first, second, third = new_id(), new_id(), new_id()
    original = instance(uid, first, who="old", more="<photo>p.png</photo>")
    assert office.send(original, a=("p.png", PNG, "image/png")).status_code == 201
    row = row_of(office, uid, first)
    path = f"/api/v2/assets/{uid}/data/{row['_id']}/validation_status/"
    told = office.call("PATCH", path, json={"validation_status.uid": "validation_status_approved"})
    assert told.json()["label"] == "Approved"
    edit = instance(uid, second, who="new", deprecated=first, more="<photo>p.png</photo>")
    assert office.send(edit).status_code == 201
    after = row_of(office, uid, first)
    assert after == row_of(office, uid, second)
    assert (after["_id"], after["_submission_time"]) == (row["_id"], row["_submission_time"])
    assert after["meta/rootUuid"] == f"uuid:{first}"
    assert after["_uuid"] == second
    assert after["meta/deprecatedID"] == f"uuid:{first}"
    assert after["_validation_status"]["uid"] == "validation_status_approved"
    assert after["who"] == "new"
    assert [item["media_file_basename"] for item in after["_attachments"]] == ["p.png"]
    assert after["_date_modified"] > row["_date_modified"]
    assert office.send(edit).status_code == 202
    assert office.send(original).status_code == 202, "an old version is still a duplicate"
    stale = office.send(instance(uid, third, deprecated=first))
    assert stale.status_code == 410
    assert "old version" in message(stale)
    assert office.send(instance(uid, third, deprecated=second, who="3")).status_code == 201
    assert row_of(office, uid, first)["who"] == "3"


def test_an_edit_without_the_photo_no_longer_lists_it(office: Office, uid: str) -> None:
    """`_attachments` shows what the present version names."""
    first, second = new_id(), new_id()
    document = instance(uid, first, more="<photo>p.png</photo>")
    assert office.send(document, a=("p.png", PNG, "image/png")).status_code == 201
    assert office.send(instance(uid, second, deprecated=first)).status_code == 201
    assert row_of(office, uid, first)["_attachments"] == []


def test_an_edit_of_something_unknown_is_refused_with_a_reason(office: Office, uid: str) -> None:
    """404, and nothing is stored."""
    answer = office.send(instance(uid, new_id(), deprecated=new_id()))
    assert answer.status_code == 404
    assert "deprecatedID" in message(answer)


def test_without_an_instance_id_nothing_is_taken(office: Office, uid: str) -> None:
    """400 Instance ID is required."""
    document = instance(uid, "x").replace(b"<instanceID>uuid:x</instanceID>", b"")
    answer = office.send(document)
    assert (answer.status_code, message(answer)) == (400, "Instance ID is required")


def test_without_a_document_part_nothing_is_taken(office: Office) -> None:
    """400 with a reason."""
    answer = office.call("POST", "/submission", files={"other": ("a.txt", b"a", "text/plain")})
    assert answer.status_code == 400
    assert "xml_submission_file" in message(answer)


def test_an_unknown_form_is_not_found(office: Office) -> None:
    """404."""
    assert office.send(instance("aNoSuchForm", new_id())).status_code == 404


def test_the_right_deployment_uuid_outweighs_a_wrong_form_id(office: Office, uid: str) -> None:
    """201, in the form that the uuid names."""
    known = office.get(f"/api/v2/assets/{uid}/")["deployment__uuid"]
    one = new_id()
    about = f"<formhub><uuid>{known}</uuid></formhub>"
    assert office.send(instance("aWrongId", one, about=about)).status_code == 201
    row = row_of(office, uid, one)
    assert row["formhub/uuid"] == known
    assert row["_xform_id_string"] == uid


def test_values_are_not_judged(office: Office, uid: str) -> None:
    """A value outside its choices or type is stored as it is: judging is not the server's task."""
    one = new_id()
    document = instance(uid, one).replace(b"<age>45</age>", b"<age>very old</age>")
    assert office.send(document).status_code == 201
    assert row_of(office, uid, one)["g/age"] == "very old"


def test_a_place_becomes_the_geolocation(office: Office, uid: str) -> None:
    """Latitude and longitude as numbers; nulls where there is no place."""
    one = new_id()
    document = instance(uid, one).replace(b"</g>", b"<where>18.79 98.98 300 5</where></g>")
    assert office.send(document).status_code == 201
    assert row_of(office, uid, one)["_geolocation"] == [18.79, 98.98]


def test_head_says_where_and_how_much(office: Office) -> None:
    """204 with Location and the largest body that is taken."""
    answer = office.call("HEAD", "/submission")
    assert answer.status_code == 204
    assert answer.headers["Location"] == f"{office.url}/submission"
    assert int(answer.headers["X-OpenRosa-Accept-Content-Length"]) >= 10_000_000
    assert answer.headers["X-OpenRosa-Version"] == "1.0"


@pytest.mark.parametrize("method", ["HEAD", "POST"])
def test_strangers_are_asked_to_sign_in(office: Office, method: str) -> None:
    """401 with WWW-Authenticate: Basic."""
    answer = requests.request(method, f"{office.url}/submission", data=b"x", timeout=10)
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Basic ")
    assert answer.headers["X-OpenRosa-Version"] == "1.0"


def test_an_archived_form_takes_nothing_and_shows_its_data(running_server: RunningServer) -> None:
    """405 Form is not active; gone from the list; data readable; active again after a PATCH."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    kept = instance(uid, new_id())
    assert office.send(kept).status_code == 201
    path = f"/api/v2/assets/{uid}/deployment/"
    assert office.call("PATCH", path, json={"active": False}).json()["active"] is False
    answer = office.send(instance(uid, new_id()))
    assert answer.status_code == 405
    assert message(answer).startswith("Form is not active")
    assert office.send(kept).status_code == 202, "what is stored already may be forgotten by phones"
    assert uid not in office.call("GET", "/formList").text
    assert count(office, uid) == 1
    assert office.get(f"/api/v2/assets/{uid}/")["deployment_status"] == "archived"
    office.call("PATCH", path, json={"active": True})
    assert office.send(instance(uid, new_id())).status_code == 201
