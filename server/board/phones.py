"""Phones that still hold records, and when each phone was last heard."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from server.state.schema import accounts, devices, phone_keys

__all__ = ["Phone", "phones_of", "phones_waiting"]

MOST = 50
"""Phones that are shown."""


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone by the label of its key (or the account); `mark` tells several of one label apart.

    `waiting` is None where the phone does not say how much waits (ODK Collect, KoboCollect).
    """

    sender: str
    mark: str
    seen_at: str
    sent_at: str | None
    waiting: int | None


def phones_waiting(connection: Connection, provinces: frozenset[str]) -> tuple[Phone, ...]:
    """Phones that last said they hold records, most recently heard first: those of keys and accounts
    of these provinces (none: all phones)."""
    rows = connection.execute(
        select(devices).where(devices.c.waiting > 0).order_by(devices.c.seen_at.desc())
    ).all()
    if provinces and rows:
        own = senders_of(connection, {row.sender for row in rows}, provinces)
        rows = [row for row in rows if row.sender in own]
    return told(rows[:MOST])


def phones_of(connection: Connection, names: Collection[str]) -> tuple[Phone, ...]:
    """Phones by their ids, those with records waiting first, then the most recently heard."""
    if not names:
        return ()
    rows = connection.execute(
        select(devices)
        .where(devices.c.device.in_(sorted(names)[:1000]))
        .order_by(devices.c.seen_at.desc())
    ).all()
    return told(sorted(rows, key=lambda row: not row.waiting)[:MOST])


def told(rows: Iterable[Any]) -> tuple[Phone, ...]:
    """Rows of the table as the board shows them."""
    return tuple(
        Phone(row.sender, row.device[-4:], row.seen_at, row.sent_at, row.waiting) for row in rows
    )


def senders_of(
    connection: Connection, senders: Collection[str], provinces: frozenset[str]
) -> set[str]:
    """The labels and accounts among `senders` that are bound to some of these provinces."""
    own: set[str] = set()
    for name, bound in (
        (phone_keys.c.label, phone_keys.c.provinces),
        (accounts.c.name, accounts.c.provinces),
    ):
        rows = connection.execute(select(name, bound).where(name.in_(sorted(senders))))
        own |= {sender for sender, codes in rows if provinces & set(codes.split())}
    return own
