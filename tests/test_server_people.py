"""Signing in on a page: sessions, and forms that other sites send."""

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
    post,
    session_of,
    sign_in,
    small_store,
    status,
)

from server.people import accounts, sessions
from server.people.entrance import local_path
from server.state.schema import sessions as kept_sessions
from server.state.store import Store

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A database with `admin` and `mali`."""
    with small_store(tmp_path, NOW) as opened:
        yield opened


def test_a_new_password_offers_to_end_tokens(module_server: RunningServer) -> None:
    """On /password and on the admin's page: who has tokens finds a box to tick, unticked; without
    it the next page says how many work still, with it none works."""
    add_account(module_server, "lek", "evaluator")
    add_account(module_server, "chief", "admin")
    browser, chief = sign_in(module_server, "lek"), sign_in(module_server, "chief")
    url = module_server.url
    assert "end_tokens" not in browser.get(f"{url}/password", timeout=10).text
    assert "end_tokens" not in chief.get(f"{url}/people/lek", timeout=10).text

    def works(token: str) -> bool:
        headers = {"Authorization": f"Token {token}"}
        return requests.get(f"{url}/me/", headers=headers, timeout=10).status_code == 200

    def mint() -> str:
        return in_store(module_server, lambda c: accounts.mint_token(c, "lek", now=NOW))

    token, old, new = mint(), PASSWORD, "ลาบหมู ส้มตำ 9"
    for more in ({}, {"end_tokens": "yes"}):
        assert 'name="end_tokens"' in browser.get(f"{url}/password", timeout=10).text
        answer = post(module_server, browser, "/password", old=old, new=new, again=new, **more)
        assert answer.status_code == 303
        after = browser.get(url + answer.headers["Location"], timeout=10).text
        assert ("โทเคนของโปรแกรมที่ยังใช้ได้: 1" in after) is (not more)
        assert works(token) is (not more)
        old, new = new, old
    token = mint()
    for more in ({}, {"end_tokens": "yes"}):
        assert 'name="end_tokens"' in chief.get(f"{url}/people/lek", timeout=10).text
        answer = post(module_server, chief, "/people/lek", do="password", **more)
        assert ("โทเคนของโปรแกรมที่ยังใช้ได้: 1" in answer.text) is (not more)
        assert works(token) is (not more)


# ── sessions ────────────────────────────────────────────────────────────────────────────────────────


def test_who_signs_in_is_known_until_sign_out(module_server: RunningServer) -> None:
    """A stranger is sent to the sign-in page and comes back to where he wanted to go; after
    sign-out the cookie, replayed, opens nothing."""
    add_account(module_server, "nok")
    stranger = requests.get(f"{module_server.url}/me?x=1", timeout=10, allow_redirects=False)
    assert stranger.status_code == 303
    assert stranger.headers["Location"] == "/signin?next=%2Fme%3Fx%3D1"
    browser = sign_in(module_server, "nok")
    page = browser.get(f"{module_server.url}/me", timeout=10)
    assert page.status_code == 200
    assert "nok" in page.text
    assert page.headers["Cache-Control"] == "no-store"
    cookie = session_of(browser.cookies)
    out = browser.post(
        f"{module_server.url}/signout",
        data={"csrf": csrf(page.text)},
        timeout=10,
        allow_redirects=False,
    )
    assert (out.status_code, out.headers["Location"]) == (303, "/signin?out=1")
    assert "watphon" not in browser.cookies
    replay = requests.get(
        f"{module_server.url}/me",
        cookies={"watphon": cookie},
        timeout=10,
        allow_redirects=False,
    )
    assert replay.status_code == 303


def test_a_planted_cookie_is_never_a_session(module_server: RunningServer) -> None:
    """Session fixation: signing in gives another secret than the browser came with, and the planted
    one stays worthless; an earlier session of the same browser ends."""
    add_account(module_server, "nok")
    planted = "x" * 43
    browser = requests.Session()
    browser.cookies.set("watphon", planted)
    page = browser.get(f"{module_server.url}/signin", timeout=10)
    fields = {"csrf": csrf(page.text), "name": "nok", "password": PASSWORD}
    answer = browser.post(
        f"{module_server.url}/signin", data=fields, timeout=10, allow_redirects=False
    )
    first = session_of(answer.cookies)
    assert first != planted
    for worthless in (planted, first[:-1], first[::-1], ""):
        replay = requests.get(
            f"{module_server.url}/me",
            cookies={"watphon": worthless},
            timeout=10,
            allow_redirects=False,
        )
        assert replay.status_code == 303
    again = requests.Session()
    again.cookies.set("watphon", first)
    page = again.get(f"{module_server.url}/signin", timeout=10)
    again.post(
        f"{module_server.url}/signin",
        data={"csrf": csrf(page.text), "name": "nok", "password": PASSWORD},
        timeout=10,
    )
    old = requests.get(
        f"{module_server.url}/me", cookies={"watphon": first}, timeout=10, allow_redirects=False
    )
    assert old.status_code == 303


def test_cookies_are_out_of_scripts_and_other_sites_reach(tmp_path: Path) -> None:
    """HttpOnly and SameSite=Lax; over https also Secure and bound to this host by `__Host-`, and
    browsers are told to come by https only."""
    server = RunningServer(tmp_path / "data", "--behind-proxy", "127.0.0.1")
    server.start()
    try:
        add_account(server, "nok")
        for scheme, prefix in (("http", ""), ("https", "__Host-")):
            proxy = {"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Proto": scheme}
            if scheme == "http":
                proxy = {}
            page = requests.get(f"{server.url}/signin", headers=proxy, timeout=10)
            secret = re.search(rf"{prefix}watphon-form=([^;]+)", page.headers["Set-Cookie"])
            assert secret
            answer = requests.post(
                f"{server.url}/signin",
                data={"csrf": csrf(page.text), "name": "nok", "password": PASSWORD},
                headers={**proxy, "Cookie": f"{prefix}watphon-form={secret[1]}"},
                timeout=10,
                allow_redirects=False,
            )
            assert answer.status_code == 303, answer.text
            cookie = next(
                value
                for name, value in answer.raw.headers.items()
                if name.lower() == "set-cookie" and value.startswith(f"{prefix}watphon=")
            )
            assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(cookie.split("; "))
            assert ("Secure" in cookie) == (scheme == "https")
            assert "Domain" not in cookie
            assert ("Strict-Transport-Security" in answer.headers) == (scheme == "https")
    finally:
        server.end()


def test_a_session_ends_by_itself(store: Store) -> None:
    """12 hours without use, or 7 days in any case; using it in between puts off the first only."""
    with store.write() as connection:
        mali = accounts.known_account(connection, "mali")
        secret = sessions.begin(connection, mali, now=NOW)

        def lives(at: datetime) -> bool:
            return sessions.account_of_session(connection, secret, now=at) is not None

        assert lives(NOW + timedelta(hours=11, minutes=59))
        assert not lives(NOW + timedelta(hours=12))
        at = NOW
        for _ in range(27):
            at += timedelta(hours=6)
            assert lives(at)
            sessions.touch(connection, secret, now=at)
        assert not lives(NOW + timedelta(days=7))
        # another sign-in clears away what is over
        sessions.begin(connection, mali, now=NOW + timedelta(days=8))
        assert len(connection.execute(select(kept_sessions.c.digest)).all()) == 1
        assert secret not in connection.execute(select(kept_sessions.c.digest)).scalars().all()


def test_a_new_password_ends_all_other_sessions(module_server: RunningServer) -> None:
    """The one that changed it goes on, with another cookie; the old password signs nobody in."""
    add_account(module_server, "dao")
    first, second = sign_in(module_server, "dao"), sign_in(module_server, "dao")
    before = session_of(second.cookies)
    new = "ลำไย ลิ้นจี่ เงาะ"
    wrong = post(module_server, second, "/password", old="not this one", new=new, again=new)
    assert wrong.status_code == 422
    for weak in ("short", "1234567890", "password123", "P@ssword 123", "daodao2564", PASSWORD):
        refused = post(module_server, second, "/password", old=PASSWORD, new=weak, again=weak)
        assert refused.status_code == 422, weak
    differ = post(module_server, second, "/password", old=PASSWORD, new=new, again=new + "x")
    assert differ.status_code == 422
    assert status(module_server, first) == 200
    done = post(module_server, second, "/password", old=PASSWORD, new=new, again=new)
    assert done.status_code == 303
    assert status(module_server, second) == 200
    assert second.cookies["watphon"] != before
    assert status(module_server, first) == 303
    with pytest.raises(AssertionError):
        sign_in(module_server, "dao")
    sign_in(module_server, "dao", new)


def test_a_disabled_account_is_out_at_once(module_server: RunningServer) -> None:
    """Its session, token and password open nothing, and all of them but the session do again once it
    is enabled; a removed account is gone with its session."""
    add_account(module_server, "som", "province")
    browser = sign_in(module_server, "som")
    token = in_store(module_server, lambda c: accounts.mint_token(c, "som", now=NOW))
    api = {"Authorization": f"Token {token}"}

    def by_token() -> int:
        return requests.get(f"{module_server.url}/me/", headers=api, timeout=10).status_code

    def by_password() -> int:
        headers = basic("som")
        return requests.get(f"{module_server.url}/me/", headers=headers, timeout=10).status_code

    assert (status(module_server, browser), by_token(), by_password()) == (200, 200, 200)
    in_store(module_server, lambda c: accounts.disable_user(c, "som", now=NOW))
    asyncio.run(asyncio.sleep(0.1))
    assert (status(module_server, browser), by_token(), by_password()) == (303, 401, 401)
    in_store(module_server, lambda c: accounts.enable_user(c, "som"))
    assert (status(module_server, browser), by_token(), by_password()) == (303, 200, 200)
    browser = sign_in(module_server, "som")
    in_store(module_server, lambda c: accounts.remove_user(c, "som"))
    asyncio.run(asyncio.sleep(0.1))
    assert (status(module_server, browser), by_token(), by_password()) == (303, 401, 401)


# ── forms of other sites, addresses elsewhere ───────────────────────────────────────────────────────


def test_a_form_of_another_site_is_refused(module_server: RunningServer) -> None:
    """Without the page's token, with another session's, or sent from another site: 403, and nothing
    happens. A header may be missing; a lie in one is enough to refuse."""
    add_account(module_server, "admin2", "admin")
    add_account(module_server, "nok")
    browser = sign_in(module_server, "admin2")
    other = csrf(sign_in(module_server, "nok").get(f"{module_server.url}/me", timeout=10).text)
    mine = csrf(browser.get(f"{module_server.url}/people", timeout=10).text)
    fields = {"name": "intruder", "role": "admin"}
    here = module_server.url
    cases: list[tuple[dict[str, str], dict[str, str]]] = [
        ({}, {}),
        ({"csrf": ""}, {}),
        ({"csrf": other}, {}),
        ({"csrf": "๐" * 20}, {}),
        ({"csrf": mine}, {"Sec-Fetch-Site": "cross-site"}),
        ({"csrf": mine}, {"Sec-Fetch-Site": "same-site"}),
        ({"csrf": mine}, {"Origin": "https://elsewhere.example"}),
        ({"csrf": mine}, {"Origin": here + "9"}),
    ]
    for token, headers in cases:
        answer = browser.post(
            f"{here}/people", data={**fields, **token}, headers=headers, timeout=10
        )
        assert answer.status_code == 403, (token, headers)
    as_json = browser.post(f"{here}/people", json={**fields, "csrf": mine}, timeout=10)
    assert as_json.status_code == 403
    names = in_store(module_server, lambda c: [u.name for u in accounts.list_users(c)])
    assert "intruder" not in names
    for headers in ({}, {"Origin": here, "Sec-Fetch-Site": "same-origin"}, {"Origin": "null"}):
        answer = browser.post(
            f"{here}/people",
            data={"csrf": mine, "name": "nok", "role": "admin"},
            headers=headers,
            timeout=10,
        )
        assert answer.status_code == 422  # taken, and refused for its content: the name exists


def test_nobody_is_signed_in_by_another_site(module_server: RunningServer) -> None:
    """Login CSRF: the sign-in form needs its own cookie and token too."""
    add_account(module_server, "nok")
    fields = {"name": "nok", "password": PASSWORD}
    page = requests.get(f"{module_server.url}/signin", timeout=10)
    for cookies in ({}, {"watphon-form": "guess"}):
        answer = requests.post(
            f"{module_server.url}/signin",
            data={**fields, "csrf": csrf(page.text)},
            cookies=cookies,
            timeout=10,
            allow_redirects=False,
        )
        assert answer.status_code == 403
        assert "watphon=" not in answer.headers.get("Set-Cookie", "")


def test_the_phones_door_opens_to_a_session_only_for_our_own_pages(
    module_server: RunningServer,
) -> None:
    """A signed-in facilitator's browser form fetches and sends with the header
    X-OpenRosa-Version; a plain request, and one that another site caused, do not."""
    add_account(module_server, "nok")
    browser, url = sign_in(module_server, "nok"), module_server.url
    ours = {"X-OpenRosa-Version": "1.0"}
    assert browser.get(f"{url}/formList", timeout=10).status_code == 401
    assert browser.get(f"{url}/formList", headers=ours, timeout=10).status_code == 200
    foreign = {**ours, "Sec-Fetch-Site": "cross-site"}
    sent = {"xml_submission_file": ("s.xml", b"<a/>", "text/xml")}
    assert browser.post(f"{url}/submission", files=sent, timeout=10).status_code == 401
    refused = browser.post(f"{url}/submission", files=sent, headers=foreign, timeout=10)
    assert refused.status_code == 403
    taken = browser.post(f"{url}/submission", files=sent, headers=ours, timeout=10)
    assert taken.status_code == 404  # no such form: the door was open


@pytest.mark.parametrize(
    "asked",
    [
        "https://elsewhere.example/",
        "//elsewhere.example/",
        "/\\elsewhere.example",
        "\\\\elsewhere.example",
        "/a\\b",
        "/a\r\nSet-Cookie: x",
        "/\t/elsewhere.example",
        "javascript:alert(1)",
        "",
        "me",
    ],
)
def test_sign_in_leads_nowhere_else(module_server: RunningServer, asked: str) -> None:
    """?next= goes on to addresses of this server only."""
    assert local_path(asked) == "/"
    add_account(module_server, "nok")
    browser = requests.Session()
    page = browser.get(f"{module_server.url}/signin", params={"next": asked}, timeout=10)
    answer = browser.post(
        f"{module_server.url}/signin",
        data={"csrf": csrf(page.text), "name": "nok", "password": PASSWORD, "next": asked},
        timeout=10,
        allow_redirects=False,
    )
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")
