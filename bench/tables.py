"""Rows per second from the mirror to typed tables, beside pandas on the same rows.

    python bench/tables.py [ROWS]

Fills a mirror in a temporary folder with ROWS registration forms (1,000,000 unless told) of about
2 kB each, as a server gives them, under random root ids, and writes the tables. Beside it stand the
limit (all payloads read in the same order and not looked at) and pandas.json_normalize with
to_parquet on 50,000 of the rows, since that holds all its rows at once.
"""

from __future__ import annotations

import random
import resource
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import psutil

from forms.instance import to_kobo
from forms.model import Attachment, Form, Question, Record, Submission
from forms.programme import load, shipped
from sync.backend import Row
from sync.kobo import row_of
from sync.mirror import Mirror
from sync.tables import write_tables

FORM = "mne_registration"
DISTINCT = 20_000
ROOT = Path(__file__).resolve().parent.parent
PEER_ROWS = 50_000
MEANT = {
    "title_other": 0.05,
    "pid_scan": 0.5,
    "birth_month": 0.8,
    "birth_day": 0.7,
    "line_name": 0.5,
    "access_needs": 0.1,
}
"""The share of people who come to a question at all; the other questions are answered by 98 %."""


def answer(question: Question, form: Form, rng: random.Random) -> str:
    """Something of the right shape and length; the bench does not look at its sense."""
    clock = f"{rng.randint(8, 16):02}:{rng.randint(0, 59):02}:{rng.randint(0, 59):02}.000+07:00"
    day = f"2021-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    if question.type in ("start", "end"):
        return f"{day}T{clock}"
    if question.type in ("today", "date"):
        return day
    if question.type in ("integer", "decimal"):
        return str(rng.randint(1, 99))
    if choices := form.choices.get(question.list_name):
        several = question.type == "select_multiple"
        return " ".join(c.name for c in rng.sample(choices, min(3, len(choices)) if several else 1))
    if question.type == "image":
        return f"{rng.getrandbits(40)}.png"
    if question.type in ("select_one_from_file", "calculate", "barcode"):
        return str(rng.randint(10**5, 10**6))
    return f"ตำบลตัวอย่าง {rng.randint(0, 10**6)}"


def rows(form: Form, count: int) -> Iterator[Row]:
    """`count` rows under random root ids; their answers come from `DISTINCT` filled forms."""
    rng = random.Random(2564)
    questions = [q for q in form.answerable() if q.type not in ("note", "audit")]
    filled: list[dict[str, Any]] = []
    for _ in range(min(DISTINCT, count)):
        record = Record(
            {
                q.path: answer(q, form, rng)
                for q in questions
                if rng.random() < MEANT.get(q.name, 0.98)
            }
        )
        photo = Attachment("1.png", "g_consent/consent_signature", "image/png", "http://a/" * 9)
        row = to_kobo(Submission("aB", "1 (2021-03-01 08:00:00)", "", "", record, "name", "", 0))
        row["_attachments"] = to_kobo(
            Submission("", "", "", "", Record(), attachments=(photo,)),
        )["_attachments"]
        filled.append(row | {"formhub/uuid": str(uuid.UUID(int=rng.getrandbits(128)))})
    for number in range(1, count + 1):
        root = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        yield row_of(
            {
                **filled[rng.randrange(len(filled))],
                "_id": number,
                "meta/instanceID": f"uuid:{root}",
                "meta/rootUuid": f"uuid:{root}",
                "_uuid": root,
                "_status": "submitted_via_web",
                "_geolocation": [None, None],
                "_submission_time": f"2021-03-11T03:{number // 60 % 60:02}:{number % 60:02}",
                "_submitted_by": "team3",
            }
        )


def peer(mirror: Mirror, folder: Path) -> int:
    """What most people write: all rows into a frame, the frame into a file. Nothing is typed."""
    found = [orjson.loads(stored.payload) for stored in islice(mirror.stored(FORM), PEER_ROWS)]
    pd.json_normalize(found).to_parquet(folder / "peer.parquet", compression="zstd")
    return len(found)


def fill(path: Path, count: int) -> None:
    made = rows(load(shipped()).form(FORM), count)
    with Mirror(path) as mirror:
        while batch := list(islice(made, 5000)):
            mirror.save(FORM, batch)


def measure(path: Path, count: int) -> None:
    programme = load(shipped())
    with Mirror(path) as mirror:
        (size,) = mirror.base.execute("SELECT sum(length(payload)) FROM rows").fetchone()
        print(f"{count:,} rows of {size / count:,.0f} bytes: {size / 1e6:,.0f} MB")
        helpers: list[float] = []

        def progress(what: str, done: int, total: int) -> None:
            if done == total:
                helpers.extend(peak_of(child.pid) for child in psutil.Process().children())

        def line(what: str, done: int) -> None:
            wall, busy = time.perf_counter() - began, used() - cpu
            print(
                f"{what:<34} {wall:>7.2f} s {done / wall:>9,.0f} rows/s "
                f"{done * size / count / wall / 1e6:>6.0f} MB/s {busy / done * 1e6:>5.0f} µs CPU a row"
            )

        before, began, cpu = peak_of("self"), time.perf_counter(), used()
        write_tables(programme, mirror, path.parent / "tables", progress)
        line("typed tables", count)
        print(f"  peak memory {peak():.0f} MB ({before:.0f} MB before)", end="")
        print(", helpers", ", ".join(f"{megabytes:.0f} MB" for megabytes in helpers) or "none")
        began, cpu = time.perf_counter(), used()
        read = sum(len(stored.payload) for stored in mirror.stored(FORM))
        line("limit: payloads read, not parsed", count)
        assert read == size
        began, cpu = time.perf_counter(), used()
        done = peer(mirror, path.parent)
        line("pandas json_normalize, to_parquet", done)
        print(f"  peak memory {peak():.0f} MB, for {done:,} rows")


def peak() -> float:
    """The most memory this process has had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def peak_of(process: int | str) -> float:
    """The same of another one that runs; 0 where the system does not tell.

    What getrusage says of ended ones begins with what their parent had when it started them.
    """
    status = Path(f"/proc/{process}/status")
    if not status.exists():
        return 0.0
    told = dict(line.split(":", 1) for line in status.read_text("utf-8").splitlines())
    return int(told["VmHWM"].split()[0]) / 1024


def used() -> float:
    """Seconds of processor time of this process and of those it ended."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def main(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="watphon-bench-") as folder:
        mirror = Path(folder) / "mirror.sqlite3"
        # In a process of its own: what filling needs is not what the tables need.
        command = [sys.executable, __file__, "fill", str(mirror), str(count)]
        subprocess.run(command, cwd=ROOT, check=True)
        measure(mirror, count)


if __name__ == "__main__":
    if sys.argv[1:2] == ["fill"]:
        fill(Path(sys.argv[2]), int(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000)
