"""Rows per second of a first pull of 50,000 registrations, beside koboextractor and pykobo.

    python bench/pull.py [ROWS]

Starts the embedded server on a temporary folder, publishes the shipped programme, sends ROWS filled
registration forms as phones do, and pulls them. The peers read the same rows of the same server in the
same run, each twice: as it comes (koboextractor in a loop over its own `start`, since one call ends
after the server's default page; pykobo's one call, which has no second page) and helped to pages of
1,000. None of them stores anything, looks for edits or deletions, or proves that it has all.

Every reader is a process of its own, so that memory is its own too.
"""

from __future__ import annotations

import importlib
import json
import random
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from forms.instance import to_xml
from forms.model import Form, Question, Record, Submission
from forms.programme import Programme, load, shipped
from sync.kobo import Kobo
from sync.phone import Item, Phone, send_all
from sync.publish import publish

FORM = "mne_registration"
ROOT = Path(__file__).resolve().parent.parent
SILENT = ("note", "image", "audit", "file", "csv-external")


# ── the rows ─────────────────────────────────────────────────────────────────────────────────────


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


# ── the readers, each run as `python bench/pull.py --read NAME URL TOKEN UID FOLDER` ─────────────


def peer(name: str) -> Any:
    """A peer's module; they come with `pip install .[bench]`."""
    return importlib.import_module(name)


def koboextractor(url: str, token: str, uid: str, folder: str, limit: int | None = None) -> int:
    extractor = peer("koboextractor").KoboExtractor(token, f"{url}/api/v2")
    rows = 0
    while True:
        page = extractor.get_data(uid, start=rows, limit=limit)
        rows += len(page["results"])
        if not page["results"] or rows >= page["count"]:
            return rows


def koboextractor_helped(url: str, token: str, uid: str, folder: str) -> int:
    return koboextractor(url, token, uid, folder, 1000)


def pykobo(url: str, token: str, uid: str, folder: str) -> int:
    form = peer("pykobo").Manager(url=url, api_version=2, token=token).get_form(uid)
    form.fetch_data()
    return len(form.data)


def pykobo_helped(url: str, token: str, uid: str, folder: str) -> int:
    form = peer("pykobo").Manager(url=url, api_version=2, token=token).get_form(uid)
    address, rows = form.url_data, 0
    while True:
        form.url_data = f"{address}?limit=1000&start={rows}"
        form.fetch_data()
        rows += len(form.data)
        if len(form.data) < 1000:
            return rows


def watphon(url: str, token: str, uid: str, folder: str) -> int:
    from sync.mirror import Mirror
    from sync.pull import pull

    with Mirror(Path(folder) / "mirror.sqlite3") as mirror:
        (result,) = pull(load(shipped()), Kobo(url, token), mirror, forms=[FORM])
    assert result.complete, result
    return result.local_count


def sweep(url: str, token: str, uid: str, folder: str) -> int:
    from sync.backend import Source

    return sum(len(page.marks) for page in Kobo(url, token).ledger(Source(uid)))


READERS: dict[str, tuple[str, Callable[[str, str, str, str], int]]] = {
    "koboextractor": ("koboextractor, its default page, in a loop", koboextractor),
    "koboextractor1000": ("koboextractor helped to pages of 1,000", koboextractor_helped),
    "pykobo": ("pykobo as it comes (one page, then it stops)", pykobo),
    "pykobo1000": ("pykobo helped to pages of 1,000", pykobo_helped),
    "watphon": ("watphon, first pull: stored and proven", watphon),
    "again": ("watphon, nothing new: proven", watphon),
    "sweep": ("watphon, the sweep alone", sweep),
}


def read(name: str, url: str, token: str, uid: str, folder: str) -> None:
    reader = READERS[name][1]
    began, cpu = time.perf_counter(), time.process_time()
    rows = reader(url, token, uid, folder)
    wall, used = time.perf_counter() - began, time.process_time() - cpu
    # Not ru_maxrss: that one remembers the parent's memory across exec.
    status = Path("/proc/self/status").read_text("ascii")
    peak = int(status.partition("VmHWM:")[2].split()[0]) / 1024
    print(json.dumps({"rows": rows, "wall": wall, "cpu": used, "peak": peak}))


# ── the run ──────────────────────────────────────────────────────────────────────────────────────


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
    form = next(form for form in publish(programme, Kobo(url, token)) if form.form_id == FORM)
    prepared = list(items(programme, form.uid, form.version, rows))
    print(f"{rows:,} rows, {len(prepared[0][1]):,} bytes of XML each", flush=True)
    send_all(lambda: Phone(url, token=token), prepared, workers=8)
    del prepared
    rates: dict[str, float] = {}
    for name, (what, _) in READERS.items():
        command = [sys.executable, __file__, "--read", name, url, token, form.uid, str(folder)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        if done.returncode:
            print(f"{what:<46} failed: {done.stderr.strip().splitlines()[-1][:90]}", flush=True)
            continue
        found = json.loads(done.stdout.splitlines()[-1])
        rates[name] = found["rows"] / found["wall"]
        short = "" if found["rows"] == rows else f"  ONLY {found['rows']:,} rows"
        print(
            f"{what:<46} {found['wall']:>7.2f} s {rates[name]:>9,.0f} rows/s "
            f"{found['cpu'] / found['rows'] * 1e6:>6.0f} µs CPU {found['peak']:>5.0f} MB{short}",
            flush=True,
        )
    for name in ("koboextractor", "koboextractor1000", "pykobo", "pykobo1000"):
        if name in rates and "watphon" in rates:
            print(f"watphon / {READERS[name][0]:<46} {rates['watphon'] / rates[name]:>6.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--read"]:
        read(*sys.argv[2:7])
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000)
