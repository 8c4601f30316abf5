"""The KoboToolbox the conformance suite stands on, held against what a real one answered.

The recorded workbook is imported, the recorded submissions are sent again, and each answer is compared
with the recording: rows value by value, everything else key by key and type by type.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import requests
from kobo_dialect import KoboDialect, running
from lxml import etree
from recorded import recording

UID = "a4AMDX2ozJ2zAhanaYrmG5"
ASSET = f"/api/v2/assets/{UID}/"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
OF_A_ROW = ("_id", "_submission_time", "_attachments", "_validation_status")
SUBMISSIONS = (52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63)


class Server:
    """The dialect, asked as the recordings' users asked."""

    def __init__(self, kobo: KoboDialect, api: str, phones: str) -> None:
        self.kobo, self.api, self.phones = kobo, api, phones
        self.tokens = {name: token for token, name in kobo.tokens.items()}
        self.session = requests.Session()
        self.session.trust_env = False

    def ask(self, method: str, path: str, user: str = "me_office", **more: Any) -> Any:
        """The answer to one request; `more` is for `requests`."""
        host = self.phones if path.startswith(("/form", "/xforms", "/submission")) else self.api
        headers = more.pop("headers", {})
        if token := self.tokens[user]:
            headers = {"Authorization": f"Token {token}", **headers}
        return self.session.request(method, host + path, headers=headers, timeout=30, **more)

    def replay(self, number: int) -> Any:
        """The request of a recording, as it was."""
        found = recording(number)
        body, kind = found["request_body"], found["request_headers"].get("Content-Type", "")
        if isinstance(body, dict) and "$base64" in body:
            body = base64.b64decode(body["$base64"])
        elif isinstance(body, dict | list):
            body = json.dumps(body).replace("http://kobo.example", self.api)
        if isinstance(body, str):
            body = body.encode() if "multipart" not in kind else crlf(body.encode(), kind)
        headers = {"Content-Type": kind} if kind else {}
        path = found["path"].replace("/me_office/", "/")
        return self.ask(found["method"], path, found["as_user"], data=body, headers=headers)


def crlf(body: bytes, kind: str) -> bytes:
    """A multipart body whose line ends the recording wrote as line feeds."""
    if b"\r\n" in body:
        return body
    boundary = b"--" + kind.rpartition("boundary=")[2].encode()
    pieces = []
    for piece in body.split(boundary):
        head, middle, content = piece.partition(b"\n\n")
        pieces.append(head.replace(b"\n", b"\r\n") + (b"\r\n\r\n" if middle else b"") + content)
    return boundary.join(pieces)


@pytest.fixture
def server() -> Iterator[Server]:
    """The recorded form, imported and deployed."""
    kobo = KoboDialect(lag=1)
    made = kobo.uid
    kobo.uid = lambda kind: UID if kind == "a" and not kobo.assets else made(kind)  # type: ignore[method-assign]
    with running(kobo) as (api, phones):
        found = Server(kobo, api, phones)
        same(found.replay(9), 9)
        poll = f"/api/v2/imports/{next(iter(kobo.imports))}/"
        same(found.ask("GET", poll), 10)
        same(found.ask("GET", poll), 11)
        yield found
        found.session.close()


