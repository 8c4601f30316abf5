"""Failed sign-ins are counted per name and per address, and each further one costs a longer wait.

Both counts stand in the database, so that several processes share them. The wait doubles from 15
seconds to 15 minutes and no further: nobody can lock a person out for good. A name that no account
has is counted like one that has, so that a wait names no accounts. Of what was typed a hash is kept, so
short that nobody finds a password by it that was typed into the wrong field. Sessions, tokens and
keys never wait.
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

__all__ = ["LONGEST_WAIT", "failed", "forget", "of_account", "of_address", "seconds_to_wait"]

FREE = {"account": 5, "address": 50}
"""Failures in a row before the first wait: a hall full of phones may share one address."""
FIRST_WAIT = 15
LONGEST_WAIT = 900
QUIET = timedelta(hours=12)
"""After so long without a failure the count begins anew."""


def of_account(name: str) -> str:
    """What the failures of a name, as typed, are counted under."""
    return "account " + hashlib.sha256(name.casefold().encode()).hexdigest()[:5]


def of_address(address: str) -> str:
    """What the failures of a caller's address are counted under; of IPv6, its network."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return "address unknown"
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
    """Begin the count of a name anew: it signed in, or an admin helped."""
    connection.execute(delete(failures).where(failures.c.name == name))
