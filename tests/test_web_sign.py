"""Numbers below zero in the browser form, on phones whose number pad has no minus."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from field_phone import SETTINGS, FieldPhone, module
from needs import needs_chromium, needs_engine
from office import RunningServer, workbook
from playwright.sync_api import Browser, expect
from web_phone import browser, look, publish

pytestmark = [needs_chromium, needs_engine]

NAME = "signs"
HEAD = ("type", "name", "label::ไทย (th)", "label::English (en)")
BOOK = workbook(
    survey=(
        (*HEAD, "constraint", "read_only", "default"),
        ("integer", "change", "เปลี่ยนไปกี่คน", "Change", None, None, None),
        ("decimal", "frost", "อุณหภูมิ", "Temperature", ". >= -90.5 and . <= 60", None, None),
        ("integer", "age", "อายุ", "Age", ". >= 0 and . <= 120", None, None),
        ("decimal", "weight", "น้ำหนัก", "Weight", ". > 0", None, None),
        ("integer", "fixed", "ค่าที่ให้มา", "Given", None, "yes", "5"),
    ),
    choices=(("list_name", "name", "label::ไทย (th)", "label::English (en)"),),
    settings=(SETTINGS[0], ("แบบตัวเลข | Numbers", NAME, "1", "ไทย (th)")),
)


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


def test_a_button_makes_a_number_negative(phone: FieldPhone, uid: str) -> None:
    """Beside a number that may be below zero stands ±, 44 pixels, named in the reader's language: it
    turns the sign of what is typed, before or after the digits, and back; the field keeps the
    focus, the answer is sent. Where the form's rule allows no negative number, and where nothing
    can be typed, there is none."""
    page = phone.open(NAME)
    entry = phone.question("เปลี่ยนไป").locator("input")
    sign = phone.question("เปลี่ยนไป").get_by_role("button", name="เปลี่ยนเครื่องหมายบวกลบ")
    box = sign.bounding_box()
    assert box
    assert min(box["width"], box["height"]) >= 44
    sign.tap()
    expect(entry).to_have_value("-")
    expect(entry).to_be_focused()
    look("sign", page)
    page.keyboard.type("12")
    expect(entry).to_have_value("-12")
    sign.tap()
    expect(entry).to_have_value("12")
    sign.tap()
    expect(entry).to_have_value("-12")
    expect(entry).to_be_focused()
    phone.next()
    entry = phone.question("อุณหภูมิ").locator("input")
    entry.fill("๔.๕")
    phone.question("อุณหภูมิ").get_by_role("button").tap()
    page.locator(".language").tap()
    name = "Change the sign, plus or minus"
    expect(phone.question("Temperature").get_by_role("button", name=name)).to_be_visible()
    page.locator(".language").tap()
    phone.next()
    for label in ("อายุ", "น้ำหนัก"):
        expect(phone.question(label).locator("input")).to_be_visible()
        expect(phone.question(label).get_by_role("button")).to_have_count(0)
        phone.next()
    expect(phone.question("ค่าที่ให้มา")).to_be_visible()
    expect(phone.question("ค่าที่ให้มา").get_by_role("button")).to_have_count(0)
    phone.to_end()
    document = phone.send(uid)
    assert "<change>-12</change>" in document
    assert "<frost>-4.5</frost>" in document


@pytest.mark.parametrize(
    ("rule", "refuses"),
    [
        (". >= 0", True),
        (".>=0 and .<=120", True),
        ("(.>0)and(.<9)", True),
        ("((. >= 0) and . <= 5) or (. = 9)", True),
        (". = 1 or . = 2", True),
        ("0 <= .", True),
        (". > .5", True),
        ("regex(., '^[0-9]{4}$')", True),
        ("regex(., '^[0-9]+|-[0-9]+$')", False),
        (". <= 10", False),
        (". >= -5", False),
        (". >= 0 or . = -99", False),
        (". >= /data/least", False),
        ("not(. < 0)", False),
        (". != ' and . >= 0'", False),
    ],
)
def test_a_rule_that_refuses_negative_numbers_is_known(
    phone: FieldPhone, rule: str, refuses: bool
) -> None:
    """A rule counts as one against negative numbers only where that is certain."""
    phone.open(NAME)
    assert (
        module(phone.page, "widgets/number.js", "({ excludes }, rule) => excludes(rule)", rule)
        is refuses
    )
