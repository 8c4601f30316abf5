"""What the benches of the server share: a server of its own, a form, and phones that never rest.

A phone keeps its connection, sends one submission, waits for the answer and sends the next. Each
submission is a new instance of 27 answers in 825 bytes, sent to the address with the phone's key in
it, as from a settings QR. Loopback only.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import psutil
import requests
from openpyxl import Workbook

from server.people.keys import mint_key
from server.state.store import open_store
from server.times import utc_now

__all__ = [
    "QUESTIONS",
    "Form",
    "Phone",
    "Place",
    "document",
    "load",
    "percentile",
    "post",
    "publish",
    "served",
    "stored_ids",
    "workbook",
]

ROOT = Path(__file__).resolve().parent.parent
BOUNDARY = b"----benchboundary7MA4YWxkTrZu0gW"
QUESTIONS = 27
PHOTO = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40


class Place:
    """A running server: its address, first token, process and data folder."""

    def __init__(self, data: Path, *more: str) -> None:
        self.data = data
        self.more = more
        self.port = "0"
        self.token = ""
        self.started = 0.0

    def start(self, log: IO[bytes] | None = None) -> float:
        """Start (again, at the same address); seconds until it answers. `log` takes its stderr."""
        began = time.perf_counter()
        command = [sys.executable, "-m", "server", "--data", str(self.data), "--port", self.port]
        self.process = subprocess.Popen(
            [*command, *self.more], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            word, _, said = line.strip().partition(" ")
            if word == "token":
                self.token = said
            elif word == "ready":
                self.url = said
                self.port = said.rpartition(":")[2]
                break
        else:
            raise RuntimeError(f"the server ended with {self.process.wait(10)}")
        while True:
            with socket.create_connection(("127.0.0.1", int(self.port)), timeout=10) as one:
                one.sendall(b"GET /healthz/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                if one.recv(100).startswith(b"HTTP/1.1 200"):
                    return time.perf_counter() - began

    def kill(self) -> None:
        """SIGKILL: what a power cut is to a process."""
        self.process.kill()
        self.end()

    def end(self) -> None:
        """Wait for the end of the process."""
        self.process.wait(30)
        if self.process.stdout:
            self.process.stdout.close()

    def stop(self) -> None:
        """SIGTERM, and wait."""
        if self.process.poll() is None:
            self.process.terminate()
        self.end()

    @property
    def headers(self) -> dict[str, str]:
        return {"Authorization": f"Token {self.token}"}

    def processor(self) -> float:
        """Seconds of processor time the server has used."""
        used = psutil.Process(self.process.pid).cpu_times()
        return used.user + used.system

    def memory(self) -> float:
        """MB of the server and its children that are in memory now."""
        own = psutil.Process(self.process.pid)
        family = [own, *own.children(recursive=True)]
        return sum(one.memory_info().rss for one in family) / 1e6

    def peak_memory(self) -> float:
        """The most MB the server's process has had."""
        status = Path(f"/proc/{self.process.pid}/status")
        if not status.exists():
            return 0.0
        told = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(told["VmHWM"].split()[0]) / 1000


class Form:
    """A published form and the key of a phone that sends it."""

    def __init__(self, uid: str, key: str) -> None:
        self.uid = uid
        self.key = key


@contextmanager
def served(*more: str) -> Iterator[tuple[Place, Form]]:
    """A server on an empty folder with the form published; both are gone afterwards."""
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), *more)
        place.start()
        try:
            yield place, publish(place)
        finally:
            place.stop()


def workbook(**sheets: Sequence[Sequence[str | None]]) -> bytes:
    """An .xlsx of these sheets, each a row of headings and rows of cells."""
    book = Workbook()
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.remove(book["Sheet"])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def questionnaire() -> bytes:
    """A form of `QUESTIONS` questions, the last for a photograph."""
    texts = [("text", f"q{number}", f"Question {number}") for number in range(1, QUESTIONS)]
    return workbook(
        survey=[("type", "name", "label"), *texts, ("image", "photo", "Photo")],
        settings=[("form_title", "form_id", "version"), ("Bench", "bench", "1")],
    )


def publish(place: Place, book: bytes | None = None, **lists: bytes) -> Form:
    """Import and deploy a form, the questionnaire unless told, and give a phone its key.

    `lists` are the tables its choices come from: `places=…` is places.csv.
    """
    encoded = base64.b64encode(book or questionnaire()).decode()
    body = {"name": "bench.xlsx", "library": "false", "base64Encoded": encoded}
    url, headers = place.url, place.headers
    sent = requests.post(f"{url}/api/v2/imports/", data=body, headers=headers, timeout=30).json()
    while True:
        found = requests.get(sent["url"], headers=headers, timeout=30).json()
        if found["status"] == "complete":
            break
        if found["status"] == "error":
            raise RuntimeError(found["messages"])
        time.sleep(0.05)
    uid = found["messages"]["created"][0]["uid"]
    for name, content in lists.items():
        about = {"file_type": "form_media", "metadata": json.dumps({"filename": f"{name}.csv"})}
        requests.post(
            f"{url}/api/v2/assets/{uid}/files/",
            data={**about, "description": "default"},
            files={"content": (f"{name}.csv", content, "text/csv")},
            headers=headers,
            timeout=30,
        ).raise_for_status()
    address = f"{url}/api/v2/assets/{uid}/deployment/"
    requests.post(address, json={"active": True}, headers=headers, timeout=30).raise_for_status()
    store = open_store(place.data)
    with store.write() as connection:
        _, key = mint_key(connection, "bench", now=utc_now())
    store.close()
    return Form(uid, key)


