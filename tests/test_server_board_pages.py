"""The board in a real browser: it refreshes itself, copies its text in one tap, is for everyone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from board_kit import Season, programme_folder
from browsers import faults, look, needs_axe, small_page
from needs import needs_chromium
from office import RunningServer
from playwright.sync_api import Browser, Page, expect
from visitors import PASSWORD, add_account

from forms.values import participant_code

TODAY = datetime.now(ZoneInfo("Asia/Bangkok")).date()
pytestmark = needs_chromium
CODES = [participant_code("50", 2564, n) for n in range(60)]


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Season]:
    """Six people registered for today's course in Chiang Mai, three of them took the first test."""
    folder = tmp_path_factory.mktemp("board")
    programme = programme_folder(folder / "programme", TODAY, more=45)
    server = RunningServer(folder / "data", "--programme", str(programme))
    server.start()
    for name, role in (("fac50", "facilitator"), ("boss", "admin"), ("manager", "manager")):
        add_account(server, name, role)
    made = Season(server).publish()
    for n, (first, last) in enumerate(
        (("มาลี", "ใจดี"), ("สมชาย", "รักไทย"), ("กานดา", "ณ เชียงใหม่"), ("เอก", ""), ("บุญมี", "มากมี"),
         ("จันทร์", "ฟ้าใส")), start=10
    ):  # fmt: skip
        made.register("C-50-1", CODES[n], first, last)
    for n in (10, 11, 12):
        made.send("mne_pretest", "C-50-1", CODES[n])
    made.register("C-51-1", participant_code("51", 2564, 1), "ลับ")
    yield made
    server.end()


@pytest.fixture
def phone(chromium: Browser) -> Iterator[Page]:
    """A page on a small phone set to Thai; an error on it or a refused content fails the test."""
    with small_page(
        chromium,
        forgiven="Failed to load resource",
        timezone_id="Asia/Bangkok",
        permissions=["clipboard-read", "clipboard-write"],
    ) as page:
        yield page


def enter(page: Page, season: Season, name: str, path: str) -> None:
    """Sign in on the way to a page."""
    page.goto(f"{season.server.url}/signin?next={path}")
    page.fill("#name", name)
    page.fill("#password", PASSWORD)
    page.click("main button")
    page.wait_for_url(f"{season.server.url}{path}")


def summary(page: Page, box: str) -> str:
    return " ".join(page.inner_text(f"#{box} > summary").split())


def test_the_board_refreshes_itself(season: Season, phone: Page) -> None:
    """A test that arrives is on the page within ten seconds, without the page being loaded again; the
    list that was closed stays closed, the focus stays where it was."""
    enter(phone, season, "fac50", "/board/C-50-1")
    phone.evaluate("window.same = true")
    assert summary(phone, "missing-pre") == "ยังไม่ทำแบบทดสอบก่อนอบรม 3"
    expect(phone.locator("#missing-pre li")).to_have_count(3)
    look("board-course", phone)
    phone.locator("#missing-registered > summary").tap()
    expect(phone.locator("#missing-registered li").first).to_be_hidden()
    phone.locator(".share a").focus()
    one = season.send("mne_pretest", "C-50-1", CODES[13])
    expect(phone.locator("#missing-pre > summary")).to_contain_text("2", timeout=15_000)
    expect(phone.locator("#missing-pre li")).to_have_count(2)
    assert "นางสาวเอก" not in phone.inner_text("#missing-pre")
    expect(phone.locator("#missing-registered li").first).to_be_hidden()
    assert phone.evaluate("document.activeElement.href").startswith("https://line.me/")
    expect(phone.locator("#checked")).to_have_text(
        re.compile(r"^ปรับปรุงเองอัตโนมัติ ตรวจล่าสุด \d\d:\d\d:\d\d น\.$")
    )
    assert phone.evaluate("window.same")
    number = season.row("mne_pretest", one)
    uid = season.uids["mne_pretest"]
    season.office.call("DELETE", f"/api/v2/assets/{uid}/data/{number}/")
    expect(phone.locator("#missing-pre > summary")).to_contain_text("3", timeout=15_000)


def test_nothing_is_asked_while_nobody_looks(season: Season, phone: Page) -> None:
    """A page in the background asks nothing; back in front it asks at once."""
    enter(phone, season, "fac50", "/board/C-50-1")
    asked: list[str] = []
    phone.on("request", lambda request: asked.append(request.url))
    hidden = "Object.defineProperty(document, 'hidden', {{configurable: true, value: {0}}});"
    turned = "document.dispatchEvent(new Event('visibilitychange'))"
    phone.evaluate(hidden.format("true") + turned)
    phone.wait_for_timeout(7_000)
    # the browser fetches the page's icon whenever it likes
    assert [address for address in asked if "/static/" not in address] == []
    with phone.expect_response(lambda answer: "live=1" in answer.url) as waited:
        phone.evaluate(hidden.format("false") + turned)
    assert waited.value.status in (200, 304)
    assert all(address.startswith(season.server.url) for address in asked)


