"""One connection to one form server: time-outs, retries where they are safe, and plain words.

Every request of `sync` that is not a phone's goes through `Connection.request`. It promises that
an answer is either what was asked for or a `ServerProblem` that names the address, what came back
and what to do. Whether a failure is worth another attempt is decided in one place, `again_after`.

It never follows a redirect: a POST would silently become a GET (KoboToolbox redirects every path
without its trailing slash), and a token would travel to an address nobody wrote down.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import SplitResult, urljoin, urlsplit

import orjson
import requests
import urllib3
from requests.adapters import HTTPAdapter

from forms.problems import ServerProblem
from sync.answer import Answer, Broken, explain, never_sent, read_json, retry_after, server_words
from sync.credentials import Credentials, Token

__all__ = ["USER_AGENT", "Answer", "Connection", "explain", "open_session", "server_words"]

USER_AGENT = "watphon/0.1"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
IDEMPOTENT = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
BUSY = frozenset({423, 429, 500, 502, 503, 504})
LONGEST_WAIT = 60.0
CHUNK = 1 << 18
T = TypeVar("T")


def open_session(credentials: Credentials, *, pool: int = 4) -> requests.Session:
    """A `requests` session with our name, the credentials, and a pool of kept-alive connections.

    Retries are left to `Connection.request`: urllib3's own do not cover a body that breaks off.
    """
    session = requests.Session()

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As an `auth` rather than a header: a .netrc would replace a header silently.
        if header := credentials.header():
            request.headers["Authorization"] = header
        return request

    session.auth = sign
    adapter = HTTPAdapter(pool_connections=pool, pool_maxsize=pool, max_retries=0)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.headers.update({"User-Agent": USER_AGENT, "Accept": "application/json"})
    return session


def address(url: str, remedy: str) -> SplitResult:
    """The parts of a server's address; raises `ServerProblem` when it is none."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        where = url or "server address"
        raise ServerProblem.at(
            where, "is not the address of a server", remedy, code="server_address"
        )
    return parts


