"""Failed sign-ins are counted, and each further one costs a longer wait: up to 15 minutes.

Counted are strangers under the name they try and under their address. Apart from them stands where
the account signed in before (`server.people.familiar`): a browser by its cookie under itself alone, a
phone by its address under that address. So nobody who goes on guessing a name keeps its owner out of
a browser that was in, nor, from another address, out of a phone where that was in within 30 days.
Elsewhere he does: a new browser, or a phone at a new address, has to wait as long as the guessing goes
on. A new password from an admin ends a wait, until the next guesses; sessions, tokens and keys never
wait, so a phone with a key of its own cannot be held up at all.

The counts stand in the database, so that several processes share them. A name that no account has is
counted like one that has, so that a wait names no accounts. Of what was typed a hash is kept, so short
that nobody finds a password by it that was typed into the wrong field.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from server.state.schema import failures
from server.times import moment

__all__ = [
    "LONGEST_WAIT",
    "NOWHERE",
    "failed",
    "forget",
    "of_account",
    "of_address",
    "seconds_to_wait",
]

FREE = {"account": 5, "device": 5, "place": 5, "address": 50}
"""Failures in a row before the first wait: a hall full of phones may share one address."""
FIRST_WAIT = 15
LONGEST_WAIT = 900
QUIET = timedelta(hours=12)
"""After so long without a failure the count begins anew."""
NOWHERE = "address unknown"
"""What is counted of callers whose address is not told."""


def of_account(name: str) -> str:
    """What the failures of a name, as typed, are counted under."""
    return "account " + hashlib.sha256(name.casefold().encode()).hexdigest()[:5]


def of_address(address: str) -> str:
    """What the failures of a caller's address are counted under; of IPv6, its network."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return NOWHERE
    if isinstance(known, ipaddress.IPv6Address):
        known = known.ipv4_mapped or ipaddress.ip_network((known, 64), strict=False)
    return f"address {known}"


def seconds_to_wait(connection: Connection, names: Sequence[str], *, now: datetime) -> int:
    """Seconds until the next try is looked at; 0: now."""
    until = connection.execute(
        select(failures.c.locked_until)
        .where(failures.c.name.in_(names), failures.c.locked_until > moment(now))
        .order_by(failures.c.locked_until.desc())
        .limit(1)
    ).scalar()
    if until is None:
        return 0
    left = datetime.fromisoformat(until) - now
    return max(1, min(LONGEST_WAIT, int(left.total_seconds()) + 1))


def failed(connection: Connection, names: Sequence[str], *, now: datetime) -> None:
    """Count a failure under each name; old ones are cleared away."""
    connection.execute(delete(failures).where(failures.c.locked_until <= moment(now - QUIET)))
    for name in names:
        count = counted(connection, name, now)
        over = count - FREE[name.partition(" ")[0]]
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(over, 10)) if over >= 0 else 0
        connection.execute(
            update(failures)
            .where(failures.c.name == name)
            .values(locked_until=moment(now + timedelta(seconds=wait)))
        )


def counted(connection: Connection, name: str, now: datetime) -> int:
    """One failure more under a name; how many there are. Two processes may count at once."""
    mine = failures.c.name == name
    more = update(failures).where(mine).values(count=failures.c.count + 1)
    if not connection.execute(more).rowcount:
        try:
            with connection.begin_nested():
                first = {"name": name, "count": 1, "locked_until": moment(now)}
                connection.execute(insert(failures), first)
        except IntegrityError:
            connection.execute(more)
    return connection.execute(select(failures.c.count).where(mine)).scalar_one()


def forget(connection: Connection, name: str) -> None:
    """Begin a count anew: of a name, device or address that signed in, or where an admin helped."""
    connection.execute(delete(failures).where(failures.c.name == name))
