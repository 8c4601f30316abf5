"""Whoever goes on guessing a name does not keep its owner out of where the owner signed in before."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import requests
from hypothesis import given
from hypothesis import strategies as st
from office import RunningServer
from sqlalchemy import func, select
from visitors import PASSWORD, add_account, basic, csrf, in_store, sign_in, small_store

from server.people import accounts, familiar, lockout
from server.people.familiar import DEVICE_COOKIE
from server.state.schema import failures, settings
from server.state.store import Store

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
HOME, ELSEWHERE = "203.0.113.9", "198.51.100.7"
NEW = "ขนมจีน น้ำเงี้ยว"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A database with `admin` and `mali`."""
    with small_store(tmp_path, NOW) as opened:
        yield opened


@pytest.fixture
def proxied(tmp_path: Path) -> Iterator[RunningServer]:
    """A server that believes what this machine says of addresses."""
    server = RunningServer(tmp_path / "data", "--behind-proxy", "127.0.0.1")
    server.start()
    add_account(server, "mali")
    yield server
    server.end()


def at(address: str) -> dict[str, str]:
    """Headers of a proxy: a caller from an address, by HTTPS."""
    return {"X-Forwarded-For": address, "X-Forwarded-Proto": "https"}


class Caller:
    """A browser at an address, behind a proxy with HTTPS; cookies as a browser keeps them."""

    def __init__(self, server: RunningServer, address: str) -> None:
        self.server = server
        self.headers = at(address)
        self.cookies: dict[str, str] = {}

    def call(self, method: str, path: str, **fields: str) -> requests.Response:
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {**self.headers, **({"Cookie": kept} if kept else {})}
        answer = requests.request(
            method,
            f"{self.server.url}{path}",
            headers=headers,
            data=fields or None,
            timeout=30,
            allow_redirects=False,
        )
        self.cookies |= {one.name: one.value or "" for one in answer.cookies}
        return answer

    def sign_in(self, name: str, password: str) -> int:
        """The status of a try: 303 lets in."""
        token = csrf(self.call("GET", "/signin").text)
        return self.call("POST", "/signin", csrf=token, name=name, password=password).status_code

    def only_device(self) -> Caller:
        """The same browser long after its session ended."""
        self.cookies = {n: v for n, v in self.cookies.items() if n.endswith(DEVICE_COOKIE)}
        return self


def lock(server: RunningServer, name: str, address: str = ELSEWHERE) -> None:
    """Guess a name until it waits."""
    stranger = Caller(server, address)
    assert [stranger.sign_in(name, "a wrong password") for _ in range(6)] == [401] * 5 + [429]


def test_a_guesser_does_not_keep_the_owner_out(proxied: RunningServer) -> None:
    """While a name waits because somebody guesses it, a browser in which its owner was in lets the
    owner in, from whatever address, as often as it likes; a browser without the cookie waits, and
    the owner's success gives the guesser nothing."""
    mine = Caller(proxied, HOME)
    assert mine.sign_in("mali", PASSWORD) == 303
    lock(proxied, "mali")
    for address in (HOME, "192.0.2.44", ELSEWHERE):
        mine.only_device().headers = at(address)
        assert mine.sign_in("mali", PASSWORD) == 303
    assert Caller(proxied, "192.0.2.99").sign_in("mali", PASSWORD) == 429
    assert Caller(proxied, "198.51.100.8").sign_in("mali", "another guess") == 429
    # also where the password is asked for once more
    page = mine.call("GET", "/password")
    changed = mine.call("POST", "/password", csrf=csrf(page.text), old=PASSWORD, new=NEW, again=NEW)
    assert changed.status_code == 303
    lock(proxied, "mali", "198.51.100.9")
    assert mine.only_device().sign_in("mali", NEW) == 303


