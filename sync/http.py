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
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar, cast
from urllib.parse import SplitResult, urlsplit

import orjson
import requests
import urllib3
from requests.adapters import HTTPAdapter

from forms.problems import Finding, ServerProblem

__all__ = ["USER_AGENT", "Answer", "Connection", "explain", "open_session", "server_words"]

USER_AGENT = "watphon/0.1"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
IDEMPOTENT = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
BUSY = frozenset({423, 429, 500, 502, 503, 504})
LONGEST_WAIT = 60.0
CHUNK = 1 << 18
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server sent back: status, headers (case-insensitive), the whole body."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def kind(self) -> str:
        """The media type without its parameters, lower case."""
        return self.headers.get("Content-Type", "").partition(";")[0].strip().lower()

    @property
    def is_json(self) -> bool:
        return self.kind == "application/json" or self.kind.endswith("+json")


class Broken(Exception):
    """The answer arrived but is not whole: worth another attempt where attempts are safe."""


def open_session(token: str = "", *, pool: int = 4) -> requests.Session:
    """A `requests` session with our name, the token, and a pool of kept-alive connections.

    Retries are left to `Connection.request`: urllib3's own do not cover a body that breaks off.
    """
    session = requests.Session()

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        # As an `auth` rather than a header: a .netrc would replace a header silently.
        if token:
            request.headers["Authorization"] = f"Token {token}"
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
    """A server at `url`, spoken to with `token`.

    `tries` bounds attempts, `timeout` the seconds of silence, `deadline` the seconds one whole
    answer may take (a server that drips a byte a second never trips a silence time-out).
    """

    def __init__(
        self,
        url: str,
        token: str = "",
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
        self.session = open_session(token)
        # A proxy set for the world is no way to this machine itself.
        self.session.trust_env = parts.hostname not in LOOPBACK

    def close(self) -> None:
        self.session.close()

    def json(self, method: str, path: str, **request: Any) -> Any:
        """The parsed JSON body; a page of HTML in its place is a `ServerProblem`."""
        return self.request(method, path, read=read_json, **request)

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
        accept: Iterable[int] = (),
    ) -> T:
        """Send one request and give back `read(answer)`.

        `path` is what follows `url`; `json`, `form` and `files` are the body in one of three
        shapes. Statuses in `accept` are passed to `read` although they are not 2xx. Raises
        `ServerProblem`.
        """
        url = self.url + path
        headers = {"Content-Type": "application/json"} if json is not None else {}
        body: Any = orjson.dumps(json) if json is not None else form
        allowed = frozenset(accept)
        attempt = 0
        while True:
            attempt += 1
            trouble: Exception | Answer
            try:
                answer = self.once(method, url, params, headers, body, files)
                if 200 <= answer.status < 300 or answer.status in allowed:
                    return read(answer)
                trouble = answer
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


def read_body(response: requests.Response, until: float) -> bytes:
    """The whole body, piece by piece as the network delivers it; `Broken` when time runs out."""
    pieces = []
    while piece := response.raw.read1(CHUNK, decode_content=True):
        pieces.append(piece)
        if time.monotonic() > until:
            raise Broken("the answer came too slowly to wait for its end")
    return b"".join(pieces)


def read_json(answer: Answer) -> Any:
    """Parse a JSON body after looking at what the server says it is."""
    if not answer.body:
        return None
    if not answer.is_json:
        raise ServerProblem.at(
            answer.url,
            f"answered {answer.status} with {answer.kind or 'something unnamed'} instead of data",
            "check the address: it must be the KoboToolbox API host (…kf…), not a web page",
            code="not_json",
        )
    try:
        return orjson.loads(answer.body)
    except orjson.JSONDecodeError as error:
        raise Broken(f"the answer is not whole JSON ({error.msg})") from error


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
        asked = retry_after(trouble.headers.get("Retry-After", ""))
        return None if asked > LONGEST_WAIT else max(wait, asked)
    if isinstance(trouble, requests.exceptions.SSLError):
        return None
    if method in IDEMPOTENT or never_sent(trouble):
        return wait
    return None


def retry_after(value: str) -> float:
    """Seconds asked for by a Retry-After header: a number, or an HTTP date; 0 when unreadable."""
    if re.fullmatch(r"\s*\d{1,9}\s*", value):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (TypeError, ValueError):
        return 0.0


