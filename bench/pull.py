"""Rows per second of a first pull, beside koboextractor on the same rows of the same server.

    python bench/pull.py [ROWS]

Starts the embedded server on a temporary folder, publishes the shipped programme, sends ROWS filled
registration forms (20,000 unless told) as phones do, and pulls them. koboextractor is given every
help: pages of 1,000, although it asks for 30,000 and believes it got them.
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
from pathlib import Path

from koboextractor import KoboExtractor

from forms.instance import to_xml
from forms.model import Form, Question, Record, Submission
from forms.programme import Programme, load, shipped
from sync.kobo import Kobo
from sync.mirror import Mirror
from sync.phone import Item, Phone, send_all
from sync.publish import publish
from sync.pull import pull
from sync.tables import write_tables

FORM = "mne_registration"
ROOT = Path(__file__).resolve().parent.parent
SILENT = ("note", "image", "audit", "file", "csv-external")


def answer(question: Question, form: Form, rng: random.Random) -> str:
    """Something of the right shape and length; the bench does not look at its sense."""
    if question.type in ("start", "end"):
        return "2021-03-11T09:00:00.000+07:00"
    if question.type in ("today", "date"):
        return "2021-03-11"
    if question.type in ("integer", "decimal"):
        return str(rng.randint(1, 99))
    if choices := form.choices.get(question.list_name):
        return rng.choice(choices).name
    return f"{question.name} {rng.randint(0, 10**6)}"


def items(programme: Programme, uid: str, version: str, rows: int) -> Iterator[Item]:
    rng = random.Random(2564)
    form = programme.form(FORM)
    questions = [q for q in form.answerable() if q.type not in SILENT]
    for _ in range(rows):
        root = str(uuid.UUID(int=rng.getrandbits(128)))
        record = Record({q.path: answer(q, form, rng) for q in questions})
        yield FORM, to_xml(Submission(uid, version, root, root, record), form), ()


def peer(url: str, token: str, uid: str) -> int:
    """All rows by koboextractor's own start and limit."""
    extractor = KoboExtractor(token, f"{url}/api/v2")
    rows = 0
    while True:
        page = extractor.get_data(uid, start=rows, limit=1000)
        rows += len(page["results"])
        if not page["results"] or rows >= page["count"]:
            return rows


def main(rows: int) -> None:
    with tempfile.TemporaryDirectory(prefix="watphon-bench-") as name:
        folder = Path(name)
        command = [sys.executable, "-m", "server", "--data", str(folder / "server"), "--port", "0"]
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
            said: dict[str, str] = {}
            while "ready" not in said and server.stdout and (line := server.stdout.readline()):
                word, _, rest = line.strip().partition(" ")
                said[word] = rest
            try:
                measure(folder, said["ready"], said["token"], rows)
            finally:
                server.terminate()


def measure(folder: Path, url: str, token: str, rows: int) -> None:
    programme = load(shipped())
    backend = Kobo(url, token)
    form = next(form for form in publish(programme, backend) if form.form_id == FORM)
    prepared = list(items(programme, form.uid, form.version, rows))
    print(f"{rows:,} rows, {len(prepared[0][1]):,} bytes of XML each")

    def line(what: str, began: float, cpu: float, done: int = rows) -> None:
        wall, used = time.perf_counter() - began, time.process_time() - cpu
        print(
            f"{what:<42} {wall:>7.2f} s {done / wall:>9,.0f} rows/s {used / done * 1e6:>6.0f} µs CPU"
        )

    began, cpu = time.perf_counter(), time.process_time()
    send_all(lambda: Phone(url, token=token), prepared, workers=8)
    line("send (8 phones)", began, cpu)
    del prepared
    began, cpu = time.perf_counter(), time.process_time()
    assert peer(url, token, form.uid) == rows
    line("koboextractor, nothing stored", began, cpu)
    with Mirror(folder / "mirror.sqlite3") as mirror:
        for what in ("watphon, first pull into the mirror", "watphon, nothing new (the proof)"):
            began, cpu = time.perf_counter(), time.process_time()
            (result,) = pull(programme, backend, mirror, forms=[FORM])
            line(what, began, cpu)
            assert result.complete
            assert result.local_count == rows
        began, cpu = time.perf_counter(), time.process_time()
        write_tables(programme, mirror, folder / "tables")
        line("typed tables", began, cpu)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"peak memory of this process {peak:.0f} MB (the prepared instances included)")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