def test_the_text_is_copied_in_one_tap(season: Season, phone: Page) -> None:
    """Counts only; the button says that it is done, and then what it was again."""
    enter(phone, season, "fac50", "/board/C-50-1")
    button = phone.locator("[data-copy]")
    button.tap()
    expect(button).to_have_text("คัดลอกแล้ว")
    text = phone.evaluate("navigator.clipboard.readText()")
    assert text.splitlines()[:4] == [
        "เชียงใหม่ รุ่น 1",
        "เป้าหมาย 5 คน",
        "ลงทะเบียน 6 คน (ครบ)",
        "แบบทดสอบก่อนอบรม 3 คน (ขาด 3)",
    ]
    assert not any(secret in text for secret in ("มาลี", "ใจดี", *CODES))
    expect(button).to_have_text("คัดลอกส่งไลน์", timeout=6_000)


def test_without_a_clipboard_the_text_is_copied_all_the_same(season: Season, phone: Page) -> None:
    """On a page without HTTPS scripts have no clipboard: the text is selected and copied from there."""
    phone.add_init_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    enter(phone, season, "fac50", "/board/C-50-1")
    phone.locator("[data-copy]").tap()
    expect(phone.locator("[data-copy]")).to_have_text("คัดลอกแล้ว")
    selected = phone.evaluate("document.activeElement.value")
    assert selected.startswith("เชียงใหม่ รุ่น 1\n")
    phone.evaluate("document.execCommand = () => false")
    phone.locator("[data-copy]").tap()
    expect(phone.locator("#told")).to_have_text("เลือกข้อความไว้แล้ว โปรดกดคัดลอก")


def test_the_phone_offers_its_own_apps_where_it_can(season: Season, phone: Page) -> None:
    """Where the browser can share, a button hands the same text to it."""
    phone.add_init_script(
        "navigator.share = given => { window.given = given; return Promise.resolve(); }"
    )
    enter(phone, season, "fac50", "/board/C-50-1")
    phone.locator("[data-share]").tap()
    assert phone.evaluate("window.given.text") == phone.input_value("#line-text")


def test_a_lost_server_and_a_lost_session_are_told(season: Season, phone: Page) -> None:
    """The page says since when it is not fresh, and goes on by itself when the server is back; who is
    signed out is told so."""
    enter(phone, season, "fac50", "/board")
    phone.context.set_offline(True)
    expect(phone.locator("#checked.late")).to_contain_text("ติดต่อเซิร์ฟเวอร์ไม่ได้ตั้งแต่", timeout=10_000)
    look("board-offline", phone)
    phone.context.set_offline(False)
    expect(phone.locator("#checked:not(.late)")).to_contain_text("ตรวจล่าสุด", timeout=20_000)
    phone.context.clear_cookies()
    expect(phone.locator("#checked.late")).to_contain_text("ออกจากระบบแล้ว", timeout=15_000)


@needs_axe
@pytest.mark.parametrize("language", ["th", "en"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_board_is_for_everyone(
    season: Season, chromium: Browser, width: int, language: str
) -> None:
    """On a phone and on a desk, in both languages: nothing wider than the screen, axe finds nothing, no
    English sentence on a Thai page."""
    for name, paths in (
        ("fac50", ("/board", "/board/C-50-1", "/board/C-50-2", "/board/C-REG-1", "/board/C-51-1")),
        ("boss", ("/board", "/board?q=1&province=52")),
        ("manager", ("/board", "/board/C-50-1")),
    ):
        context = chromium.new_context(viewport={"width": width, "height": 844}, locale=language)
        page = context.new_page()
        enter(page, season, name, "/board")
        for path in paths:
            page.goto(f"{season.server.url}{path}")
            wide = page.evaluate(
                "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
            )
            assert wide[0] <= wide[1], path
            assert faults(page) == [], path
            look(f"board-{name}-{path.rpartition('/')[2][:9]}-{width}-{language}", page)
            if language == "th":
                text = re.sub(r"courses\.csv", "", page.inner_text("main"))
                assert not re.search(r"[A-Za-z]+ [a-z]+ [a-z]+", text), (path, text)
        context.close()


def test_the_board_works_without_scripts(season: Season, chromium: Browser) -> None:
    """Names, numbers and text are in the page; what needs a script is not shown."""
    context = chromium.new_context(java_script_enabled=False, locale="th-TH")
    page = context.new_page()
    enter(page, season, "fac50", "/board/C-50-1")
    expect(page.locator("#missing-pre li")).to_have_count(3)
    assert page.locator("[data-copy]").is_hidden()
    assert page.locator("[data-share]").is_hidden()
    assert page.locator(".share a").is_visible()
    context.close()