def test_a_stolen_cookie_guesses_no_faster(proxied: RunningServer) -> None:
    """Five free failures of one browser, then it waits, wherever it goes; the name itself and another
    browser of the same person do not."""
    mine, other = Caller(proxied, HOME), Caller(proxied, "192.0.2.1")
    for browser in (mine, other):
        assert browser.sign_in("mali", PASSWORD) == 303
        browser.only_device()
    assert [mine.sign_in("mali", f"guess {n}") for n in range(6)] == [401] * 5 + [429]
    mine.headers = at("192.0.2.200")
    assert mine.sign_in("mali", PASSWORD) == 429
    assert other.sign_in("mali", PASSWORD) == 303
    assert Caller(proxied, "192.0.2.201").sign_in("mali", PASSWORD) == 303


def test_the_cookie_is_one_no_script_reads_and_nobody_forges(proxied: RunningServer) -> None:
    """HttpOnly, Secure under HTTPS, for more than a year; it lets nobody in and helps no other
    account; a changed one counts as none."""
    mine = Caller(proxied, HOME)
    mine.sign_in("mali", PASSWORD)
    token = csrf(mine.call("GET", "/signin").text)
    answer = mine.call("POST", "/signin", csrf=token, name="mali", password=PASSWORD)
    lines = answer.raw.headers.getlist("Set-Cookie")
    (line,) = [line for line in lines if DEVICE_COOKIE in line]
    assert line.startswith(f"__Host-{DEVICE_COOKIE}=")
    for word in ("HttpOnly", "Secure", "SameSite=lax", "Path=/"):
        assert word in line
    assert int(re.findall(r"Max-Age=(\d+)", line)[0]) > 365 * 86400
    mine.only_device()
    assert mine.call("GET", "/me").status_code == 303
    add_account(proxied, "nok")
    for name in ("mali", "nok"):
        lock(proxied, name)
    mine.headers = at("192.0.2.77")
    assert mine.sign_in("nok", PASSWORD) == 429
    ((name, good),) = mine.only_device().cookies.items()
    account, nonce, signed = good.split("~")
    forged = (
        f"{account}~{nonce}~{signed[:-1]}{'A' if signed[-1] != 'A' else 'B'}",
        f"{account}~{nonce[:-1]}~{signed}",
        f"{int(account) + 1}~{nonce}~{signed}",
        f"{account}~{nonce}~",
        "x" * 3000,
        "|||~~~|",
    )
    for text in forged:
        mine.cookies = {name: text}
        assert mine.sign_in("mali", PASSWORD) == 429, text
    mine.cookies = {name: good}
    assert mine.sign_in("mali", PASSWORD) == 303


@pytest.mark.parametrize("how", ["password", "disable"])
def test_a_new_password_ends_what_was_known(proxied: RunningServer, how: str) -> None:
    """A new password given by an admin, and disabling the account, make cookies and remembered
    addresses worthless, at once and for good."""
    mine = Caller(proxied, HOME)
    mine.sign_in("mali", PASSWORD)

    def change(connection: accounts.Connection) -> None:
        if how == "password":
            accounts.set_password(connection, "mali", PASSWORD)
        else:
            accounts.disable_user(connection, "mali", now=NOW)
            accounts.enable_user(connection, "mali")

    in_store(proxied, change)
    lock(proxied, "mali")
    assert mine.only_device().sign_in("mali", PASSWORD) == 429


def test_a_phone_at_its_address_is_not_held_up(proxied: RunningServer) -> None:
    """Basic has no cookie: from an address where the account was in, failures and waits are its
    own; a phone at a new address waits. Guesses at the password that the server remembers for a
    minute are held up as all others are."""
    url = f"{proxied.url}/me/"

    def by_basic(address: str, password: str = PASSWORD) -> int:
        headers = {**basic("mali", password), **at(address)}
        return requests.get(url, headers=headers, timeout=30).status_code

    assert by_basic(HOME) == 200
    proxied.restart()  # which forgets what was in memory only
    lock(proxied, "mali")
    assert by_basic(HOME) == 200
    assert by_basic("192.0.2.5") == 429
    assert [by_basic(HOME, f"guess {n}") for n in range(5)] == [401] * 5
    # the right one is in the memory of the minute, and still nobody is told
    assert by_basic(HOME, "guess 5") == 429
    assert by_basic(HOME) == 429


