"""Bounded fuzzing of what strangers can send: submissions, multipart bodies, query language, parameters.

    python bench/fuzz.py [--seconds 60] [--seed N]

Hypothesis makes inputs that are nearly right and sends them to the real server. Whatever comes, the
answer must be a 2xx or 4xx in the caller's own format, within five seconds; the server must not
write a line into its log, must go on serving, and what it acknowledged must be stored. A finding is
printed with the smallest input that shows it; findings become tests.
"""

from __future__ import annotations

import argparse
import http.client
import json
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import hypothesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from phones import Form, Place, document, publish

__all__ = ["Target", "fuzz"]

STATUSES = frozenset(
    {200, 201, 202, 204, 303, 304, 307, 400, 401, 403, 404, 405, 406, 409, 410, 411}
)
STATUSES |= {412, 413, 414, 415, 416, 422, 429, 431}


class Target:
    """The server under fire, one connection to it, and what has been seen."""

    def __init__(self, place: Place, form: Form, log: Path, seen: Counter[tuple[str, int]]) -> None:
        self.place = place
        self.form = form
        self.log = log
        self.seen = seen
        self.line: http.client.HTTPConnection | None = None

    def close(self) -> None:
        if self.line:
            self.line.close()
            self.line = None

    def send(
        self, what: str, method: str, path: str, body: bytes = b"", kind: str = ""
    ) -> tuple[int, bytes]:
        """One request; raises `AssertionError` for an answer that must not be."""
        headers = {"Authorization": f"Token {self.place.token}"}
        if kind:
            headers["Content-Type"] = kind
        began = time.perf_counter()
        if self.line is None:
            self.line = http.client.HTTPConnection("127.0.0.1", int(self.place.port), timeout=20)
        try:
            self.line.request(method, path, body, headers)
            answer = self.line.getresponse()
            told = answer.read()
        except (http.client.HTTPException, OSError) as error:
            self.line.close()
            self.line = None
            if self.place.process.poll() is not None:
                raise AssertionError("the server has ended") from error
            raise AssertionError(f"no answer: {type(error).__name__}") from error
        took = time.perf_counter() - began
        self.seen[what, answer.status] += 1
        assert answer.status in STATUSES, f"{answer.status}: {told[:200]!r}"
        assert took < 5, f"{took:.1f} s"
        assert b"Traceback" not in told
        said = self.log.read_text()
        assert said == "", said[-500:]
        return answer.status, told


def header_text(alphabet: str) -> st.SearchStrategy[bytes]:
    """Bytes that may stand in a head."""
    return st.text(alphabet, max_size=30).map(lambda text: text.encode("latin-1", "replace"))


XML_PIECES = st.sampled_from(
    [
        "<a>", "</a>", "<a/>", "<who>", "</who>", "&amp;", "&#0;", "&#x41;", "&x;", "<!--", "-->",
        "<![CDATA[", "]]>", "<?x?>", "<!DOCTYPE a>", "<meta>", "</meta>", "<orx:meta>", "<instanceID>",
        "</instanceID>", "uuid:", "\u0e01", "\x0b", "\ufffe", " ", "<a b='1'", "xmlns='u'", ">", "<",
        "<tree><kind>1</kind></tree>", "<formhub><uuid>x</uuid></formhub>",
    ]
)  # fmt: skip


def documents(target: Target) -> st.SearchStrategy[bytes]:
    """Instance documents: right, with something put into them, cut, or made of pieces."""
    uid = target.form.uid

    def spoiled(place: float, piece: str, cut: float, keep: bool) -> bytes:
        good = document(uid, str(uuid.uuid4()))
        at = int(len(good) * place)
        made = good[:at] + piece.encode("utf-8", "surrogatepass") + good[at:]
        return made if keep else made[: int(len(made) * cut)]

    share = st.floats(0, 1)
    pieces = st.lists(XML_PIECES, max_size=6).map("".join)
    whole = pieces.map(lambda inner: f'<{uid} id="{uid}">{inner}</{uid}>'.encode())
    return st.one_of(
        st.builds(spoiled, share, st.one_of(pieces, st.text(max_size=8)), share, st.booleans()),
        whole,
        pieces.map(str.encode),
        st.binary(max_size=200),
    )


