"""How many submissions a second reach the disk, and how fast they come out again.

    python bench/submissions.py [--count 20000] [--connections 32]

Starts the real server on a temporary folder, publishes a small form, sends unique instances of
about 800 bytes over keep-alive connections (each sends the next when the last was answered), reads
everything back and checks that stored = acknowledged. Loopback only; ends by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import io
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path

import requests
from openpyxl import Workbook

ROOT = Path(__file__).resolve().parent.parent
BOUNDARY = b"----benchboundary7MA4YWxkTrZu0gW"
QUESTIONS = 20


def workbook() -> bytes:
    """A form of `QUESTIONS` short questions."""
    book = Workbook()
    survey = book.create_sheet("survey")
    survey.append(("type", "name", "label"))
    for number in range(1, QUESTIONS + 1):
        survey.append(("text", f"q{number}", f"Question {number}"))
    settings = book.create_sheet("settings")
    settings.append(("form_title", "form_id", "version"))
    settings.append(("Bench", "bench", "1"))
    book.remove(book["Sheet"])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def publish(url: str, headers: dict[str, str]) -> str:
    """Import and deploy the form; its uid."""
    encoded = base64.b64encode(workbook()).decode()
    sent = requests.post(
        f"{url}/api/v2/imports/",
        data={"name": "bench.xlsx", "library": "false", "base64Encoded": encoded},
        headers=headers,
        timeout=30,
    ).json()
    while True:
        found = requests.get(sent["url"], headers=headers, timeout=30).json()
        if found["status"] == "complete":
            break
        time.sleep(0.05)
    uid = found["messages"]["created"][0]["uid"]
    address = f"{url}/api/v2/assets/{uid}/deployment/"
    requests.post(address, json={"active": True}, headers=headers, timeout=30).raise_for_status()
    return uid


def request_bytes(uid: str, token: str, instance_id: str) -> bytes:
    """One POST /submission, ready to be written to a socket."""
    answers = "".join(f"<q{n}>answer {n} {instance_id[:6]}</q{n}>" for n in range(1, QUESTIONS + 1))
    document = (
        f"<?xml version='1.0' encoding='UTF-8'?><{uid} id=\"{uid}\" version=\"1\">{answers}"
        f"<meta><instanceID>uuid:{instance_id}</instanceID></meta></{uid}>"
    ).encode()
    body = (
        b"--" + BOUNDARY + b'\r\nContent-Disposition: form-data; name="xml_submission_file"; '
        b'filename="submission.xml"\r\nContent-Type: text/xml\r\n\r\n'
        + document
        + b"\r\n--"
        + BOUNDARY
        + b"--\r\n"
    )
    head = (
        f"POST /submission HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Token {token}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY.decode()}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def connection(
    host: str, port: int, requests_: list[bytes], took: list[float], answers: Counter[int]
) -> None:
    """One phone that never rests."""
    reader, writer = await asyncio.open_connection(host, port)
    while requests_:
        sent = requests_.pop()
        began = time.perf_counter()
        writer.write(sent)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        took.append(time.perf_counter() - began)
        answers[int(head[9:12])] += 1
    writer.close()


async def load(
    url: str, token: str, uid: str, count: int, connections: int
) -> tuple[float, list[float], Counter[int]]:
    """Send everything; seconds, seconds of each request, answers by status."""
    host, _, port = url.removeprefix("http://").partition(":")
    waiting = [request_bytes(uid, token, str(uuid.uuid4())) for _ in range(count)]
    took: list[float] = []
    answers: Counter[int] = Counter()
    began = time.perf_counter()
    await asyncio.gather(
        *(connection(host, int(port), waiting, took, answers) for _ in range(connections))
    )
    return time.perf_counter() - began, took, answers


def pull(url: str, headers: dict[str, str], uid: str) -> tuple[float, set[str]]:
    """Every row by keyset on `_id`, as sync does; seconds and the instance ids."""
    session, last, found = requests.Session(), 0, set[str]()
    session.headers.update(headers)
    began = time.perf_counter()
    while True:
        params = {
            "query": json.dumps({"_id": {"$gt": last}}),
            "sort": '{"_id":1}',
            "limit": "1000",
        }
        page = session.get(f"{url}/api/v2/assets/{uid}/data/", params=params, timeout=60)
        rows = page.json()["results"]
        if not rows:
            return time.perf_counter() - began, found
        last = rows[-1]["_id"]
        found.update(row["_uuid"] for row in rows)


def sweep(url: str, headers: dict[str, str], uid: str) -> float:
    """Ids and states of every row by start and limit, as a proof of completeness; seconds."""
    session = requests.Session()
    session.headers.update(headers)
    began, start, total = time.perf_counter(), 0, 1
    while start < total:
        params: dict[str, str] = {
            "fields": '["_id","_uuid","_validation_status"]',
            "start": str(start),
            "limit": "1000",
        }
        page = session.get(f"{url}/api/v2/assets/{uid}/data/", params=params, timeout=60).json()
        total, start = page["count"], start + 1000
    return time.perf_counter() - began


def peak_memory(pid: int) -> float:
    """The most memory a process has had, in MB; 0 where the system does not tell."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return 0.0
    told = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(told["VmHWM"].split()[0]) / 1000


def commits_per_second(folder: str) -> float:
    """The disk's limit: durable commits of one 800-byte row, one after another, in one second.

    A server that commits each submission by itself cannot be faster than this.
    """
    base = sqlite3.connect(Path(folder) / "limit.sqlite3", isolation_level=None)
    base.execute("PRAGMA journal_mode = WAL")
    base.execute("PRAGMA synchronous = FULL")
    base.execute("CREATE TABLE row(xml BLOB)")
    done, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < 1:
        base.execute("INSERT INTO row VALUES (?)", (b"x" * 800,))
        done += 1
    base.close()
    return done


def main() -> int:
    """Run once; 1 when something acknowledged is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=32)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        process = subprocess.Popen(
            [sys.executable, "-m", "server", "--data", folder, "--port", "0"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout is not None
            token = process.stdout.readline().split()[1]
            url = process.stdout.readline().split()[1]
            headers = {"Authorization": f"Token {token}"}
            uid = publish(url, headers)
            seconds, took, answers = asyncio.run(
                load(url, token, uid, asked.count, asked.connections)
            )
            memory = peak_memory(process.pid)
            pulled, found = pull(url, headers, uid)
            swept = sweep(url, headers, uid)
            limit = commits_per_second(folder)
        finally:
            process.terminate()
            process.wait(30)
    took.sort()
    print(f"{'submissions, durable':32}{asked.count / seconds:12,.0f} /s")
    print(f"{'  one commit each, no server':32}{limit:12,.0f} /s")
    for share in (50, 95, 99):
        within = took[len(took) * share // 100] * 1e3
        print(f"{f'  answered within, {share} %':32}{within:12.1f} ms")
    print(f"{'  slowest':32}{took[-1] * 1e3:12.1f} ms")
    print(f"{'server memory':32}{memory:12.0f} MB")
    print(f"{'pull, whole rows':32}{len(found) / pulled:12,.0f} rows/s")
    print(f"{'sweep of ids and states':32}{swept:12.2f} s")
    print(f"{'acknowledged / stored':32}{answers[201]:>12,} / {len(found):,}")
    return 0 if answers == {201: asked.count} and len(found) == asked.count else 1


if __name__ == "__main__":
    sys.exit(main())
