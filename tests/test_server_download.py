"""What is fetched as a file: forms, workbooks, instance documents, attachments in pieces."""

from __future__ import annotations

import hashlib
import random
import re
import socket
from typing import Any
from urllib.parse import urlsplit
from xml.etree import ElementTree

import pytest
from office import PLACES, SURVEY, Office, instance, workbook
from recorded import recording

PHOTO = random.Random(2564).randbytes(700_000)


@pytest.fixture(scope="module")
def uid(office: Office) -> str:
    """A form with one row that has a photo."""
    made = office.publish()
    document = instance(made, "with-photo", more="<photo>ภาพ 1.png</photo>")
    assert office.send(document, a=("ภาพ 1.png", PHOTO, "image/png")).status_code == 201
    return made


@pytest.fixture(scope="module")
def photo(office: Office, uid: str) -> str:
    """The photo's address."""
    (row,) = office.rows(uid)
    return row["_attachments"][0]["download_url"]


def kind_and_name(answer: Any, uid: str) -> tuple[str, str]:
    """Content-Type, and the plain file name that browsers save under."""
    headers = answer["response_headers"] if isinstance(answer, dict) else answer.headers
    (name,) = re.findall(r'filename="?([^";]+)', headers["Content-Disposition"])
    return headers["Content-Type"].replace("; charset=utf-8", ""), name.replace(uid, "UID")


# ── forms ───────────────────────────────────────────────────────────────────────────────────────


def test_the_xform_is_what_phones_get(office: Office, uid: str) -> None:
    """Recording 194: the deployed form byte for byte, its media named as phones know them."""
    answer = office.call("GET", f"/api/v2/assets/{uid}.xml")
    listed = ElementTree.fromstring(office.call("GET", "/formList", params={"formID": uid}).content)
    address = listed[0].findtext("{*}downloadUrl") or ""
    assert answer.content == office.call("GET", address).content
    theirs = recording(194)
    assert kind_and_name(answer, uid) == kind_and_name(theirs, "a4AMDX2ozJ2zAhanaYrmG5")
    for form in (answer.text, theirs["response_body"]):
        assert re.search(r'src="jr://file-csv/\w+\.csv"', form)
    assert answer.headers["Content-Type"] == theirs["response_headers"]["Content-Type"]


def test_the_xform_of_a_draft_is_what_would_be_deployed(office: Office) -> None:
    """Under the asset's uid; where it does not convert, 400 in pyxform's words."""
    uid = office.import_form(workbook())
    form = ElementTree.fromstring(office.call("GET", f"/api/v2/assets/{uid}.xml").content)
    root = form.find(".//{*}instance/*")
    assert root is not None
    assert root.get("id") == uid
    nolist = (*SURVEY, ("select_one nolist", "n", "ก", "A", None))
    uid = office.import_form(workbook(survey=nolist))
    answer = office.call("GET", f"/api/v2/assets/{uid}.xml")
    assert answer.status_code == 400
    assert "nolist" in (ElementTree.fromstring(answer.content).findtext("error") or "")


def test_an_undeployed_change_is_not_in_the_xform(office: Office) -> None:
    """The deployed form stays what it was until the next deployment; the workbook is the new one."""
    uid = office.publish()
    before = office.call("GET", f"/api/v2/assets/{uid}.xml").content
    changed = workbook(survey=(*SURVEY, ("text", "added", "เพิ่ม", "Added", None)))
    office.import_form(changed, destination=f"{office.url}/api/v2/assets/{uid}/")
    assert office.call("GET", f"/api/v2/assets/{uid}.xml").content == before
    assert office.call("GET", f"/api/v2/assets/{uid}.xls").content == changed


def test_the_workbook_comes_back_as_it_was_sent(office: Office) -> None:
    """Recording 193: the same bytes, as a spreadsheet to save."""
    sent = workbook()
    uid = office.import_form(sent)
    answer = office.call("GET", f"/api/v2/assets/{uid}.xls")
    assert answer.content == sent
    assert kind_and_name(answer, uid) == kind_and_name(recording(193), "a4AMDX2ozJ2zAhanaYrmG5")
    links = {
        link["format"]: link["url"] for link in office.get(f"/api/v2/assets/{uid}/")["downloads"]
    }
    assert office.call("GET", links["xls"]).content == sent
    assert office.call("GET", links["xml"]).status_code == 200


@pytest.mark.parametrize("ending", ["xml", "xls"])
def test_forms_are_the_managers_only(office: Office, uid: str, ending: str) -> None:
    """404 for unknown forms and without credentials; HEAD tells the length."""
    assert office.call("GET", f"/api/v2/assets/aNone.{ending}").status_code == 404
    path = f"/api/v2/assets/{uid}.{ending}"
    nobody = Office(office.url, "")
    del nobody.session.headers["Authorization"]
    assert nobody.call("GET", path).status_code == 404
    head = office.call("HEAD", path)
    assert head.status_code == 200
    assert int(head.headers["Content-Length"]) == len(office.call("GET", path).content)


# ── instance documents ──────────────────────────────────────────────────────────────────────────


def test_a_document_comes_back_byte_for_byte(office: Office) -> None:
    """Recording 108: by `_id`, by uuid, by `?format=xml`; comments and spacing as they came."""
    uid = office.publish()
    document = instance(uid, "kept", more="<!-- as sent -->  <photo />\r\n")
    assert office.send(document).status_code == 201
    (row,) = office.rows(uid)
    path = f"/api/v2/assets/{uid}/data"
    for name in (f"{row['_id']}.xml", "kept.xml", "uuid:kept.xml", "kept/?format=xml"):
        answer = office.call("GET", f"{path}/{name}")
        assert answer.content == document
        assert answer.headers["Content-Type"] == recording(108)["response_headers"]["Content-Type"]


