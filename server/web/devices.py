"""What phones tell of themselves: when they were last heard, last sent, and how much waits on them.

The board shows it, so that a facilitator sees the phone that still holds records. It is noted in
memory and written at most every ten seconds, so that it costs a busy server next to nothing; a
crash loses ten seconds of it and nothing else. A link that many hold is not noted: its senders are
nobody's phones.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update
from sqlalchemy.exc import SQLAlchemyError
from starlette.requests import Request

from server.people.rights import Visitor
from server.state.inbox import Inbox
from server.state.schema import devices
from server.times import moment, utc_now

__all__ = ["Devices", "devices_of", "told", "told_device"]

EVERY = 10.0
"""Seconds between two writings."""
MOST_NOTED = 5_000
"""Phones noted between two writings; what comes beyond it is noted the next time."""
MOST_KEPT = 500
"""Phones of one key or account; a browser that forgets its id every day must not fill the table."""
MOST_WAITING = 1_000_000


@dataclass(slots=True)
class Heard:
    """What was told since the last writing; it changes with every request of the phone."""

    seen_at: datetime
    sent_at: datetime | None = None
    waiting: int | None = None


class Devices:
    """Notes of phones on their way into the table `devices`."""

    def __init__(self, inbox: Inbox) -> None:
        self.inbox = inbox
        self.heard: dict[tuple[str, str], Heard] = {}
        self.timer: asyncio.TimerHandle | None = None
        self.writing: asyncio.Task[None] | None = None

    def note(
        self,
        visitor: Visitor,
        device: str,
        *,
        now: datetime,
        sent: bool = False,
        waiting: int | None = None,
    ) -> None:
        """Note that a phone was heard; `sent`: it sent a record; `waiting`: so many wait on it."""
        place = (visitor.name, device)
        if visitor.role == "link" or (place not in self.heard and len(self.heard) >= MOST_NOTED):
            return
        heard = self.heard.get(place)
        if heard is None:
            heard = self.heard[place] = Heard(now)
        heard.seen_at = now
        if sent:
            heard.sent_at = now
        if waiting is not None:
            heard.waiting = waiting
        if self.timer is None:
            self.timer = asyncio.get_running_loop().call_later(EVERY, self.begin)

    def begin(self) -> None:
        """Write what was noted, beside whatever else goes on."""
        self.timer = None
        self.writing = asyncio.get_running_loop().create_task(self.write())

    async def write(self) -> None:
        """Write what was noted. What cannot be written now (a full disk) is told again later."""
        heard, self.heard = self.heard, {}
        if heard:
            with contextlib.suppress(SQLAlchemyError, OSError, RuntimeError):
                await self.inbox.run(lambda connection: keep(connection, heard))

    async def stop(self) -> None:
        """Write what is left; call before the inbox stops."""
        if self.timer is not None:
            self.timer.cancel()
        if self.writing is not None:
            await self.writing
        await self.write()


def keep(connection: Connection, heard: dict[tuple[str, str], Heard]) -> None:
    """Bring notes into the table."""
    for (sender, device), said in heard.items():
        values = {"seen_at": moment(said.seen_at)}
        if said.sent_at is not None:
            values["sent_at"] = moment(said.sent_at)
        told_waiting = {} if said.waiting is None else {"waiting": said.waiting}
        here = (devices.c.sender == sender) & (devices.c.device == device)
        known = connection.execute(update(devices).where(here).values(**values, **told_waiting))
        if known.rowcount:
            continue
        count = connection.execute(
            select(func.count()).select_from(devices).where(devices.c.sender == sender)
        ).scalar_one()
        if count < MOST_KEPT:
            row = {"sender": sender, "device": device, "sent_at": None, **values, **told_waiting}
            connection.execute(insert(devices), row)


def devices_of(request: Request) -> Devices:
    """The notes of the server a request came to."""
    return request.app.state.devices


def told(request: Request, visitor: Visitor, device: str, *, sent: bool) -> None:
    """Note what a submission's request tells of its phone, which is `told_device`.

    The browser form also says how much waits.
    """
    waiting = number(request.headers.get("x-watphon-waiting", ""))
    devices_of(request).note(visitor, device, now=utc_now(), sent=sent, waiting=waiting)


def told_device(request: Request) -> str:
    """The phone's id as a submission's request tells it; `""` where it does not.

    The browser form says it in a header, ODK Collect and KoboCollect in the address (`?deviceID=…`).
    """
    name = request.headers.get("x-watphon-device")
    if not name and request.scope["query_string"]:
        name = request.query_params.get("deviceID")
    return device_name(name)


def device_name(given: object) -> str:
    """A phone's id as it is kept: printable, at most 255 characters, `""` where it is none."""
    return given if isinstance(given, str) and len(given) <= 255 and given.isprintable() else ""


def number(given: object) -> int | None:
    """How much waits, or None where that was not told."""
    if isinstance(given, str):
        given = int(given) if given.isascii() and given.isdigit() and len(given) < 8 else None
    if isinstance(given, int) and not isinstance(given, bool) and 0 <= given <= MOST_WAITING:
        return given
    return None
