"""A phone: every instance arrives, none twice, whatever the line does."""

from __future__ import annotations

import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler

import pytest
from recorded import Given, playing
from small_kobo import serving

from forms.problems import ServerProblem
from sync.phone import Phone, Sent, batches, multipart, send_all

XML = '<d id="a1"><meta><instanceID>uuid:{}</instanceID></meta><name>สมชาย</name></d>'


def instance(n: int) -> bytes:
    return XML.format(n).encode()


class Inbox:
    """An OpenRosa server that stores what it is sent, by instance id, on loopback."""

    def __init__(self) -> None:
        self.stored: Counter[str] = Counter()
        self.bodies: dict[str, set[bytes]] = {}
        self.lock = threading.Lock()

    @contextmanager
    def running(self) -> Iterator[str]:
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                found = re.search(rb"uuid:(\d+)", body)
                assert found
                root = found[1].decode()
                with inbox.lock:
                    again = root in inbox.stored
                    inbox.stored[root] += not again
                    inbox.bodies.setdefault(root, set()).add(body)
                self.send_response(202 if again else 201)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Silence: tests read answers, not logs."""

        with serving(Handler) as url:
            yield url


@contextmanager
def rough_line(target: str, faults: list[str]) -> Iterator[str]:
    """A proxy that treats one connection after another as `faults` says, and the rest well.

    `refuse` closes at once, `lose question` after the request came but before it is passed on,
    `lose answer` passes the request on and closes before the answer goes back.
    """
    host, port = target.removeprefix("http://").split(":")
    listener = socket.create_server(("127.0.0.1", 0))
    plan = iter(faults)

    def carry(line: socket.socket, fault: str) -> None:
        with line:
            if fault == "refuse":
                return
            with socket.create_connection((host, int(port))) as onward:
                while question := whole_message(line):
                    if fault == "lose question":
                        return
                    onward.sendall(question)
                    answer = whole_message(onward)
                    if fault == "lose answer":
                        return
                    line.sendall(answer)

    def accept() -> None:
        while True:
            try:
                line, _ = listener.accept()
            except OSError:
                return
            fault = next(plan, "")
            threading.Thread(target=carry, args=(line, fault), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.close()


def whole_message(line: socket.socket) -> bytes:
    """One HTTP message with a Content-Length, or nothing when the other side is gone."""
    found = b""
    while True:
        head, gap, body = found.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        if gap and len(body) >= int(length[1] if length else 0):
            return found
        try:
            more = line.recv(65536)
        except OSError:
            return b""
        if not more:
            return b""
        found += more


def test_an_instance_arrives_once_over_a_rough_line() -> None:
    """Connections refused, questions and answers lost: the same bytes again, stored once, and the
    phone knows that it was itself who brought it."""
    faults = ["refuse", "lose answer", "lose question", "lose answer"]
    inbox = Inbox()
    with inbox.running() as url, rough_line(url, faults) as line, Phone(line) as phone:
        phone.sleep = lambda seconds: None
        assert phone.send(instance(1)) == "stored"
        assert phone.send(instance(1)) == "duplicate"
    assert inbox.stored == {"1": 1}
    assert len(inbox.bodies["1"]) == 1


def test_many_phones_lose_nothing_and_send_nothing_twice() -> None:
    """300 instances, 50 of them again, through four phones over a line that breaks: all there once."""
    inbox = Inbox()
    done: list[tuple[str, str]] = []
    items = [("form", instance(n % 300), ()) for n in range(350)]
    faults = ["refuse", "lose answer", "", "lose question", "lose answer"]
    with inbox.running() as url, rough_line(url, faults) as line:
        sent = send_all(
            lambda: Phone(line), items, workers=4, on_done=lambda *one: done.append(one)
        )
    assert set(inbox.stored.values()) == {1}
    assert len(inbox.stored) == 300
    assert len(done) == sent.stored + sent.duplicate == 350
    assert sent.duplicate >= 48


def test_a_server_that_is_away_is_waited_for_within_patience() -> None:
    """Refused connections are tried again with growing pauses; in the end the address is named."""
    waits: list[float] = []
    inbox = Inbox()
    with (
        inbox.running() as url,
        rough_line(url, ["refuse"] * 5) as line,
        Phone(line) as phone,
    ):
        phone.sleep = waits.append
        assert phone.send(instance(1)) == "stored"
    assert len(waits) == 5
    assert waits[4] > waits[0]
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    with (
        Phone(f"http://127.0.0.1:{port}", patience=0.3) as phone,
        pytest.raises(ServerProblem, match="cannot be reached"),
    ):
        phone.send(instance(1))


@pytest.mark.parametrize(
    ("number", "code", "words"),
    [
        (62, "instance_conflict", "Submission with this instance ID already exists"),
        (69, "instance_refused", "Improperly formatted XML."),
        (74, "form_unknown", "404"),
        (117, "edit_outdated", "410"),
        (225, "form_closed", "Form is not active"),
    ],
)
def test_a_refusal_is_final_and_told_in_words(number: int, code: str, words: str) -> None:
    """Recordings 062, 069, 074, 117, 225: one attempt, the server's words, what to do."""
    with playing([number]) as played, Phone(played.url, key="SECRET") as phone:
        with pytest.raises(ServerProblem) as caught:
            phone.send(instance(1))
        assert len(played.asked) == 1
        assert played.asked[0][1] == "/key/SECRET/submission"
    assert caught.value.findings[0].code == code
    assert words in str(caught.value)
    assert "SECRET" not in str(caught.value)


