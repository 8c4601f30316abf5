"""What a server's answer means: read it, or say in words what was refused, where, and what to do.

KoboToolbox says the same kind of thing in five shapes and sometimes in a page of HTML (CONTRACT 2.0);
nothing here parses a body before it has looked at what the server says it is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import msgspec
import orjson
import requests
import urllib3

from forms.problems import Finding, ServerProblem

__all__ = [
    "Answer",
    "Broken",
    "decoded",
    "explain",
    "json_body",
    "never_sent",
    "read_json",
    "retry_after",
    "server_words",
]

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


def json_body(answer: Answer) -> bytes:
    """A body that the server says is JSON; a `ServerProblem` when it is something else."""
    if not answer.is_json:
        raise ServerProblem.at(
            answer.url,
            f"answered {answer.status} with {answer.kind or 'something unnamed'} instead of data",
            "check the address: it must be the KoboToolbox API host (…kf…), not a web page",
            code="not_json",
        )
    return answer.body


def read_json(answer: Answer) -> Any:
    """Parse a JSON body after looking at what the server says it is."""
    if not answer.body:
        raise Broken("the answer is empty")
    try:
        return orjson.loads(json_body(answer))
    except orjson.JSONDecodeError as error:
        raise Broken(f"the answer is not whole JSON ({error.msg})") from error


def decoded(answer: Answer, decode: Callable[[bytes], T]) -> T:
    """A JSON body through a typed decoder of msgspec.

    Cut short it is `Broken`; whole but not of the expected shape, a `ServerProblem`.
    """
    try:
        return decode(json_body(answer))
    except msgspec.ValidationError as error:
        raise ServerProblem.at(
            answer.url,
            f"answered something else than rows ({error})",
            "check that the address is a KoboToolbox API (v2)",
            code="not_rows",
        ) from error
    except msgspec.DecodeError as error:
        raise Broken(f"the answer is not whole JSON ({error})") from error


def retry_after(value: str, date: str = "") -> float:
    """Seconds asked for by a Retry-After header: a number, or an HTTP date; 0 when unreadable.

    A date is measured from the answer's own `date`, since clocks differ.
    """
    if re.fullmatch(r"\s*\d{1,9}\s*", value):
        return float(value)
    try:
        now = parsedate_to_datetime(date).timestamp() if date else time.time()
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
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
                "does not accept the token"
                if answer.status == 401
                else "does not let this account do this",
                "set WATPHON_TOKEN (ODK Central: WATPHON_EMAIL and WATPHON_PASSWORD) to those of an "
                "account that may do this",
            )
        case 404:
            return (
                "not_there",
                "is not there, or this account may not see it",
                "check the name; publish first (watphon publish), or sign in as the account that owns it",
            )
        case 402:
            return ("over_quota", "is over its quota", "free or buy space for the owner's account")
        case 405:
            return (
                "not_allowed",
                "does not allow this now",
                "do what the server names; an archived form takes no records",
            )
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
            target = urlsplit(urljoin(answer.url, answer.headers.get("Location", "")))
            origin = f"{target.scheme}://{target.netloc}"
            if not target.netloc or answer.url.startswith(f"{origin}/"):
                remedy = f"report this fault of watphon: the server has it at {target.path}"
            else:
                remedy = f"if it is right, write this into programme.toml, [backend] url: {origin}"
            return ("redirected", "is elsewhere", remedy)
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
        if tagged or "<" not in text:
            inner = tagged[1] if tagged else text
        elif "<html" in text.lower():
            inner = ""
        else:  # a Django REST answer rendered as XML: <root><sort>…</sort></root> (297, 298)
            named = re.findall(r"<(\w+)>([^<]+)</\1>", text)
            inner = " ".join(f"{name}: {said}" for name, said in named)
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
            words = list(flat_words(value))
            if words and name not in ("detail", "error", "message"):
                yield f"{name}:"
            yield from words
