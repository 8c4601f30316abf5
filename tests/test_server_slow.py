"""Clients that are slow, idle or too many cost the server little, and others nothing."""

from __future__ import annotations

import itertools
import selectors
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil
import pytest
import requests
from beside import Beside
from office import ROOT, Office, RunningServer, instance

STRICT = """
import sys
from pathlib import Path
from server.process import run
from server.watch.connections import Limits
said = lambda url, token: print(f"token {token}\\nready {url}", flush=True)
run(Path(sys.argv[1]), port=0, on_ready=said, limits=Limits(%s))
"""


class StrictServer(RunningServer):
    """The real server with shorter deadlines or less room, so that a test need not wait."""

    def __init__(self, data: Path, **limits: float) -> None:
        super().__init__(data)
        self.limits = limits

    def start(self, *, port: str = "0") -> None:
        code = STRICT % ", ".join(f"{name}={value}" for name, value in self.limits.items())
        command = [sys.executable, "-c", code, str(self.data)]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.token = self.process.stdout.readline().split()[1]
        self.url = self.process.stdout.readline().split()[1]


@contextmanager
def strict(folder: Path, **limits: float) -> Iterator[StrictServer]:
    server = StrictServer(folder / "data", **limits)
    server.start()
    try:
        yield server
    finally:
        server.end()


def dial(server: RunningServer, source: str = "127.0.0.1") -> socket.socket:
    address = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    return socket.create_connection(address, timeout=20, source_address=(source, 0))


def head(server: RunningServer, *more: str) -> bytes:
    lines = ["POST /submission HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Token {server.token}"]
    kind = "Content-Type: multipart/form-data; boundary=b"
    return "\r\n".join([*lines, kind, *more, "", ""]).encode()


def ended(connections: list[socket.socket]) -> list[bytes]:
    """What the server has said on those it has closed by now."""
    said = []
    for one in connections:
        one.setblocking(False)
        got = b""
        try:
            while chunk := one.recv(4096):
                got += chunk
            said.append(got)
        except BlockingIOError:
            continue
        except ConnectionError:
            said.append(got)
    return said


def dribble(connections: list[socket.socket], text: bytes, seconds: float) -> None:
    """A few bytes now and then on each, for so long."""
    pieces = itertools.cycle(text[n : n + 2] for n in range(0, len(text), 2))
    over = time.monotonic() + seconds
    while time.monotonic() < over:
        piece = next(pieces)
        for one in connections:
            try:
                one.send(piece)
            except OSError:
                continue
        time.sleep(0.1)


def sent_until_cut(client: socket.socket, piece: bytes) -> int:
    """Bytes the server let a client send of something endless."""
    sent = 0
    try:
        while sent < 50_000_000:
            sent += client.send(piece)
            time.sleep(0.0005)
    except ConnectionError:
        pass
    return sent


def test_thousands_of_idle_connections_block_nobody(module_server: RunningServer, uid: str) -> None:
    """3,000 connections that say nothing: a phone beside them is served as ever, and the server
    keeps no more open than it has room for."""
    with ExitStack() as stack, Beside(module_server, uid) as beside:
        for _ in range(3000):
            stack.enter_context(dial(module_server))
        time.sleep(1)
        kept = len(psutil.Process(module_server.process.pid).net_connections("tcp"))
    beside.unhurt(seconds=1.0, memory=120)
    assert kept < 2100


def test_a_newcomer_gets_a_place_when_all_are_taken(tmp_path: Path) -> None:
    """Idle connections are closed for it; who has just been served keeps his connection."""
    with strict(tmp_path, connections=40) as server, ExitStack() as stack:
        uid = Office(server.url, server.token).publish()
        idle = [stack.enter_context(dial(server)) for _ in range(30)]
        time.sleep(0.3)
        with Beside(server, uid) as beside:
            for _ in range(120):
                idle.append(stack.enter_context(dial(server)))
                time.sleep(0.005)
        beside.unhurt(seconds=1.0, memory=50)
        assert len(ended(idle)) > 100


