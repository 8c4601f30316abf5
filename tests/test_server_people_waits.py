"""Failed sign-ins cost a wait, for a name and for an address, and lock nobody out for good."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from office import RunningServer
from sqlalchemy import select
from visitors import (
    PASSWORD,
    add_account,
    basic,
    csrf,
    in_store,
    sign_in,
    small_store,
    status,
)

from server.answers import Refusal
from server.people import accounts, audit, lockout
from server.people.signin import Doorkeeper
from server.state.blobs import Blobs
from server.state.inbox import Inbox
from server.state.schema import failures
from server.state.store import Store

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A database with `admin` and `mali`."""
    with small_store(tmp_path, NOW) as opened:
        yield opened


def test_each_failure_doubles_the_wait_up_to_a_quarter_of_an_hour(store: Store) -> None:
    """Five tries of a name are free; then 15, 30, 60 … seconds, never more than 15 minutes; after
    half a day, or a good sign-in, it begins anew. An address has fifty."""
    name, address = lockout.of_account("mali"), lockout.of_address("203.0.113.9")
    waits, now = [], NOW
    with store.write() as connection:
        for _ in range(14):
            lockout.failed(connection, (name, address), now=now)
            wait = lockout.seconds_to_wait(connection, (name, address), now=now)
            waits.append(wait)
            now += timedelta(seconds=wait)
            assert lockout.seconds_to_wait(connection, (name, address), now=now) == 0
        assert [w and w - 1 for w in waits[:11]] == [0, 0, 0, 0, 15, 30, 60, 120, 240, 480, 899]
        assert set(waits[10:]) == {900}
        later = now + timedelta(hours=13)
        lockout.failed(connection, (name, address), now=later)
        assert lockout.seconds_to_wait(connection, (name, address), now=later) == 0
        for _ in range(60):
            lockout.failed(connection, (address,), now=later)
        assert lockout.seconds_to_wait(connection, (address,), now=later) > 0
        assert lockout.seconds_to_wait(connection, (name,), now=later) == 0
        kept = connection.execute(select(failures.c.name)).scalars().all()
        assert "mali" not in "".join(kept)


def test_no_password_goes_over_a_line_that_others_read(module_server: RunningServer) -> None:
    """Plain HTTP from elsewhere: the sign-in page is refused in words, and so is what is sent to it;
    where a proxy was not told of, an admin reads what to do."""
    proxy = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https"}
    url = f"{module_server.url}/signin"
    for answer in (
        requests.get(url, headers=proxy, timeout=10),
        requests.post(url, headers=proxy, data={"name": "x"}, timeout=10),
    ):
        assert answer.status_code == 403
        assert "--behind-proxy" in answer.text
        assert "password" not in answer.text


def test_an_ipv6_network_is_one_caller() -> None:
    """Whoever owns a /64 has 2⁶⁴ addresses; an IPv4 address written as IPv6 is that IPv4 address."""
    assert lockout.of_address("2001:db8::1") == lockout.of_address("2001:db8::ffff:2")
    assert lockout.of_address("2001:db8::1") != lockout.of_address("2001:db8:0:1::1")
    assert lockout.of_address("::ffff:192.0.2.1") == lockout.of_address("192.0.2.1")
    assert lockout.of_address("not an address") == lockout.of_address("")


def attempt(door: Doorkeeper, name: str, password: str) -> tuple[int, dict[str, str]]:
    """Status and headers of one password check; 200 where it was right."""
    from starlette.requests import Request

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/signin",
        "query_string": b"",
        "headers": [],
        "server": ("127.0.0.1", 8000),
        "client": ("203.0.113.9", 1),
    }

    async def once() -> tuple[int, dict[str, str]]:
        door.turns = asyncio.Semaphore(2)
        door.inbox.called = asyncio.Event()
        door.inbox.start()
        try:
            await door.verified(Request(scope), name, password)
            return 200, {}
        except Refusal as refusal:
            return refusal.status, refusal.headers
        finally:
            door.inbox.open = False
            door.inbox.called.set()
            assert door.inbox.task
            await door.inbox.task

    return asyncio.run(once())


