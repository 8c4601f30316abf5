"""What nobody should send: each gets a clean refusal, nothing is stored, and the server goes on."""

from __future__ import annotations

import base64
import io
import socket
import uuid
import zipfile

import pytest
import requests
from office import Office, RunningServer, instance, workbook

BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;">]><x id="x">&c;</x>'
)
FILE = b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x id="x">&a;</x>'


def broken(uid: str) -> dict[str, bytes]:
    """Documents no server should take, by what is wrong with them."""
    good = instance(uid, "3f1d9a3e-0000-4000-8000-000000000001")
    return {
        "empty": b"",
        "blank": b"  \r\n",
        "cut short": good[:-30],
        "not XML": b"<broken",
        "NUL": good.replace(b"<sex>f", b"<sex>f\x00"),
        "NUL as a reference": good.replace(b"<sex>f", b"<sex>&#0;"),
        "not UTF-8": good.replace(b"<sex>f", b"<sex>\xff\xfe"),
        "UTF-16": good.decode().replace("UTF-8", "UTF-16").encode("utf-16"),
        "entities": BOMB,
        "a file of the server": FILE,
        "a document type": good.replace(b"?>", b"?><!DOCTYPE x>", 1),
        "deep": b"<x>" * 20_000 + b"</x>" * 20_000,
        "two roots": good + b"<x/>",
        "an unknown entity": good.replace(b"<sex>f", b"<sex>&nbsp;"),
        "JSON": b'{"id": 1}',
        "an id with a space": good.replace(b"uuid:3f1d", b"uuid:3f 1d"),
        "an id with a quote": good.replace(b"uuid:3f1d", b"uuid:3f&quot;1d"),
        "an endless id": good.replace(b"uuid:3f1d", b"uuid:" + b"3" * 5000),
    }


@pytest.mark.parametrize("wrong", sorted(broken("x")))
def test_a_broken_document_is_refused_with_a_reason(office: Office, uid: str, wrong: str) -> None:
    """400, a reason in OpenRosa's words, nothing stored."""
    answer = office.send(broken(uid)[wrong])
    assert answer.status_code == 400, answer.text
    assert "<message" in answer.text
    assert "root:" not in answer.text
    assert office.get(f"/api/v2/assets/{uid}/data/")["count"] == 0


def raw(office: Office, data: bytes) -> bytes:
    """The answer to bytes written to the socket as they are."""
    host, _, port = office.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def head_of(office: Office, **headers: str) -> str:
    token = str(office.session.headers["Authorization"])
    given = {"Host": "127.0.0.1", "Authorization": token, **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    return f"POST /submission HTTP/1.1\r\n{lines}\r\n"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\n\r\n\r\n--b--\r\n"),
        (
            "multipart/form-data; boundary=b",
            b'--b\r\nContent-Disposition: form-data; name="xml_submission_file"\r\n\r\n<x/>',
        ),
        ("text/xml", b"<x/>"),
        ("application/json", b"{}"),
    ],
)
def test_a_broken_body_is_refused(office: Office, kind: str, body: bytes) -> None:
    """400 for what is no whole multipart body."""
    answer = office.call("POST", "/submission", data=body, headers={"Content-Type": kind})
    assert answer.status_code == 400
    assert "<message" in answer.text


def test_too_many_parts_are_refused(office: Office, uid: str) -> None:
    """413 rather than a thousand files."""
    files = {f"f{n}": (f"{n}.png", b"x", "image/png") for n in range(300)}
    assert office.send(instance(uid, str(uuid.uuid4())), **files).status_code == 413


def test_a_body_over_the_stated_length_is_refused_unread(office: Office) -> None:
    """413 at once where the length is stated; a megabyte more than is told to phones, which count the
    bytes of files only, is taken."""
    limit = office.call("HEAD", "/submission").headers["X-OpenRosa-Accept-Content-Length"]
    answer = raw(
        office,
        head_of(
            office,
            Content_Length=str(int(limit) + 1_000_001),
            Content_Type="multipart/form-data; boundary=b",
        ).encode()
        + b"--b",
    )
    assert answer.startswith(b"HTTP/1.1 413")


def test_a_body_over_the_length_without_stating_it_is_refused(office: Office) -> None:
    """413 while it is being read, and the half upload is gone."""

    def chunks():
        yield (
            b'--b\r\nContent-Disposition: form-data; name="f"; filename="big.png"\r\n'
            b"Content-Type: image/png\r\n\r\n"
        )
        for _ in range(400):
            yield b"x" * 100_000

    try:
        answer = office.call(
            "POST",
            "/submission",
            data=chunks(),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )
        assert answer.status_code == 413
    except requests.ConnectionError:
        pass  # the server closed while the client was still writing
    assert office.call("GET", "/formList").status_code == 200


