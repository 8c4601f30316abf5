"""Who may come in: accounts with a role, and tokens for programs.

Only hashes are kept: argon2id of passwords, SHA-256 of tokens, which are long and random. All
functions take a connection inside a transaction (`Store.read`, `Store.write`), so the server and the
command line use the same ones. The last admin who may sign in cannot be removed, disabled or
demoted.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from forms.problems import Problem
from forms.words import mark
from server.people import familiar, lockout, passwords
from server.people.rights import NEEDS_PROVINCES, ROLES, Visitor
from server.state.schema import accounts, sessions, tokens
from server.times import moment

__all__ = [
    "Account",
    "account_named",
    "account_of_row",
    "account_of_token",
    "add_user",
    "change_role",
    "codes",
    "count_tokens",
    "digest",
    "disable_user",
    "enable_user",
    "end_sessions",
    "first_admin",
    "known_account",
    "list_users",
    "mint_token",
    "remove_user",
    "revoke_tokens",
    "set_hash",
    "set_password",
    "tokens_of",
]

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
PROVINCE = re.compile(r"[1-9][0-9]")


@dataclass(frozen=True, slots=True)
class Account:
    """A person or program that signs in; `password` is the hash or `""`."""

    id: int
    name: str
    role: str
    password: str = ""
    provinces: tuple[str, ...] = ()
    disabled_at: str = ""
    created_at: str = ""

    @property
    def visitor(self) -> Visitor:
        """What the account may do."""
        return Visitor(self.name, self.role, frozenset(self.provinces))


def digest(secret: str) -> str:
    """What is kept of a token, key or session."""
    return hashlib.sha256(secret.encode()).hexdigest()


def account_of_row(row: Any) -> Account:
    """An account from a row with all columns of the table."""
    return Account(
        row.id,
        row.name,
        row.role,
        row.password or "",
        tuple(row.provinces.split()),
        row.disabled_at or "",
        row.created_at,
    )


def add_user(
    connection: Connection,
    name: str,
    *,
    now: datetime,
    password: str = "",
    role: str = "admin",
    provinces: Iterable[str] = (),
) -> Account:
    """Add an account; without a password it signs in by token only.

    Raises `Problem` when the name is taken or unusable, the role unknown, its provinces wrong or the
    password too weak.
    """
    if not NAME.fullmatch(name):
        raise Problem.at(
            f"user {name!r}",
            mark("is no usable name"),
            mark("use Latin letters, digits and _ . @ - (at most 64)"),
        )
    known = connection.execute(
        select(accounts.c.name).where(func.lower(accounts.c.name) == name.lower())
    ).first()
    if known:
        raise Problem.at(f"user {name}", mark("exists already"), mark("choose another name"))
    bounds = bounds_of(name, role, provinces)
    row = {
        "name": name,
        "role": role,
        "provinces": bounds,
        "password": passwords.hashed(name, password) if password else None,
        "created_at": moment(now),
    }
    connection.execute(insert(accounts), row)
    return known_account(connection, name)


def change_role(
    connection: Connection, name: str, role: str, provinces: Iterable[str] = ()
) -> Account:
    """Give an account another role and other provinces; it counts from its next request on."""
    account = known_account(connection, name)
    bounds = bounds_of(name, role, provinces)
    if role != "admin":
        keep_an_admin(connection, account)
    connection.execute(
        update(accounts).where(accounts.c.id == account.id).values(role=role, provinces=bounds)
    )
    return known_account(connection, name)


def set_password(
    connection: Connection, name: str, password: str, *, end_tokens: bool = False
) -> int:
    """Give an account a new password: all of its sessions end, waits after failures too, and no
    browser or address counts as its own any more. How many of its tokens work still: with
    `end_tokens` none."""
    account = known_account(connection, name)
    set_hash(connection, account.id, passwords.hashed(name, password))
    end_sessions(connection, account.id)
    familiar.forget_all(connection, account.id)
    lockout.forget(connection, lockout.of_account(name))
    if end_tokens:
        revoke_tokens(connection, name)
    return tokens_of(connection, name)


def set_hash(connection: Connection, account_id: int, kept: str) -> None:
    """Keep another hash of the same password."""
    connection.execute(update(accounts).where(accounts.c.id == account_id).values(password=kept))


def disable_user(connection: Connection, name: str, *, now: datetime) -> None:
    """Let an account in no more: password, tokens and sessions count for nothing until `enable`."""
    account = known_account(connection, name)
    keep_an_admin(connection, account)
    connection.execute(
        update(accounts)
        .where(accounts.c.id == account.id, accounts.c.disabled_at.is_(None))
        .values(disabled_at=moment(now))
    )
    end_sessions(connection, account.id)
    familiar.forget_all(connection, account.id)


def enable_user(connection: Connection, name: str) -> None:
    """Let a disabled account in again."""
    account = known_account(connection, name)
    connection.execute(update(accounts).where(accounts.c.id == account.id).values(disabled_at=None))
    lockout.forget(connection, lockout.of_account(name))


def remove_user(connection: Connection, name: str) -> None:
    """Remove an account, its tokens and sessions."""
    account = known_account(connection, name)
    keep_an_admin(connection, account)
    familiar.forget_all(connection, account.id)
    connection.execute(delete(accounts).where(accounts.c.id == account.id))


def end_sessions(connection: Connection, account_id: int) -> int:
    """Sign an account out everywhere; how many sessions there were."""
    return connection.execute(delete(sessions).where(sessions.c.account_id == account_id)).rowcount


def list_users(connection: Connection) -> tuple[Account, ...]:
    """All accounts by name."""
    rows = connection.execute(select(accounts).order_by(accounts.c.name))
    return tuple(account_of_row(row) for row in rows)


def account_named(connection: Connection, name: str) -> Account | None:
    """The account of a name."""
    row = connection.execute(select(accounts).where(accounts.c.name == name)).one_or_none()
    return account_of_row(row) if row else None


def known_account(connection: Connection, name: str) -> Account:
    """The account of a name; raises `Problem` when there is none."""
    account = account_named(connection, name)
    if account is None:
        raise Problem.at(f"user {name}", mark("is not there"), mark("look at the list of users"))
    return account


def keep_an_admin(connection: Connection, account: Account) -> None:
    """Raise `Problem` when nobody could manage the server without this account."""
    others = select(accounts.c.id).where(
        accounts.c.role == "admin", accounts.c.disabled_at.is_(None), accounts.c.id != account.id
    )
    needed = account.role == "admin" and not account.disabled_at
    if needed and connection.execute(others.limit(1)).first() is None:
        raise Problem.at(
            f"user {account.name}",
            mark("is the last admin who may sign in"),
            mark("make another account an admin first"),
        )


def bounds_of(name: str, role: str, provinces: Iterable[str]) -> str:
    """The provinces of a role as they are kept; raises `Problem` where they do not fit the role."""
    where = f"user {name}"
    if role not in ROLES:
        raise Problem.at(where, f"unknown role {role!r}", f"one of: {', '.join(ROLES)}")
    bounds = codes(where, provinces)
    if role in NEEDS_PROVINCES and not bounds:
        raise Problem.at(
            f"{where}, {role}",
            mark("this role needs its provinces"),
            mark("name them by their two digits, as in 50"),
        )
    if role == "admin" and bounds:
        raise Problem.at(where, mark("an admin is not bound to provinces"), mark("leave them out"))
    return bounds


def codes(where: str, provinces: Iterable[str]) -> str:
    """Province codes as they are kept; raises `Problem` for what is none."""
    found = sorted(set(provinces))
    if wrong := [code for code in found if not PROVINCE.fullmatch(code)]:
        raise Problem.at(
            f"{where}, {wrong[0]!r}",
            mark("is no province"),
            mark("name them by their two digits, as in 50"),
        )
    return " ".join(found)


def mint_token(connection: Connection, name: str, *, now: datetime) -> str:
    """A new token (40 hex digits) for an account; it is told once and cannot be told again."""
    account = known_account(connection, name)
    token = secrets.token_hex(20)
    connection.execute(
        insert(tokens),
        {"digest": digest(token), "account_id": account.id, "created_at": moment(now)},
    )
    return token


def revoke_tokens(connection: Connection, name: str) -> int:
    """Make all tokens of an account worthless; how many there were."""
    account = known_account(connection, name)
    return connection.execute(delete(tokens).where(tokens.c.account_id == account.id)).rowcount


def count_tokens(connection: Connection) -> dict[int, int]:
    """How many tokens each account has, by the account's number."""
    query = select(tokens.c.account_id, func.count()).group_by(tokens.c.account_id)
    return {row[0]: row[1] for row in connection.execute(query)}


def tokens_of(connection: Connection, name: str) -> int:
    """How many tokens an account has; 0 where there is no such account."""
    account = account_named(connection, name)
    return count_tokens(connection).get(account.id, 0) if account else 0


def account_of_token(connection: Connection, token: str) -> Account | None:
    """Whose token it is; None also where the account is disabled."""
    row = connection.execute(
        select(accounts)
        .join(tokens, tokens.c.account_id == accounts.c.id)
        .where(tokens.c.digest == digest(token), accounts.c.disabled_at.is_(None))
    ).one_or_none()
    return account_of_row(row) if row else None


def first_admin(connection: Connection, *, now: datetime) -> str | None:
    """At the very first start, make the account `admin` and its token; later None."""
    if connection.execute(select(accounts.c.id).limit(1)).first():
        return None
    add_user(connection, "admin", now=now)
    return mint_token(connection, "admin", now=now)
