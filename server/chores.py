"""What a server does by itself, once in a while, beside everything else."""

from __future__ import annotations

import asyncio
import logging

from server.house import House
from server.state.unused import is_due, sweep
from server.times import utc_now

__all__ = ["clear_away"]

EVERY = 60.0

log = logging.getLogger("watphon.server")


async def clear_away(house: House) -> None:
    """Remove contents whose time has come; for ever. Cancel it to stop."""

    def anything() -> bool:
        with house.store.read() as connection:
            return is_due(connection, utc_now())

    while True:
        await asyncio.sleep(EVERY)
        try:
            while await asyncio.to_thread(anything):
                if not await house.inbox.run(
                    lambda connection: sweep(connection, house.blobs, utc_now())
                ):
                    break
        except asyncio.CancelledError:
            raise
        except Exception as error:
            log.error("unused contents could not be removed: %s", type(error).__name__)