def submissions(target: Target) -> Callable[[], None]:
    @given(documents(target))
    def check(content: bytes) -> None:
        body = (
            b'--b\r\nContent-Disposition: form-data; name="xml_submission_file"; filename="a"'
            b"\r\n\r\n" + content + b"\r\n--b--\r\n"
        )
        path = f"/key/{target.form.key}/submission"
        status, told = target.send(
            "submission", "POST", path, body, "multipart/form-data; boundary=b"
        )
        assert b"<message" in told
        assert status != 201 or b"uuid:" in content or b"instanceID" in content

    return check


def multiparts(target: Target) -> Callable[[], None]:
    line = st.sampled_from([b"\r\n", b"\n", b"\r", b"\r\n\r\n", b""])
    mark = st.sampled_from([b"--b", b"--b--", b"--c", b"--", b"--bb", b"b"])
    name = st.one_of(
        st.sampled_from([b"xml_submission_file", b"f", b"a b", b"../x", b'"', b"\\", b""]),
        header_text("abc\"';=\\/.%\u00e9\u0000 "),
    )
    head = st.builds(
        lambda kind, name, file, more: (
            b"Content-Disposition: " + kind + b'; name="' + name + b'"'
            + (b'; filename="' + file + b'"' if file is not None else b"") + more
        ),
        st.sampled_from([b"form-data", b"attachment", b"", b"form-data;;"]),
        name,
        st.one_of(st.none(), name),
        st.sampled_from([b"", b"\r\nContent-Type: image/png", b"\r\nX", b"; filename*=UTF-8''%ff"]),
    )  # fmt: skip
    piece = st.one_of(line, mark, head, st.binary(max_size=40))

    @given(st.lists(piece, max_size=24).map(b"".join))
    def check(body: bytes) -> None:
        kind = "multipart/form-data; boundary=b"
        status, told = target.send("multipart", "POST", "/submission", body, kind)
        assert status not in (201, 202)
        assert b"<message" in told

    return check


def kinds(target: Target) -> Callable[[], None]:
    text = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=60)
    kind = st.one_of(
        text,
        text.map(lambda more: f"multipart/form-data; boundary={more}"),
        st.sampled_from(
            ["multipart/form-data; boundary*=UTF-8''b", "multipart/form-data;boundary"]
        ),
    )

    @given(kind, st.binary(max_size=60))
    def check(kind: str, body: bytes) -> None:
        target.send("content type", "POST", "/submission", body, kind)

    return check


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=12)
)
KEYS = st.one_of(
    st.sampled_from(
        ["_id", "_uuid", "who", "q1", "$and", "$or", "$in", "$gt", "$ne", "$exists", "$regex",
         "_submission_time", "meta/rootUuid", "_validation_status.uid", "_attachments", "a.b", ""]
    ),
    st.text(max_size=6),
)  # fmt: skip
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=12,
)


def queries(target: Target) -> Callable[[], None]:
    @given(
        st.one_of(st.dictionaries(KEYS, VALUES, max_size=4).map(json.dumps), st.text(max_size=40)),
        st.one_of(st.none(), VALUES.map(json.dumps), st.text(max_size=20)),
        st.one_of(st.none(), VALUES.map(json.dumps), st.text(max_size=20)),
        st.one_of(st.none(), st.text(max_size=8), st.integers().map(str)),
    )
    def check(query: str, sort: str | None, fields: str | None, start: str | None) -> None:
        given_ = {"query": query, "sort": sort, "fields": fields, "start": start, "limit": "3"}
        asked = "&".join(
            f"{name}={quote(value.encode('utf-8', 'surrogatepass'), safe='')}"
            for name, value in given_.items()
            if value is not None
        )
        path = f"/api/v2/assets/{target.form.uid}/data/?{asked}"
        _, told = target.send("query", "GET", path)
        json.loads(told)

    return check


