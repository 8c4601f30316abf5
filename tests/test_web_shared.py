"""A phone that several people sign in on: each sees what is theirs, and nothing of it is lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from field_phone import SETTINGS, FieldPhone, eventually, module
from needs import needs_chromium, needs_engine
from office import RunningServer, workbook
from playwright.sync_api import Browser, expect
from visitors import add_account, csrf, key, sign_in
from web_phone import browser, look, publish

pytestmark = [needs_chromium, needs_engine]

NAME = "shared"
BOOK = workbook(
    survey=(
        ("type", "name", "label::ไทย (th)", "label::English (en)"),
        ("select_one_from_file participants.csv", "person", "ผู้เข้าร่วม", "Person"),
        ("text", "who", "ชื่อ", "Name"),
    ),
    choices=(("list_name", "name", "label::ไทย (th)", "label::English (en)"),),
    settings=(SETTINGS[0], ("แบบร่วม | Shared form", NAME, "1", "ไทย (th)")),
)
PEOPLE = """name,label,province
5064000010,ปราณีแห่งเชียงใหม่,50
5764000018,วีระแห่งเชียงราย,57
""".encode()
FIRST, SECOND = "somjai", "malee"
FIRSTS, SECONDS = "ปราณีแห่งเชียงใหม่", "วีระแห่งเชียงราย"

KEPT = """async () => {
  const cache = await caches.open('watphon-data');
  const found = await Promise.all((await cache.keys()).map(async (one) => (await cache.match(one)).text()));
  return found.join(' ');
}"""
"""Everything that the phone keeps of forms, as one text."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def uid(running_server: RunningServer) -> str:
    add_account(running_server, FIRST, provinces=["50"])
    add_account(running_server, SECOND, provinces=["57"])
    return publish(running_server, BOOK, participants=PEOPLE)


@pytest.fixture
def phone(chromium: Browser, running_server: RunningServer, uid: str) -> Iterator[FieldPhone]:
    made = FieldPhone(chromium, running_server)
    assert made.proxy
    made.base = made.proxy.url
    yield made
    assert [one for one in made.wrong if "Failed to fetch" not in one] == []
    made.close()


def test_the_browser_knows_who_is_here(running_server: RunningServer, uid: str) -> None:
    """Signing in tells the browser's pages a mark of the account that is not its name; config and
    list carry the same mark; signing out tells that nobody is here, and a key knows no account."""
    session = sign_in(running_server, FIRST)
    (cookie,) = [one for one in session.cookies if one.name == "watphon-who"]
    assert not cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.value
    assert FIRST not in cookie.value
    for path in (f"/f/{NAME}/config.json", "/f/list.json"):
        answer = session.get(f"{running_server.url}{path}", timeout=10).json()
        assert answer["who"] == cookie.value
        through = f"{running_server.url}/key/{key(running_server)[1]}{path}"
        assert session.get(through, timeout=10).json()["who"] is None
    other = sign_in(running_server, SECOND)
    assert other.cookies["watphon-who"] != cookie.value
    token = csrf(session.get(f"{running_server.url}/me", timeout=10).text)
    session.post(f"{running_server.url}/signout", data={"csrf": token}, timeout=10)
    assert session.cookies["watphon-who"] == "-"


def take_cookies(phone: FieldPhone, cookies: Any) -> None:
    found = [{"name": c.name, "value": c.value or "", "url": phone.base} for c in cookies]
    phone.context.clear_cookies()
    phone.context.add_cookies(found)  # type: ignore[arg-type]


def come(phone: FieldPhone, name: str) -> None:
    """Sign in, in the phone's browser."""
    take_cookies(phone, sign_in(phone.server, name).cookies)


def sign_out(phone: FieldPhone, name: str) -> None:
    """Sign in and out again: what the browser then knows."""
    session = sign_in(phone.server, name)
    token = csrf(session.get(f"{phone.server.url}/me", timeout=10).text)
    answer = session.post(f"{phone.server.url}/signout", data={"csrf": token}, timeout=10)
    assert answer.url.endswith("/signin?out=1")
    take_cookies(phone, session.cookies)


def ready(phone: FieldPhone) -> None:
    """Wait until the form is kept on the phone."""
    config = f"/f/{NAME}/config.json"
    call = "({ readyOffline, baseOf }, config) => readyOffline(baseOf(), config)"
    assert eventually(lambda: module(phone.page, "offline.js", call, config)), "never ready"
    controlled = "() => Boolean(navigator.serviceWorker.controller)"
    assert eventually(lambda: phone.page.evaluate(controlled)), "no worker"


def names(phone: FieldPhone) -> str:
    return phone.question("ผู้เข้าร่วม").inner_text()


def begun_by_the_first(phone: FieldPhone) -> None:
    """Her form is on the phone, with a draft and a record that waits."""
    come(phone, FIRST)
    page = phone.open(NAME)
    ready(phone)
    assert FIRSTS in names(phone)
    assert SECONDS not in names(phone)
    phone.to("ชื่อ")
    phone.type("ชื่อ", "คำตอบของสมใจ")
    phone.next()
    phone.lose_network()
    phone.hand_in()
    phone.count(1, 0)
    phone.open(NAME, new="")
    phone.to("ชื่อ")
    phone.type("ชื่อ", "ร่างของสมใจ")
    expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")


