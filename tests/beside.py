"""A phone that goes on sending while somebody misbehaves: how it fares, and what the server takes."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from types import TracebackType

import psutil
import requests
from office import Office, RunningServer, instance

__all__ = ["Beside"]

ENOUGH = 5
"""Submissions by which the phone can be judged."""


class Beside:
    """Inside the `with` block a phone sends one small submission after the other, and the server's
    memory is looked at; afterwards `statuses`, `p99` (s), `grown` (MB) and `sent` tell."""

    def __init__(self, server: RunningServer, uid: str, *, pause: float = 0.005) -> None:
        self.server = server
        self.uid = uid
        self.pause = pause
        self.took: list[float] = []
        self.statuses: Counter[int] = Counter()
        self.lost = 0
        self.peak = 0
        self.over = threading.Event()
        self.process = psutil.Process(server.process.pid)
        self.threads = [threading.Thread(target=self.phone), threading.Thread(target=self.scales)]

    def phone(self) -> None:
        office = Office(self.server.url, self.server.token)
        while not self.over.is_set():
            document = instance(self.uid, str(uuid.uuid4()))
            began = time.perf_counter()
            try:
                self.statuses[office.send(document).status_code] += 1
                self.took.append(time.perf_counter() - began)
            except requests.ConnectionError:  # a phone whose idle line was cut dials again
                self.lost += 1
            time.sleep(self.pause)

    def scales(self) -> None:
        while not self.over.is_set():
            self.peak = max(self.peak, self.weight())
            time.sleep(0.02)

    def weight(self) -> int:
        family = [self.process, *self.process.children(recursive=True)]
        total = 0
        for one in family:
            try:
                total += one.memory_info().rss
            except psutil.NoSuchProcess:
                continue
        return total

    def __enter__(self) -> Beside:
        office = Office(self.server.url, self.server.token)
        quiet: list[float] = []
        for _ in range(5):
            began = time.perf_counter()
            assert office.send(instance(self.uid, str(uuid.uuid4()))).status_code == 201
            quiet.append(time.perf_counter() - began)
        self.quiet = sorted(quiet)[2]
        self.before = self.peak = self.weight()
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        # what was over in a moment left no time for enough answers to judge by
        deadline = time.monotonic() + 20
        while error is None and self.sent < ENOUGH and time.monotonic() < deadline:
            time.sleep(0.05)
        self.over.set()
        for thread in self.threads:
            thread.join(60)

    @property
    def sent(self) -> int:
        return sum(self.statuses.values())

    @property
    def p99(self) -> float:
        """Seconds within which 99 % were answered."""
        ranked = sorted(self.took)
        return ranked[min(len(ranked) - 1, len(ranked) * 99 // 100)]

    @property
    def grown(self) -> float:
        """MB of memory the server took more than before, at the worst moment."""
        return (self.peak - self.before) / 1e6

    def unhurt(self, *, seconds: float, memory: float, crowded: bool = False) -> None:
        """Nobody refused the phone, it was answered in time, and memory stayed within bounds.

        `crowded`: it may have been told to come later (503), but not always.

        Where the machine is busy with other things (an answer takes more than 10 ms before anybody
        misbehaves), the time is longer by as much.
        """
        seconds *= max(1.0, self.quiet / 0.01)
        told = f"{self.statuses}, lost {self.lost}, p99 {self.p99:.3f} s, {self.grown:.0f} MB"
        told += f", before {self.quiet:.3f} s"
        assert set(self.statuses) - ({503} if crowded else set()) == {201}, told
        assert self.sent >= ENOUGH, told
        assert self.lost <= 1 + self.sent // 20, told
        assert self.p99 < seconds, told
        assert self.grown < memory, told
