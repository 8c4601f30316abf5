"""Sessions of people who signed in on a page: a random cookie, kept as a hash, that ends.

A session ends 12 hours after it was last used, 7 days after it began, at sign-out, and whenever its
account gets a new password, is disabled or removed. Each form on a page carries a token made of the
session's secret, so that another site cannot fill in forms in somebody's name; before sign-in a
cookie of its own does the same for the sign-in form.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import datetime, timedelta

from sqlalchemy import Connection, delete, insert, select, update
from starlette.requests import Request
from starlette.responses import Response

from server.people.accounts import Account, account_of_row, digest
from server.state.schema import accounts, sessions
from server.times import moment

__all__ = [
    "COOKIE",
    "FORM_COOKIE",
    "WHO_COOKIE",
    "account_of_session",
    "begin",
    "cookie_of",
    "drop_cookie",
    "end",
    "form_token",
    "give_cookie",
    "same_token",
    "tell_who",
    "touch",
    "who",
]

IDLE = timedelta(hours=12)
LONGEST = timedelta(days=7)
TOUCHED_EVERY = timedelta(minutes=5)
"""A session's last use is written down at most so often."""

COOKIE = "watphon"
FORM_COOKIE = "watphon-form"
WHO_COOKIE = "watphon-who"
"""Tells the browser form whose forms a shared phone may show while there is no network; it opens
nothing, so scripts may read it and it outlives the session."""
WHO_LASTS = timedelta(days=400)


def begin(connection: Connection, account: Account, *, now: datetime) -> str:
    """A new session of an account; its secret, which only the cookie holds.

    Sessions that are over are cleared away.
    """
    connection.execute(delete(sessions).where(sessions.c.expires_at <= moment(now)))
    connection.execute(delete(sessions).where(sessions.c.seen_at <= moment(now - IDLE)))
    secret = secrets.token_urlsafe(32)
    connection.execute(
        insert(sessions),
        {
            "digest": digest(secret),
            "account_id": account.id,
            "created_at": moment(now),
            "seen_at": moment(now),
            "expires_at": moment(now + LONGEST),
        },
    )
    return secret


def account_of_session(
    connection: Connection, secret: str, *, now: datetime
) -> tuple[Account, bool] | None:
    """Whose living session it is, and whether its use is to be written down (`touch`)."""
    row = connection.execute(
        select(accounts, sessions.c.seen_at)
        .join(sessions, sessions.c.account_id == accounts.c.id)
        .where(
            sessions.c.digest == digest(secret),
            sessions.c.expires_at > moment(now),
            sessions.c.seen_at > moment(now - IDLE),
            accounts.c.disabled_at.is_(None),
        )
    ).one_or_none()
    if row is None:
        return None
    return account_of_row(row), row.seen_at <= moment(now - TOUCHED_EVERY)


def touch(connection: Connection, secret: str, *, now: datetime) -> None:
    """Write down that a session is in use."""
    connection.execute(
        update(sessions).where(sessions.c.digest == digest(secret)).values(seen_at=moment(now))
    )


def end(connection: Connection, secret: str) -> None:
    """End a session; its cookie is worthless from now on."""
    connection.execute(delete(sessions).where(sessions.c.digest == digest(secret)))


def form_token(secret: str) -> str:
    """The token that forms carry while the cookie holds `secret`; it does not give the secret away."""
    return hashlib.blake2b(secret.encode(), person=b"watphon form", digest_size=24).hexdigest()


def same_token(secret: str, given: str) -> bool:
    """Whether a form's token belongs to the cookie's secret."""
    return bool(secret) and hmac.compare_digest(form_token(secret).encode(), given.encode())


def cookie_name(request: Request, name: str) -> str:
    """Over https the prefix makes browsers take the cookie from this host alone (RFC 6265bis)."""
    return f"__Host-{name}" if request.url.scheme == "https" else name


def cookie_of(request: Request, name: str = COOKIE) -> str:
    """The secret the cookie holds; `""` without one."""
    return request.cookies.get(cookie_name(request, name), "")


def give_cookie(
    request: Request,
    response: Response,
    secret: str,
    name: str = COOKIE,
    *,
    kept: timedelta = LONGEST,
) -> None:
    """Hand a secret to the browser: no script reads it, no other site's form sends it."""
    response.set_cookie(
        cookie_name(request, name),
        secret,
        max_age=int(kept.total_seconds()),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def drop_cookie(request: Request, response: Response, name: str = COOKIE) -> None:
    """Take the cookie away."""
    response.delete_cookie(
        cookie_name(request, name),
        path="/",
        httponly=True,
        samesite="lax",
        secure=request.url.scheme == "https",
    )


def who(name: str) -> str:
    """The mark of an account in `WHO_COOKIE`: 16 hex digits that do not show its name."""
    return hashlib.blake2b(name.encode(), person=b"watphon who", digest_size=8).hexdigest()


def tell_who(request: Request, response: Response, name: str | None) -> None:
    """Tell the browser's pages who is signed in from now on; None: nobody."""
    response.set_cookie(
        cookie_name(request, WHO_COOKIE),
        who(name) if name else "-",
        max_age=int(WHO_LASTS.total_seconds()),
        path="/",
        samesite="lax",
        secure=request.url.scheme == "https",
    )