def test_a_lost_connection_leaves_nothing(office: Office, module_server: RunningServer) -> None:
    """Half a body stores nothing, and no temporary file stays."""
    head = head_of(
        office, Content_Length="5000", Content_Type="multipart/form-data; boundary=b"
    ).encode()
    part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\nxxxx'
    raw(office, head + part)
    assert office.call("GET", "/formList").status_code == 200
    assert list((module_server.data / "server" / "files" / "incoming").iterdir()) == []


def test_file_names_are_never_paths(office: Office, uid: str, module_server: RunningServer) -> None:
    """A name that climbs is kept as its last step only; nothing is written outside the folder."""
    before = {path for path in module_server.data.parent.rglob("*") if "files" not in path.parts}
    one = str(uuid.uuid4())
    more = "<photo>../../../evil.png</photo><tree><pic>evil.png</pic></tree>"
    evil = ("../../../evil.png", b"evil", "image/png")
    assert office.send(instance(uid, one, more=more), a=evil).status_code == 201
    added = office.add_media(uid, "..\\..\\evil.csv", b"name\n")
    assert added.json()["metadata"]["filename"] == "evil.csv"
    assert not list(module_server.data.parent.rglob("evil*"))
    after = {path for path in module_server.data.parent.rglob("*") if "files" not in path.parts}
    assert {path.name for path in after - before} <= {"server.sqlite3-wal", "server.sqlite3-shm"}
    for path in ("/xformsMedia/1/..%2f..%2fserver.sqlite3", "/xformsMedia/1/%2e%2e", "/%00"):
        assert office.call("GET", path).status_code == 404


def test_a_script_in_a_name_stays_text(office: Office, uid: str) -> None:
    """Names and hosts reach XML escaped, and attachments are downloads, never pages."""
    path = f"/api/v2/assets/{uid}/"
    assert office.call("PATCH", path, json={"name": "<b>&\"'"}).status_code == 200
    listed = office.call("GET", "/formList").text
    assert "<b>" not in listed
    assert "&lt;b&gt;&amp;" in listed
    evil = office.call("GET", "/formList", headers={"Host": 'a"><script>'})
    assert "<script>" not in evil.text
    one = str(uuid.uuid4())
    page = ("x.html", b"<script>1</script>", "text/html")
    assert office.send(instance(uid, one, more="<photo>x.html</photo>"), a=page).status_code == 201
    (item,) = office.get(f"/api/v2/assets/{uid}/data/{one}/")["_attachments"]
    got = office.call("GET", item["download_url"])
    assert got.headers["Content-Disposition"].startswith("attachment")
    assert got.headers["X-Content-Type-Options"] == "nosniff"


def test_a_workbook_that_unpacks_to_gigabytes_is_refused(office: Office) -> None:
    """The import ends in an error before the workbook is unpacked."""
    out = io.BytesIO(workbook())
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("xl/media/bomb.bin", bytes(80_000_000))
    found = office.polled(office.begin_import(out.getvalue()))
    assert found["status"] == "error"
    assert "unpacks to" in found["messages"]["error"]


def test_wrong_json_is_a_clean_refusal(office: Office, uid: str) -> None:
    """400 or 415 in JSON, where KoboToolbox answers a page of HTML."""
    path = f"/api/v2/assets/{uid}/deployment/"
    for body, kind, expected in (
        (b"{", "application/json", 400),
        (b"[1]", "application/json", 400),
        (b'{"active": "yes"}', "application/json", 400),
        (b"active=true", "application/x-www-form-urlencoded", 415),
    ):
        answer = office.call("PATCH", path, data=body, headers={"Content-Type": kind})
        assert answer.status_code == expected
        assert answer.headers["Content-Type"] == "application/json"


def test_base64_that_is_none_is_refused(office: Office) -> None:
    """400 that names the field."""
    answer = office.call("POST", "/api/v2/imports/", data={"base64Encoded": "data:x;base64,%%%"})
    assert answer.status_code == 400
    assert "base64Encoded" in answer.json()
    wrong = base64.b64encode(b"this is not a spreadsheet").decode()
    sent = office.call("POST", "/api/v2/imports/", data={"base64Encoded": wrong}).json()
    found = office.polled(sent["url"])
    assert found["messages"]["error_type"] == "XlsFormatException"
    assert found["messages"]["error"].startswith("Unsupported format, or corrupt file")


def test_unknown_addresses_answer_in_json(office: Office) -> None:
    """404 and 405 without a page, 410 for API v1."""
    assert office.call("GET", "/nowhere").json() == {"detail": "Not found."}
    assert office.call("PUT", "/api/v2/assets/").status_code == 405
    assert office.call("GET", "/api/v1/data").status_code == 410
