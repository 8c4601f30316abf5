"""Giving keys to phones and walls: who may give which, and which ones somebody sees.

An admin gives and sees all. A province team gives keys that are bound to provinces of its own and
sees those; a key without bound, or one that reaches further, is not its business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, func, select

from forms.problems import Problem
from forms.words import mark
from server.people.audit import Action, log
from server.people.keys import PhoneKey, list_keys, mint_key, revoke_key
from server.people.rights import Visitor
from server.state.schema import audit, devices

__all__ = ["MOST_AT_ONCE", "Given", "Made", "give", "labels_of", "seen_keys", "take_back"]

MOST_AT_ONCE = 50
LONGEST = 3660
"""Days."""


@dataclass(frozen=True, slots=True)
class Made:
    """A key that was just made; `secret` is told once."""

    number: int
    label: str
    secret: str


@dataclass(frozen=True, slots=True)
class Given:
    """A key in the list, and what is known of the phones that use it.

    `seen_at` is UTC text, `""` for never; `waiting` counts records that its phones last said wait
    on them; `outside` counts accepted records from outside its provinces.
    """

    key: PhoneKey
    seen_at: str
    waiting: int
    outside: int


def labels_of(label: str, count: int) -> list[str]:
    """`Lamphun 1` to `Lamphun 10` of `Lamphun`; the label itself where one is wanted."""
    return [label] if count == 1 else [f"{label} {n}" for n in range(1, count + 1)]


def inside(visitor: Visitor, provinces: Iterable[str]) -> bool:
    """Whether provinces lie within a visitor's own; no bound lies within none."""
    wanted = frozenset(provinces)
    return not visitor.provinces or bool(wanted and wanted <= visitor.provinces)


def give(
    connection: Connection,
    visitor: Visitor,
    labels: Sequence[str],
    *,
    now: datetime,
    kind: str = "phone",
    forms: Sequence[str] = (),
    provinces: Sequence[str] = (),
    days: int | None = None,
) -> list[Made]:
    """Make keys, all or none; a province team that names no province gets its own.

    Raises `Problem` where the visitor may not give such keys, or a label is taken: by a living
    key, or by one of other provinces, whose records it would open.
    """
    bounds = tuple(sorted(set(provinces) or visitor.provinces))
    if not inside(visitor, bounds):
        raise Problem.at(
            " ".join(bounds),
            mark("lies outside your provinces"),
            mark("choose provinces of your own, or ask an admin"),
        )
    if not 1 <= len(labels) <= MOST_AT_ONCE:
        raise Problem.at(
            str(len(labels)), mark("is too many keys at once"), mark("make at most 50 at a time")
        )
    if days is not None and not 1 <= days <= LONGEST:
        raise Problem.at(
            str(days), mark("is no number of days"), mark("write 1 to 3660, or leave it empty")
        )
    taken = {
        key.label
        for key in list_keys(connection)
        if alive(key, now) or set(key.provinces) != set(bounds)
    }
    made: list[Made] = []
    for label in labels:
        if label.strip() in taken:
            raise Problem.at(
                label,
                mark("is the name of a key in use, or of one of other provinces"),
                mark("choose another name, or take that key back first"),
            )
        number, secret = mint_key(
            connection,
            label,
            now=now,
            kind=kind,
            forms=forms,
            provinces=bounds,
            expires_at=now + timedelta(days=days) if days else None,
        )
        what = " ".join((f"key {number}", kind, *forms, *bounds))
        log(connection, who=visitor.name, action=Action.KEY_MADE, what=what, now=now)
        made.append(Made(number, label.strip(), secret))
    return made


def alive(key: PhoneKey, now: datetime) -> bool:
    return not key.revoked_at and not key.expired(now)


def take_back(connection: Connection, visitor: Visitor, number: int, *, now: datetime) -> None:
    """Make a key worthless; raises `Problem` where it is not there or not the visitor's business."""
    known = next((key for key in list_keys(connection) if key.id == number), None)
    if known is None or not inside(visitor, known.provinces):
        raise Problem.at(f"key {number}", mark("is not in your list"), mark("open the list again"))
    revoke_key(connection, number, now=now)
    log(connection, who=visitor.name, action=Action.KEY_REVOKED, what=f"key {number}", now=now)


def seen_keys(connection: Connection, visitor: Visitor, kind: str) -> list[Given]:
    """The keys of a kind that a visitor sees, those in use first and the newest first."""
    heard = {
        row.sender: row
        for row in connection.execute(
            select(
                devices.c.sender,
                func.max(devices.c.seen_at).label("seen_at"),
                func.sum(devices.c.waiting).label("waiting"),
            ).group_by(devices.c.sender)
        )
    }
    outside = {
        row[0]: row[1]
        for row in connection.execute(
            select(audit.c.who, func.count())
            .where(audit.c.action == Action.SENT_OUTSIDE.value)
            .group_by(audit.c.who)
        )
    }
    found = []
    for key in reversed(list_keys(connection)):
        if key.kind == kind and inside(visitor, key.provinces):
            row = heard.get(key.label)
            found.append(
                Given(
                    key,
                    row.seen_at if row else "",
                    int(row.waiting or 0) if row else 0,
                    outside.get(key.label, 0),
                )
            )
    return sorted(found, key=lambda given: bool(given.key.revoked_at))