def test_without_a_network_nobody_gets_anothers_list(phone: FieldPhone, uid: str) -> None:
    """The second person, signed in and then without a network, is told that the form is not there
    yet; of the first person's lists, drafts and records she sees nothing, neither in the form nor
    in the list of forms, and the lists are not on the phone any more. What the first has entered
    is all there when she comes back."""
    begun_by_the_first(phone)
    page = phone.page
    assert FIRSTS in page.evaluate(KEPT)
    page.goto("about:blank")
    come(phone, SECOND)
    page.goto(f"{phone.base}/f/{NAME}")
    expect(page.get_by_role("alert").first).to_contain_text("ตรวจสัญญาณ")
    assert FIRSTS not in page.content()
    assert FIRSTS not in page.evaluate(KEPT)
    page.goto(f"{phone.base}/f/")
    expect(page.locator(".list-forms .notice")).to_contain_text("ตรวจสัญญาณ")
    expect(page.locator(".counter")).to_have_text("รอส่ง 0 · ส่งถึงแล้ว 0")
    for part in ("attention", "waiting", "drafts", "sent"):
        expect(page.locator(f".list-{part} li")).to_have_count(0)
    expect(page.locator(".list-others")).to_contain_text(FIRST)
    look("shared-second-offline", page)
    assert "สมใจ" not in page.locator("main").inner_text()

    page.goto("about:blank")
    phone.find_network()
    come(phone, FIRST)
    phone.open(NAME)
    expect(page.locator(".draft")).to_have_count(1)
    phone.count(0, 1)
    page.get_by_role("button", name="ทำต่อ").tap()
    expect(phone.question("ชื่อ").locator("input")).to_have_value("ร่างของสมใจ")
    (row,) = phone.office.rows(uid)
    assert (row["who"], row["_submitted_by"]) == ("คำตอบของสมใจ", FIRST)


def test_a_slow_line_gives_nobody_anothers_list(phone: FieldPhone) -> None:
    """Where the server takes longer than the phone's patience, the second person waits for her own
    list; the first person's, which is on the phone, does not step in."""
    come(phone, FIRST)
    page = phone.open(NAME)
    ready(phone)
    page.goto("about:blank")
    come(phone, SECOND)
    phone.server.process.send_signal(19)  # SIGSTOP
    try:
        page.goto(f"{phone.base}/f/{NAME}")
        page.wait_for_timeout(5_000)
        assert page.locator(".q").count() == 0
        assert FIRSTS not in page.content()
        assert FIRSTS not in page.evaluate(KEPT)
    finally:
        phone.server.process.send_signal(18)
    expect(phone.question("ผู้เข้าร่วม")).to_be_visible(timeout=20_000)
    assert SECONDS in names(phone)
    assert FIRSTS not in names(phone)
    ready(phone)
    phone.lose_network()  # and now it is hers, without a network too
    phone.open(NAME)
    assert SECONDS in names(phone)


def test_after_signing_out_nothing_is_shown(phone: FieldPhone) -> None:
    """Who signs out leaves no form with names to whoever opens the phone next, and no draft."""
    begun_by_the_first(phone)
    page = phone.page
    page.goto("about:blank")
    sign_out(phone, FIRST)
    page.goto(f"{phone.base}/f/{NAME}")
    expect(page.get_by_role("alert").first).to_contain_text("ตรวจสัญญาณ")
    page.goto(f"{phone.base}/f/")
    expect(page.locator(".list-others")).to_contain_text(FIRST)
    for part in ("waiting", "drafts", "sent"):
        expect(page.locator(f".list-{part} li")).to_have_count(0)
    assert FIRSTS not in page.evaluate(KEPT)
    stored = phone.stored()
    assert [len(stored[part]) for part in ("drafts", "waiting")] == [1, 1]


def test_a_session_that_ended_takes_nothing_from_its_owner(phone: FieldPhone) -> None:
    """A session that ran out is no sign-out: without a network its owner still opens her form, her
    draft and her list."""
    begun_by_the_first(phone)
    kept = [one for one in phone.context.cookies() if one.get("name") != "watphon"]
    phone.context.clear_cookies()
    phone.context.add_cookies(kept)  # type: ignore[arg-type]
    page = phone.tab()
    page.goto(f"{phone.base}/f/{NAME}")
    expect(page.locator(".draft")).to_have_count(1)
    page.get_by_role("button", name="เริ่มแบบใหม่").tap()
    assert FIRSTS in names(phone)


def test_each_counts_their_own(phone: FieldPhone, uid: str) -> None:
    """The counter tells what this person has sent from this phone, not what others have; so does
    the list's number of today."""
    come(phone, FIRST)
    for _ in range(2):
        phone.open(NAME, new="")
        phone.to_end()
        phone.hand_in()
        expect(phone.page.locator(".only .notice.good")).to_be_visible()
    phone.count(0, 2)
    page = phone.page
    page.goto("about:blank")
    come(phone, SECOND)
    phone.open(NAME, new="")
    phone.count(0, 0)
    phone.to_end()
    phone.hand_in()
    phone.count(0, 1)
    page.goto(f"{phone.base}/f/")
    expect(page.locator(".list-sent li")).to_have_count(1)
    expect(page.locator(".list-forms")).to_contain_text("วันนี้ส่งถึงแล้ว 1")
    page.goto("about:blank")
    come(phone, FIRST)
    page.goto(f"{phone.base}/f/")
    phone.count(0, 2)
    assert len(phone.office.rows(uid)) == 3


def test_a_page_left_open_is_the_next_persons(phone: FieldPhone) -> None:
    """A form that was left open on the phone is not shown to who has signed in since: the page is
    opened anew as theirs, and the first person's draft is kept for her."""
    come(phone, FIRST)
    page = phone.open(NAME)
    phone.to("ชื่อ")
    phone.type("ชื่อ", "ร่างของสมใจ")
    expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    come(phone, SECOND)
    with page.expect_navigation():
        page.evaluate("() => document.dispatchEvent(new Event('visibilitychange'))")
    expect(phone.question("ผู้เข้าร่วม")).to_be_visible()
    assert SECONDS in names(phone)
    assert len(phone.stored()["drafts"]) == 1
