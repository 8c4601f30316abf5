"""`python -m server.worker`: one of the processes that `server.workers` starts; not for people.

It reads what it has to serve as a line of JSON from its input and says `ready` once it answers. When
its input ends, its supervisor is gone, and so is it.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import threading
from pathlib import Path

from forms.problems import Problem
from forms.programme import load
from server.app import application
from server.opening import open_worker
from server.process import serve
from server.watch import log
from server.watch.connections import Limits


def main() -> int:
    """Serve until stopped; 1 when that cannot be done."""
    told = json.loads(sys.stdin.buffer.readline())
    if told["log"]:
        log.begin(told["log"]["level"], access_log=told["log"]["access_log"])
    threading.Thread(target=end_with_supervisor, daemon=True).start()
    try:
        opened = open_worker(Path(told["data"]), told["database"], told["storage"], told["name"])
        programme = load(Path(told["programme"])) if told["programme"] else None
    except Problem as problem:
        print(problem, file=sys.stderr)
        return 1
    serve(
        application(opened, programme, leads=told["leads"], public_url=told["public"]),
        socket.socket(fileno=told["listener"]),
        Limits(**told["limits"]),
        told["trusted"],
        lambda: print("ready", flush=True),
    )
    return 0


def end_with_supervisor() -> None:
    """End as a power cut would: whoever was killed cannot be asked to wait."""
    # not by the buffered file, which the interpreter locks when it ends
    while os.read(0, 1000):
        pass
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main())