def document(uid: str, instance_id: str, photo: str = "") -> bytes:
    """One instance: 825 bytes with a uid of 22 characters and no photograph."""
    answers = "".join(f"<q{n}>answer {n:02} {n * 7:03}</q{n}>" for n in range(1, QUESTIONS))
    shown = f"<photo>{photo}</photo>" if photo else "<photo/>"
    made = (
        f"<?xml version='1.0' encoding='UTF-8'?><{uid} id=\"{uid}\" version=\"1\">{answers}{shown}"
        f"<meta><instanceID>uuid:{instance_id}</instanceID></meta></{uid}>"
    ).encode()
    return made.replace(b"answer 01", b"answer 01" + b"." * max(0, 825 - len(made)), 1)


def post(form: Form, instance_id: str, *, photo: bool = False) -> bytes:
    """One POST /key/KEY/submission, ready to be written to a socket."""
    name = f"{instance_id[:8]}.png" if photo else ""
    parts = [(b'name="xml_submission_file"; filename="s.xml"', b"text/xml")]
    contents = [document(form.uid, instance_id, name)]
    if photo:
        parts.append((f'name="{name}"; filename="{name}"'.encode(), b"image/png"))
        contents.append(PHOTO + instance_id.encode())
    body = b"".join(
        b"--%b\r\nContent-Disposition: form-data; %b\r\nContent-Type: %b\r\n\r\n%b\r\n"
        % (BOUNDARY, head, kind, content)
        for (head, kind), content in zip(parts, contents, strict=True)
    )
    body += b"--" + BOUNDARY + b"--\r\n"
    head = (
        f"POST /key/{form.key}/submission HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        f"X-OpenRosa-Version: 1.0\r\nUser-Agent: bench\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Phone(asyncio.Protocol):
    """One connection that sends what `next_post` gives until that is None."""

    def __init__(
        self, next_post: Callable[[], bytes | None], answered: Callable[[int, float], None]
    ) -> None:
        self.next_post = next_post
        self.answered = answered
        self.over: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.got = b""
        self.length = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        sent = self.next_post()
        if sent is None:
            self.transport.close()
            return
        self.began = time.perf_counter()
        self.transport.write(sent)  # pyright: ignore[reportAttributeAccessIssue]

    def data_received(self, data: bytes) -> None:
        self.got += data
        if self.length < 0:
            end = self.got.find(b"\r\n\r\n")
            if end < 0:
                return
            stated = self.got[:end].lower().partition(b"content-length:")[2]
            self.length = end + 4 + int(stated.partition(b"\r\n")[0])
        if len(self.got) >= self.length:
            status, self.got, self.length = int(self.got[9:12]), b"", -1
            self.answered(status, time.perf_counter() - self.began)
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.over.done():
            self.over.set_result(exc is None)


async def load(
    place: Place, form: Form, count: int, connections: int
) -> tuple[float, list[float], Counter[int], set[str]]:
    """Send `count` submissions; seconds, sorted seconds of each, statuses, acknowledged ids."""
    ids = [str(uuid.uuid4()) for _ in range(count)]
    waiting = [(one, post(form, one)) for one in ids]
    took: list[float] = []
    answers: Counter[int] = Counter()
    acknowledged: set[str] = set()
    loop = asyncio.get_running_loop()

    async def phone() -> None:
        present = ""

        def next_post() -> bytes | None:
            nonlocal present
            if not waiting:
                return None
            present, sent = waiting.pop()
            return sent

        def answered(status: int, seconds: float) -> None:
            took.append(seconds)
            answers[status] += 1
            if status == 201:
                acknowledged.add(present)

        _, protocol = await loop.create_connection(
            lambda: Phone(next_post, answered), "127.0.0.1", int(place.port)
        )
        await protocol.over

    began = time.perf_counter()
    await asyncio.gather(*(phone() for _ in range(connections)))
    return time.perf_counter() - began, sorted(took), answers, acknowledged


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which this share (0 to 1) of sorted values lie."""
    return values[min(len(values) - 1, int(len(values) * share))]


def stored_ids(place: Place, form: Form) -> list[str]:
    """The instance ids of all rows, pulled by keyset on `_id` as sync does."""
    session, last, found = requests.Session(), 0, list[str]()
    session.headers.update(place.headers)
    while True:
        params = {
            "query": json.dumps({"_id": {"$gt": last}}),
            "sort": '{"_id":1}',
            "limit": "1000",
            "fields": '["_id","_uuid"]',
        }
        address = f"{place.url}/api/v2/assets/{form.uid}/data/"
        rows = session.get(address, params=params, timeout=60).json()["results"]
        if not rows:
            return found
        last = rows[-1]["_id"]
        found += [row["_uuid"] for row in rows]
