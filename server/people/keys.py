"""Keys of phones, posters and links: what a URL carries instead of a name and a password.

A key opens the phones' door only (forms out, submissions in), never the data; it may be bound to
forms and provinces and end on a day. Only its SHA-256 is kept. All functions take a connection
inside a transaction (`Store.read`, `Store.write`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from forms.problems import Problem
from forms.words import mark
from server.people.accounts import codes, digest
from server.people.rights import KEY_KINDS, Visitor
from server.state.schema import accounts, phone_keys
from server.times import moment

__all__ = [
    "PhoneKey",
    "expire_key",
    "key_of_secret",
    "list_keys",
    "mint_key",
    "revoke_key",
]

FORM_ID = re.compile(r"[^\s,]{1,255}")


@dataclass(frozen=True, slots=True)
class PhoneKey:
    """A key as it can be shown: never the key itself. Moments are UTC text, `""` for never."""

    id: int
    label: str
    created_at: str
    revoked_at: str
    kind: str = "phone"
    forms: tuple[str, ...] = ()
    provinces: tuple[str, ...] = ()
    expires_at: str = ""

    def expired(self, now: datetime) -> bool:
        """Whether its time is over."""
        return bool(self.expires_at) and self.expires_at <= moment(now)

    @property
    def visitor(self) -> Visitor:
        """What the key opens, as long as it lives."""
        return Visitor(self.label, self.kind, frozenset(self.provinces), frozenset(self.forms))


def mint_key(
    connection: Connection,
    label: str,
    *,
    now: datetime,
    kind: str = "phone",
    forms: Iterable[str] = (),
    provinces: Iterable[str] = (),
    expires_at: datetime | None = None,
) -> tuple[int, str]:
    """A new key and its number; `label` says whose phone or which wall. The key is told once.

    `forms` (form ids) and `provinces` bound what it opens, empty: all; kinds are in
    `server.people.rights`. Raises `Problem` for what cannot be.
    """
    label = label.strip()
    if not label or len(label) > 80 or not label.isprintable():
        raise Problem.at(
            "key", mark("needs a label of 1 to 80 characters"), mark("say whose phone it is")
        )
    where = f"key for {label}"
    # what a phone sends is told by the key's label, what an account sends by its name
    if label.casefold() in map(str.casefold, connection.execute(select(accounts.c.name)).scalars()):
        raise Problem.at(
            where, mark("is the name of an account"), mark("choose another name for the key")
        )
    if kind not in KEY_KINDS:
        raise Problem.at(where, f"unknown kind {kind!r}", f"one of: {', '.join(KEY_KINDS)}")
    bound = sorted(set(forms))
    if wrong := [form for form in bound if not FORM_ID.fullmatch(form)]:
        raise Problem.at(
            f"{where}, {wrong[0]!r}", mark("is no form id"), mark("use the form_id of its settings")
        )
    if expires_at is not None and expires_at <= now:
        raise Problem.at(where, mark("would be over before it begins"), mark("choose a later day"))
    # a link is read from posters and typed from paper: 128 random bits are enough, and half as long
    key = secrets.token_urlsafe(16 if kind == "link" else 32)
    row = {
        "digest": digest(key),
        "label": label,
        "created_at": moment(now),
        "revoked_at": None,
        "kind": kind,
        "forms": " ".join(bound),
        "provinces": codes(where, provinces),
        "expires_at": moment(expires_at) if expires_at else None,
    }
    made = connection.execute(insert(phone_keys), row).inserted_primary_key
    assert made is not None
    return made[0], key


def list_keys(connection: Connection) -> tuple[PhoneKey, ...]:
    """All keys by number, the revoked and expired ones too."""
    rows = connection.execute(select(phone_keys).order_by(phone_keys.c.id))
    return tuple(key_of_row(row) for row in rows)


def revoke_key(connection: Connection, number: int, *, now: datetime) -> None:
    """Make a key worthless; raises `Problem` when there is no such living key."""
    change_key(connection, number, revoked_at=moment(now))


def expire_key(connection: Connection, number: int, *, at: datetime | None) -> None:
    """Say when a key's time is over (None: never); raises `Problem` where it is revoked already."""
    change_key(connection, number, expires_at=moment(at) if at else None)


def change_key(connection: Connection, number: int, **values: str | None) -> None:
    found = connection.execute(
        update(phone_keys)
        .where(phone_keys.c.id == number, phone_keys.c.revoked_at.is_(None))
        .values(**values)
    )
    if not found.rowcount:
        raise Problem.at(
            f"key {number}",
            mark("is not there or revoked already"),
            mark("look at the list of keys"),
        )


def key_of_secret(connection: Connection, key: str) -> PhoneKey | None:
    """The key that was told once, dead or alive; None: there never was one like this."""
    row = connection.execute(
        select(phone_keys).where(phone_keys.c.digest == digest(key))
    ).one_or_none()
    return key_of_row(row) if row else None


def key_of_row(row: Any) -> PhoneKey:
    return PhoneKey(
        row.id,
        row.label,
        row.created_at,
        row.revoked_at or "",
        row.kind,
        tuple(row.forms.split()),
        tuple(row.provinces.split()),
        row.expires_at or "",
    )
