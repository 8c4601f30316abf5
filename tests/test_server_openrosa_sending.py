"""Records as ODK Collect and KoboCollect send them, the same by key, by token and by password."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from office import RunningServer, instance
from rosa import (
    DOORS,
    Door,
    Place,
    collect_posts,
    furnished,
    message,
    new,
    row,
)

JPEG = b"\xff\xd8\xff\xe0" + b"photo" * 40


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    server = RunningServer(tmp_path_factory.mktemp("rosa") / "data")
    server.start()
    try:
        yield furnished(server)
    finally:
        server.end()


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, place: Place) -> Door:
    """Each of the three ways in."""
    return place.doors[request.param]


def test_head_says_where_and_how_much(door: Door) -> None:
    """204, the door's own address in Location (Collect follows it on the same host only), the limit;
    the phone's id is no obstacle."""
    answer = door.call("HEAD", "/submission", params={"deviceID": "collect:7xQp"})
    assert answer.status_code == 204
    assert answer.headers["Location"] == f"{door.base}/submission"
    assert int(answer.headers["X-OpenRosa-Accept-Content-Length"]) >= 10_000_000
    assert answer.headers["X-OpenRosa-Version"] == "1.0"


def test_new_again_and_other_content(place: Place, door: Door) -> None:
    """201; the same bytes again 202; the same id with other answers 409; the same answers under a
    new id 201 and another row."""
    one, two = new(), new()
    document = instance(place.uid, one)
    first = door.send(document, path="/submission?deviceID=collect:7xQp")
    assert (first.status_code, message(first)) == (201, "Successful submission.")
    assert f'instanceID="uuid:{one}"' in first.text
    assert first.headers["Location"] == f"{door.base}/submission"
    assert door.send(document).status_code == 202
    other = door.send(instance(place.uid, one, who="สมชาย"))
    assert other.status_code == 409
    assert "รหัสเดียวกัน" in message(other)
    assert door.send(instance(place.uid, two)).status_code == 201
    assert row(place, one)["_id"] != row(place, two)["_id"]


def test_a_record_sent_in_pieces_is_one(place: Place, door: Door) -> None:
    """The same XML with further files, `*isIncomplete*` before the last: 201 each time, one row with
    all of them; a piece again 202; a file that no answer names is dropped."""
    one = new()
    more = "<photo>a.jpg</photo><tree><kind>x</kind><pic>b.jpg</pic></tree>"
    document = instance(place.uid, one, more=more)
    incomplete: Any = ("*isIncomplete*", (None, b"yes", None))
    a, b = ("a.jpg", ("a.jpg", JPEG, "image/jpeg")), ("b.jpg", ("b.jpg", JPEG + b"b", "image/jpeg"))
    assert door.send(document, a, incomplete).status_code == 201
    assert door.send(document, b).status_code == 201
    assert door.send(document, b).status_code == 202
    assert door.send(document, ("c.jpg", ("c.jpg", JPEG, "image/jpeg"))).status_code == 202
    found = row(place, one)
    names = {file["media_file_basename"]: file["question_xpath"] for file in found["_attachments"]}
    assert names == {"a.jpg": "photo", "b.jpg": "tree/pic"}
    same = {"query": f'{{"meta/rootUuid":"uuid:{one}"}}'}
    assert len(place.office.rows(place.uid, **same)) == 1


def test_an_edit_its_resend_and_a_late_one(place: Place, door: Door) -> None:
    """An edit 201 in the same row; again 202; an edit of an old version 410 with words; an edit of
    something unknown 404 with words."""
    one, two, three = new(), new(), new()
    assert door.send(instance(place.uid, one)).status_code == 201
    first = row(place, one)["_id"]
    edit = instance(place.uid, two, who="แก้แล้ว", deprecated=one)
    assert door.send(edit).status_code == 201
    assert door.send(edit).status_code == 202
    found = row(place, one)
    assert (found["_id"], found["who"], found["meta/rootUuid"]) == (first, "แก้แล้ว", f"uuid:{one}")
    late = door.send(instance(place.uid, three, who="อีกคน", deprecated=one))
    assert (late.status_code, "แก้ไขจากที่อื่น" in message(late)) == (410, True)
    unknown = door.send(instance(place.uid, new(), deprecated=new()))
    assert (unknown.status_code, "ส่งฉบับแรกก่อน" in message(unknown)) == (404, True)


def test_what_cannot_be_read_leaves_nothing(place: Place, door: Door) -> None:
    """400 with a reason for no instanceID, broken XML, an empty document, no document, no multipart;
    404 with words for an unknown form."""
    count = place.office.get(f"/api/v2/assets/{place.uid}/")["deployment__submission_count"]
    good = instance(place.uid, new())
    without = good.replace(b"<instanceID>", b"<other>").replace(b"</instanceID>", b"</other>")
    for document in (without, good[:-20], b"", b"<html>hotel</html>"):
        answer = door.send(document)
        assert answer.status_code in (400, 404)
        assert message(answer)
    nothing = door.call("POST", "/submission", files=[("x", ("x.txt", b"x", "text/plain"))])
    assert (nothing.status_code, "xml_submission_file" in message(nothing)) == (400, True)
    assert door.call("POST", "/submission", data=good).status_code == 400
    unknown = door.send(instance("no_such_form", new()))
    assert (unknown.status_code, "ไม่มีแบบนี้" in message(unknown)) == (404, True)
    after = place.office.get(f"/api/v2/assets/{place.uid}/")["deployment__submission_count"]
    assert after == count


