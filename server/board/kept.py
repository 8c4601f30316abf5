"""The board's memory: counts are read once for everybody who looks, and only when something changed.

One `Board` belongs to one process. What is counted over all courses is read again at the earliest
after a pause of ten times as long as it last took (one second at least), however many look.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection

from forms.programme import Programme
from server.board.counts import Season, Stamp, season, stamp_of
from server.board.course import CourseBoard, course_board
from server.house import House

__all__ = ["Board"]

T = TypeVar("T")
PAUSE = 1.0
SHARE = 10
COURSES_KEPT = 200
PARTS_KEPT = 300


class Board:
    """Counts and finished pages, each with the stamp it belongs to."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.turn = asyncio.Lock()
        self.whole: Season | None = None
        self.next_reading = 0.0
        self.courses: OrderedDict[tuple[str, frozenset[str]], CourseBoard] = OrderedDict()
        self.parts: OrderedDict[str, str] = OrderedDict()

    async def read(self, call: Callable[[Connection], T]) -> T:
        """What `call` finds, beside the event loop."""

        def look() -> T:
            with self.house.store.read() as connection:
                return call(connection)

        return await asyncio.to_thread(look)

    async def season(self, programme: Programme) -> Season:
        """The counts of all courses; at most as old as the pause."""
        async with self.turn:
            known = self.whole
            if known and time.monotonic() < self.next_reading:
                return known
            if known and await self.read(stamp_of) == known.stamp:
                return known
            began = time.monotonic()
            self.whole = await self.read(lambda connection: season(connection, programme))
            ended = time.monotonic()
            self.next_reading = ended + max(PAUSE, SHARE * (ended - began))
            return self.whole

    async def course(
        self, programme: Programme, code: str, provinces: frozenset[str]
    ) -> CourseBoard:
        """One course as it is now."""
        stamp: Stamp = await self.read(stamp_of)
        known = self.courses.get((code, provinces))
        if known is None or known.stamp != stamp:
            blobs = self.house.blobs
            known = await self.read(
                lambda connection: course_board(connection, blobs, programme, code, provinces)
            )
            remember(self.courses, (code, provinces), known, COURSES_KEPT)
        return known

    def part(self, tag: str, make: Callable[[], str]) -> str:
        """The finished part of a page that a tag stands for."""
        known = self.parts.get(tag)
        if known is None:
            known = make()
            remember(self.parts, tag, known, PARTS_KEPT)
        return known


K = TypeVar("K")
V = TypeVar("V")


def remember(kept: OrderedDict[K, V], key: K, value: V, most: int) -> None:
    """Keep the most recent ones."""
    kept[key] = value
    kept.move_to_end(key)
    while len(kept) > most:
        kept.popitem(last=False)
