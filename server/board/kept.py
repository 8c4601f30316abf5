"""The board's memory: counts are read once for everybody who looks, and only when something changed.

One `Board` belongs to one process. What is counted over many courses is read again at the earliest
after a pause of ten times as long as it last took (one second at least), however many look.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
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
SCOPES_KEPT = 64
COURSES_KEPT = 200
PARTS_KEPT = 300


@dataclass(slots=True)
class Scope:
    """The counts of one set of provinces, and when they may be read again."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    season: Season | None = None
    next_reading: float = 0.0


class Board:
    """Counts and finished pages, each with the stamp it belongs to."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.scopes: OrderedDict[tuple[frozenset[str], bool], Scope] = OrderedDict()
        self.courses: OrderedDict[tuple[str, frozenset[str]], CourseBoard] = OrderedDict()
        self.parts: OrderedDict[str, str] = OrderedDict()

    async def read(self, call: Callable[[Connection], T]) -> T:
        """What `call` finds, beside the event loop."""

        def look() -> T:
            with self.house.store.read() as connection:
                return call(connection)

        return await asyncio.to_thread(look)

    async def season(
        self, programme: Programme, provinces: frozenset[str], *, totals: bool
    ) -> Season:
        """The counts of the courses of provinces (none: all); at most as old as the pause."""
        scope = self.scope(provinces, totals)
        async with scope.turn:
            known = scope.season
            if known and time.monotonic() < scope.next_reading:
                return known
            if known and await self.read(stamp_of) == known.stamp:
                return known
            began = time.monotonic()
            scope.season = await self.read(
                lambda connection: season(connection, programme, provinces, totals=totals)
            )
            ended = time.monotonic()
            scope.next_reading = ended + max(PAUSE, SHARE * (ended - began))
            return scope.season

    def scope(self, provinces: frozenset[str], totals: bool) -> Scope:
        """What is kept for all who see the same provinces."""
        key = (provinces, totals)
        known = self.scopes.get(key) or Scope()
        remember(self.scopes, key, known, SCOPES_KEPT)
        return known

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
