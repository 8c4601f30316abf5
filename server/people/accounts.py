"""Who may come in: accounts with a role, tokens for programs, keys for phones.

Only hashes are kept: argon2id of passwords (RFC 9106), SHA-256 of tokens and keys, which are long
and random. A key opens the phones' door only (forms out, submissions in), never the data. All
functions take a connection inside a transaction (`Store.read`, `Store.write`), so the server and
the command line use the same ones.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from sqlalchemy import Connection, delete, func, insert, select, update

from forms.problems import Problem
from server.state.schema import accounts, phone_keys, tokens

__all__ = [
    "ROLES",
    "Account",
    "PhoneKey",
    "account_named",
    "account_of_token",
    "add_user",
    "first_admin",
    "list_keys",
    "list_users",
    "mint_key",
    "mint_token",
    "password_matches",
    "phone_of_key",
    "remove_user",
    "revoke_key",
    "revoke_tokens",
    "set_password",
]

ROLES = ("admin",)
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
MIN_PASSWORD = 10

# OWASP's smallest argon2id: 19 MiB once is affordable on a Raspberry Pi, 64 MiB times callers is
# not
hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
NOBODY = hasher.hash(secrets.token_hex(16))
"""Verified against when the name is unknown, so that an answer's time names no accounts."""


@dataclass(frozen=True, slots=True)
class Account:
    """A person or program that signs in; `password` is the hash or `""`."""

    id: int
    name: str
    role: str
    password: str = ""


@dataclass(frozen=True, slots=True)
class PhoneKey:
    """A key as it can be shown: never the key itself."""

    id: int
    label: str
    created_at: str
    revoked_at: str


def digest(secret: str) -> str:
    """What is kept of a token or key."""
    return hashlib.sha256(secret.encode()).hexdigest()


def add_user(
    connection: Connection,
    name: str,
    *,
    now: datetime,
    password: str = "",
    role: str = "admin",
) -> Account:
    """Add an account; without a password it signs in by token only.

    Raises `Problem` when the name is taken or unusable, the role unknown or the password too short.
    """
    if not NAME.fullmatch(name):
        raise Problem.at(
            f"user {name!r}", "is no usable name", "use letters, digits and _ . @ - (at most 64)"
        )
    if role not in ROLES:
        raise Problem.at(f"user {name}", f"unknown role {role!r}", f"one of: {', '.join(ROLES)}")
    if account_named(connection, name):
        raise Problem.at(f"user {name}", "exists already", "choose another name")
    hashed = hashed_password(name, password) if password else None
    row = {"name": name, "role": role, "password": hashed, "created_at": text(now)}
    made = connection.execute(insert(accounts), row).inserted_primary_key
    assert made is not None
    return Account(made[0], name, role, hashed or "")


def set_password(connection: Connection, name: str, password: str) -> None:
    """Give an account a new password; raises `Problem` when there is no such account."""
    found = connection.execute(
        update(accounts)
        .where(accounts.c.name == name)
        .values(password=hashed_password(name, password))
    )
    if not found.rowcount:
        raise no_user(name)


def remove_user(connection: Connection, name: str) -> None:
    """Remove an account and its tokens; the last one cannot go."""
    if not account_named(connection, name):
        raise no_user(name)
    if connection.execute(select(func.count()).select_from(accounts)).scalar_one() == 1:
        raise Problem.at(f"user {name}", "is the last account", "add another one first")
    connection.execute(delete(accounts).where(accounts.c.name == name))


def list_users(connection: Connection) -> tuple[Account, ...]:
    """All accounts by name."""
    rows = connection.execute(select(accounts).order_by(accounts.c.name))
    return tuple(Account(row.id, row.name, row.role, row.password or "") for row in rows)


def account_named(connection: Connection, name: str) -> Account | None:
    """The account of a name."""
    row = connection.execute(select(accounts).where(accounts.c.name == name)).one_or_none()
    return Account(row.id, row.name, row.role, row.password or "") if row else None


def mint_token(connection: Connection, name: str, *, now: datetime) -> str:
    """A new token (40 hex digits) for an account; it is told once and cannot be told again."""
    account = account_named(connection, name)
    if account is None:
        raise no_user(name)
    token = secrets.token_hex(20)
    connection.execute(
        insert(tokens),
        {"digest": digest(token), "account_id": account.id, "created_at": text(now)},
    )
    return token


def revoke_tokens(connection: Connection, name: str) -> int:
    """Make all tokens of an account worthless; how many there were."""
    account = account_named(connection, name)
    if account is None:
        raise no_user(name)
    return connection.execute(delete(tokens).where(tokens.c.account_id == account.id)).rowcount


def account_of_token(connection: Connection, token: str) -> Account | None:
    """Whose token it is."""
    row = connection.execute(
        select(accounts)
        .join(tokens, tokens.c.account_id == accounts.c.id)
        .where(tokens.c.digest == digest(token))
    ).one_or_none()
    return Account(row.id, row.name, row.role, row.password or "") if row else None


def mint_key(connection: Connection, label: str, *, now: datetime) -> tuple[int, str]:
    """A new phone key and its number; `label` says whose phone. The key is told once."""
    label = label.strip()
    if not label or len(label) > 80 or not label.isprintable():
        raise Problem.at("key", "needs a label of 1 to 80 characters", "say whose phone it is")
    key = secrets.token_urlsafe(32)
    row = {"digest": digest(key), "label": label, "created_at": text(now), "revoked_at": None}
    made = connection.execute(insert(phone_keys), row).inserted_primary_key
    assert made is not None
    return made[0], key


def list_keys(connection: Connection) -> tuple[PhoneKey, ...]:
    """All phone keys, the revoked ones too."""
    rows = connection.execute(select(phone_keys).order_by(phone_keys.c.id))
    return tuple(PhoneKey(r.id, r.label, r.created_at, r.revoked_at or "") for r in rows)


def revoke_key(connection: Connection, number: int, *, now: datetime) -> None:
    """Make a phone key worthless; raises `Problem` when there is no such living key."""
    found = connection.execute(
        update(phone_keys)
        .where(phone_keys.c.id == number, phone_keys.c.revoked_at.is_(None))
        .values(revoked_at=text(now))
    )
    if not found.rowcount:
        raise Problem.at(f"key {number}", "is not there or revoked already", "list the keys")


def phone_of_key(connection: Connection, key: str) -> str | None:
    """The label of a living key."""
    return connection.execute(
        select(phone_keys.c.label).where(
            phone_keys.c.digest == digest(key), phone_keys.c.revoked_at.is_(None)
        )
    ).scalar_one_or_none()


def first_admin(connection: Connection, *, now: datetime) -> str | None:
    """At the very first start, make the account `admin` and its token; later None."""
    if connection.execute(select(accounts.c.id).limit(1)).first():
        return None
    add_user(connection, "admin", now=now)
    return mint_token(connection, "admin", now=now)


def password_matches(account: Account | None, password: str) -> bool:
    """Whether the password is the account's; takes the same time for an unknown account."""
    known = account.password if account else ""
    try:
        return hasher.verify(known or NOBODY, password) and bool(known)
    except (VerificationError, InvalidHashError):
        return False


def hashed_password(name: str, password: str) -> str:
    if not MIN_PASSWORD <= len(password) <= 1000:
        raise Problem.at(
            f"user {name}",
            f"the password has {len(password)} characters",
            f"use at least {MIN_PASSWORD}",
        )
    return hasher.hash(password)


def no_user(name: str) -> Problem:
    return Problem.at(f"user {name}", "is not there", "list the users")


def text(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
