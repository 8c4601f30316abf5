"""Workbooks are read in a process of their own, with little memory and time.

A workbook of a few kilobytes can be made to unpack into gigabytes, or to keep its reader busy for
days; what becomes of such a process is no matter to the server, which goes on and says why the
workbook is refused. The process reads the request from its input and writes the result to its
output, both JSON with the workbook's bytes behind.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import asdict
from typing import Any

import orjson

from forms.problems import Finding, Problem
from forms.xlsform import to_xform
from server.kobo.content import DuplicateName, Imported, read_workbook

__all__ = ["convert_apart", "end_all", "read_apart"]

MEMORY = 600_000_000
"""Bytes of address space; a form with 20,000 choices takes two thirds of it, libraries included."""
FILE = 100_000_000
"""Bytes of a file it may write; pyxform puts the XForm into one on its way."""
PROCESSOR_SECONDS = 15
PATIENCE = 25
"""Seconds, when the machine is busy with other things."""

TOO_MUCH = Finding(
    "workbook_too_large",
    "error",
    "workbook",
    "takes more time or memory to read than any form needs",
    "remove unused cells, sheets and pictures, or copy the questions into a new workbook",
)

SECRETS = ("AWS_", "PG", "WATPHON_")
"""How the names of variables begin that a reader of strangers' workbooks has no need of."""

turn = threading.Semaphore(1)
running: set[subprocess.Popen[bytes]] = set()


def read_apart(workbook: bytes, name: str) -> Imported:
    """`server.kobo.content.read_workbook` in a process of its own; slow.

    Raises `DuplicateName`, or another `Problem` when it is no workbook or takes too much.
    """
    return Imported(**asked({"do": "read", "name": name}, workbook))


def convert_apart(workbook: bytes, *, form_id: str, version: str) -> str:
    """The XForm that `forms.xlsform.to_xform` makes, in a process of its own; slow.

    Raises `Problem` with pyxform's words, or when it takes too much.
    """
    return asked({"do": "convert", "form_id": form_id, "version": version}, workbook)


def asked(request: dict[str, str], workbook: bytes) -> Any:
    """The result of a request to a new process."""
    environment = {
        **{name: told for name, told in os.environ.items() if not name.startswith(SECRETS)},
        "OPENBLAS_NUM_THREADS": "1",
        "OMP_NUM_THREADS": "1",
    }
    with turn:
        process = subprocess.Popen(
            [sys.executable, "-m", "server.kobo.confined"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
        )
        running.add(process)
        try:
            told, _ = process.communicate(orjson.dumps(request) + b"\n" + workbook, PATIENCE)
        except subprocess.TimeoutExpired as error:
            raise Problem(TOO_MUCH) from error
        finally:
            process.kill()
            process.communicate()
            running.discard(process)
    if process.returncode:  # out of time or memory: ended by the system, or by a library's error
        raise Problem(TOO_MUCH)
    answer = orjson.loads(told)
    if "findings" in answer:
        kind = DuplicateName if answer["duplicate"] else Problem
        raise kind([Finding(**finding) for finding in answer["findings"]])
    return answer["result"]


def end_all() -> None:
    """End what is under way, because the server stops; whoever asked hears that it took too much."""
    for process in list(running):
        process.kill()


def confine() -> None:
    """Bound this process; before the workbook is touched."""
    if sys.platform == "win32":
        return
    import resource

    os.nice(10)
    for kind, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CPU, PROCESSOR_SECONDS),
        (resource.RLIMIT_FSIZE, FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))


def main() -> int:
    """Do what the input asks for; anything but 0 means that it took too much."""
    head, _, workbook = sys.stdin.buffer.read().partition(b"\n")
    request = orjson.loads(head)
    confine()
    try:
        if request.pop("do") == "read":
            result: Any = asdict(read_workbook(workbook, request["name"]))
        else:
            result, _ = to_xform(workbook, **request)
        answer = orjson.dumps({"result": result})
    except Problem as problem:
        findings = [asdict(finding) for finding in problem.findings]
        duplicate = isinstance(problem, DuplicateName)
        answer = orjson.dumps({"findings": findings, "duplicate": duplicate})
    except (MemoryError, RecursionError):
        return 1
    sys.stdout.buffer.write(answer)
    return 0


if __name__ == "__main__":
    sys.exit(main())
