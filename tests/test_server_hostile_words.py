"""Words that are not what they seem: JSON made to exhaust, HTML in every field, oddities of Unicode,
tokens that somebody made up. Each is refused, or kept as the text it is."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import quote

import pytest
import requests
from beside import Beside
from office import Office, RunningServer, instance, workbook

JSON_BOMBS = {
    "deep lists": b"[" * 1_000_000,
    "deep objects": b'{"a":' * 300_000,
    "a long number": b'{"a":' + b"1" * 1_000_000 + b"}",
    "too large": b'{"a":"' + b"x" * 3_000_000 + b'"}',
    "not UTF-8": b'{"name":"\xff"}',
    "half a surrogate": b'{"name":"\\ud800"}',
    "NaN": b'{"name":NaN}',
    "two values": b'{"name":"a"}{"name":"b"}',
}


@pytest.mark.parametrize("name", JSON_BOMBS)
def test_a_json_bomb_is_refused(
    office: Office, uid: str, module_server: RunningServer, name: str
) -> None:
    """400 or 413 with a reason in JSON at every address that takes some; others are unhurt."""
    headers = {"Content-Type": "application/json"}
    with Beside(module_server, uid) as beside:
        for method, path in (
            ("POST", "/api/v2/assets/"),
            ("PATCH", f"/api/v2/assets/{uid}/"),
            ("PATCH", f"/api/v2/assets/{uid}/deployment/"),
            ("PATCH", f"/api/v2/assets/{uid}/data/validation_statuses/"),
            ("DELETE", f"/api/v2/assets/{uid}/data/bulk/"),
        ):
            answer = office.call(method, path, data=JSON_BOMBS[name], headers=headers)
            assert answer.status_code in (400, 413), (method, path, answer.text)
            assert answer.headers["Content-Type"] == "application/json"
            assert len(answer.content) < 1000
        while beside.sent < 8:
            time.sleep(0.01)
    beside.unhurt(seconds=0.5, memory=60)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("[" * 3000, 400),
        ('{"$and":[' * 600 + "]}" * 600, 400),
        ('{"$or":[' + ",".join(['{"_id":1}'] * 500) + "]}", 400),
        ('{"_id":{"$in":[' + ",".join(["1"] * 10_001) + "]}}", 400),
        ('{"_id":' + "9" * 5000 + "}", 400),
        ('{"_id":{"$gt":1e400}}', 400),
        ('{"who":{"$regex":"(a+)+$"}}', 400),
        ('{"$where":"sleep(1000)"}', 400),
        ('{"who":"\\u0000"}', 200),
        ('{"who":"\'; DROP TABLE submissions; --"}', 200),
    ],
    ids=["lists", "ands", "ors", "ins", "a number", "infinity", "regex", "where", "NUL", "SQL"],
)
def test_a_query_bomb_is_refused(office: Office, uid: str, query: str, expected: int) -> None:
    """400 with what is known, at once; what is only strange finds nothing."""
    began = time.monotonic()
    path = f"/api/v2/assets/{uid}/data/"
    answer = office.call("GET", path, params={"query": query})
    assert answer.status_code == expected, answer.text
    assert time.monotonic() - began < 2
    assert office.get(path)["count"] >= 0


SCRIPT = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


def test_html_in_every_field_stays_text(office: Office, module_server: RunningServer) -> None:
    """Names, labels, choices, answers, file names: stored as sent, told as JSON, escaped in XML, and
    no answer that holds one may be run by a browser."""
    survey = (
        ("type", "name", "label", "hint"),
        ("text", "who", SCRIPT, SCRIPT),
        ("select_one c", "c", SCRIPT, None),
        ("image", "photo", SCRIPT, None),
    )
    choices = (("list_name", "name", "label"), ("c", "a", SCRIPT))
    settings = (("form_title", "form_id", "version"), (SCRIPT, "evil", SCRIPT))
    made = office.import_form(workbook(survey=survey, choices=choices, settings=settings))
    path = f"/api/v2/assets/{made}/"
    deployed = office.call("POST", f"{path}deployment/", json={"active": True})
    assert deployed.status_code == 200, deployed.text
    one = str(uuid.uuid4())
    document = instance(made, one, who=SCRIPT, more="<photo>x.svg</photo>")
    picture = (
        "x.svg",
        f"<svg xmlns='http://www.w3.org/2000/svg'>{SCRIPT}</svg>".encode(),
        "text/html",
    )
    assert office.send(document, p=picture).status_code == 201
    row = office.get(f"{path}data/{one}/")
    assert row["who"] == SCRIPT
    assert office.get(path)["name"] == SCRIPT
    token = office.session.headers["Authorization"]
    (item,) = row["_attachments"]
    for address in (
        path,
        f"{path}data/",
        f"{path}data/{one}.xml",
        f"{path[:-1]}.xls",
        item["download_url"],
        "/formList",
        "/api/v2/assets/",
        f"/api/v2/assets/{made}.xml",
        f"{path}history/",
    ):
        answer = office.call(
            "GET", address, headers={"Accept": "text/html", "Authorization": token}
        )
        assert answer.status_code == 200, address
        kind = answer.headers.get("Content-Type", "")
        assert answer.headers["X-Content-Type-Options"] == "nosniff", address
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"], address
        attached = answer.headers.get("Content-Disposition", "").startswith("attachment")
        assert attached or not kind.startswith(("text/html", "image/svg")), address
        if "xml" in kind:
            assert "<script>" not in answer.text, address


ODD = {
    "right to left": "\u202eผู้ประเมิน\u202c abc",
    "zero width": "a\u200bb\u200c\u200d\ufeffc",
    "combining": "e\u0301\u0e01\u0e33" + "\u0300" * 200,
    "four bytes": "𠮷😀🏳️\u200d🌈",
    "line ends": "a\u2028b\u2029c\x85d",
    "private": "\ue000\U000f0000",
    "last of Unicode": "\U0010fffd",
    "a tab and lines": "a\tb\nc",
}


@pytest.mark.parametrize("name", ODD)
def test_odd_characters_come_back_as_sent(office: Office, uid: str, name: str) -> None:
    """In an answer, through JSON and XML, to the byte."""
    one = str(uuid.uuid4())
    document = instance(uid, one, who=ODD[name])
    assert office.send(document).status_code == 201
    row = office.get(f"/api/v2/assets/{uid}/data/{one}/")
    assert row["who"] == ODD[name]
    assert ODD[name].encode() in office.call("GET", f"/api/v2/assets/{uid}/data/{one}.xml").content


def test_a_byte_order_mark_is_no_mistake(office: Office, uid: str) -> None:
    """Some phones begin with one; the document is taken, whatever encoding it claims it is UTF-8."""
    document = instance(uid, str(uuid.uuid4()))
    assert office.send(b"\xef\xbb\xbf" + document).status_code in (201, 400)
    for claimed in ("UTF-16", "ISO-8859-11", "TIS-620", "utf-7", "no such"):
        lying = instance(uid, str(uuid.uuid4()), who="มาลี").replace(b"UTF-8", claimed.encode())
        answer = office.send(lying)
        assert answer.status_code in (201, 400)
        if answer.status_code == 201:
            (row,) = office.rows(uid, sort='{"_id":-1}', limit=1)
            assert row["who"] == "มาลี"


@pytest.mark.parametrize(
    "token",
    [
        "",
        "0" * 40,
        "' OR 1=1 --",
        "null",
        "a" * 50_000,
        "\u0e01".encode().decode("latin-1"),
        "../../admin",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhZG1pbiJ9.",
    ],
)
def test_a_forged_token_opens_nothing(module_server: RunningServer, uid: str, token: str) -> None:
    """401 or 403 or 404 at every door, in header and in path, and nothing is told of who is known."""
    headers = {"Authorization": f"Token {token}".encode("latin-1")}
    for path in ("/me/", f"/api/v2/assets/{uid}/data/", "/formList", "/metrics"):
        more = {"X-Forwarded-For": "203.0.113.9"} if path == "/metrics" else {}
        answer = requests.get(f"{module_server.url}{path}", headers={**headers, **more}, timeout=10)
        assert answer.status_code in (401, 403, 404), (path, answer.text)
    quoted = quote(token[:5000], safe="")
    answer = requests.get(f"{module_server.url}/key/{quoted}/formList", timeout=10)
    assert answer.status_code in (401, 403, 404)


def test_a_token_changed_in_one_place_opens_nothing(module_server: RunningServer) -> None:
    """Every single character counts."""
    token = module_server.token
    for place in range(0, len(token), 7):
        other = "0" if token[place] != "0" else "1"
        forged = token[:place] + other + token[place + 1 :]
        headers = {"Authorization": f"Token {forged}"}
        assert (
            requests.get(f"{module_server.url}/me/", headers=headers, timeout=10).status_code == 401
        )


def test_a_replayed_submission_is_no_second_one(office: Office, uid: str) -> None:
    """The same request recorded and sent again, as it was: 202, and the row stays one."""
    one = str(uuid.uuid4())
    document = instance(uid, one)
    assert office.send(document).status_code == 201
    before = office.get(f"/api/v2/assets/{uid}/data/")["count"]
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: office.send(document).status_code, range(24))) == {202}
    assert office.get(f"/api/v2/assets/{uid}/data/")["count"] == before


def test_brute_force_is_slowed_down_and_hurts_nobody(running_server: RunningServer) -> None:
    """Passwords tried by the dozen end in 429 with the seconds to wait; the token goes on working and
    a phone beside is served."""
    uid = Office(running_server.url, running_server.token).publish()
    with Beside(running_server, uid) as beside:

        def attempt(number: int) -> int:
            auth = ("admin", f"guess {number}")
            return requests.get(f"{running_server.url}/me/", auth=auth, timeout=30).status_code

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(attempt, range(60)))
    assert set(answers) <= {401, 429}
    assert answers.count(429) > 30
    late = requests.get(f"{running_server.url}/me/", auth=("admin", "again"), timeout=30)
    assert late.status_code == 429
    assert int(late.headers["Retry-After"]) >= 1
    beside.unhurt(seconds=2.0, memory=150)
    answer = requests.get(f"{running_server.url}/me/", headers=running_server.headers, timeout=10)
    assert answer.status_code == 200


def test_signing_in_takes_as_long_whether_the_name_is_known_or_not(
    running_server: RunningServer,
) -> None:
    """Nobody learns from the clock which accounts there are."""

    def seconds(name: str) -> float:
        began = time.perf_counter()
        requests.get(f"{running_server.url}/me/", auth=(name, "wrong"), timeout=30)
        return time.perf_counter() - began

    seconds("admin")
    known = min(seconds("admin") for _ in range(2))
    unknown = min(seconds(f"nobody{n}") for n in range(2))
    assert unknown > known / 4
