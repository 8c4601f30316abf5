"""Documents and bodies made to exhaust the server: each is refused or taken with little memory, and a
phone beside them is served as ever."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from beside import Beside
from office import Office, RunningServer, instance


def document(uid: str, inner: str, before: str = "") -> bytes:
    """A document with this inside; its instance is new."""
    return (
        f'{before}<{uid} id="{uid}" version="1">{inner}'
        f"<meta><instanceID>uuid:{uuid.uuid4()}</instanceID></meta></{uid}>"
    ).encode()


LONG = "n" * 1000
ATTRIBUTES = " ".join(f'b{n}="1"' for n in range(300_000))
NAMESPACES = " ".join(f'xmlns:b{n}="u"' for n in range(100_000))
ENTITIES = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 9))
LAUGHS = f'<!DOCTYPE x [<!ENTITY a0 "ha">{ENTITIES}]>'
QUADRATIC = f'<!DOCTYPE x [<!ENTITY a "{"a" * 100_000}">]>'

BOMBS: dict[str, tuple[int, Callable[[str], bytes]]] = {
    "a billion laughs": (400, lambda uid: document(uid, "<who>&a8;</who>", LAUGHS)),
    "one entity often": (400, lambda uid: document(uid, f"<who>{'&a;' * 40_000}</who>", QUADRATIC)),
    "a parameter entity": (
        400,
        lambda uid: document(
            uid, "", '<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:1/">%a;]>'
        ),
    ),
    "an external subset": (
        400,
        lambda uid: document(uid, "", '<!DOCTYPE x SYSTEM "http://127.0.0.1:1/x.dtd">'),
    ),
    "20,000 nested tags": (400, lambda uid: document(uid, "<a>" * 20_000 + "</a>" * 20_000)),
    "257 nested tags": (400, lambda uid: document(uid, "<a>" * 257 + "</a>" * 257)),
    "a million empty tags": (413, lambda uid: document(uid, "<a/>" * 1_200_000)),
    "a million comments": (413, lambda uid: document(uid, "<!---->" * 600_000)),
    "a million instructions": (413, lambda uid: document(uid, "<?a?>" * 900_000)),
    "a hundred thousand answers": (
        201,
        lambda uid: document(uid, "".join(f"<a{n}>1</a{n}>" for n in range(99_000))),
    ),
    "fifty thousand turns": (
        201,
        lambda uid: document(uid, "<tree><kind>1</kind></tree>" * 49_000),
    ),
    "long names, deep, often": (
        413,
        lambda uid: document(
            uid,
            f"<{LONG}>" * 200
            + "".join(f"<a{n}>1</a{n}>" for n in range(90_000))
            + f"</{LONG}>" * 200,
        ),
    ),
    "300,000 attributes": (
        201,
        lambda uid: document(uid, f"<a {ATTRIBUTES}/>"),
    ),
    "one attribute twice": (400, lambda uid: document(uid, '<a b="1" b="2"/>')),
    "100,000 namespaces": (
        201,
        lambda uid: document(uid, f"<a {NAMESPACES}/>"),
    ),
    "900,000 references": (201, lambda uid: document(uid, f"<who>{'&#65;' * 900_000}</who>")),
    "five megabytes of one answer": (
        201,
        lambda uid: document(uid, f"<who>{'x' * 4_900_000}</who>"),
    ),
    "more than five megabytes": (413, lambda uid: document(uid, f"<who>{'x' * 5_000_000}</who>")),
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_hurts_nobody(
    office: Office, uid: str, module_server: RunningServer, name: str
) -> None:
    """The status is known, a refusal has a reason, memory stays within 150 MB of what it was, and a
    phone beside is answered within half a second."""
    expected, make = BOMBS[name]
    bomb = make(uid)
    with Beside(module_server, uid) as beside:
        for _ in range(3):
            answer = office.send(bomb)
            assert answer.status_code in (expected, 202), answer.text
            assert len(answer.text) < 2000
            assert "<message" in answer.text
        while beside.sent < 8:
            office.call("HEAD", "/submission")
    beside.unhurt(seconds=0.5, memory=150)


def test_many_large_documents_at_once_stay_within_memory(
    uid: str, module_server: RunningServer
) -> None:
    """Thirty phones send five megabytes each at once: every one is taken or told to come later
    (503), none is lost, and memory is bounded."""

    def send(number: int) -> int:
        phone = Office(module_server.url, module_server.token)
        bomb = document(uid, f"<who>{number}{'x' * 4_900_000}</who>")
        return phone.send(bomb).status_code

    with Beside(module_server, uid) as beside, ThreadPoolExecutor(30) as pool:
        answers = Counter(pool.map(send, range(30)))
    assert set(answers) <= {201, 503}
    assert answers[201] >= 5
    beside.unhurt(seconds=3, memory=450, crowded=True)
    assert office_counts(module_server, uid)


def office_counts(server: RunningServer, uid: str) -> bool:
    """Whether the count and the rows agree."""
    office = Office(server.url, server.token)
    first = office.get(f"/api/v2/assets/{uid}/data/", fields='["_id"]', limit=1000)
    return first["count"] >= len(first["results"]) > 0


HEAD = b'--b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n'
FILE = HEAD % (b"f", b"a.png")
MULTIPART = "multipart/form-data; boundary=b"

TRICKS: dict[str, tuple[tuple[int, ...], str, bytes]] = {
    "a preamble of megabytes": ((400,), MULTIPART, b"x" * 19_000_000),
    "almost boundaries": ((400,), MULTIPART, FILE + b"\r\n--" * 4_000_000),
    "carriage returns": ((400,), MULTIPART, FILE + b"\r" * 18_000_000),
    "one endless field": (
        (413,),
        MULTIPART,
        b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + b"x" * 18_000_000,
    ),
    "an endless part header": ((400,), MULTIPART, b"--b\r\nX: " + b"a" * 10_000_000),
    "a million part headers": ((400,), MULTIPART, b"--b\r\n" + b"X: a\r\n" * 1_000_000),
    "thousands of parts": ((413,), MULTIPART, (FILE + b"x\r\n") * 5000 + b"--b--\r\n"),
    "thousands of fields": (
        (413,),
        MULTIPART,
        b'--b\r\nContent-Disposition: form-data; name="f"\r\n\r\nx\r\n' * 5000 + b"--b--\r\n",
    ),
    "no end": ((400,), MULTIPART, FILE + b"x"),
    "an end at once": ((400,), MULTIPART, b"--b--\r\n"),
    "another boundary": ((400,), MULTIPART, FILE.replace(b"--b", b"--c") + b"x\r\n--c--\r\n"),
    "no boundary": ((400,), "multipart/form-data", FILE + b"x\r\n--b--\r\n"),
    "an empty boundary": ((400,), "multipart/form-data; boundary=", b"--\r\n\r\n"),
    "an endless boundary": ((400,), f"multipart/form-data; boundary={'b' * 50_000}", b"--b"),
    "two boundaries": ((400,), f"{MULTIPART}; boundary=c", b"--x\r\n"),
    "a part without a name": (
        (400,),
        MULTIPART,
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n",
    ),
    "a name of no encoding": ((400,), MULTIPART, HEAD % (b"\xff\xfe", b"\xff") + b"x\r\n--b--\r\n"),
    "quotation marks": ((400,), MULTIPART, HEAD % (b"f", b'\\"' * 1500) + b"x\r\n--b--\r\n"),
    "multipart inside": (
        (400,),
        MULTIPART,
        b'--b\r\nContent-Disposition: form-data; name="xml_submission_file"\r\n'
        b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\n\r\n<x/>\r\n--c--\r\n--b--\r\n",
    ),
    "a compressed body": ((400,), MULTIPART, b"\x1f\x8b\x08\x00" + b"\x00" * 1000),
}


@pytest.mark.parametrize("name", TRICKS)
def test_a_multipart_trick_is_refused(
    office: Office, uid: str, module_server: RunningServer, name: str
) -> None:
    """The status is known and has a reason, no half file stays, memory and others are unhurt."""
    expected, kind, body = TRICKS[name]
    with Beside(module_server, uid) as beside:
        for _ in range(2):
            answer = office.call("POST", "/submission", data=body, headers={"Content-Type": kind})
            assert answer.status_code in expected, answer.text
            assert "<message" in answer.text
        while beside.sent < 8:
            office.call("HEAD", "/submission")
    beside.unhurt(seconds=0.5, memory=60)
    assert list((module_server.data / "server" / "files" / "incoming").iterdir()) == []


def test_of_two_documents_the_first_counts(office: Office, uid: str) -> None:
    """Two parts of one name: the first is taken, the other is not mixed into it."""
    one, other = str(uuid.uuid4()), str(uuid.uuid4())
    part = b'--b\r\nContent-Disposition: form-data; name="xml_submission_file"\r\n\r\n%b\r\n'
    body = part % instance(uid, one) + part % instance(uid, other) + b"--b--\r\n"
    answer = office.call("POST", "/submission", data=body, headers={"Content-Type": MULTIPART})
    assert answer.status_code == 201
    assert office.call("GET", f"/api/v2/assets/{uid}/data/{one}/").status_code == 200
    assert office.call("GET", f"/api/v2/assets/{uid}/data/{other}/").status_code == 404


def test_two_files_of_one_name_are_both_accounted_for(office: Office, uid: str) -> None:
    """The answer's file is one of the two, whole; nothing of either is left half."""
    one = str(uuid.uuid4())
    head = b'--b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n%b\r\n'
    body = (
        head % (b"xml_submission_file", b"s", instance(uid, one, more="<photo>p.png</photo>"))
        + head % (b"p", b"p.png", b"first")
        + head % (b"p", b"p.png", b"second")
        + b"--b--\r\n"
    )
    answer = office.call("POST", "/submission", data=body, headers={"Content-Type": MULTIPART})
    assert answer.status_code == 201
    (item,) = office.get(f"/api/v2/assets/{uid}/data/{one}/")["_attachments"]
    assert office.call("GET", item["download_url"]).content in (b"first", b"second")


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..\\..\\windows\\system32\\evil.dll",
        "/etc/cron.d/evil",
        "....//....//evil",
        "%2e%2e%2fevil",
        "evil\x00.png",
        "CON",
        "a" * 5000,
        ".",
        "..",
        "",
        " ",
        "\u202egnp.exe",
        "evil.png\r\nX-Injected: yes",
        "$(touch evil)",
        "-rf",
    ],
)
def test_a_file_name_is_data(
    office: Office, uid: str, module_server: RunningServer, name: str
) -> None:
    """Whatever a file is called, nothing is written under that name, and it comes back as text."""
    one = str(uuid.uuid4())
    quoted = name.encode().replace(b'"', b"%22").replace(b"\r", b"%0D").replace(b"\n", b"%0A")
    head = b'--b\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\n\r\n%b\r\n'
    shown = "".join(c for c in name if c >= " ")
    body = (
        head % (b"xml_submission_file", b"s", instance(uid, one, more=f"<photo>{shown}</photo>"))
        + head % (b"p", quoted, b"content")
        + b"--b--\r\n"
    )
    answer = office.call("POST", "/submission", data=body, headers={"Content-Type": MULTIPART})
    assert answer.status_code in (201, 400), answer.text
    folder = module_server.data / "server" / "files"
    assert not [file for file in folder.rglob("*") if file.is_file() and len(file.name) != 64]
    assert not list(module_server.data.parent.rglob("*evil*"))
    if answer.status_code == 201:
        for item in office.get(f"/api/v2/assets/{uid}/data/{one}/")["_attachments"]:
            got = office.call("GET", item["download_url"])
            assert got.content == b"content"
            assert "X-Injected" not in got.headers
            assert got.headers["Content-Disposition"].startswith("attachment")
            assert "/" not in item["media_file_basename"]