def test_heads_that_dribble_are_cut_off(tmp_path: Path) -> None:
    """A head must be there in time, byte by byte or not; the answer is 408."""
    with strict(tmp_path, head_seconds=1) as server, ExitStack() as stack:
        uid = Office(server.url, server.token).publish()
        with Beside(server, uid) as beside:
            slow = [stack.enter_context(dial(server)) for _ in range(300)]
            dribble(slow, b"GET /formList HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"b" * 900, 3.5)
        beside.unhurt(seconds=1.0, memory=60)
        said = ended(slow)
        assert len(said) == 300
        assert any(words.startswith(b"HTTP/1.1 408") for words in said)


def test_bodies_that_dribble_are_cut_off(tmp_path: Path) -> None:
    """A body must keep a least rate; nothing is stored of it, and no half file stays."""
    with strict(tmp_path, body_window=1, body_bytes=500) as server, ExitStack() as stack:
        uid = Office(server.url, server.token).publish()
        part = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.png"\r\n\r\n'
        with Beside(server, uid) as beside:
            slow = [stack.enter_context(dial(server)) for _ in range(100)]
            for one in slow:
                one.sendall(head(server, "Content-Length: 50000") + part)
            dribble(slow, b"x" * 1000, 4.5)
        beside.unhurt(seconds=1.0, memory=60)
        assert len(ended(slow)) == 100
        incoming = server.data / "server" / "files" / "incoming"
        deadline = time.monotonic() + 5
        while list(incoming.iterdir()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert list(incoming.iterdir()) == []


def test_a_weak_line_is_not_cut_off(tmp_path: Path) -> None:
    """A phone that sends slowly but steadily is waited for and answered."""
    with strict(tmp_path, body_window=1, body_bytes=500, head_seconds=5) as server:
        uid = Office(server.url, server.token).publish()
        document = instance(uid, str(uuid.uuid4()), who="x" * 4000)
        body = (
            b'--b\r\nContent-Disposition: form-data; name="xml_submission_file"; filename="s"'
            b"\r\n\r\n" + document + b"\r\n--b--\r\n"
        )
        with dial(server) as phone:
            phone.sendall(head(server, f"Content-Length: {len(body)}"))
            for start in range(0, len(body), 150):
                phone.sendall(body[start : start + 150])
                time.sleep(0.1)
            assert phone.recv(4096).startswith(b"HTTP/1.1 201")


def test_one_address_cannot_take_all_places(tmp_path: Path) -> None:
    """Beyond its share an address only pushes out its own; a proxy's address has no such bound."""
    with strict(tmp_path, per_address=20) as server, ExitStack() as stack:
        greedy = [stack.enter_context(dial(server, "127.0.0.2")) for _ in range(60)]
        other = [stack.enter_context(dial(server, "127.0.0.3")) for _ in range(15)]
        proxy = [stack.enter_context(dial(server)) for _ in range(60)]
        time.sleep(0.5)
        assert 40 <= len(ended(greedy)) < 60
        assert ended(other) == []
        assert ended(proxy) == []


@pytest.mark.parametrize(
    ("before", "piece"),
    [
        (b"GET / HTTP/1.1\r\nX-Long: ", b"a" * 10_000),
        (b"GET / HTTP/1.1\r\n", b"X-Many: a\r\n" * 1000),
        (b"GET /", b"a" * 10_000),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nX-Long: ", b"a" * 10_000),
    ],
    ids=["one header", "many headers", "an address", "the second head"],
)
def test_an_endless_head_is_refused(
    module_server: RunningServer, before: bytes, piece: bytes
) -> None:
    """431 or an end of the line after 64 KB, and no memory is spent on it."""
    process = psutil.Process(module_server.process.pid)
    weight = process.memory_info().rss
    with dial(module_server) as client:
        client.sendall(before)
        assert sent_until_cut(client, piece) < 20_000_000
    assert process.memory_info().rss - weight < 30_000_000


def test_endless_trailers_are_cut_off(module_server: RunningServer) -> None:
    """What follows a chunked body is bounded like a head."""
    with dial(module_server) as client:
        client.sendall(head(module_server, "Transfer-Encoding: chunked") + b"1\r\nx\r\n0\r\n")
        trailer = b"X-Trailer: " + b"a" * 10_000 + b"\r\n"
        assert sent_until_cut(client, trailer) < 20_000_000


def test_an_answer_nobody_takes_is_dropped(tmp_path: Path) -> None:
    """Who asks for megabytes and never reads them loses the connection and its memory."""
    with strict(tmp_path, answer_seconds=1) as server:
        office = Office(server.url, server.token)
        uid = office.publish()
        for _ in range(12):
            document = instance(uid, str(uuid.uuid4()), who="x" * 1_000_000)
            assert office.send(document).status_code == 201
        process = psutil.Process(server.process.pid)
        asked = f"GET /api/v2/assets/{uid}/data/?limit=1000 HTTP/1.1\r\nHost: a\r\n"
        asked += f"Authorization: Token {server.token}\r\n\r\n"
        with dial(server) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            client.sendall(asked.encode())
            deadline = time.monotonic() + 20
            port = client.getsockname()[1]

            def there() -> bool:
                known = process.net_connections("tcp")
                return any(
                    one.raddr and one.raddr.port == port and one.status == "ESTABLISHED"
                    for one in known
                )

            time.sleep(0.5)
            assert there()
            while there():
                assert time.monotonic() < deadline
                time.sleep(0.1)
        assert len(office.rows(uid)) == 12


def test_a_refused_body_is_read_to_its_end(module_server: RunningServer) -> None:
    """Who sends too much, or without signing in, hears why instead of a broken line."""
    for body, headers, expected in (
        (b"x" * 25_000_000, {"Authorization": f"Token {module_server.token}"}, 413),
        (b"x" * 5_000_000, {}, 401),
    ):
        answer = requests.post(
            f"{module_server.url}/submission",
            data=body,
            headers={"Content-Type": "multipart/form-data; boundary=b", **headers},
            timeout=20,
        )
        assert answer.status_code == expected


def test_a_hundred_megabytes_are_not_swallowed(module_server: RunningServer, uid: str) -> None:
    """Stated or in chunks: 413, cut off soon after, little memory, others unhurt."""
    with Beside(module_server, uid) as beside:
        for stated in (True, False):
            how = "Content-Length: 100000000" if stated else "Transfer-Encoding: chunked"
            with dial(module_server) as client, selectors.DefaultSelector() as watch:
                client.sendall(head(module_server, how))
                piece = b"x" * 65_536
                first = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'
                client.sendall(first if stated else b"%x\r\n%b\r\n" % (len(first), first))
                watch.register(client, selectors.EVENT_READ)
                said, sent = b"", 0
                while sent < 100_000_000:
                    try:
                        if watch.select(0):
                            said += client.recv(65_536)
                        client.sendall(piece if stated else b"10000\r\n" + piece + b"\r\n")
                    except ConnectionError:
                        break
                    sent += len(piece)
                assert said.startswith(b"HTTP/1.1 413")
                assert sent < 70_000_000
    beside.unhurt(seconds=1.0, memory=80)


def test_what_is_no_http_is_refused(module_server: RunningServer) -> None:
    """A TLS greeting, bytes at random, HTTP/2: 400 and an end, without harm."""
    for wrong in (
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\x00" * 100,
        b"PRI * HTTP/2.0\r\n",
    ):
        with dial(module_server) as client:
            client.sendall(wrong + b"\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 400")
    assert requests.get(f"{module_server.url}/healthz/live", timeout=10).status_code == 200
