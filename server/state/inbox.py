"""The one writer: submissions go in by group commit, every other change of the server in between.

One task owns writing. Submissions that wait together are settled in one transaction, and each is
answered only after the commit has returned, that is, when it is on disk; meanwhile the next ones
gather. Other changes (`run`) are a transaction each. So nothing races with anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.exc import SQLAlchemyError

from server.state.blobs import Blobs, Staged
from server.state.settle import Arrival, Receipt, Settlement
from server.state.store import Locked, Store, is_busy, is_full
from server.state.trouble import is_lost
from server.state.unused import forget, referred_to

__all__ = ["FULL", "Inbox"]

BATCH = 256
"""Most submissions in one transaction: bounds how long the first of them waits."""
BATCH_BYTES = 2_000_000
"""Documents of so many bytes are enough for one, too: a driver holds them several times over."""

FULL = Receipt(507, "The server's disk is full; nothing was stored. Send again later.")
FAILED = Receipt(500, "The server could not store the submission; nothing was stored.")
BUSY = Receipt(503, "The server is busy; nothing was stored. Send again later.")
STOPPED = Receipt(503, "The server is stopping; nothing was stored. Send again later.")

log = logging.getLogger("watphon.server")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Waiting:
    """A submission and who waits for its receipt."""

    arrival: Arrival
    future: asyncio.Future[Receipt]


@dataclass(frozen=True, slots=True)
class Job:
    """Another change and who waits for its result."""

    change: Callable[[Connection], Any]
    future: asyncio.Future[Any]


class Inbox:
    """The writer and its queue. `start` and `stop` belong to the event loop's life."""

    def __init__(self, store: Store, blobs: Blobs) -> None:
        self.store = store
        self.blobs = blobs
        self.queue: deque[Waiting | Job] = deque()
        self.called: asyncio.Event = asyncio.Event()
        self.task: asyncio.Task[None] | None = None
        self.thread = ThreadPoolExecutor(1, thread_name_prefix="inbox")
        self.open = False
        self.settled: Callable[[int, float], None] = lambda size, seconds: None
        """Told the size of each batch and how long it took."""

    def start(self) -> None:
        """Begin to take; call inside the running loop."""
        self.open = True
        self.task = asyncio.get_running_loop().create_task(self.work())

    async def stop(self) -> None:
        """Finish what is queued."""
        self.open = False
        self.called.set()
        if self.task:
            await self.task
        self.thread.shutdown()

    async def take(self, arrival: Arrival) -> Receipt:
        """Store a submission; returns after its transaction has been committed (or refused)."""
        if arrival.files and self.blobs.elsewhere:
            return await self.take_elsewhere(arrival)
        return await self.take_here(arrival)

    async def take_here(self, arrival: Arrival) -> Receipt:
        """`take` where the contents need only be placed."""
        if not self.open:
            return STOPPED
        waiting = Waiting(arrival, asyncio.get_running_loop().create_future())
        self.queue.append(waiting)
        self.called.set()
        # a caller who hangs up cancels this future, not what is being written
        return await waiting.future

    async def take_elsewhere(self, arrival: Arrival) -> Receipt:
        """`take` where contents stand elsewhere: they are there before their rows are, and what then
        gets no row is not kept."""
        try:
            await self.blobs.bring(arrival.files)
        except Exception as error:
            if is_full(error):
                return FULL
            if is_busy(error):
                return BUSY
            raise
        receipt = await self.take_here(arrival)
        if receipt.status != 201 and self.open:
            await self.forget(staged.digest for staged in arrival.files)
        return receipt

    async def run(self, change: Callable[[Connection], T], files: Sequence[Staged] = ()) -> T:
        """Make one change in its own transaction; its exception, if any, is raised here.

        `files` are the staged ones that the change places.
        """
        if files:
            await self.blobs.bring(files)
        if not self.open:
            raise RuntimeError("the inbox is closed")
        job = Job(change, asyncio.get_running_loop().create_future())
        self.queue.append(job)
        self.called.set()
        try:
            return await job.future
        except Exception:
            if files and self.blobs.elsewhere:
                await self.forget([staged.digest for staged in files])
            raise

    async def forget(self, digests: Iterable[str]) -> None:
        """Remove contents that no row refers to any more."""
        wanted = sorted(set(digests))
        if wanted:
            await self.run(lambda connection: forget(connection, self.blobs, wanted))

    async def work(self) -> None:
        """Until told to stop, settle what waits, and make other changes in turn."""
        while self.open or self.queue:
            if not self.queue:
                self.called.clear()
                await self.called.wait()
                continue
            batch: list[Waiting] = []
            size = 0
            while (
                self.queue
                and len(batch) < BATCH
                and size < BATCH_BYTES
                and isinstance(self.queue[0], Waiting)
            ):
                batch.append(cast(Waiting, self.queue.popleft()))
                size += len(batch[-1].arrival.xml)
            if batch:
                began = time.perf_counter()
                receipts = await self.settle([waiting.arrival for waiting in batch])
                self.settled(len(batch), time.perf_counter() - began)
                for waiting, receipt in zip(batch, receipts, strict=True):
                    give(waiting.future, receipt)
            elif isinstance(job := self.queue.popleft(), Job):
                await self.do(job)

    async def settle(self, arrivals: Sequence[Arrival]) -> list[Receipt]:
        """Receipts of one transaction; if it fails for one arrival, the others go in alone."""
        placed: list[Staged] = []
        try:
            if self.store.quick:
                with contextlib.suppress(Locked):
                    return await self.settle_here(arrivals, placed)
            return await self.in_thread(self.settle_there, arrivals, placed)
        except Exception as error:  # the writer must outlive whatever one submission brings
            if not is_lost(error):  # a commit on a line that broke may have arrived all the same
                await self.in_thread(self.undo, placed)
            if is_full(error):
                log.error("disk full: %d submissions refused", len(arrivals))
                return [FULL] * len(arrivals)
            if is_busy(error):
                return [BUSY] * len(arrivals)
            if len(arrivals) > 1:
                return [receipt for one in arrivals for receipt in await self.settle([one])]
            log.error("a submission could not be stored: %s", type(error).__name__)
            return [FAILED]

    async def settle_here(self, arrivals: Sequence[Arrival], placed: list[Staged]) -> list[Receipt]:
        """Statements are quick and the disk is slow: with the statements here and only the waiting
        for the disk in the thread, the two never fight for the interpreter."""
        with self.store.transaction(wait=False) as (connection, commit):
            receipts = Settlement(connection, self.blobs, now(), placed).settle(arrivals)
            if placed:
                await self.in_thread(self.blobs.sync)
            await self.in_thread(commit)
            return receipts

    def settle_there(self, arrivals: Sequence[Arrival], placed: list[Staged]) -> list[Receipt]:
        """The same wholly in the thread, when another process or machine must be waited for."""
        with self.store.write() as connection:
            receipts = Settlement(connection, self.blobs, now(), placed).settle(arrivals)
            self.blobs.sync()
            return receipts

    def undo(self, placed: Sequence[Staged]) -> None:
        """Take back the contents a failed batch had placed, so that each can be tried alone."""
        if placed:
            with contextlib.suppress(SQLAlchemyError, OSError), self.store.read() as connection:
                for staged in placed:
                    if not referred_to(connection, staged.digest):
                        self.blobs.take_back(staged)

    async def do(self, job: Job) -> None:
        """Make one other change."""

        def change() -> Any:
            with self.store.write() as connection:
                return job.change(connection)

        try:
            give(job.future, await self.in_thread(change))
        except Exception as error:
            if not job.future.done():
                job.future.set_exception(error)

    async def in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        """Run something in the writer's thread."""
        return await asyncio.get_running_loop().run_in_executor(self.thread, call, *arguments)


def now() -> int:
    """Microseconds since 1970."""
    return time.time_ns() // 1000


def give(future: asyncio.Future[T], result: T) -> None:
    """Answer whoever still waits."""
    if not future.done():
        future.set_result(result)