def test_a_wrong_id_with_the_right_formhub_uuid_is_taken(place: Place, door: Door) -> None:
    """201, as on KoboToolbox."""
    one, two = new(), new()
    assert door.send(instance(place.uid, one)).status_code == 201
    about = f"<formhub><uuid>{row(place, one)['formhub/uuid']}</uuid></formhub>"
    assert door.send(instance("another_id", two, about=about)).status_code == 201
    assert row(place, two)["_xform_id_string"] == place.uid


def test_a_closed_form_says_so_in_words(place: Place, door: Door) -> None:
    """405 in Thai and English: Collect shows the message and keeps the record."""
    answer = door.send(instance(place.closed, new()))
    assert answer.status_code == 405
    assert "แบบนี้ปิดรับแล้ว" in message(answer)
    assert "Form is not active" in message(answer)


def test_old_and_unknown_versions_are_taken(place: Place, door: Door) -> None:
    """201: a phone was offline while the form was changed; the row tells its version."""
    for version in (place.old_version, place.version, "77 (2031-01-01 00:00:00)", ""):
        one = new()
        assert door.send(instance(place.uid, one, version=version)).status_code == 201
        assert row(place, one).get("__version__", version) == version


def test_values_that_the_form_forbids_are_taken(place: Place, door: Door) -> None:
    """201: the phone has checked; a record that the server refused would be lost."""
    document = instance(place.uid, new()).replace(b"<age>45</age>", "<age>มาก</age>".encode())
    assert door.send(document).status_code == 201


def test_sixteen_at_once_are_one(place: Place, door: Door) -> None:
    """The same record from a phone that lost its line again and again: stored once, acknowledged
    every time."""
    one = new()
    document = instance(place.uid, one)
    with ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(lambda _: door.send(document).status_code, range(16)))
    assert sorted(answers) == [201] + [202] * 15


def memory(server: RunningServer) -> int:
    """The most bytes of memory the server's process has had so far."""
    status = Path(f"/proc/{server.process.pid}/status").read_text("ascii")
    (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(peak) * 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
def test_photographs_of_ten_and_nineteen_megabytes_pass_through(place: Place) -> None:
    """201; eight of them at once; the server's memory stays flat: they go to the disk as they come."""
    door = place.doors["key"]

    def send(size: int) -> int:
        one = new()
        photo = uuid.uuid4().bytes * (size // 16)
        document = instance(place.uid, one, more=f"<photo>{one}.jpg</photo>")
        answer = door.send(document, (f"{one}.jpg", (f"{one}.jpg", photo, "image/jpeg")))
        url = row(place, one)["_attachments"][0]["download_url"]
        got = place.office.call("GET", url)
        assert hashlib.sha256(got.content).digest() == hashlib.sha256(photo).digest()
        return answer.status_code

    assert send(1_000_000) == 201
    before = memory(place.server)
    with ThreadPoolExecutor(4) as pool:
        sizes = [10_000_000, 19_000_000, 10_000_000, 19_000_000]
        assert list(pool.map(send, sizes)) == [201] * 4
    more = memory(place.server) - before
    assert more < 12_000_000, more


def test_a_record_that_collect_splits_arrives_whole(place: Place) -> None:
    """Collect counts the bytes of files up to the stated limit, to the last byte, and the heads of
    the parts come on top: each of its POSTs is taken, and the record has all its files."""
    door = place.doors["key"]
    limit = int(door.call("HEAD", "/submission").headers["X-OpenRosa-Accept-Content-Length"])
    one = new()
    names = [f"{one}-{n}.jpg" for n in range(4)]
    turns = "".join(f"<tree><kind>x</kind><pic>{name}</pic></tree>" for name in names[1:])
    document = instance(place.uid, one, more=f"<photo>{names[0]}</photo>{turns}")
    half = (limit - len(document)) // 2
    sizes = [half, limit - len(document) - half, 300_000, limit - 400_000 - len(document)]
    files = [(name, b"\x00" * size, "image/jpeg") for name, size in zip(names, sizes, strict=True)]
    posts = list(collect_posts(document, files, limit))
    assert [len(parts) for parts in posts] == [3, 2]
    for parts in posts:
        assert door.send(document, *parts).status_code == 201
    kept = {file["media_file_basename"] for file in row(place, one)["_attachments"]}
    assert kept == set(names)


def test_more_than_a_request_may_hold_is_refused_in_words(place: Place) -> None:
    """413 with a reason that a phone shows; nothing is stored."""
    one = new()
    document = instance(place.uid, one, more="<photo>a.jpg</photo>")
    door = place.doors["key"]
    answer = door.send(document, ("a.jpg", ("a.jpg", b"\x00" * 22_000_000, "image/jpeg")))
    assert answer.status_code == 413
    assert "larger" in message(answer)
    found = place.office.call("GET", f"/api/v2/assets/{place.uid}/data/{one}/")
    assert found.status_code == 404