def never_sent(error: Exception) -> bool:
    """Whether the request cannot have reached the server: no connection came about."""
    unconnected = (
        requests.exceptions.ConnectTimeout,
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.ConnectTimeoutError,
    )
    if isinstance(error, unconnected):
        return True
    reason = getattr(error.args[0], "reason", None) if error.args else None
    return isinstance(reason, urllib3.exceptions.NewConnectionError)


def explain(url: str, method: str, trouble: Exception | Answer) -> ServerProblem:
    """The problem in words: address, what was answered, what to do."""
    address = url.partition("?")[0]
    if isinstance(trouble, Answer):
        code, meaning, remedy = meaning_of(trouble)
        words = server_words(trouble)
        said = f": {words}" if words else ""
        what = f"{meaning} ({method} answered {trouble.status}{said})"
        return ServerProblem(Finding(code, "error", address, what, remedy))
    if isinstance(trouble, requests.exceptions.SSLError):
        what, remedy = "has no valid certificate", "check the address and this computer's clock"
        return ServerProblem(Finding("server_certificate", "error", address, what, remedy))
    if never_sent(trouble):
        what = "cannot be reached"
        remedy = "check that the server runs, the address in programme.toml, and the network"
        return ServerProblem(Finding("server_unreachable", "error", address, what, remedy))
    what = f"broke off before its answer was complete ({type(trouble).__name__})"
    remedy = "run the same command again; it goes on where it stopped"
    return ServerProblem(Finding("server_broke_off", "error", address, what, remedy))


def meaning_of(answer: Answer) -> tuple[str, str, str]:
    """Finding code, meaning and remedy of a status (KoboToolbox's use of them: CONTRACT 2.0)."""
    later = "wait a few minutes and run the same command again; it goes on where it stopped"
    match answer.status:
        case 401 | 403:
            return (
                "wrong_token",
                "does not accept the token",
                "set WATPHON_TOKEN to a valid token of an account that may do this",
            )
        case 404:
            return (
                "not_there",
                "is not there, or this account may not see it",
                "publish first (watphon publish), or use the token of the account that owns it",
            )
        case 402:
            return ("over_quota", "is over its quota", "free or buy space for the owner's account")
        case 405:
            return ("not_allowed", "does not allow this now", "see whether the form is archived")
        case 410:
            return (
                "gone",
                "no longer exists on this server",
                "use a server with the KoboToolbox API v2, and the latest version of the record",
            )
        case 413:
            return ("too_large", "refuses so large a request", "send smaller files")
        case 429:
            return ("too_many", "asks to be called less often", later)
        case status if 300 <= status < 400:
            target = answer.headers.get("Location", "another address")
            return (
                "redirected",
                "is elsewhere",
                f"if it is right, put this address into programme.toml, [backend] url: {target}",
            )
        case status if status >= 500:
            return ("server_failed", "failed on its side", later)
    return ("refused", "refused the request", "mend what the server names and run it again")


def server_words(answer: Answer) -> str:
    """The server's own explanation, at most 300 characters; never a page of HTML.

    KoboToolbox says it as {"detail"}, {"error"}, {"field": ["…"]}, a bare list, or, to phones, as
    an OpenRosa <message>.
    """
    if answer.is_json:
        try:
            found = orjson.loads(answer.body)
        except orjson.JSONDecodeError:
            return ""
        return " ".join(flat_words(found))[:300]
    if answer.kind.endswith("xml") or answer.kind == "text/plain":
        text = answer.body[:4000].decode("utf-8", "replace")
        tagged = re.search(r"<(?:message|detail)[^>]*>(.*?)</(?:message|detail)>", text, re.S)
        inner = tagged[1] if tagged else ("" if "<" in text else text)
        return " ".join(inner.split())[:300]
    return ""


def flat_words(found: object) -> Iterable[str]:
    """Strings inside a JSON value; names of fields in front of what is said about them."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, list):
        for item in found:
            yield from flat_words(item)
    elif isinstance(found, dict):
        for name, value in found.items():
            if name not in ("detail", "error", "message"):
                yield f"{name}:"
            yield from flat_words(value)
