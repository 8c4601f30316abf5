"""People with accounts and sessions, and keys, on a running server: for tests of who may do what."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import requests
from office import RunningServer
from postgres import placed
from requests.cookies import RequestsCookieJar
from sqlalchemy import Connection

from server.people import accounts, keys, passwords
from server.state.store import Store, open_store

__all__ = [
    "PASSWORD",
    "add_account",
    "basic",
    "csrf",
    "in_store",
    "key",
    "post",
    "session_of",
    "sign_in",
    "small_store",
    "status",
]

PASSWORD = "ข้าวเหนียว มะม่วง 7"
HASHED = passwords.rehashed(PASSWORD)
T = TypeVar("T")


def in_store(server: RunningServer, change: Callable[[Connection], T]) -> T:
    """One change made by another process's way in, as the command line does."""
    store = open_store(server.data)
    try:
        with store.write() as connection:
            return change(connection)
    finally:
        store.close()


def add_account(
    server: RunningServer, name: str, role: str = "facilitator", provinces: Iterable[str] = ("50",)
) -> None:
    """An account with `PASSWORD`."""

    def add(connection: Connection) -> None:
        known = accounts.account_named(connection, name)
        made = known or accounts.add_user(
            connection,
            name,
            now=datetime.now(UTC),
            role=role,
            provinces=() if role in ("admin", "evaluator", "manager") else provinces,
        )
        accounts.set_hash(connection, made.id, HASHED)

    in_store(server, add)


def key(server: RunningServer, label: str = "โทรศัพท์ 1", **more: Any) -> tuple[int, str]:
    """Number and secret of a new key; `more` as in `keys.mint_key`."""
    return in_store(
        server, lambda connection: keys.mint_key(connection, label, **{"now": NOW, **more})
    )


NOW = datetime.now(UTC)


def csrf(html: str) -> str:
    """The token in a page's form."""
    found = re.search(r'name="csrf" value="([^"]+)"', html)
    assert found, html
    return found[1]


def sign_in(
    server: RunningServer, name: str, password: str = PASSWORD, *, follow: str = "/"
) -> requests.Session:
    """A browser that has signed in."""
    browser = requests.Session()
    page = browser.get(f"{server.url}/signin", timeout=10)
    fields = {"csrf": csrf(page.text), "name": name, "password": password, "next": follow}
    answer = browser.post(f"{server.url}/signin", data=fields, timeout=10, allow_redirects=False)
    assert answer.status_code == 303, answer.text
    return browser


def post(
    server: RunningServer, browser: requests.Session, path: str, **fields: Any
) -> requests.Response:
    """Open a page and send its form, as a browser does; redirects are not followed."""
    page = browser.get(f"{server.url}{path}", timeout=10)
    assert page.status_code == 200, page.text
    return browser.post(
        f"{server.url}{path}",
        data={"csrf": csrf(page.text), **fields},
        timeout=10,
        allow_redirects=False,
    )


@contextmanager
def small_store(folder: Path, now: datetime) -> Iterator[Store]:
    """A fresh database with the admin `admin` and the facilitator `mali`, without a server."""
    opened = open_store(placed(folder))
    try:
        with opened.write() as connection:
            accounts.first_admin(connection, now=now)
            mali = accounts.add_user(
                connection, "mali", now=now, role="facilitator", provinces=["50"]
            )
            accounts.set_hash(connection, mali.id, HASHED)
        yield opened
    finally:
        opened.close()


def status(server: RunningServer, browser: requests.Session, path: str = "/me") -> int:
    """What a page answers; redirects are not followed."""
    return browser.get(f"{server.url}{path}", timeout=10, allow_redirects=False).status_code


def session_of(cookies: RequestsCookieJar) -> str:
    """The secret of a browser's session."""
    return cookies.get("watphon") or ""


def basic(name: str, password: str = PASSWORD) -> dict[str, str]:
    """The header of a Basic sign-in; requests would send Thai letters in no known encoding."""
    encoded = base64.b64encode(f"{name}:{password}".encode()).decode()
    return {"Authorization": f"Basic {encoded}"}