def test_the_key_is_made_once_and_told_nowhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Each account's key is one row of `settings`, the same for all processes and after a restart; no
    line of the log has it or a cookie."""
    words = ("--workers", "2", "--log-level", "debug", "--access-log")
    server = RunningServer(tmp_path / "data", *words, "--behind-proxy", "127.0.0.1")
    server.start()

    def keys() -> list[str]:
        found = select(settings.c.value).where(settings.c.name.startswith("sign-in key"))
        return in_store(server, lambda c: list(c.execute(found).scalars()))

    try:
        add_account(server, "mali")
        mine = Caller(server, HOME)
        assert mine.sign_in("mali", PASSWORD) == 303
        (key,) = keys()
        lock(server, "mali")
        server.restart()
        for _ in range(6):  # both workers take some
            assert mine.only_device().sign_in("mali", PASSWORD) == 303
        assert keys() == [key]
    finally:
        server.end()
    said = "".join(capfd.readouterr())
    (cookie,) = mine.only_device().cookies.values()
    assert '"route":"/signin"' in said
    assert not [secret for secret in (key, *cookie.split("~")[1:]) if secret in said]


def test_several_people_share_a_computer(store: Store) -> None:
    """One browser is known to five accounts, the latest first; each counts by itself."""
    with store.write() as connection:
        cookie = ""
        for number in range(1, 8):
            cookie = familiar.cookie_with(connection, number, cookie)
        again = familiar.cookie_with(connection, 7, cookie)
        counts = {
            number: familiar.counted(connection, number, "x", address=HOME, cookie=cookie)
            for number in range(1, 8)
        }
        assert len(again.split("|")) == len(cookie.split("|")) == 5
        assert len(again) < 400
    known = {number for number, names in counts.items() if names[0].startswith("device ")}
    assert known == {3, 4, 5, 6, 7}
    assert len({counts[number] for number in known}) == 5


def test_an_address_is_remembered_for_a_month(store: Store) -> None:
    """After 30 days without a sign-in an address is forgotten, with the counts that are old; the
    table holds no address in clear."""
    with store.write() as connection:
        familiar.note_address(connection, 2, HOME, now=NOW)
        familiar.note_address(connection, 2, HOME, now=NOW)

        def here() -> str:
            return familiar.counted(connection, 2, "mali", address=HOME, cookie="")[0]

        assert here().startswith("place ")
        names = connection.execute(select(failures.c.name)).scalars().all()
        assert HOME not in "".join(names)
        lockout.failed(connection, ("account x",), now=NOW + timedelta(days=29))
        assert here().startswith("place ")
        lockout.failed(connection, ("account x",), now=NOW + timedelta(days=31))
        assert here() == lockout.of_account("mali")
        familiar.note_address(connection, 2, "not an address", now=NOW)
        assert connection.execute(select(func.count()).select_from(failures)).scalar_one() == 1


@given(st.text(max_size=300))
def test_no_cookie_hurts(cookie: str) -> None:
    """Whatever a cookie holds, it is read without an error and names nobody."""
    assert familiar.nonce_in(cookie, "2", b"k" * 32) == ""


def test_a_browser_that_was_in_is_let_in_over_plain_http_here(
    running_server: RunningServer,
) -> None:
    """On the machine itself, without HTTPS: the same, by a cookie without the prefix; it outlives
    the sign-out."""
    add_account(running_server, "nok")
    browser = sign_in(running_server, "nok")
    assert browser.cookies.get(DEVICE_COOKIE)
    token = csrf(browser.get(f"{running_server.url}/me", timeout=10).text)
    browser.post(f"{running_server.url}/signout", data={"csrf": token}, timeout=10)
    assert not browser.cookies.get("watphon")
    wrong = ("nok", "a wrong password")
    for _ in range(7):
        requests.get(f"{running_server.url}/me/", auth=wrong, timeout=10)
    page = browser.get(f"{running_server.url}/signin", timeout=10)
    fields = {"csrf": csrf(page.text), "name": "nok", "password": PASSWORD}
    answer = browser.post(
        f"{running_server.url}/signin", data=fields, timeout=10, allow_redirects=False
    )
    assert answer.status_code == 303
