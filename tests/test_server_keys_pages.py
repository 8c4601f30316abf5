"""The pages of keys and posters in a real browser: on a phone, and printed on A4."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import zxingcpp
from browsers import AXE, faults, look, needs_axe, small_page
from needs import needs, needs_chromium
from office import SETTINGS, Office, RunningServer, workbook
from PIL import Image
from playwright.sync_api import Browser, Page
from visitors import PASSWORD, add_account

from forms.programme import shipped
from server.phones import collect

pytestmark = needs_chromium
needs_poppler = needs(shutil.which("pdftoppm"), "poppler-utils")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The shipped programme, a pre-test and a province team."""
    running = RunningServer(tmp_path_factory.mktemp("keys") / "data", "--programme", str(shipped()))
    running.start()
    try:
        office = Office(running.url, running.token)
        title = "แบบทดสอบก่อนการอบรม | Pre-test"
        office.publish(workbook(settings=(SETTINGS[0], (title, "mne_pretest", "1", "ไทย (th)"))))
        add_account(running, "mali", "province", ("50", "51"))
        yield running
    finally:
        running.end()


@pytest.fixture(params=["th-TH", "en-GB"])
def page(
    request: pytest.FixtureRequest, chromium: Browser, server: RunningServer
) -> Iterator[Page]:
    """A page on a small phone, signed in; an error on it or a refused content fails the test."""
    with small_page(chromium, request.param) as found:
        found.goto(f"{server.url}/signin")
        found.fill("#name", "mali")
        found.fill("#password", PASSWORD)
        found.click("main button")
        yield found


def language(page: Page) -> str:
    return str(page.evaluate("document.documentElement.lang"))


def is_fit(page: Page, name: str) -> None:
    """No wider than the phone, fingers find everything, axe finds nothing, and a Thai page has no
    English sentence left."""
    look(f"{name}-{language(page)}", page, whole=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    small = page.evaluate(
        "[...document.querySelectorAll('main button, main .button, main select, main summary')]"
        ".filter(e => e.offsetParent && e.getBoundingClientRect().height < 40).map(e => e.outerHTML)"
    )
    assert small == []
    if language(page) == "th":
        text = str(page.evaluate("document.querySelector('main').innerText"))
        left = re.findall(
            r"\b[A-Z][a-z]+(?: [a-z]+){2,}", re.sub(r"“[^”]*”|Scan .*|Open .*", "", text)
        )
        assert left == []
    if AXE.is_file():
        assert faults(page) == []


def on_paper(page: Page, name: str, folder: Path) -> list[Image.Image]:
    """The page as it is printed on A4, at 100 dots an inch."""
    pdf = folder / f"{name}.pdf"
    page.pdf(path=pdf, prefer_css_page_size=True)
    subprocess.run(
        ["pdftoppm", "-r", "100", "-png", str(pdf), str(folder / name)], check=True, timeout=60
    )
    sheets = sorted(folder.glob(f"{name}-*.png"))
    for sheet in sheets:
        look(f"print-{language(page)}-{sheet.stem}", sheet)
    return [Image.open(sheet) for sheet in sheets]


def read(picture: bytes | Image.Image) -> list[str]:
    """What a scanner reads in a picture, from the top."""
    image = Image.open(io.BytesIO(picture)) if isinstance(picture, bytes) else picture
    found = zxingcpp.read_barcodes(image)
    return [one.text for one in sorted(found, key=lambda one: one.position.top_left.y)]


@needs_axe
@needs_poppler
def test_a_province_team_sets_up_phones(page: Page, server: RunningServer, tmp_path: Path) -> None:
    """From the start page: name, number, one tap, and the codes are there to be scanned from the
    screen; printed, each phone has its card, six to a sheet, each code readable; the list then shows
    the phones, and one is taken back in two taps."""
    label = f"ลำพูน {language(page)}"
    page.click("a[href='/keys']")
    is_fit(page, "keys")
    page.fill("#label", label)
    page.fill("#count", "8")
    page.click("main form button")
    is_fit(page, "keys-made")
    page.locator(".phone img").first.scroll_into_view_if_needed()
    scanned = [collect.unpacked(text) for text in read(page.screenshot(full_page=True))]
    assert sorted(phone["project"]["name"] for phone in scanned) == [
        f"{label} {n}" for n in range(1, 9)
    ]
    assert all(phone["general"]["server_url"].startswith(server.url) for phone in scanned)
    assert page.locator("button[data-print]").is_visible()
    sheets = on_paper(page, "cards", tmp_path)
    printed = [[collect.unpacked(text)["project"]["name"] for text in read(one)] for one in sheets]
    assert [len(names) for names in printed] == [6, 2]
    assert sorted(name for names in printed for name in names) == [
        f"{label} {n}" for n in range(1, 9)
    ]
    page.goto(f"{server.url}/keys")
    first = page.locator(".key", has_text=f"{label} 8")
    first.locator("summary").click()
    first.locator("button").click()
    page.wait_for_url("**/keys?done=revoke")
    is_fit(page, "keys-list")
    assert page.locator(".key.dead", has_text=f"{label} 8").count() == 1


@needs_axe
@needs_poppler
def test_a_poster_is_made_for_the_wall(page: Page, server: RunningServer, tmp_path: Path) -> None:
    """Form and course, one tap: one sheet of A4 with a code that fills more than half of its width,
    the form's name in both languages, and the address below; the code opens that address."""
    page.click("a[href='/posters']")
    is_fit(page, "posters")
    page.select_option("#form", "mne_pretest")
    page.select_option("#course", "C64-51-01")
    page.click("main form button")
    is_fit(page, "poster")
    (address,) = read(page.screenshot(full_page=True))
    assert address.endswith("/f/mne_pretest?course_code=C64-51-01")
    assert page.locator(".poster .address").inner_text() == address
    (sheet,) = on_paper(page, "poster", tmp_path)
    (code,) = zxingcpp.read_barcodes(sheet)
    assert code.text == address
    width = code.position.top_right.x - code.position.top_left.x
    assert width > 0.45 * sheet.width
    context = page.context.browser
    assert context is not None
    visitor = context.new_context(locale="th-TH").new_page()
    answer = visitor.goto(address)
    assert answer is not None
    assert answer.status in (200, 503), "503: the form engine is not installed"
    visitor.context.close()


@needs_axe
def test_badges_are_made_on_a_phone_as_well(page: Page, server: RunningServer) -> None:
    """From the start page: province, number, one tap, and the codes are there, each to be scanned from
    the screen, ready for print."""
    page.click("a[href='/badges']")
    is_fit(page, "badges")
    page.select_option("#province", "51")
    page.fill("#count", "3")
    page.click("main form button")
    is_fit(page, "badges-made")
    found = read(page.screenshot(full_page=True))
    assert len(found) == 3
    assert all(code.startswith("5164") for code in found)
    assert page.locator("button[data-print]").is_visible()