def bodies(target: Target) -> Callable[[], None]:
    uid = target.form.uid
    places = [
        ("PATCH", f"/api/v2/assets/{uid}/"),
        ("PATCH", f"/api/v2/assets/{uid}/deployment/"),
        ("POST", "/api/v2/assets/"),
        ("PATCH", f"/api/v2/assets/{uid}/data/validation_statuses/"),
        ("DELETE", f"/api/v2/assets/{uid}/data/bulk/"),
        ("POST", f"/api/v2/assets/{uid}/files/"),
        ("PATCH", f"/api/v2/assets/{uid}/data/1/validation_status/"),
    ]
    names = st.sampled_from(
        ["name", "settings", "payload", "submission_ids", "query", "confirm", "asset_type", "content",
         "validation_status.uid", "file_type", "metadata", "base64Encoded", "description", "data"]
    )  # fmt: skip

    @given(st.sampled_from(places), st.dictionaries(names, VALUES, max_size=5))
    def check(place: tuple[str, str], content: dict[str, Any]) -> None:
        body = json.dumps(content).encode()
        _, told = target.send("JSON body", *place, body, "application/json")
        if told:
            json.loads(told)

    return check


def paths(target: Target) -> Callable[[], None]:
    step = st.one_of(
        st.sampled_from(
            ["api", "v2", "assets", target.form.uid, "data", "key", target.form.key, "submission",
             "formList", "..", ".", "", "%00", "%2e%2e", "%ff", "xformsMedia", "1", "f", "static",
             "healthz", "metrics", "token", "me", "imports", "files", "attachments"]
        ),
        st.text(max_size=6).map(lambda text: quote(text.encode("utf-8", "surrogatepass"), safe="")),
    )  # fmt: skip
    method = st.sampled_from(["GET", "HEAD", "OPTIONS", "PUT", "TRACE", "PATCH", "DELETE"])

    @given(method, st.lists(step, max_size=7))
    def check(method: str, steps: list[str]) -> None:
        if method == "DELETE" and target.form.uid in steps:
            return  # it would do as it is told
        target.send("path", method, "/" + "/".join(steps))

    return check


Part = Callable[[Target], Callable[[], None]]
SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much)
PARTS: tuple[Part, ...] = (submissions, multiparts, kinds, queries, bodies, paths)


def fuzz(seconds: float, seed: int, *, most: int = 100_000) -> tuple[Counter[Any], list[str]]:
    """Fire for about so many seconds, shared by all parts; what was seen, and the findings."""
    findings: list[str] = []
    seen: Counter[tuple[str, int]] = Counter()
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        log = Path(folder) / "log"
        place = Place(Path(folder) / "data")
        with log.open("wb") as said:
            place.start(said)
        try:
            target = Target(place, publish(place), log, seen)
            stack.callback(target.close)
            for part in PARTS:
                findings += fired(part, target, seconds / len(PARTS), seed, most)
            target.send("after all", "GET", "/formList")
        except AssertionError as error:
            findings.append(f"after all: {error}")
        finally:
            place.stop()
    return seen, findings


def fired(part: Part, target: Target, seconds: float, seed: int, most: int) -> list[str]:
    """Run one part in rounds of a few hundred examples until its time is over."""
    over, examples = time.monotonic() + seconds, 0
    while time.monotonic() < over and examples < most:
        count = min(200, most - examples)
        one = settings(
            max_examples=count,
            deadline=None,
            database=None,
            suppress_health_check=SLOW,
        )(part(target))
        try:
            hypothesis.seed(seed + examples)(one)()
        except (AssertionError, ValueError, BaseExceptionGroup) as error:
            notes = "\n  ".join(getattr(error, "__notes__", ()))
            return [f"{part.__name__}: {type(error).__name__}: {error}\n  {notes}"]
        examples += count
    return []


def main() -> int:
    """Run once; 1 when something was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    asked = parser.parse_args()
    seen, findings = fuzz(asked.seconds, asked.seed)
    print(f"seed {asked.seed}, {sum(seen.values()):,} requests")
    for what in sorted({what for what, _ in seen}):
        told = ", ".join(
            f"{n:,} × {status}" for (w, status), n in sorted(seen.items()) if w == what
        )
        print(f"  {what:<14} {told}")
    for finding in findings:
        print(f"FOUND {finding}")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
