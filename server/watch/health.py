"""`/healthz`, `/healthz/live` and `/metrics`: whether the server works, and how much it does.

A stranger learns `ok` or `not ok` and nothing else. The checks by name, and the metrics, are for who
asks from this machine (not through a proxy) or with a token that may manage. `/healthz` writes to
the database and looks at the disk, at most once in `REMEMBERED` seconds however often it is asked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, select, update
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server.answers import Refusal, api, json_answer
from server.house import House, house_of
from server.people.rights import Right
from server.state.schema import assets, clock, settings
from server.state.store import is_full
from server.watch.metrics import CONTENT_TYPE, Metrics

__all__ = ["LAST_BACKUP", "Health", "routes"]

REMEMBERED = 5.0
PATIENCE = 5.0
"""Seconds the writer may take for one small change before it counts as stuck."""

LEAST_ROOM = 50_000_000
"""Bytes that must be free on the disk; one phone's photographs fill less."""

LAST_BACKUP = "last_backup"
"""Name in the table `settings`; the value is an ISO moment in UTC."""

FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")

log = logging.getLogger("watphon.server")


@dataclass(frozen=True, slots=True)
class Checks:
    """What was found: `writer` alive, `database` writable, `disk` with room; bytes free."""

    writer: str
    database: str
    disk: str
    free: int

    @property
    def ready(self) -> bool:
        return self.writer == self.database == self.disk == "ok"


class Health:
    """Looks after the parts, and remembers for a moment what it found."""

    def __init__(self, house: House, metrics: Metrics) -> None:
        self.house = house
        self.metrics = metrics
        self.found: tuple[float, Checks] | None = None
        self.turn = asyncio.Lock()

    async def checks(self) -> Checks:
        """The state of the server, at most `REMEMBERED` seconds old."""
        async with self.turn:
            if self.found is None or time.monotonic() - self.found[0] > REMEMBERED:
                self.found = (time.monotonic(), await self.look())
            return self.found[1]

    async def look(self) -> Checks:
        writer = database = "ok"
        try:
            # one durable change that changes nothing
            await asyncio.wait_for(
                self.house.inbox.run(
                    lambda connection: connection.execute(
                        update(clock).values(submission=clock.c.submission)
                    )
                ),
                PATIENCE,
            )
        except TimeoutError:
            writer = f"did not answer within {PATIENCE:.0f} s"
        except Exception as error:  # whatever it is, it is what we are asked about
            database = "the disk is full" if is_full(error) else type(error).__name__
        free = shutil.disk_usage(self.house.store.folder).free
        disk = "ok" if free >= LEAST_ROOM else f"less than {LEAST_ROOM // 10**6} MB are free"
        found = Checks(writer, database, disk, free)
        if not found.ready:
            log.error("not ready: writer %s, database %s, disk %s", writer, database, disk)
        self.metrics.ready.set(found.ready)
        self.metrics.disk_free.set(free)
        return found

    def read_database(self) -> None:
        """Bring the gauges up to date that stand in the database; slow."""
        with self.house.store.read() as connection:
            count, last = connection.execute(
                select(func.sum(assets.c.submission_count), func.max(assets.c.last_submission_at))
            ).one()
            backup = connection.execute(
                select(settings.c.value).where(settings.c.name == LAST_BACKUP)
            ).scalar_one_or_none()
        self.metrics.stored.set(count or 0)
        self.metrics.last_submission.set(seconds(last))
        self.metrics.last_backup.set(seconds(backup))


def seconds(moment: str | None) -> float:
    """Seconds since 1970 of an ISO moment in UTC; 0 for none."""
    if not moment:
        return 0.0
    try:
        found = datetime.fromisoformat(moment)
    except ValueError:
        return 0.0
    return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()


def from_here(request: Request) -> bool:
    """Whether a program of this machine asks, and no proxy for somebody else."""
    if any(name in request.headers for name in FORWARDED):
        return False
    try:
        return bool(request.client and ipaddress.ip_address(request.client.host).is_loopback)
    except ValueError:
        return False


async def trusted(request: Request) -> bool:
    """Whether the caller may see more than ok or not ok."""
    if from_here(request):
        return True
    try:
        visitor = await house_of(request).doorkeeper.api_visitor(request)
    except Refusal:
        return False
    return visitor is not None and visitor.may(Right.MANAGE)


async def ready(request: Request) -> Response:
    """GET /healthz: 200 when submissions can be stored, else 503."""
    found = await request.app.state.health.checks()
    told: dict[str, Any] = {"status": "ok" if found.ready else "not ok"}
    if await trusted(request):
        told |= {"writer": found.writer, "database": found.database, "disk": found.disk}
        told["disk_free"] = found.free
    headers = {"Cache-Control": "no-store"}
    if not found.ready:
        headers["Retry-After"] = "30"
    return json_answer(told, 200 if found.ready else 503, headers)


async def live(_: Request) -> Response:
    """GET /healthz/live: 200 as long as the process answers at all."""
    return json_answer({"status": "ok"}, headers={"Cache-Control": "no-store"})


async def metrics(request: Request) -> Response:
    """GET /metrics: everything that is counted."""
    if not await trusted(request):
        raise Refusal(404, "Not found.")
    health: Health = request.app.state.health
    await health.checks()
    health.metrics.waiting.set(len(health.house.inbox.queue))
    await asyncio.to_thread(health.read_database)
    return Response(health.metrics.text(), headers={"Content-Type": CONTENT_TYPE})


def routes() -> list[Route]:
    """The addresses for whoever watches the server."""
    return [
        Route("/healthz", api(ready)),
        Route("/healthz/live", api(live)),
        Route("/metrics", api(metrics)),
    ]
