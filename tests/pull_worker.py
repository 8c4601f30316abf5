"""Pulls in processes that die: `python pull_worker.py` reads one order a line and forks a child for it.

A child pulls, brings files, writes tables, as the order says, and ends itself with SIGKILL at the n-th
step of a kind; or it works under a limit of the size a file may have, as on a full disk. The worker is
single-threaded, so that forking it is safe, and answers each order with one line.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, Any, Literal, cast

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import sync.http
import sync.pull
from forms.problems import Problem
from forms.programme import Programme, load, shipped
from sync.attachments import fetch_files
from sync.http import Connection
from sync.kobo import Kobo
from sync.mirror import Mirror
from sync.pull import pull

FORM = "mne_registration"
TOKEN = "0123456789abcdef0123456789abcdef01234567"
MOMENT = "2026-11-23T13:00:00Z"

Step = Literal["progress", "request", "piece", "statement", "instructions", "rename"]
"""Where a child may die: at a call of progress, before a request, between two pieces of a download,
before an SQL statement, each twenty instructions inside one, before a change to a folder."""


@dataclass(frozen=True, slots=True)
class Order:
    """One pull. `kill` names the step and its number; empty folders are left out of the work."""

    url: str
    mirror: str
    page: int = 2
    kill: tuple[Step, int] | None = None
    files: str = ""
    tables: str = ""
    limit: int = 0


@dataclass(frozen=True, slots=True)
class Done:
    """How a child ended: its exit code (negative: the signal), and what it said last."""

    code: int
    said: str


class Worker:
    """A running worker."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process

    def do(self, order: Order) -> Done:
        told, answer = cast(IO[str], self.process.stdin), cast(IO[str], self.process.stdout)
        told.write(json.dumps(asdict(order)) + "\n")
        told.flush()
        return Done(**json.loads(answer.readline()))


@contextmanager
def working() -> Iterator[Worker]:
    """A worker until the block ends."""
    process = subprocess.Popen(
        [sys.executable, __file__],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )
    with process:  # its input ends, and so does it
        yield Worker(process)


# ── in the child ─────────────────────────────────────────────────────────────────────────────────


class Steps:
    """Counts steps of one kind, and dies at the n-th."""

    def __init__(self, kill: tuple[Step, int] | None) -> None:
        self.kind, self.left = kill or ("", 0)

    def step(self, kind: Step) -> None:
        if kind == self.kind:
            self.left -= 1
            if self.left < 0:
                os.kill(os.getpid(), signal.SIGKILL)

    def before(self, kind: Step, work: Callable[..., Any]) -> Callable[..., Any]:
        """The same work with a step before it."""

        def stepping(*given: Any, **named: Any) -> Any:
            self.step(kind)
            return work(*given, **named)

        return stepping

    def progress(self, what: str, done: int, total: int) -> None:
        self.step("progress")

    def everywhere(self) -> None:
        """Put steps into this process: it ends with the order."""
        connect = sqlite3.connect

        def watched(*given: Any, **named: Any) -> sqlite3.Connection:
            base = connect(*given, **named)
            if self.kind == "statement":
                base.set_trace_callback(lambda statement: self.step("statement"))
            if self.kind == "instructions":
                base.set_progress_handler(lambda: self.step("instructions"), 20)
            return base

        sqlite3.connect = watched
        for at, name in ((Connection, "once"), (Connection, "opened")):
            setattr(at, name, self.before("request", getattr(at, name)))
        for at, name in ((Path, "rename"), (Path, "replace"), (Path, "mkdir"), (shutil, "rmtree")):
            setattr(at, name, self.before("rename", getattr(at, name)))
        sync.http.CHUNK = 256
        sync.pull.TOGETHER = 1


class Watched(Kobo):
    """A KoboToolbox client whose downloads are made of steps."""

    steps: Steps

    def fetch(self, address: str, target: Path, *, progress: Callable[[int], None]) -> None:
        super().fetch(address, target, progress=lambda size: self.steps.step("piece"))


def carry_out(order: Order, programme: Programme) -> str:
    """Do what an order says; how it ended, in a word."""
    if order.limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order.limit, order.limit))
    steps = Steps(order.kill)
    steps.everywhere()
    line = Connection(order.url, TOKEN, tries=2, pause=0.0, sleep=lambda seconds: None)
    backend = Watched(order.url, TOKEN, page=order.page, connection=line)
    backend.steps = steps
    try:
        with Mirror(Path(order.mirror), now=lambda: MOMENT) as mirror:
            (result,) = pull(programme, backend, mirror, steps.progress, forms=[FORM])
            if order.files:
                fetch_files(FORM, backend, mirror, Path(order.files), steps.progress)
            if order.tables:
                from sync.tables import write_tables

                write_tables(programme, mirror, Path(order.tables), steps.progress)
    except Problem as problem:
        return f"{problem.findings[0].code}: {problem}"
    return "complete" if result.complete else f"not complete: {result.differs}"


def fork(order: Order, programme: Programme) -> Done:
    """Carry out an order in a child, and wait for its end."""
    back, forth = os.pipe()
    if (child := os.fork()) == 0:
        code = 2
        try:
            said = carry_out(order, programme)
            code = 0 if said == "complete" else 1
            os.write(forth, said.encode()[:4000])
        except BaseException as error:
            os.write(forth, repr(error).encode()[:4000])
        finally:
            os._exit(code)
    os.close(forth)
    with os.fdopen(back, "rb") as coming:
        said = coming.read().decode("utf-8", "replace")
    _, status = os.waitpid(child, 0)
    return Done(os.waitstatus_to_exitcode(status), said)


def only(form_id: str) -> Programme:
    """The shipped programme with one form, so that tables are written in no time."""
    whole = load(shipped())
    file = whole.file.model_copy(update={"forms": {form_id: whole.file.forms[form_id]}})
    return whole.model_copy(update={"file": file})


def main() -> None:
    programme = only(FORM)
    programme.form(FORM)
    # Loaded once, here, rather than in each child; pyarrow would load pandas when it writes.
    for name in ("pandas", "sync.tables"):
        importlib.import_module(name)

    for line in sys.stdin:
        told = json.loads(line)
        told["kill"] = tuple(told["kill"]) if told["kill"] else None
        print(json.dumps(asdict(fork(Order(**told), programme))), flush=True)


if __name__ == "__main__":
    main()
