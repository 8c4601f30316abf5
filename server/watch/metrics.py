"""What is counted about the server, in Prometheus' text form.

Requests are counted by the template of their route, never by their path, which may hold a key.
Numbers that stand in the database or on the disk are read when somebody asks. Where several
processes serve together (`PROMETHEUS_MULTIPROC_DIR` is set before they start), each answer sums them.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256)

OUTCOMES = {
    201: ("accepted", ""),
    202: ("duplicate", ""),
    400: ("refused", "malformed"),
    401: ("refused", "stranger"),
    403: ("refused", "no right"),
    404: ("refused", "no such form"),
    405: ("refused", "form closed"),
    409: ("refused", "same id with other content"),
    410: ("refused", "edit of an old version"),
    413: ("refused", "too large"),
    429: ("refused", "too many failures"),
    500: ("refused", "mistake of the server"),
    503: ("refused", "busy"),
    507: ("refused", "disk full"),
}
"""What became of a submission, by the status of its answer."""

T = TypeVar("T")


class Metrics:
    """The counters of one server; handlers and the writer count, `/metrics` tells."""

    def __init__(self) -> None:
        self.several = bool(os.environ.get("PROMETHEUS_MULTIPROC_DIR"))
        registry = self.registry = CollectorRegistry(auto_describe=True)
        if not self.several:
            ProcessCollector(registry=registry)
        self.requests = Counter(
            "watphon_requests",
            "Requests answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self.seconds = Histogram(
            "watphon_request_seconds",
            "Seconds from a request's head to the end of its answer.",
            ("route",),
            buckets=SECONDS,
            registry=registry,
        )
        self.submissions = Counter(
            "watphon_submissions",
            "Submissions by what became of them.",
            ("outcome", "reason"),
            registry=registry,
        )
        self.batch = Histogram(
            "watphon_batch_submissions",
            "Submissions that reached the disk in one transaction.",
            buckets=SIZES,
            registry=registry,
        )
        self.commit = Histogram(
            "watphon_batch_seconds",
            "Seconds one transaction of submissions took.",
            buckets=SECONDS,
            registry=registry,
        )
        self.closed = Counter(
            "watphon_connections_closed",
            "Connections the server closed by itself.",
            ("why",),
            registry=registry,
        )
        self.connections = self.gauge("watphon_connections", "Open connections.", "livesum")
        self.waiting = self.gauge("watphon_waiting", "Changes that wait for the writer.", "livesum")
        self.disk_free = self.gauge("watphon_disk_free_bytes", "Room where the data stand.")
        self.stored = self.gauge("watphon_stored_submissions", "Submissions in the database.")
        self.last_submission = self.gauge(
            "watphon_last_submission_timestamp_seconds", "When a submission last came; 0: never."
        )
        self.last_backup = self.gauge(
            "watphon_last_backup_timestamp_seconds", "When a backup was last finished; 0: never."
        )
        self.ready = self.gauge("watphon_ready", "1 when all checks of /healthz pass.")
        # labels() looks up under a lock; a submission passes here twenty times a hundredth second
        self.known: dict[Any, Any] = {}

    def gauge(self, name: str, words: str, several: Any = "mostrecent") -> Gauge:
        return Gauge(name, words, registry=self.registry, multiprocess_mode=several)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count an answered request; a submission also by what became of it."""
        self.child((method, route, status), self.requests.labels, method, route, status).inc()
        self.child(route, self.seconds.labels, route).observe(seconds)
        if method == "POST" and route.rstrip("/").endswith("/submission"):
            outcome = OUTCOMES.get(status, ("refused", "other"))
            self.child(outcome, self.submissions.labels, *outcome).inc()

    def child(self, key: Any, labels: Callable[..., T], *values: Any) -> T:
        """The counter of these label values, remembered."""
        found = self.known.get(key)
        if found is None:
            found = self.known[key] = labels(*values)
        return found

    def settled(self, size: int, seconds: float) -> None:
        """Count a transaction of submissions."""
        self.batch.observe(size)
        self.commit.observe(seconds)

    def end(self, why: str) -> None:
        """Count a connection that the server closed."""
        self.closed.labels(why).inc()

    def text(self) -> bytes:
        """Everything, as Prometheus reads it."""
        if not self.several:
            return generate_latest(self.registry)
        registry = CollectorRegistry()
        MultiProcessCollector(registry)
        return generate_latest(registry)