def test_an_identical_resend_is_acknowledged() -> None:
    """Recording 061: 202 is as good as 201."""
    with playing([61]) as played, Phone(played.url) as phone:
        assert phone.send(instance(1)) == "duplicate"


def test_busy_servers_are_asked_again() -> None:
    """429 with Retry-After and 503: waited for as long as asked."""
    waits: list[float] = []
    busy = Given(429, {"Retry-After": "3"}, b"")
    stored = Given(201, {"Content-Type": "text/xml"}, b"")
    with playing([busy, Given(503, {}, b""), stored]) as played, Phone(played.url) as phone:
        phone.sleep = waits.append
        assert phone.send(instance(1)) == "stored"
    assert waits[0] >= 3


def test_the_first_refusal_stops_all_phones() -> None:
    """The refusal is raised; what other phones had begun is finished, the rest is not drawn."""
    drawn: list[int] = []

    def items() -> Iterator[tuple[str, bytes, tuple[()]]]:
        for n in range(10_000):
            drawn.append(n)
            yield "form", instance(n), ()

    with playing([69]) as played, pytest.raises(ServerProblem, match="Improperly"):
        send_all(lambda: Phone(played.url), items(), workers=3)
    assert len(drawn) <= 6


def test_a_fault_in_the_items_or_in_counting_is_raised() -> None:
    """Neither the generator nor `on_done` can fail unheard."""

    def broken() -> Iterator[tuple[str, bytes, tuple[()]]]:
        yield "form", instance(1), ()
        raise LookupError("no more people")

    stored = Given(201, {"Content-Type": "text/xml"}, b"")
    with playing([stored]) as played, pytest.raises(LookupError):
        send_all(lambda: Phone(played.url), broken(), workers=2)
    with playing([stored]) as played:
        items = [("form", instance(n), ()) for n in range(5)]
        assert send_all(lambda: Phone(played.url), items, workers=2) == Sent(5, 0)


def test_forms_are_fetched_with_their_media() -> None:
    """Recordings 042, 033: the list is read, and a medium of another content is refused."""
    with playing([42]) as played, Phone(played.url) as phone:
        (listed,) = phone.forms("a4AMDX2ozJ2zAhanaYrmG5")
        assert (listed.form_id, listed.version) == (
            "a4AMDX2ozJ2zAhanaYrmG5",
            "1 (2026-11-23 13:01:40)",
        )
        assert played.asked[0][1] == "/formList?formID=a4AMDX2ozJ2zAhanaYrmG5"
    with playing([Given(200, {}, b"other")]) as played, Phone(played.url) as phone:
        with pytest.raises(ServerProblem) as caught:
            phone.form(listed)
        assert caught.value.findings[0].code == "hash_differs"


def test_the_body_is_a_function_of_the_instance() -> None:
    """Equal input, equal bytes; Thai names stay, a quote in a name cannot end the header."""
    parts = [("ภาพ 1.jpg", b"\xff\xd8", "image/jpeg"), ('a"b.png', b"x", "image/png")]
    body, kind = multipart(instance(1), parts)
    assert (body, kind) == multipart(instance(1), parts)
    assert 'filename="ภาพ 1.jpg"'.encode() in body
    assert b'filename="a%22b.png"' in body
    assert kind.split("boundary=")[1].encode() in body


def test_large_attachments_travel_in_several_requests() -> None:
    """Recordings 057, 058: the same instance with further attachments is added to the row."""
    parts = [(f"{n}.jpg", b"x" * 400, "image/jpeg") for n in range(5)]
    groups = list(batches(parts, 1900))
    assert [len(group) for group in groups] == [2, 2, 1]
    assert list(batches([], 100)) == [[]]