class Connection:
    """A server at `url`, spoken to with `credentials` (a text is a KoboToolbox token).

    `tries` bounds attempts, `timeout` the seconds of silence, `deadline` the seconds one whole
    answer may take (a server that drips a byte a second never trips a silence time-out).
    """

    def __init__(
        self,
        url: str,
        credentials: Credentials | str = "",
        *,
        tries: int = 6,
        timeout: float = 60.0,
        deadline: float = 300.0,
        pause: float = 0.25,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        parts = address(url, "write it as https://… in programme.toml, [backend] url")
        self.url = url.rstrip("/")
        self.tries, self.timeout, self.deadline, self.pause = tries, timeout, deadline, pause
        self.sleep = sleep
        self.credentials = Token(credentials) if isinstance(credentials, str) else credentials
        self.session = open_session(self.credentials)
        self.unsigned = open_session(Token())
        # A proxy set for the world is no way to this machine itself.
        self.session.trust_env = self.unsigned.trust_env = parts.hostname not in LOOPBACK

    def close(self) -> None:
        self.session.close()
        self.unsigned.close()

    def json(self, method: str, path: str, **request: Any) -> Any:
        """The parsed JSON body; a page of HTML in its place is a `ServerProblem`.

        None when a write is answered with nothing; a GET must be answered with something.
        """

        def read(answer: Answer) -> Any:
            return None if not answer.body and method != "GET" else read_json(answer)

        return self.request(method, path, read=read, **request)

    def bytes(self, method: str, path: str, **request: Any) -> bytes:
        """The body as it came."""
        return self.request(method, path, read=lambda answer: answer.body, **request)

    def request(
        self,
        method: str,
        path: str,
        *,
        read: Callable[[Answer], T],
        params: Mapping[str, str] | None = None,
        json: object = None,
        form: Mapping[str, str] | None = None,
        files: Mapping[str, tuple[str, bytes, str]] | None = None,
        raw: tuple[bytes, str] | None = None,
        headers: Mapping[str, str] | None = None,
        accept: Iterable[int] = (),
    ) -> T:
        """Send one request and give back `read(answer)`.

        `path` is what follows `url`; `json`, `form`, `files` and `raw` (bytes, media type) are the
        body in one of four shapes. Statuses in `accept` are passed to `read` although they are not
        2xx. Raises `ServerProblem`.
        """
        url = self.url + path
        sent = dict(headers or {})
        body: Any = form
        if json is not None:
            body, sent["Content-Type"] = orjson.dumps(json), "application/json"
        elif raw is not None:
            body, sent["Content-Type"] = raw
        allowed = frozenset(accept)
        attempt, renewed = 0, False
        while True:
            attempt += 1
            trouble: Exception | Answer
            signed = self.credentials.header()
            try:
                answer = self.once(method, url, params, sent, body, files)
                if 200 <= answer.status < 300 or answer.status in allowed:
                    return read(answer)
                trouble = answer
                # A session that ended half-way is opened again, once.
                if answer.status == 401 and not renewed and self.credentials.renew(signed):
                    renewed = True
                    continue
            except (requests.RequestException, urllib3.exceptions.HTTPError, Broken) as error:
                trouble = error
            wait = again_after(method, trouble, attempt, self.pause)
            if wait is None or attempt >= self.tries:
                raise explain(url, method, trouble)
            self.sleep(wait)

    def once(
        self,
        method: str,
        url: str,
        params: Mapping[str, str] | None,
        headers: Mapping[str, str],
        body: Any,
        files: Mapping[str, tuple[str, bytes, str]] | None,
    ) -> Answer:
        response = self.session.request(
            method,
            url,
            params=params,
            headers=headers,
            data=body,
            files=cast(Any, files),
            timeout=(10.0, self.timeout),
            allow_redirects=False,
            stream=True,
        )
        with response:
            content = read_body(response, time.monotonic() + self.deadline)
        return Answer(response.url, response.status_code, response.headers, content)

    def download(self, path: str, target: Path, progress: Callable[[int], None]) -> None:
        """Fetch a file into `target`, from the byte at which an earlier attempt stopped.

        What has arrived lies in `target` with `.part` behind its name; only a whole file gets its
        name. A server that knows no ranges (RFC 9110, 14) sends it from the start again.
        `progress` is called with the bytes that are there. Raises `ServerProblem`, and `OSError`
        when the disk is full.
        """
        part = target.with_name(f"{target.name}.part")
        url, attempt, most = self.url + path, 0, 0
        while True:
            attempt += 1
            trouble: Exception | Answer
            before = part.stat().st_size if part.exists() else 0
            most = max(most, before)
            try:
                refused = self.download_once(url, part, before, progress)
                if refused is None:
                    part.replace(target)
                    part.with_name(f"{part.name}.etag").unlink(missing_ok=True)
                    return
                trouble = refused
                if refused.status == 416 and before:  # what lies here is not the start of that file
                    part.unlink()
                    continue
            except (requests.RequestException, urllib3.exceptions.HTTPError, Broken) as error:
                trouble = error
                # As long as more arrives than ever before the line is worth another attempt.
                if part.exists() and part.stat().st_size > most:
                    attempt = 1
            wait = again_after("GET", trouble, attempt, self.pause)
            if wait is None or attempt >= self.tries:
                raise explain(url, "GET", trouble)
            self.sleep(wait)

    def download_once(
        self, url: str, part: Path, before: int, progress: Callable[[int], None]
    ) -> Answer | None:
        """Append to `part` what the server sends; the answer instead when it is no file."""
        headers = {"Accept": "*/*", "Accept-Encoding": "identity"}
        tag = part.with_name(f"{part.name}.etag")
        if before:
            headers["Range"] = f"bytes={before}-"
            if tag.exists():
                # Only if it is still the same file; else the whole new one comes (RFC 9110, 13.1.5).
                headers["If-Range"] = tag.read_text("ascii")
        response = self.opened(self.session, url, headers)
        if response.status_code in (302, 303, 307) and (at := response.headers.get("Location")):
            # A store of its own (ODK Central on S3); the address is signed, our token stays here.
            response.close()
            response = self.opened(self.unsigned, urljoin(url, at), headers)
        with response:
            until = time.monotonic() + self.deadline
            if response.status_code not in (200, 206):
                content = read_body(response, until)
                return Answer(response.url, response.status_code, response.headers, content)
            refuse_page(response)
            resumed = response.status_code == 206
            whole = size_of(response, before)
            etag = response.headers.get("ETag", "")
            known = tag.read_text("ascii") if resumed and tag.exists() else ""
            if resumed and (whole is None or (etag and known and etag != known)):
                part.unlink(missing_ok=True)
                raise Broken("the rest that came is not the rest of what is here")
            # A weak tag promises nothing about bytes.
            if etag and not etag.startswith("W/"):
                tag.write_text(etag, "ascii", "replace")
            with part.open("ab" if resumed else "wb") as file:
                while piece := response.raw.read1(CHUNK, decode_content=True):
                    file.write(piece)
                    progress(file.tell())
                    if time.monotonic() > until:
                        raise Broken("the file came too slowly to wait for its end")
                if whole is not None and file.tell() != whole:
                    raise Broken("the file broke off before its end")
        return None

    def opened(
        self, session: requests.Session, url: str, headers: Mapping[str, str]
    ) -> requests.Response:
        """A file on its way."""
        return session.get(
            url, headers=headers, timeout=(10.0, self.timeout), allow_redirects=False, stream=True
        )


def refuse_page(response: requests.Response) -> None:
    """`ServerProblem` when a web page came instead of a file: a guest network's sign-in, say.

    A form server says of a file that it is one, of a page of HTML that somebody sent, too (076).
    """
    headers = response.headers
    if headers.get("Content-Type", "").startswith("text/html") and (
        "Content-Disposition" not in headers
    ):
        raise ServerProblem.at(
            response.url,
            f"answered {response.status_code} with a web page instead of the file",
            "check the address and whether this network asks you to sign in, then run it again",
            code="not_a_file",
        )


def size_of(response: requests.Response, before: int) -> int | None:
    """How long the whole file is, as far as the answer tells.

    None for a 206 that does not begin at `before`, or does not say where (RFC 9110, 14.4); it may
    hold less than the whole rest.
    """
    length = response.headers.get("Content-Length", "")
    if response.status_code != 206:
        return int(length) if length.isdecimal() else None
    told = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+|\*)", response.headers.get("Content-Range", ""))
    if told is None or int(told[1]) != before:
        return None
    return int(told[2]) + 1 if told[3] == "*" else int(told[3])


