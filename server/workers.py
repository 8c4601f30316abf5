"""Several processes that serve one state: started, watched, started again, stopped together.

The supervisor opens the state once and holds the folder's lock; each worker gets a socket, the lock
and a name, and says `ready` on its output. A worker that dies is started again, at once at first and
then after a pause that doubles; what it left half done is cleared away. Workers live no longer than
the supervisor: its end closes their input.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from forms.problems import Problem
from server.opening import Opened, close_interrupted, worker_name
from server.state.trouble import Locked
from server.watch.connections import Limits
from server.watch.log import access

__all__ = ["supervise"]

CALM = 60.0
"""Seconds a worker must have lived for its death to count as the first."""
LONGEST_PAUSE = 30.0
STARTING = 60.0
STOPPING = 30.0
LOOK = 0.25

log = logging.getLogger("watphon.server")


@dataclass(slots=True)
class Worker:
    """One of the workers: what it is told, its process, and how it has been."""

    number: int
    listener: socket.socket
    name: str = ""
    process: subprocess.Popen[bytes] | None = None
    ready: bool = False
    begun: float = 0.0
    deaths: int = 0
    again: float = 0.0
    """When it may be started."""


@dataclass(slots=True)
class Crew:
    """All workers of a server."""

    opened: Opened
    told: dict[str, Any]
    workers: list[Worker]
    stopping: bool = False
    selector: selectors.DefaultSelector = field(default_factory=selectors.DefaultSelector)

    def start(self, worker: Worker) -> None:
        """Begin a worker's process."""
        assert self.opened.held is not None
        worker.name, worker.ready, worker.begun = worker_name(), False, time.monotonic()
        sockets = (worker.listener.fileno(), self.opened.held.file.fileno())
        worker.process = subprocess.Popen(
            [sys.executable, "-m", "server.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=sockets,
            start_new_session=True,  # Ctrl-C is for the supervisor, which asks the workers to stop
            env=os.environ | {"PROMETHEUS_MULTIPROC_DIR": str(metrics_folder(self.opened))},
        )
        assert worker.process.stdin is not None
        assert worker.process.stdout is not None
        told = self.told | {
            "listener": worker.listener.fileno(),
            "name": worker.name,
            "leads": worker.number == 0,
        }
        with contextlib.suppress(OSError):  # it died already; `bury` hears of it
            worker.process.stdin.write(json.dumps(told).encode() + b"\n")
            worker.process.stdin.flush()
        self.selector.register(worker.process.stdout, selectors.EVENT_READ, worker)

    def listen(self) -> None:
        """Take what workers say; wait a moment for it."""
        for key, _ in self.selector.select(LOOK):
            worker: Worker = key.data
            said = os.read(key.fd, 1000)
            if b"ready" in said:
                worker.ready = True
            elif not said:
                self.selector.unregister(key.fileobj)

    def bury(self) -> None:
        """Clear away after workers that died, and start them again."""
        for worker in self.workers:
            process, now = worker.process, time.monotonic()
            if process is None:
                if now >= worker.again:
                    self.start(worker)
                continue
            if (code := process.poll()) is None:
                continue
            log.error("worker %d ended with %d; it is started again", worker.number, code)
            self.clear(worker, process)
            worker.deaths = 1 if now - worker.begun > CALM else worker.deaths + 1
            worker.again = now + (
                min(LONGEST_PAUSE, 2 ** (worker.deaths - 2)) * (worker.deaths > 1)
            )

    def clear(self, worker: Worker, process: subprocess.Popen[bytes]) -> None:
        """Close a dead worker's pipes; what it left half done is nobody's any more."""
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(KeyError, ValueError):
                    self.selector.unregister(pipe)
                with contextlib.suppress(OSError):
                    pipe.close()
        worker.process, worker.ready = None, False
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(process.pid, str(metrics_folder(self.opened)))
        self.opened.blobs.drop_incoming(worker.name)
        # without a database nobody polls; then the next start closes what is too old
        with contextlib.suppress(SQLAlchemyError, Locked), self.opened.store.write() as connection:
            close_interrupted(connection, worker=worker.name)

    def stop(self) -> None:
        """Ask all to finish what they took, and wait; who does not is ended."""
        running = [one.process for one in self.workers if one.process is not None]
        for process in running:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        deadline = time.monotonic() + STOPPING
        for process in running:
            try:
                process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for worker in self.workers:
            if worker.process is not None:
                self.clear(worker, worker.process)
        self.selector.close()


def supervise(
    opened: Opened,
    data: Path,
    listeners: list[socket.socket],
    limits: Limits,
    trusted: str,
    programme: Path | None,
    public: str,
    ready: Callable[[], None],
) -> None:
    """Serve by one worker for each socket until SIGINT or SIGTERM.

    Raises `Problem` when a worker does not come up at the start.
    """
    share = -(-limits.connections // len(listeners))
    told = {
        "data": str(data),
        # addresses without secrets: workers have this process's environment
        "database": "" if opened.store.database.is_file else opened.store.database.told,
        "storage": opened.blobs.address,
        "programme": str(programme) if programme else "",
        "limits": asdict(replace(limits, connections=share)),
        "trusted": trusted,
        "public": public,
        "log": log_told(),
    }
    shutil.rmtree(metrics_folder(opened), ignore_errors=True)
    metrics_folder(opened).mkdir()
    crew = Crew(opened, told, [Worker(n, one) for n, one in enumerate(listeners)])

    def stop(*_: object) -> None:
        crew.stopping = True

    earlier = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for worker in crew.workers:
            crew.start(worker)
        come_up(crew)
        if not crew.stopping:
            ready()
        while not crew.stopping:
            crew.bury()
            crew.listen()
    finally:
        crew.stop()
        for number, handler in earlier.items():
            signal.signal(number, handler)


def come_up(crew: Crew) -> None:
    """Wait until all workers are ready."""
    deadline = time.monotonic() + STARTING
    while not (crew.stopping or all(worker.ready for worker in crew.workers)):
        crew.listen()
        dead = [
            one.number for one in crew.workers if one.process and one.process.poll() is not None
        ]
        if dead or time.monotonic() > deadline:
            raise Problem.at(
                f"worker {dead[0] if dead else ''}".strip(),
                "did not come up",
                "look at its words above; with --workers 1 the server says more",
                code="server_workers",
            )


def metrics_folder(opened: Opened) -> Path:
    """Where the workers' counters meet."""
    return opened.store.folder / "metrics"


def log_told() -> dict[str, Any]:
    """How this process logs, for the workers to do the same; empty where it was never said."""
    if not logging.getLogger().handlers:
        return {}
    level = logging.getLevelName(logging.getLogger("watphon").getEffectiveLevel()).lower()
    return {"level": level, "access_log": access.isEnabledFor(logging.INFO)}
