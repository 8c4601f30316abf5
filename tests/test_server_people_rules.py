"""Which passwords, keys and roles can be, and the audit trail of who did what."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from office import Office, RunningServer
from sqlalchemy import update
from visitors import (
    PASSWORD,
    add_account,
    csrf,
    in_store,
    key,
    post,
    sign_in,
    small_store,
    status,
)

from forms.problems import Problem
from server.people import accounts, audit, keys, passwords
from server.state.store import Store

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A database with `admin` and `mali`."""
    with small_store(tmp_path, NOW) as opened:
        yield opened


def test_an_old_hash_is_made_anew_at_sign_in(running_server: RunningServer) -> None:
    """When the parameters of argon2id grow, a password's hash follows at its next good sign-in; the
    password stays."""
    from argon2 import PasswordHasher

    from server.state.schema import accounts as table

    add_account(running_server, "nok")
    weak = PasswordHasher(time_cost=1, memory_cost=8 * 1024, parallelism=1).hash(PASSWORD)
    in_store(
        running_server,
        lambda c: c.execute(update(table).where(table.c.name == "nok").values(password=weak)),
    )
    sign_in(running_server, "nok")
    found = in_store(running_server, lambda c: accounts.known_account(c, "nok"))
    assert found.password != weak
    assert not passwords.outdated(found.password)
    sign_in(running_server, "nok")


@pytest.mark.parametrize(
    ("password", "good"),
    [
        ("123456789", False),
        ("1234567890", False),
        ("PASSWORD123", False),
        ("p a s s w o r d 1 2 3", False),
        ("aaaaaaaaaaaaaaaa", False),
        ("somchai.p2564", False),
        ("รหัสผ่าน123", False),
        ("x" * 1001, False),
        ("correct horse battery", True),
        ("ข้าวซอย 3 ชาม", True),
        ("6d1f0a92bc", True),
    ],
)
def test_passwords_that_strangers_try_first_are_refused(password: str, good: bool) -> None:
    """At least 10 characters, none of the commonest, not the account's name; anything else goes."""
    assert (passwords.weakness("somchai.p", password) == "") is good
    if not good:
        with pytest.raises(Problem) as refused:
            passwords.hashed("somchai.p", password)
        assert refused.value.findings[0].remedy


def test_a_key_says_why_it_opens_nothing(module_server: RunningServer) -> None:
    """403 in Thai and English for a key that expired or was taken back; bounds are told to the
    handlers; a key that cannot be is refused."""
    now = datetime.now(UTC)
    _, good = key(module_server, expires_at=now + timedelta(days=1), forms=["a", "b"])
    number, gone = key(module_server)
    in_store(module_server, lambda c: keys.revoke_key(c, number, now=now))
    _, late = key(module_server, now=now - timedelta(days=2), expires_at=now - timedelta(seconds=1))
    for secret, code, words in (
        (good, 200, ""),
        (gone, 403, "กุญแจนี้ถูกยกเลิกแล้ว"),
        (late, 403, "กุญแจนี้หมดอายุแล้ว"),
    ):
        answer = requests.get(f"{module_server.url}/key/{secret}/formList", timeout=10)
        assert answer.status_code == code
        assert words in answer.text
    in_store(module_server, lambda c: keys.expire_key(c, 1, at=now - timedelta(seconds=1)))
    asyncio.run(asyncio.sleep(0.1))
    answer = requests.get(f"{module_server.url}/key/{good}/formList", timeout=10)
    assert answer.status_code == 403
    impossible: tuple[dict[str, Any], ...] = (
        {"kind": "door"},
        {"forms": ["a b"]},
        {"provinces": ["5"]},
        {"expires_at": now - timedelta(days=1), "now": now},
        {"label": " "},
    )
    for wrong in impossible:
        with pytest.raises(Problem) as refused:
            key(module_server, **wrong)
        assert refused.value.findings[0].remedy