def test_of_an_edited_row_the_present_version_comes(office: Office) -> None:
    """Recording 115: the edit's own document, also under the first uuid."""
    uid = office.publish()
    assert office.send(instance(uid, "first")).status_code == 201
    edit = instance(uid, "second", deprecated="first", who="แก้ไขแล้ว")
    assert office.send(edit).status_code == 201
    for name in ("first", "second"):
        answer = office.call("GET", f"/api/v2/assets/{uid}/data/{name}.xml")
        assert answer.content == edit
        assert b"<deprecatedID>uuid:first<" in answer.content


def test_a_missing_document_is_not_found_in_xml(office: Office, uid: str) -> None:
    """Recording 274: 404 in KoboToolbox's XML, in both ways of asking."""
    theirs = recording(274)
    for name in ("999999.xml", "999999/?format=xml", "nobody.xml"):
        answer = office.call("GET", f"/api/v2/assets/{uid}/data/{name}")
        assert (answer.status_code, answer.text) == (theirs["status"], theirs["response_body"])
        assert answer.headers["Content-Type"] == theirs["response_headers"]["Content-Type"]


# ── attachments ─────────────────────────────────────────────────────────────────────────────────


def part(office: Office, address: str, wanted: str, **more: str) -> Any:
    return office.call("GET", address, headers={"Range": wanted, **more})


def test_an_attachment_has_a_length_and_a_tag(office: Office, photo: str) -> None:
    """HEAD and GET tell the same; the tag is the content's hash and outlives a restart."""
    head, whole = office.call("HEAD", photo), office.call("GET", photo)
    assert whole.content == PHOTO
    assert head.content == b""
    for answer in (head, whole):
        assert answer.status_code == 200
        assert answer.headers["Content-Length"] == str(len(PHOTO))
        assert answer.headers["Content-Type"] == "image/png"
        assert answer.headers["Accept-Ranges"] == "bytes"
        assert answer.headers["ETag"] == f'"{hashlib.sha256(PHOTO).hexdigest()}"'


@pytest.mark.parametrize(
    ("wanted", "begin", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-199999", 100, 200_000),
        ("bytes=650000-", 650_000, 700_000),
        ("bytes=-5", 699_995, 700_000),
        ("bytes=699999-9999999", 699_999, 700_000),
    ],
)
def test_a_piece_of_an_attachment(
    office: Office, photo: str, wanted: str, begin: int, end: int
) -> None:
    """206 with Content-Range and exactly these bytes."""
    answer = part(office, photo, wanted)
    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {begin}-{end - 1}/700000"
    assert answer.headers["Content-Length"] == str(end - begin)
    assert answer.content == PHOTO[begin:end]


def test_a_piece_beyond_the_end_is_refused(office: Office, photo: str) -> None:
    """416 that tells the whole length: what a puller that already has everything hears."""
    answer = part(office, photo, "bytes=700000-")
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == "bytes */700000"


def test_a_broken_download_goes_on_where_it_broke(office: Office, photo: str) -> None:
    """The line is cut in the middle; the rest by Range and If-Range completes the file."""
    url = urlsplit(photo)
    assert url.hostname
    with socket.create_connection((url.hostname, url.port or 80), timeout=10) as line:
        token = office.session.headers["Authorization"]
        request = (
            f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: {token!s}\r\n\r\n"
        )
        line.sendall(request.encode())
        got = b""
        while len(got) < 200_000:
            got += line.recv(65_536)
    begun = got.partition(b"\r\n\r\n")[2]
    tag = office.call("HEAD", photo).headers["ETag"]
    rest = part(office, photo, f"bytes={len(begun)}-", **{"If-Range": tag})
    assert rest.status_code == 206
    assert begun + rest.content == PHOTO
    other = part(office, photo, "bytes=5-", **{"If-Range": '"another"'})
    assert (other.status_code, other.content) == (200, PHOTO)


def test_what_the_caller_has_is_not_sent_again(office: Office, photo: str) -> None:
    """304 without a body for any of the caller's tags; 200 for another content's."""
    tag = office.call("HEAD", photo).headers["ETag"]
    for known in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        answer = office.call("GET", photo, headers={"If-None-Match": known})
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["ETag"] == tag
    other = office.call("GET", photo, headers={"If-None-Match": '"another"'})
    assert other.status_code == 200


def test_media_go_in_pieces_too(office: Office, uid: str) -> None:
    """The office's files and the phones' media are told and cut in the same way."""
    (file,) = office.get(f"/api/v2/assets/{uid}/files/")["results"]
    listed = ElementTree.fromstring(office.call("GET", "/formList", params={"formID": uid}).content)
    manifest = office.call("GET", listed[0].findtext("{*}manifestUrl") or "")
    address = ElementTree.fromstring(manifest.content)[0].findtext("{*}downloadUrl") or ""
    for where in (file["content"], address):
        answer = part(office, where, "bytes=3-9")
        assert (answer.status_code, answer.content) == (206, PLACES[3:10])
        plain = office.call("HEAD", where, headers={"Accept-Encoding": "identity"})
        assert plain.headers["ETag"] == answer.headers["ETag"]