def shape(value: Any, depth: int = 9) -> Any:
    """Keys and types; of a list its first entry's; whatever is null matches anything."""
    if isinstance(value, dict) and depth:
        return {key: shape(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, list) and value and depth:
        return [shape(value[0], depth - 1)]
    return None if value is None else type(value).__name__


FREE = {
    "content",
    "summary",
    "deployment__links",
    "settings",
    "files",
    "permissions",
    "report_styles",
}
"""Parts of an asset that differ with the form or are not read: their own keys are not compared."""


def agrees(ours: Any, theirs: Any, where: str = "") -> None:
    """Fail where one answer has a key or a type that the other has not."""
    if ours is None or theirs is None:
        return
    if isinstance(ours, dict) and isinstance(theirs, dict):
        assert ours.keys() == theirs.keys(), f"{where}: {sorted(ours.keys() ^ theirs.keys())}"
        for key in ours:
            if key not in FREE:
                agrees(ours[key], theirs[key], f"{where}/{key}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        if ours and theirs:
            agrees(ours[0], theirs[0], f"{where}[]")
    else:
        assert type(ours) is type(theirs), where
        assert isinstance(ours, dict | list) or ours == theirs, where


def same(answer: Any, number: int) -> Any:
    """The answer has the recording's status, media type, keys and types; gives its body."""
    found = recording(number)
    assert answer.status_code == found["status"], (number, answer.text[:300])
    theirs = found["response_body"]
    if isinstance(theirs, str) and theirs.startswith("<!-- HTML page"):
        assert answer.headers["Content-Type"].startswith("text/html")
        return None
    if isinstance(theirs, str):
        assert tags(answer.content) == tags(theirs.encode()), number
        return answer.content
    if theirs is not None:
        assert answer.headers["Content-Type"] == "application/json"
        agrees(shape(answer.json()), shape(theirs), f"recording {number}")
        return answer.json()
    return None


def tags(document: bytes) -> list[str]:
    """The kinds of elements of an OpenRosa answer."""
    return sorted({str(element.tag) for element in etree.fromstring(document).iter()})


def test_publishing_answers_as_recorded(server: Server) -> None:
    """Before, at and after deployment; files with what is refused; versions; what phones see."""
    same(server.ask("GET", "/me/"), 4)
    same(server.ask("GET", f"{ASSET}deployment/"), 13)
    same(server.ask("GET", f"{ASSET}data/"), 14)
    same(server.replay(15), 15)
    same(server.replay(16), 16)
    same(server.replay(17), 17)
    same(server.replay(18), 18)
    same(server.replay(19), 19)
    same(server.replay(21), 21)
    same(server.replay(22), 22)
    assert same(server.ask("GET", f"{ASSET}files/"), 25)["count"] == 1
    assert b"mediaFile" not in same(server.ask("GET", "/xformsManifest/1"), 28)
    same(server.replay(29), 29)
    assert b"mediaFile" not in server.ask("GET", "/xformsManifest/1").content
    same(server.replay(31), 31)
    version = server.ask("GET", ASSET).json()["version_id"]
    body = {"active": True, "version_id": version}
    same(server.ask("PATCH", f"{ASSET}deployment/", json=body), 32)
    assert b"mediaFile" not in server.ask("GET", "/xformsManifest/1").content
    assert b"tambon.csv" in same(server.ask("GET", "/xformsManifest/1"), 33)
    same(server.ask("GET", "/formList"), 38)
    same(server.ask("GET", ASSET), 149)
    same(server.ask("GET", "/api/v2/assets/"), 182)
    same(server.ask("GET", f"{ASSET}versions/"), 156)
    same(server.ask("HEAD", "/submission"), 50)
    same(server.replay(147), 9)
    assert server.ask("GET", ASSET).json()["version_id"] != version


def test_what_cannot_be_imported(server: Server) -> None:
    """Answers 200 with the error in its messages (160, 162, 170, 296)."""
    for sent, told in ((159, 160), (161, 162), (169, 170), (295, 296)):
        uid = same(server.replay(sent), 9)["uid"]
        server.ask("GET", f"/api/v2/imports/{uid}/")
        found = same(server.ask("GET", f"/api/v2/imports/{uid}/"), told)
        assert found["messages"] == recording(told)["response_body"]["messages"]


def test_rights_and_links_answer_as_recorded(server: Server) -> None:
    """034-036, 214, 219, 239-243, 248."""
    same(server.replay(16), 16)
    same(server.ask("GET", f"{ASSET}permission-assignments/"), 34)
    same(server.replay(35), 35)
    same(server.replay(36), 36)
    url = same(server.replay(214), 214)["url"]
    same(server.ask("DELETE", url.removeprefix(server.api)), 219)
    child = server.kobo.create("child", {}).uid
    base = f"/api/v2/assets/{child}/paired-data/"
    body = recording(241)["request_body"]
    body["source"] = f"{server.api}{ASSET}"
    same(server.ask("POST", base, json=body), 239)
    same(server.replay(240), 240)
    url = same(server.ask("POST", base, json=body), 241)["url"].removeprefix(server.api)
    same(server.ask("PATCH", url, json={"fields": ["nope"]}), 242)
    same(server.ask("GET", base), 243)
    same(server.ask("DELETE", url), 248)


def sent(server: Server) -> None:
    """The recorded submissions, in their order, each answered as it was."""
    same(server.replay(16), 16)
    for number in SUBMISSIONS:
        same(server.replay(number), number)


def test_rows_are_the_recorded_ones(server: Server) -> None:
    """The recorded submissions sent again make the recorded rows, value by value; what the server
    gives of its own (row id, moment) has the recorded type, and so has every attachment."""
    sent(server)
    ours = {
        row["meta/rootUuid"]: row for row in same(server.ask("GET", f"{ASSET}data/"), 73)["results"]
    }
    recorded = {row["meta/rootUuid"]: row for row in recording(73)["response_body"]["results"]}
    assert len(ours) == 9
    for root_id, row in ours.items():
        theirs = recorded[root_id]
        assert list(row) == list(theirs)
        for key in row:
            if key not in OF_A_ROW:
                assert row[key] == theirs[key], (root_id, key)
        agrees(shape(row), shape(theirs))
        for mine, other in zip(row["_attachments"], theirs["_attachments"], strict=True):
            for key in ("mimetype", "media_file_basename", "is_deleted", "question_xpath"):
                assert mine[key] == other[key]


def test_edits_reviews_and_history_are_the_recorded_ones(server: Server) -> None:
    """112-117, 123-128, 133-138, 266-270: an edit keeps `_id` and moment, a deletion leaves nothing,
    what is sent again has a new id, and the history tells all of it."""
    sent(server)
    same(server.replay(113), 113)
    row = same(server.ask("GET", f"{ASSET}data/3/"), 114)
    theirs = recording(114)["response_body"]
    assert {k: v for k, v in row.items() if k not in OF_A_ROW} == {
        k: v for k, v in theirs.items() if k not in OF_A_ROW
    }
    same(server.ask("GET", f"{ASSET}data/3.xml"), 115)
    same(server.replay(117), 117)
    same(server.replay(123), 123)
    same(server.replay(126), 126)
    same(server.replay(128), 128)
    same(server.ask("GET", f"{ASSET}data/999999/"), 105)
    light = {"fields": '["_id","_uuid","_validation_status"]', "sort": '{"_id":1}'}
    same(server.ask("GET", f"{ASSET}data/", params=light), 272)
    same(server.replay(133), 133)
    same(server.replay(134), 134)
    same(server.replay(137), 137)
    wanted = {"query": '{"hh_code":"HH-0008"}', "fields": '["_id","_uuid","_submission_time"]'}
    (again,) = same(server.ask("GET", f"{ASSET}data/", params=wanted), 138)["results"]
    assert again["_id"] > 8
    found = same(server.ask("GET", f"{ASSET}history/", params={"limit": "3"}), 268)
    assert [one["action"] for one in found["results"]][:2] == [
        "add-submission",
        "delete-submission",
    ]
    same(server.ask("GET", f"{ASSET}data/", user="outsider"), 82)


def test_what_is_asked_wrongly(server: Server) -> None:
    """089, 090, 100, 101: refused, or nothing found; 002, 003: a wrong token and none; 225: archived."""
    sent(server)
    for number in (89, 90, 100):
        assert server.replay(number).status_code == recording(number)["status"]
    same(server.replay(101), 101)
    assert server.replay(101).json()["count"] == 0
    server.tokens["wrong"] = "0" * 40
    same(server.ask("GET", "/api/v2/assets/", user="wrong"), 2)
    server.tokens["nobody"] = ""
    assert server.ask("GET", "/api/v2/assets/", user="nobody").json()["count"] == 0
    same(server.ask("PATCH", f"{ASSET}deployment/", json={"active": False}), 223)
    same(server.ask("GET", "/formList"), 224)
    same(server.replay(60), 225)
    assert server.ask("GET", f"{ASSET}data/").json()["count"] == 9
