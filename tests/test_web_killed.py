"""A browser that dies while a form is handed in: the record is a draft or it waits, never neither,
never both, and it arrives once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from field_phone import FORM, LossyProxy, OwnBrowser, eventually, module, publish_small
from needs import needs_chromium
from office import Office, RunningServer
from playwright.sync_api import Page, expect
from visitors import key

pytestmark = needs_chromium

STORED = """async ({ openStore }) => {
  const { drafts, outbox, sent } = await openStore();
  const ids = (found) => found.map((one) => one.instanceID ?? one.id);
  return [ids(await drafts.list()), ids(await outbox.list()), ids(await sent.list())];
}"""
SEND = "document.querySelector('.bar .next').click()"


@pytest.fixture
def uid(running_server: RunningServer) -> str:
    return publish_small(running_server)


@pytest.fixture
def proxy(running_server: RunningServer, uid: str) -> Iterator[LossyProxy]:
    made = LossyProxy(running_server.url)
    yield made
    made.close()


@pytest.fixture
def base(running_server: RunningServer, proxy: LossyProxy) -> str:
    return f"{proxy.url}/key/{key(running_server)[1]}"


@pytest.fixture
def browser(tmp_path: Path) -> OwnBrowser:
    return OwnBrowser(tmp_path / "profile")


def fill(page: Page, base: str, who: str) -> None:
    """Open the form, answer it and go to the page before sending."""
    page.goto(f"{base}/f/{FORM}?new&lang=th")
    question = page.locator(".q", has_text="ชื่อ").locator("input, textarea").first
    question.fill(who)
    for _ in range(3):
        if page.locator(".review").count():
            break
        before = page.locator(".progress-text").inner_text()
        page.locator(".bar .next").click()
        expect(page.locator(".progress-text")).not_to_have_text(before)
    expect(page.locator(".review .notice.good")).to_be_visible()
    expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")


def stored(page: Page, base: str) -> list[list[str]]:
    """Ids of drafts, of what waits, and of what was received, as the phone has them."""
    page.goto(f"{base}/f/?lang=th")
    page.locator(".counter", has_text="ส่งถึงแล้ว").wait_for()
    return module(page, "store.js", STORED)


def rows(server: RunningServer, uid: str) -> list[dict[str, Any]]:
    return Office(server.url, server.token).rows(uid)


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.1])
def test_killed_while_it_is_handed_in(
    running_server: RunningServer, uid: str, base: str, browser: OwnBrowser, delay: float
) -> None:
    """SIGKILL a moment after the button was pressed, without a network: the next start finds the
    answers in one place, and what waits is sent from there."""
    with browser.page() as page:
        fill(page, base, "มาลี")
        running_server.stop()
        page.evaluate(f"setTimeout(() => {SEND}, 0)")
        time.sleep(delay)
        browser.kill()
    running_server.restart()
    with browser.page() as page:
        page.goto(f"{base}/f/?lang=th")
        drafts, waiting, sent = stored(page, base)
        assert len(drafts) + len(waiting) + len(sent) == 1
        if drafts:
            page.locator(".list-drafts").get_by_text("ทำต่อ").click()
            expect(page.locator(".bar .next")).to_be_visible()
            while not page.locator(".review").count():
                page.locator(".bar .next").click()
            page.locator(".bar .next").click()
        expect(page.locator(".counter")).to_have_text("รอส่ง 0 · ส่งถึงแล้ว 1", timeout=30_000)
        assert stored(page, base)[:2] == [[], []]
    (row,) = rows(running_server, uid)
    assert row["who"] == "มาลี"


def test_killed_between_queue_and_send(
    running_server: RunningServer, uid: str, base: str, browser: OwnBrowser
) -> None:
    """What the page has called kept is on the phone's disk: it outlives SIGKILL and is sent at the
    next start, whichever page of the phone that is."""
    with browser.page() as page:
        fill(page, base, "มาลี")
        running_server.stop()
        page.evaluate(SEND)
        expect(page.locator(".only .page-title")).to_contain_text("ขอบคุณ")
        browser.kill()
    running_server.restart()
    with browser.page() as page:
        page.goto(f"{base}/f/?lang=th")
        expect(page.locator(".counter")).to_have_text("รอส่ง 0 · ส่งถึงแล้ว 1", timeout=30_000)
    assert len(rows(running_server, uid)) == 1


def test_killed_after_the_server_has_it(
    running_server: RunningServer, uid: str, base: str, browser: OwnBrowser, proxy: LossyProxy
) -> None:
    """The server keeps the record, the phone dies before it hears so: at the next start it asks
    again, is told 202, and there is one record."""
    with browser.page() as page:
        fill(page, base, "มาลี")
        proxy.losing = 1_000
        page.evaluate(SEND)
        assert eventually(lambda: proxy.posts)
        browser.kill()
    proxy.losing = 0
    before = len(proxy.posts)
    with browser.page() as page:
        page.goto(f"{base}/f/?lang=th")
        expect(page.locator(".counter")).to_have_text("รอส่ง 0 · ส่งถึงแล้ว 1", timeout=30_000)
    assert proxy.posts[0] == 201
    assert set(proxy.posts[before:]) == {202}
    assert len(rows(running_server, uid)) == 1
