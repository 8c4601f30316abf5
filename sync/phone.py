"""A phone: fetches forms from an OpenRosa server and sends filled ones, never one of them twice.

The same bytes are offered until the server has acknowledged them; because an instance carries its id,
a server that had stored them before the line broke answers 202 and keeps one. What the server refuses
is a `ServerProblem` with the server's words.

It speaks urllib3, the transport under `requests`, with a body built by hand: measured per submission
of 2.3 kB on one core, `requests` with `files=` costs 0.72 ms of CPU, this 0.22 ms, and a season has
50,000 of them.

OpenRosa: https://docs.getodk.org/openrosa-form-submission/ , …-form-list/ , …-form-discovery/
"""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import quote, urlencode, urlsplit

import urllib3

from forms.instance import local, parse_xml
from forms.problems import Finding, InstanceProblem, ServerProblem
from sync.http import USER_AGENT, Answer, address, explain, retry_after, server_words

__all__ = ["Item", "Listed", "Outcome", "Part", "Phone", "Sent", "multipart", "send_all"]

Outcome = Literal["stored", "duplicate"]
Part = tuple[str, bytes, str]
"""An attachment: name as the answer says it, content, media type."""

Item = tuple[str, bytes, Sequence[Part]]
"""What `send_all` takes: form id (for the caller's counting), instance XML, attachments."""

PASSES = frozenset({408, 423, 425, 429, 500, 502, 503, 504})
LIMIT = 10_000_000
"""Bytes of one request (X-OpenRosa-Accept-Content-Length of KoboToolbox); more travels in several."""

REMEDIES = {
    400: ("instance_refused", "the record cannot be read by the server; report it"),
    401: ("phone_key", "give this phone a valid key or token"),
    403: ("phone_key", "give this phone a key that may send this form"),
    404: ("form_unknown", "fetch the forms again: the server does not have this one"),
    405: ("form_closed", "the form is closed (archived); ask the office to open it again"),
    409: ("instance_conflict", "another record with this id and other answers is there already"),
    410: (
        "edit_outdated",
        "the record was changed meanwhile: fetch its latest state and edit that",
    ),
    413: ("too_large", "send smaller pictures"),
}


@dataclass(frozen=True, slots=True)
class Listed:
    """A form in the server's list: `form_id` is the id instances must carry."""

    form_id: str
    name: str
    version: str
    hash: str
    download_url: str
    manifest_url: str


@dataclass(frozen=True, slots=True)
class Sent:
    """How many instances were stored, and how many were there already."""

    stored: int
    duplicate: int


