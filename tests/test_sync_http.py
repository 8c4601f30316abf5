"""The connection to a server: what is retried, what is refused, and in which words."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from recorded import Given, playing

from forms.problems import ServerProblem
from sync.http import Connection
from sync.kobo import Kobo

OK = Given.json({"count": 0})
PAGE = "/api/v2/assets/a/data/"


def connection(url: str, waits: list[float] | None = None, **bounds: float) -> Connection:
    """A connection that notes its pauses instead of making them."""
    noted = waits if waits is not None else []
    made = Connection(url, "token", sleep=noted.append)
    for name, value in bounds.items():
        setattr(made, name, value)
    return made


def problem(answers: list[Given | int], method: str = "GET") -> tuple[str, str, int]:
    """Code and words of the problem these answers give, and how often the server was asked."""
    with playing(answers) as played, pytest.raises(ServerProblem) as caught:
        connection(played.url).json(method, PAGE)
    return caught.value.findings[0].code, str(caught.value), len(played.asked)


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (2, "wrong_token", "Invalid token."),
        (8, "not_there", "Not found."),
        (6, "gone", "410"),
        (14, "refused", "has not been deployed"),
        (225, "not_allowed", "Form is not active"),
        (263, "redirected", "301"),
    ],
)
def test_refusals_are_told_once_with_the_servers_words(number: int, code: str, words: str) -> None:
    """Recordings 002, 006, 008, 014, 225, 263: no second attempt, the address, the words, a remedy."""
    found, text, asked = problem([number])
    assert (found, asked) == (code, 1)
    assert words in text
    assert PAGE in text
    assert "→" in text


def test_a_page_of_html_is_never_parsed_nor_shown() -> None:
    """Recording 031: an unhandled error of KoboToolbox is a 500 with an HTML page."""
    code, words, asked = problem([31])
    assert (code, asked) == ("server_failed", 2)
    assert "<" not in words
    code, words, _ = problem([Given(200, {"Content-Type": "text/html"}, b"<html>Welcome</html>")])
    assert code == "not_json"
    assert "Welcome" not in words


def test_a_write_is_not_repeated_after_a_failure() -> None:
    """A POST that may have been carried out is not sent twice; a 429 was not carried out."""
    assert problem([31], "POST")[2] == 1
    assert problem([Given(502, {}, b"")], "PATCH")[2] == 1
    with playing([Given(429, {"Retry-After": "0"}, b""), OK]) as played:
        assert connection(played.url).json("POST", PAGE) == {"count": 0}


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_what_passes_is_asked_again(status: int) -> None:
    """A busy or briefly failing server is asked again, with growing pauses."""
    waits: list[float] = []
    with playing([Given(status, {}, b""), OK]) as played:
        assert connection(played.url, waits).json("GET", PAGE) == {"count": 0}
    assert len(waits) == 1


def test_pauses_grow_and_end() -> None:
    """Attempts are bounded; each pause is about twice the one before."""
    waits: list[float] = []
    with playing([Given(503, {}, b"")]) as played, pytest.raises(ServerProblem, match="503"):
        connection(played.url, waits).json("GET", PAGE)
    assert len(played.asked) == 6
    assert waits == sorted(waits)
    assert sum(waits) < 15


def test_retry_after_is_obeyed() -> None:
    """The server says how long to wait; a wait longer than a minute is told to the user instead."""
    waits: list[float] = []
    with playing([Given(429, {"Retry-After": "7"}, b""), OK]) as played:
        connection(played.url, waits).json("GET", PAGE)
    assert waits[0] >= 7
    code, words, asked = problem([Given(429, {"Retry-After": "3600"}, b"")])
    assert (code, asked) == ("too_many", 1)
    assert "wait" in words


def test_a_body_that_breaks_off_is_fetched_again() -> None:
    """Reset in the middle of a body, and JSON cut short inside a whole HTTP answer."""
    whole = b'{"count": 0}'
    cut = Given(200, {"Content-Type": "application/json"}, whole, cut=5)
    short = Given(200, {"Content-Type": "application/json"}, whole[:6])
    with playing([cut, short, OK]) as played:
        assert connection(played.url).json("GET", PAGE) == {"count": 0}
    assert len(played.asked) == 3


def test_packed_and_chunked_answers_are_read() -> None:
    """What a proxy in front of a hosted server does to large answers."""
    found = {"results": ["ก" * 50] * 5000}
    packed = gzip.compress(json.dumps(found).encode())
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    with playing([Given(200, headers, packed)]) as played:
        assert connection(played.url).json("GET", PAGE) == found
    body = json.dumps(found).encode()
    parts = [body[at : at + 7000] for at in range(0, len(body), 7000)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    with saying(head + chunks + b"0\r\n\r\n") as url:
        assert connection(url).json("GET", PAGE) == found
    with saying(head + chunks[:9000]) as url, pytest.raises(ServerProblem) as caught:
        connection(url, tries=1).json("GET", PAGE)
    assert caught.value.findings[0].code == "server_broke_off"


@contextmanager
def saying(answer: bytes) -> Iterator[str]:
    """A server that says these bytes to the first that comes, and closes."""
    listener = socket.create_server(("127.0.0.1", 0))

    def speak() -> None:
        line, _ = listener.accept()
        with line:
            line.recv(4096)
            line.sendall(answer)

    thread = threading.Thread(target=speak, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        thread.join()
        listener.close()


def test_a_dripping_answer_is_given_up() -> None:
    """A server that sends a byte now and then never ends a silence time-out, but the deadline."""
    began = time.monotonic()
    with dripping() as url, pytest.raises(ServerProblem) as caught:
        connection(url, tries=1, deadline=0.3).json("GET", PAGE)
    assert time.monotonic() - began < 3
    assert caught.value.findings[0].code == "server_broke_off"


@contextmanager
def dripping() -> Iterator[str]:
    """A server that promises a thousand bytes and sends one each 50 ms."""
    listener = socket.create_server(("127.0.0.1", 0))
    stop = threading.Event()

    def drip() -> None:
        line, _ = listener.accept()
        with line:
            line.recv(4096)
            line.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n")
            line.sendall(b"Content-Length: 1000\r\n\r\n")
            while not stop.wait(0.05):
                try:
                    line.sendall(b" ")
                except OSError:
                    return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        stop.set()
        thread.join()
        listener.close()


def test_an_unreachable_server_is_named() -> None:
    """Nothing listens: the address and what to check, after a few attempts, for writes too."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    for method in ("GET", "POST"):
        waits: list[float] = []
        with pytest.raises(ServerProblem, match="cannot be reached") as caught:
            connection(url, waits).json(method, "/me/")
        assert caught.value.findings[0].code == "server_unreachable"
        assert len(waits) == 5
    with pytest.raises(ServerProblem, match="is not the address of a server"):
        Connection("kobo.example")


def test_the_token_is_proven_by_me() -> None:
    """Recording 004 names the account; 003 shows why the asset list proves nothing."""
    with playing([4]) as played:
        assert Kobo(played.url, "token").check() == "me_office"
    with playing([3]) as played, pytest.raises(ServerProblem, match="WATPHON_TOKEN"):
        Kobo(played.url, "").check()