def read_body(response: requests.Response, until: float) -> bytes:
    """The whole body, piece by piece as the network delivers it; `Broken` when time runs out."""
    pieces = []
    while piece := response.raw.read1(CHUNK, decode_content=True):
        pieces.append(piece)
        if time.monotonic() > until:
            raise Broken("the answer came too slowly to wait for its end")
    return b"".join(pieces)


def again_after(
    method: str, trouble: Exception | Answer, attempt: int, pause: float
) -> float | None:
    """Seconds to wait before the next attempt, or None when another attempt is unsafe or futile.

    Safe are idempotent methods after anything that may pass, and every method after a refused
    connection or a 429: then the server has not begun. Back-off doubles from `pause` with up to a
    half of jitter; `Retry-After` is obeyed (RFC 9110, 10.2.3) up to a minute.
    """
    wait = min(pause * 2 ** (attempt - 1), 15.0) * (1 + random.random() / 2)
    if isinstance(trouble, Answer):
        begun = trouble.status != 429
        if trouble.status not in BUSY or (begun and method not in IDEMPOTENT):
            return None
        # A 500 is usually a fault of the request (malformed JSON, a stale version): ask once more.
        if trouble.status == 500 and attempt > 1:
            return None
        said = trouble.headers
        asked = retry_after(said.get("Retry-After", ""), said.get("Date", ""))
        return None if asked > LONGEST_WAIT else max(wait, asked)
    if isinstance(trouble, requests.exceptions.SSLError):
        return None
    if method in IDEMPOTENT or never_sent(trouble):
        return wait
    return None
