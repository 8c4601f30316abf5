"""What somebody is still typing in the browser form, when the page is drawn anew or goes away."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from field_phone import SETTINGS, FieldPhone
from needs import needs_chromium, needs_engine
from office import RunningServer, workbook
from playwright.sync_api import Browser, expect
from web_phone import browser, publish

pytestmark = [needs_chromium, needs_engine]

TYPED = "typed"
SURVEY = (
    ("type", "name", "label::ไทย (th)", "label::English (en)", "appearance", "required"),
    ("text", "who", "ชื่อ", "Name", None, None),
    ("integer", "age", "อายุ", "Age", None, None),
    ("date", "born", "วันเกิด", "Birthday", "buddhist", None),
    ("geotrace", "way", "เส้นทาง", "Way", None, None),
    ("text", "last", "สุดท้าย", "Last", None, None),
)
CHOICES = (("list_name", "name", "label::ไทย (th)", "label::English (en)"),)
BOOK = workbook(
    survey=SURVEY,
    choices=CHOICES,
    settings=(SETTINGS[0], ("แบบพิมพ์ | Typed form", TYPED, "2564010101", "ไทย (th)")),
)

LEAVE = "() => window.dispatchEvent(new PageTransitionEvent('pagehide'))"
"""The page goes: the last that a browser says before it reloads or ends a page."""

HIDE = """() => {
  Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""
"""The person goes to another app, from which the page may never come back."""

UNTOLD = """(value) => {
  const control = document.querySelector('.q input');
  control.focus();
  control.value = value;
}"""
"""A field is filled whose keyboard has told the page nothing yet."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def uid(module_server: RunningServer) -> str:
    return publish(module_server, BOOK)


@pytest.fixture
def phone(chromium: Browser, module_server: RunningServer, uid: str) -> Iterator[FieldPhone]:
    made = FieldPhone(chromium, module_server)
    yield made
    assert made.wrong == []
    made.close()


def other_language(phone: FieldPhone) -> None:
    phone.page.locator(".language").tap()
    expect(phone.page.locator(".language")).to_have_text("ไทย")


def one_page(phone: FieldPhone) -> None:
    phone.page.locator(".menu").tap()
    phone.page.get_by_role("button", name="แสดงทุกข้อในหน้าเดียว").tap()
    expect(phone.page.locator(".everything")).to_be_visible()


def reloaded(phone: FieldPhone) -> None:
    phone.page.wait_for_timeout(
        700
    )  # what the store has in hand: a page that goes waits for nobody
    phone.page.reload()
    phone.page.locator(".page-title").first.wait_for()


def left_and_opened(how: str) -> Callable[[FieldPhone], None]:
    def leave(phone: FieldPhone) -> None:
        phone.page.evaluate(how)
        phone.page.wait_for_timeout(300)  # of its draft the page that goes says nothing
        page = phone.tab()
        page.goto(f"{phone.base}/f/{TYPED}")
        page.locator(".draft").get_by_text("ทำต่อ").tap()

    return leave


WAYS = {
    "another language": other_language,
    "one page": one_page,
    "reload": reloaded,
    "page goes": left_and_opened(LEAVE),
    "page is hidden": left_and_opened(HIDE),
}


@pytest.fixture(params=list(WAYS))
def go(request: pytest.FixtureRequest) -> Callable[[FieldPhone], None]:
    """A way to have the page drawn anew, or away."""
    return WAYS[request.param]


def test_a_word_that_the_page_was_not_told_of_is_kept(
    phone: FieldPhone, uid: str, go: Callable[[FieldPhone], None]
) -> None:
    """What stands in the field that has the focus is an answer, although the keyboard has said
    nothing of it yet: after another language, the other view, a reload and a page that was hidden
    or ended it is there, and it is sent."""
    phone.open(TYPED)
    phone.page.evaluate(UNTOLD, "มาลี")
    go(phone)
    label = "Name" if go is other_language else "ชื่อ"
    expect(phone.question(label).locator("input")).to_have_value("มาลี")


def test_the_menu_knows_what_was_typed_last(phone: FieldPhone) -> None:
    """The menu's list of questions shows the answer that stands in the field behind it."""
    phone.open(TYPED)
    phone.page.evaluate(UNTOLD, "สมใจ")
    phone.page.locator(".menu").tap()
    expect(phone.page.locator(".overview .jump", has_text="ชื่อ")).to_contain_text("สมใจ")


def test_a_number_that_is_none_yet_stays(
    phone: FieldPhone, uid: str, go: Callable[[FieldPhone], None]
) -> None:
    """An entry "4x" is no answer, and stays in its field until the person has made one of it."""
    phone.open(TYPED)
    phone.next()
    phone.type("อายุ", "4x")
    go(phone)
    label = "Age" if go is other_language else "อายุ"
    entry = phone.question(label).locator("input")
    expect(entry).to_have_value("4x")
    if go is one_page:
        return
    phone.page.locator(".bar .next").tap()
    expect(phone.question(label).locator(".q-error")).to_be_visible()
    entry.fill("42")
    phone.next()


def test_half_a_date_stays(phone: FieldPhone, go: Callable[[FieldPhone], None]) -> None:
    """Day and month without the year are there again, each in its field."""
    phone.open(TYPED)
    phone.to("วันเกิด")
    date = phone.question("วันเกิด")
    date.locator("input").first.fill("7")
    date.locator("select").select_option("4")
    go(phone)
    date = phone.question("Birthday" if go is other_language else "วันเกิด")
    expect(date.locator("input").first).to_have_value("7")
    expect(date.locator("select")).to_have_value("4")
    date.locator("input").nth(1).fill("2500")
    expect(phone.page.locator(".saved")).to_have_text(
        "Draft saved" if go is other_language else "บันทึกร่างแล้ว"
    )


def test_the_first_point_of_a_way_stays(
    phone: FieldPhone, go: Callable[[FieldPhone], None]
) -> None:
    """One point makes no way yet; it is there again, with the numbers of the second being typed."""
    phone.open(TYPED)
    phone.to("เส้นทาง")
    way = phone.question("เส้นทาง")
    way.locator("summary").tap()
    way.locator(".place-fields input").first.fill("18.5 98.9")
    way.locator(".place-fields button").tap()
    expect(way.locator(".points li")).to_have_count(1)
    way.locator(".place-fields input").first.fill("18.6")
    go(phone)
    way = phone.question("Way" if go is other_language else "เส้นทาง")
    expect(way.locator(".points li")).to_have_count(1)
    expect(way.locator(".place-fields input").first).to_have_value("18.6")


def test_an_entry_that_is_no_answer_is_not_left_behind(phone: FieldPhone, uid: str) -> None:
    """A draft with "4x" in a question that need not be answered is not sent without it: the form
    leads to the question first."""
    page = phone.open(TYPED)
    one_page(phone)
    phone.type("อายุ", "4x")
    expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    page.locator(".menu").tap()
    page.get_by_role("button", name="แสดงทีละหน้า").tap()
    phone.to("สุดท้าย")
    phone.next()
    before = len(phone.office.rows(uid))
    page.locator(".bar .next").tap()
    expect(phone.question("อายุ").locator("input")).to_have_value("4x")
    expect(phone.question("อายุ").locator(".q-error")).to_be_visible()
    phone.type("อายุ", "41")
    phone.to_end()
    assert "<age>41</age>" in phone.send(uid)
    assert len(phone.office.rows(uid)) == before + 1


def test_looking_makes_no_draft(phone: FieldPhone) -> None:
    """Who only touches a field and goes away again leaves no unfinished form behind."""
    page = phone.open(TYPED)
    phone.question("ชื่อ").locator("input").tap()
    page.evaluate(HIDE)
    page.evaluate(LEAVE)
    page.wait_for_timeout(400)
    assert phone.stored()["drafts"] == []