def test_the_last_admin_stays(store: Store) -> None:
    """It cannot be removed, disabled or demoted; with a second one it can, and then that one is the
    last. A disabled admin does not count."""
    with store.write() as connection:
        for change in (
            lambda name: accounts.remove_user(connection, name),
            lambda name: accounts.disable_user(connection, name, now=NOW),
            lambda name: accounts.change_role(connection, name, "manager"),
        ):
            with pytest.raises(Problem, match="last admin"):
                change("admin")
        accounts.add_user(connection, "second", now=NOW)
        accounts.disable_user(connection, "second", now=NOW)
        with pytest.raises(Problem, match="last admin"):
            accounts.remove_user(connection, "admin")
        accounts.enable_user(connection, "second")
        accounts.change_role(connection, "admin", "facilitator", ["50"])
        with pytest.raises(Problem, match="last admin"):
            accounts.disable_user(connection, "second", now=NOW)
        for role, provinces in (
            ("facilitator", []),
            ("province", []),
            ("admin", ["50"]),
            ("king", []),
            ("manager", ["5a"]),
        ):
            with pytest.raises(Problem) as refused:
                accounts.change_role(connection, "mali", role, provinces)
            assert refused.value.findings[0].remedy


def test_the_trail_tells_who_did_what(running_server: RunningServer) -> None:
    """Sign-in, failure, sign-out, password, accounts, tokens, forms, reports; neither a password,
    a token, nor a name that no account has stands in it."""
    reports = running_server.data / "reports"
    reports.mkdir()
    (reports / "report.th.html").write_text("<p>รายงาน</p>", "utf-8")
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    for _ in range(3):
        assert office.rows(uid) == []
    office.call("PATCH", f"/api/v2/assets/{uid}/deployment/", json={"active": False})
    office.call("PATCH", f"/api/v2/assets/{uid}/deployment/", json={"active": True})
    assert office.call("DELETE", f"/api/v2/assets/{uid}/").status_code == 204
    add_account(running_server, "boss", "admin")
    typed = "my-secret-in-the-wrong-field"
    with pytest.raises(AssertionError):
        sign_in(running_server, typed, "whatever it is")
    browser = sign_in(running_server, "boss")
    added = post(running_server, browser, "/people", name="lek", role="manager")
    assert added.status_code == 200
    for act in ("password", "signout", "disable", "enable", "role", "remove"):
        answer = post(
            running_server, browser, "/people/lek", do=act, role="evaluator", provinces=""
        )
        assert answer.status_code in (200, 303), answer.text
    assert status(running_server, browser, "/reports/report.th.html") == 200
    page = browser.get(f"{running_server.url}/me", timeout=10)
    browser.post(f"{running_server.url}/signout", data={"csrf": csrf(page.text)}, timeout=10)
    trail = in_store(running_server, lambda c: audit.entries(c, oldest_first=True))
    assert [(line.who, line.action, line.what) for line in trail if line.who != "admin"] == [
        ("unknown", "failed to sign in", ""),
        ("boss", "signed in", ""),
        ("boss", "added an account", "lek: manager"),
        ("boss", "changed a password", "lek"),
        ("boss", "signed an account out everywhere", "lek"),
        ("boss", "disabled an account", "lek"),
        ("boss", "enabled an account", "lek"),
        ("boss", "changed an account's role", "lek: evaluator"),
        ("boss", "removed an account", "lek"),
        ("boss", "read a report", "report.th.html"),
        ("boss", "signed out", ""),
    ]
    by_token = [line for line in trail if line.who == "admin"]
    assert [line.action for line in by_token] == [
        "published a form",
        "read a form's data",
        "closed a form",
        "opened a form",
        "deleted a form",
    ]
    assert by_token[0].what.startswith("small 1 (")
    written = "".join(f"{line.who} {line.what}" for line in trail)
    for secret in (typed, PASSWORD, running_server.token):
        assert secret not in written