class Phone:
    """One phone, with one kept-alive connection to the server at `url`.

    It signs in with a `key` (part of every URL, as in a settings QR) or a `token`. `patience` is how
    many seconds it keeps trying while the server is away or busy.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str = "",
        token: str = "",
        patience: float = 60.0,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = address(url, "scan the settings QR again, or write the address as https://…")
        self.origin = f"{parts.scheme}://{parts.netloc}"
        self.path = parts.path.rstrip("/") + (f"/key/{quote(key, safe='')}" if key else "")
        self.patience = patience
        self.sleep = sleep
        self.headers = {"User-Agent": USER_AGENT, "X-OpenRosa-Version": "1.0"}
        if token:
            self.headers["Authorization"] = f"Token {token}"
        self.pool = urllib3.connection_from_url(
            self.origin,
            maxsize=1,
            retries=False,
            timeout=urllib3.Timeout(connect=10.0, read=60.0),
            headers=self.headers,
        )

    def __enter__(self) -> Phone:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self.pool.close()

    # ── fetching ─────────────────────────────────────────────────────────────────────────────────

    def forms(self, form_id: str = "") -> list[Listed]:
        """The forms the server offers this phone."""
        query = f"?{urlencode({'formID': form_id})}" if form_id else ""
        return [
            Listed(
                form_id=fields.get("formID", ""),
                name=fields.get("name", ""),
                version=fields.get("version") or fields.get("majorMinorVersion", ""),
                hash=fields.get("hash", ""),
                download_url=fields.get("downloadUrl", ""),
                manifest_url=fields.get("manifestUrl", ""),
            )
            for fields in self.entries(f"{self.path}/formList{query}")
        ]

    def form(self, listed: Listed) -> tuple[bytes, dict[str, bytes]]:
        """A form's XForm and its media by file name; raises when a hash does not agree."""
        xform = checked(self.get(self.local(listed.download_url)), listed.hash, listed.name)
        media: dict[str, bytes] = {}
        if listed.manifest_url:
            for fields in self.entries(self.local(listed.manifest_url)):
                name = fields.get("filename", "")
                content = self.get(self.local(fields.get("downloadUrl", "")))
                media[name] = checked(content, fields.get("hash", ""), name)
        return xform, media

    def entries(self, path: str) -> list[dict[str, str]]:
        try:
            root = parse_xml(self.get(path))
        except InstanceProblem as problem:
            raise ServerProblem.at(
                self.shown(path),
                "answered something that is no OpenRosa document",
                "check the address: it must be a form server's",
                code="not_openrosa",
            ) from problem
        return [{local(child.tag): child.text or "" for child in entry} for entry in root]

    def get(self, path: str) -> bytes:
        answer, _ = self.ask("GET", path, None, {})
        if answer.status in (401, 403):
            # A phone has a key or token of its own, not the office's WATPHON_TOKEN (037, 040, 048).
            raise refused(self.shown(path), answer, "the server does not let this phone in")
        if answer.status != 200:
            raise explain(self.shown(path), "GET", answer)
        return answer.body

    def local(self, link: str) -> str:
        """The path of a link on this server; a phone's key is in it already."""
        parts = urlsplit(link)
        return f"{parts.path}?{parts.query}" if parts.query else parts.path

    def shown(self, path: str) -> str:
        """An address for an error message, without the phone's key."""
        return self.origin + (path.replace(self.path, "", 1) if "/key/" in self.path else path)

    # ── sending ──────────────────────────────────────────────────────────────────────────────────

    def send(self, xml: bytes, attachments: Sequence[Part] = ()) -> Outcome:
        """Send one instance; gives back once the server has it.

        "duplicate" when the server had it before this call. Raises `ServerProblem` when it is refused
        or the server stays away for longer than `patience`.
        """
        outcome: Outcome = "duplicate"
        for parts in batches(attachments, LIMIT - len(xml)):
            body, kind = multipart(xml, parts)
            path = f"{self.path}/submission"
            answer, unsure = self.ask("POST", path, body, {"Content-Type": kind})
            # 202 to bytes whose first sending broke off: it was us who brought them.
            if answer.status == 201 or (answer.status == 202 and unsure):
                outcome = "stored"
            elif answer.status != 202:
                raise refused(self.shown(path), answer)
        return outcome

    def ask(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[Answer, bool]:
        """One request, repeated with the same bytes while the server is away or busy.

        Gives the answer and whether an earlier attempt may have been carried out unheard.
        """
        until = 0.0
        attempt = 0
        unsure = False
        while True:
            trouble: Exception | Answer
            try:
                response = self.pool.urlopen(
                    method, path, body=body, headers={**self.headers, **headers}, redirect=False
                )
                answer = Answer(path, response.status, response.headers, response.data)
                if answer.status not in PASSES:
                    return answer, unsure
                trouble = answer
                wait = retry_after(answer.headers.get("Retry-After", ""))
            except urllib3.exceptions.HTTPError as error:
                trouble, wait = error, 0.0
                unsure = unsure or not isinstance(error, urllib3.exceptions.NewConnectionError)
            now = time.monotonic()
            # Patience starts with the first trouble, not with the request.
            until = until or now + self.patience
            attempt += 1
            pause = min(0.05 * 2 ** min(attempt, 8), 5.0) * (0.5 + random.random())
            wait = max(wait, pause)
            if now + wait > until:
                raise explain(self.shown(path), method, trouble)
            self.sleep(wait)


def refused(
    where: str, answer: Answer, what: str = "the server refused the record"
) -> ServerProblem:
    """The server's refusal, of an instance or of the phone, in its words."""
    if answer.status not in REMEDIES:
        return explain(where, "POST", answer)
    code, remedy = REMEDIES[answer.status]
    words = server_words(answer)
    said = f"{what} ({answer.status}{': ' if words else ''}{words})"
    return ServerProblem(Finding(code, "error", where, said, remedy))


def checked(content: bytes, promised: str, name: str) -> bytes:
    """`content`, when its MD5 is the promised one (or none was promised)."""
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if promised and promised.removeprefix("md5:").lower() != found:
        raise ServerProblem.at(
            name,
            "did not arrive as the server announced it",
            "fetch the forms again",
            code="hash_differs",
        )
    return content


def multipart(xml: bytes, attachments: Sequence[Part] = ()) -> tuple[bytes, str]:
    """The body of an OpenRosa submission and its content type; equal for equal input."""
    boundary = hashlib.sha256(xml).hexdigest()[:40].encode()
    pieces = [
        b"--",
        boundary,
        b'\r\nContent-Disposition: form-data; name="xml_submission_file"; '
        b'filename="submission.xml"\r\nContent-Type: text/xml\r\n\r\n',
        xml,
    ]
    for name, content, media_type in attachments:
        # UTF-8 as it is, as phones send it; only what would end the quoting is escaped (HTML 4.10.21.8).
        quoted = name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A").encode()
        head = b'\r\nContent-Disposition: form-data; name="%b"; filename="%b"\r\nContent-Type: %b'
        pieces += [b"\r\n--", boundary, head % (quoted, quoted, media_type.encode()), b"\r\n\r\n"]
        pieces.append(content)
    pieces += [b"\r\n--", boundary, b"--\r\n"]
    return b"".join(pieces), f"multipart/form-data; boundary={boundary.decode()}"


def batches(attachments: Sequence[Part], room: int) -> Iterable[list[Part]]:
    """Attachments in groups that fit one request; at least one group, perhaps empty (057, 058)."""
    group: list[Part] = []
    size = 0
    for part in attachments:
        if group and size + len(part[1]) > room:
            yield group
            group, size = [], 0
        group.append(part)
        size += len(part[1]) + 500
    yield group


def send_all(
    make_phone: Callable[[], Phone],
    items: Iterable[Item],
    *,
    workers: int = 4,
    on_done: Callable[[str, Outcome], Any] = lambda form_id, outcome: None,
) -> Sent:
    """Send many instances through `workers` phones side by side.

    `items` is drawn one by one as phones become free, never from two threads at once, nor is
    `on_done` called so: once per acknowledged instance. The first refusal, and Ctrl-C, stop all
    phones after the instance they are at; it is raised then.
    """
    source = iter(items)
    drawing, counting, stop = threading.Lock(), threading.Lock(), threading.Event()
    failures: list[BaseException] = []
    counts: dict[Outcome, int] = {"stored": 0, "duplicate": 0}

    def pause(seconds: float) -> None:
        if stop.wait(seconds):
            raise Stopped

    def work() -> None:
        try:
            with make_phone() as phone:
                phone.sleep = pause
                while not stop.is_set():
                    with drawing:
                        item = next(source, None)
                    if item is None:
                        return
                    outcome = phone.send(item[1], item[2])
                    with counting:
                        counts[outcome] += 1
                        on_done(item[0], outcome)
        except Stopped:
            return
        except BaseException as error:
            failures.append(error)
            stop.set()

    threads = [threading.Thread(target=work, daemon=True) for _ in range(workers)]
    for thread in threads:
        thread.start()
    try:
        # Joined in slices: a join without end would keep Ctrl-C waiting on some platforms.
        for thread in threads:
            while thread.is_alive():
                thread.join(0.5)
    except BaseException:
        stop.set()
        for thread in threads:
            thread.join()
        raise
    if failures:
        raise failures[0]
    return Sent(counts["stored"], counts["duplicate"])


class Stopped(Exception):
    """A phone was told to stop while it waited for the server."""