def test_a_locked_name_waits_even_with_the_right_password(store: Store, tmp_path: Path) -> None:
    """By an injected clock: 429 with Retry-After and without looking at the password, the same for a
    name that is not there; after the wait the right password signs in and the count begins anew."""
    now = NOW
    door = Doorkeeper(store, Inbox(store, Blobs(tmp_path / "files")), clock=lambda: now)
    for name in ("mali", "nobody-here"):
        assert [attempt(door, name, "wrong password")[0] for _ in range(5)] == [401] * 5
        locked, headers = attempt(door, name, PASSWORD)
        assert (locked, headers["Retry-After"]) == (429, "16")
    now += timedelta(seconds=15)
    assert attempt(door, "nobody-here", PASSWORD)[0] == 401
    assert attempt(door, "nobody-here", PASSWORD)[1]["Retry-After"] == "31"
    assert attempt(door, "mali", PASSWORD)[0] == 200
    assert [attempt(door, "mali", "wrong password")[0] for _ in range(4)] == [401] * 4
    assert attempt(door, "mali", PASSWORD)[0] == 200
    with store.read() as connection:
        trail = audit.entries(connection)
    assert {line.action for line in trail} == {"failed to sign in"}
    assert {line.who for line in trail} == {"mali", "unknown"}


def test_an_attacker_locks_nobody_out_who_is_in(running_server: RunningServer) -> None:
    """The page and Basic share the count: after failures both say 429, with the time to wait; a
    session that is in, a token and a key go on; other processes know of the wait."""
    add_account(running_server, "nok", "province")
    browser = sign_in(running_server, "nok")
    token = in_store(running_server, lambda c: accounts.mint_token(c, "nok", now=NOW))
    url, wrong = running_server.url, ("nok", "a wrong password")
    for _ in range(5):
        assert requests.get(f"{url}/me/", auth=wrong, timeout=10).status_code == 401
    refused = requests.get(f"{url}/me/", headers=basic("nok"), timeout=10)
    assert refused.status_code == 429
    assert 0 < int(refused.headers["Retry-After"]) <= 16
    stranger = requests.Session()
    page = stranger.get(f"{url}/signin", timeout=10)
    fields = {"csrf": csrf(page.text), "name": "nok", "password": PASSWORD}
    locked = stranger.post(f"{url}/signin", data=fields, timeout=10)
    assert locked.status_code == 429
    assert 0 < int(locked.headers["Retry-After"]) <= 16
    assert re.search(r"\d+ วินาที", locked.text)
    assert status(running_server, browser) == 200
    headers = {"Authorization": f"Token {token}"}
    assert requests.get(f"{url}/me/", headers=headers, timeout=10).status_code == 200
    running_server.restart()
    assert requests.get(f"{url}/me/", auth=wrong, timeout=10).status_code == 429
    # an admin helps: a new password ends the wait
    in_store(running_server, lambda c: accounts.set_password(c, "nok", "ขนมจีน น้ำเงี้ยว"))
    sign_in(running_server, "nok", "ขนมจีน น้ำเงี้ยว")


def test_a_flood_of_guesses_is_not_looked_at(running_server: RunningServer) -> None:
    """Guesses that arrive all at once do not slip past the wait: at most a few more than the free
    ones are verified."""
    add_account(running_server, "nok")
    from concurrent.futures import ThreadPoolExecutor

    def guess(number: int) -> int:
        auth = ("nok", f"wrong password {number}")
        return requests.get(f"{running_server.url}/me/", auth=auth, timeout=30).status_code

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(guess, range(40)))
    assert 5 <= answers.count(401) <= 7
    assert answers.count(401) + answers.count(429) == 40


def test_a_proxys_callers_are_told_apart(tmp_path: Path) -> None:
    """Behind a trusted proxy the address in X-Forwarded-For is counted; said by anybody else it is
    not believed: a guesser cannot give himself new addresses."""
    for options, told_apart in ((("--behind-proxy", "127.0.0.1"), True), ((), False)):
        server = RunningServer(tmp_path / f"data{len(options)}", *options)
        server.start()
        try:
            for number in range(3):
                requests.get(
                    f"{server.url}/me/",
                    auth=(f"guess{number}", "x"),
                    headers={
                        "X-Forwarded-For": f"198.51.100.{number}",
                        "X-Forwarded-Proto": "https",
                    },
                    timeout=10,
                )
            kept = in_store(server, lambda c: c.execute(select(failures.c.name)).scalars().all())
            found = {name for name in kept if name.startswith("address")}
            wanted = {f"address 198.51.100.{number}" for number in range(3)}
            assert found == (wanted if told_apart else set())
        finally:
            server.end()
