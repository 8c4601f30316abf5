"""A phone's browser with a form open: what a person does on it, and what reached the server."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from browsers import browser, look
from office import Office, RunningServer
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Locator,
    Page,
    expect,
)
from visitors import key

__all__ = ["Phone", "browser", "look", "publish"]


def publish(server: RunningServer, workbook: bytes, **media: bytes) -> str:
    """Put a form with its lists (`places=…` is places.csv) on a server; the asset's uid."""
    office = Office(server.url, server.token)
    uid = office.import_form(workbook)
    for name, content in media.items():
        assert office.add_media(uid, f"{name}.csv", content).status_code == 201
    answer = office.call("POST", f"/api/v2/assets/{uid}/deployment/", json={"active": True})
    assert answer.status_code == 200, answer.text
    return uid


class Phone:
    """A phone of 390 × 844 with touch, in Thai, whose browser has a key of the server.

    `complaints` collects script errors, console errors and what the page's policy has blocked.
    """

    def __init__(self, browser: Browser, server: RunningServer, **more: Any) -> None:
        self.server = server
        self.office = Office(server.url, server.token)
        self.base = f"{server.url}/key/{key(server)[1]}"
        self.context: BrowserContext = browser.new_context(
            viewport={"width": 390, "height": 844},
            has_touch=True,
            is_mobile=True,
            locale="th-TH",
            timezone_id="Asia/Bangkok",
            **more,
        )
        self.complaints: list[str] = []
        self.page: Page = self.tab()

    def tab(self) -> Page:
        """A further tab of the same phone, which is then the one in use."""
        self.page = self.context.new_page()
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self.heard)
        return self.page

    def heard(self, said: ConsoleMessage) -> None:
        if said.type == "error":
            self.complaints.append(f"{said.text} {said.location.get('url', '')}")

    def open(self, form: str, **query: str) -> Page:
        """Open a form and wait until it can be filled (or says what is in the way)."""
        asked = f"?{urlencode(query)}" if query else ""
        self.page.goto(f"{self.base}/f/{form}{asked}")
        self.page.locator(".page-title").first.wait_for()
        return self.page

    def question(self, label: str) -> Locator:
        """A question on the page by the beginning of its label."""
        return self.page.locator(".q", has=self.page.locator(".q-label", has_text=label))

    def type(self, label: str, text: str) -> None:
        self.question(label).locator("input, textarea").first.fill(text)

    def choose(self, label: str, *choices: str) -> None:
        for choice in choices:
            self.question(label).locator(".choice", has_text=choice).first.tap()

    def next(self) -> None:
        """The button under the page; the page's number is then another one."""
        before = self.at()
        self.page.locator(".bar .next").tap()
        expect(self.page.locator(".progress-text")).not_to_have_text(before)

    def at(self) -> str:
        return self.page.locator(".progress-text").inner_text()

    def to(self, label: str) -> None:
        """To a question by the menu's list."""
        self.page.locator(".menu").tap()
        self.page.locator(".overview .jump", has_text=label).first.tap()
        expect(self.question(label).first).to_be_visible()

    def to_end(self) -> None:
        """On to the page before sending, past questions that need no answer."""
        for _ in range(200):
            if self.page.locator(".review").count():
                return
            self.next()
        raise AssertionError("the form has no end")

    def send(self, uid: str) -> str:
        """Send, wait until it is received; the instance document that the server keeps."""
        self.page.locator(".bar .next").tap()
        expect(self.page.locator(".only .notice.good")).to_be_visible()
        return self.received(uid)[-1]

    def received(self, uid: str) -> list[str]:
        """The instance documents that the server keeps of a form, oldest first."""
        rows = sorted(self.office.rows(uid), key=lambda row: row["_id"])
        path = f"/api/v2/assets/{uid}/data/{{}}.xml"
        return [self.office.call("GET", path.format(row["_id"])).text for row in rows]

    def close(self) -> None:
        self.context.close()
