"""The form in a phone's browser: pages, turns, mistakes, languages, drafts, and who cannot see."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from every_question import FORM_ID, PLACES, every_question
from needs import needs, needs_chromium, needs_engine
from office import ROOT, RunningServer
from playwright.sync_api import Browser, expect
from web_phone import Phone, browser, look, publish

from forms.xlsform import to_xform

pytestmark = [needs_chromium, needs_engine]

AXE = ROOT / "server/web/node_modules/axe-core/axe.min.js"
SHIPPED = sorted((ROOT / "forms/programmes/north2564").glob("*.xlsx"))


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def uid(module_server: RunningServer) -> str:
    """The asset of the form with every question."""
    return publish(module_server, every_question(), places=PLACES)


@pytest.fixture
def phone(chromium: Browser, module_server: RunningServer, uid: str) -> Iterator[Phone]:
    """A phone whose page made no complaint to the end of the test."""
    made = Phone(chromium, module_server)
    yield made
    assert made.complaints == []
    made.close()


def serious(phone: Phone) -> list[str]:
    """What axe finds on the page that is serious or critical (https://www.deque.com/axe/)."""
    phone.page.evaluate(AXE.read_text())
    found = phone.page.evaluate("axe.run(document)")
    assert found["passes"]
    return [
        f"{one['id']}: {node['html']}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def test_a_page_with_a_mistake_is_not_left(phone: Phone) -> None:
    """The form's own message stands at the question in the language in use, is said aloud, and the
    focus is where the answer belongs; with an answer the way is free."""
    page = phone.open(FORM_ID)
    page.locator(".bar .next").tap()
    name = phone.question("ชื่อ")
    expect(name.locator(".q-error")).to_have_text("กรุณาใส่ชื่อ")
    expect(page.get_by_role("alert")).to_contain_text("กรุณาใส่ชื่อ")
    expect(name.locator("input")).to_be_focused()
    expect(name.locator("input")).to_have_attribute("aria-invalid", "true")
    look("mistake", page)
    page.get_by_role("button", name="English").tap()
    expect(phone.question("Name").locator(".q-error")).to_have_text("Please enter the name")
    phone.type("Name", "Mali")
    expect(phone.question("Name").locator(".q-error")).to_be_hidden()
    phone.next()
    page.locator(".bar .back").tap()
    expect(phone.question("Name").locator("input")).to_have_value("Mali")


def test_the_language_changes_without_losing_an_answer(phone: Phone) -> None:
    """Form and interface change together and the page says which language it is in; what has no
    translation is shown in the other language; the choice is kept for the next time."""
    page = phone.open(FORM_ID)
    phone.type("ชื่อ", "มาลี")
    assert page.locator("html").get_attribute("lang") == "th"
    page.get_by_role("button", name="English").tap()
    expect(phone.question("Name").locator("input")).to_have_value("มาลี")
    expect(page.locator(".bar .next")).to_have_text("Next")
    expect(page.locator(".form-title")).to_have_text("Every question")
    assert page.locator("html").get_attribute("lang") == "en"
    phone.to("ไม่มีคำแปล")
    phone.to("Fruit (columns)")
    expect(page.locator(".choice")).to_have_text(["Mango", "Banana", "ลำไย", "Other"])
    phone.tab()
    page = phone.open(FORM_ID, new="1")
    expect(page.locator(".bar .next")).to_have_text("Next")
    page.get_by_role("button", name="ไทย").tap()
    expect(page.locator(".bar .next")).to_have_text("ถัดไป")


def test_a_label_is_drawn_with_its_markdown_and_without_its_html(phone: Phone) -> None:
    """Bold is bold, a tag is dropped, guidance is folded away under the hint."""
    page = phone.open(FORM_ID)
    hello = page.locator(".q-note .q-label").first
    expect(hello).to_have_text("สวัสดี ค่ะ")
    assert hello.locator("strong").count() >= 1
    name = phone.question("ชื่อ")
    expect(name.locator(".q-hint")).to_have_text("ตามบัตร")
    expect(name.get_by_text("ถามอย่างสุภาพ")).to_be_hidden()
    name.get_by_text("คำแนะนำเพิ่มเติม").tap()
    expect(name.get_by_text("ถามอย่างสุภาพ")).to_be_visible()


def test_turns_are_added_and_removed(phone: Phone, uid: str) -> None:
    """Each turn has its pages and a name; one is removed only when the person says so; after the
    last one the form goes on."""
    page = phone.open(FORM_ID)
    phone.type("ชื่อ", "แม่")
    phone.to("มีอีกไหม")
    phone.choose("มีอีกไหม", "ไม่ใช่")
    phone.to("ชื่อบุตร")
    expect(page.locator(".page-title")).to_have_text("บุตร ลำดับที่ 1")
    phone.type("ชื่อบุตร", "ก")
    phone.next()
    phone.next()
    for name in ("ข", "ค"):
        page.get_by_role("button", name="+ เพิ่มบุตร").tap()
        phone.type("ชื่อบุตร", name)
        phone.next()
        phone.next()
    expect(page.locator(".another")).to_contain_text("มีแล้ว 3 ชุด")
    look("another", page)
    for _ in range(4):
        page.locator(".bar .back").tap()
    expect(page.locator(".page-title")).to_have_text("บุตร ลำดับที่ 2")
    page.get_by_role("button", name="ลบชุดนี้").tap()
    look("remove", page)
    page.get_by_role("button", name="ไม่ลบ").tap()
    expect(page.locator(".page-title")).to_have_text("บุตร ลำดับที่ 2")
    page.get_by_role("button", name="ลบชุดนี้").tap()
    page.get_by_role("button", name="ลบ", exact=True).tap()
    expect(page.locator(".another")).to_contain_text("มีแล้ว 2 ชุด")
    phone.to_end()
    document = phone.send(uid)
    assert re.findall(r"<child><name>(.*?)</name>", document) == ["ก", "ค"]


def test_the_last_page_leads_to_each_mistake(phone: Phone) -> None:
    """What is missing is listed before sending; a touch leads there with the message shown, and a
    way back to the list."""
    page = phone.open(FORM_ID)
    phone.type("ชื่อ", "มาลี")
    phone.to("มีอีกไหม")
    phone.choose("มีอีกไหม", "ใช่")
    phone.to_end()
    expect(page.locator(".review .notice")).to_have_text("ตอบครบทุกข้อที่ต้องตอบแล้ว")
    phone.to("ชื่อ")
    phone.type("ชื่อ", "")
    page.get_by_role("button", name="ไปหน้าตรวจทาน").tap()
    expect(page.locator(".review .notice")).to_contain_text("ต้องแก้ 1 ข้อ")
    look("review", page)
    page.locator(".bar .next").tap()
    expect(page.locator(".review .jump").first).to_be_focused()
    page.locator(".review .jump", has_text="ชื่อ").first.tap()
    expect(phone.question("ชื่อ").locator(".q-error")).to_have_text("กรุณาใส่ชื่อ")
    expect(phone.question("ชื่อ").locator("input")).to_be_focused()


def test_everything_may_stand_on_one_page(phone: Phone, uid: str) -> None:
    """A switch in the menu shows the whole form at once; it is validated, sent and remembered."""
    page = phone.open(FORM_ID)
    page.locator(".menu").tap()
    page.get_by_role("button", name="แสดงทุกข้อในหน้าเดียว").tap()
    expect(phone.question("ข้อสุดท้าย")).to_be_attached()
    page.locator(".bar .next").tap()
    expect(phone.question("ชื่อ").first.locator("input")).to_be_focused()
    phone.question("ชื่อ").first.locator("input").fill("มาลี")
    phone.choose("มีอีกไหม", "ไม่ใช่")
    page.get_by_role("button", name="+ เพิ่มบุตร").tap()
    expect(page.locator(".turn")).to_have_count(2)
    assert "<who>มาลี</who>" in phone.send(uid)
    page.get_by_role("button", name="กรอกอีกชุด").tap()
    expect(phone.question("ข้อสุดท้าย")).to_be_attached()


def test_the_phones_own_way_back_goes_a_page_back(phone: Phone) -> None:
    """The system's back button leads through the pages, not out of the form."""
    page = phone.open(FORM_ID)
    phone.type("ชื่อ", "มาลี")
    phone.next()
    phone.next()
    page.go_back()
    expect(phone.question("เล่า")).to_be_visible()
    page.go_back()
    expect(phone.question("ชื่อ").locator("input")).to_have_value("มาลี")


def test_a_dead_tab_loses_nothing(phone: Phone, uid: str) -> None:
    """A reload goes on at the same question with the same instance; a new tab offers the draft;
    what is sent then carries the instanceID the draft had."""
    page = phone.open(FORM_ID)
    phone.type("ชื่อ", "มาลี")
    phone.to("อายุ")
    phone.type("อายุ", "45")
    expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    page.reload()
    expect(phone.question("อายุ").locator("input")).to_have_value("45")
    page.close()
    page = phone.tab()
    phone.open(FORM_ID)
    expect(page.locator(".draft")).to_contain_text("คน มาลี")
    look("drafts", page)
    page.get_by_role("button", name="ทำต่อ").tap()
    expect(phone.question("อายุ").locator("input")).to_have_value("45")
    phone.to("มีอีกไหม")
    phone.choose("มีอีกไหม", "ไม่ใช่")
    expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    page.reload()
    phone.to_end()
    document = phone.send(uid)
    assert "<who>มาลี</who>" in document
    assert "<age>45</age>" in document
    page.close()
    page = phone.tab()
    phone.open(FORM_ID)
    expect(page.locator(".draft")).to_have_count(0)


def test_a_sent_form_is_corrected_under_its_own_identity(phone: Phone, uid: str) -> None:
    """`?edit=` opens what was sent; the correction names the version it replaces, and the server
    has one record, not two."""
    phone.open(FORM_ID)
    phone.type("ชื่อ", "เดิม")
    phone.to("มีอีกไหม")
    phone.choose("มีอีกไหม", "ไม่ใช่")
    phone.to_end()
    first = phone.send(uid)
    count = len(phone.received(uid))
    instance = re.search(r"<instanceID>(uuid:.*?)</instanceID>", first)
    assert instance
    page = phone.open(FORM_ID, edit=instance[1])
    expect(page.locator(".banners")).to_contain_text("แก้ไขแบบที่ส่งแล้ว")
    expect(phone.question("ชื่อ").locator("input")).to_have_value("เดิม")
    phone.type("ชื่อ", "ใหม่")
    phone.to_end()
    page.locator(".bar .next").tap()
    expect(page.locator(".only .notice.good")).to_be_visible()
    documents = phone.received(uid)
    assert len(documents) == count
    (corrected,) = [one for one in documents if "<who>ใหม่</who>" in one]
    assert f"<deprecatedID>{instance[1]}</deprecatedID>" in corrected
    assert f"<instanceID>{instance[1]}</instanceID>" not in corrected


@needs(AXE.is_file(), "axe-core (make web-dev)")
def test_nothing_on_the_pages_shuts_people_out(phone: Phone) -> None:
    """axe finds nothing serious on a page, with mistakes shown, in the menu, with everything on one
    page, before sending; every control is at least 44 px high and wide."""
    page = phone.open(FORM_ID)
    assert serious(phone) == []
    page.locator(".bar .next").tap()
    assert serious(phone) == []
    phone.type("ชื่อ", "มาลี")
    page.locator(".menu").tap()
    assert serious(phone) == []
    page.get_by_role("button", name="แสดงทุกข้อในหน้าเดียว").tap()
    expect(phone.question("ข้อสุดท้าย")).to_be_attached()
    page.locator(".bar .next").tap()
    assert serious(phone) == []
    small = page.evaluate("""() => [...document.querySelectorAll('button, input, select, textarea, summary')]
        .filter((one) => one.getClientRects().length)
        .map((one) => [one.closest('label') ?? one, one])
        .filter(([box]) => Math.min(box.offsetWidth, box.offsetHeight) < 44)
        .map(([, one]) => one.outerHTML)""")
    assert small == []
    assert page.evaluate("document.documentElement.scrollWidth") == 390


@pytest.mark.parametrize("workbook", SHIPPED, ids=lambda path: path.stem)
def test_every_page_of_the_shipped_forms_opens(
    chromium: Browser, module_server: RunningServer, workbook: Path
) -> None:
    """Each question of the nine instruments is shown in either language, without a complaint and
    with nothing wider than the phone."""
    content = workbook.read_bytes()
    xform, _ = to_xform(content, form_id=workbook.stem, version="1")
    lists = {
        name: (workbook.parent / f"{name}.csv").read_bytes()
        for name in re.findall(r"jr://file-csv/(\w+)\.csv", xform)
    }
    publish(module_server, content, **lists)
    phone = Phone(chromium, module_server)
    page = phone.open(workbook.stem)
    page.locator(".menu").tap()
    count = page.locator(".overview .jump").count()
    assert count >= 7
    page.keyboard.press("Escape")
    for index in range(count):
        page.locator(".menu").tap()
        page.locator(".overview .jump").nth(index).tap()
        expect(page.locator(".sheet")).to_have_count(0)
        expect(page.locator(".q-widget:not(.q-note *) > *").first).to_be_attached()
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        thai = page.locator(".page").inner_text()
        page.locator(".language").tap()
        expect(page.locator(".page")).not_to_have_text(thai, use_inner_text=True)
        assert page.evaluate("document.documentElement.scrollWidth") == 390
        page.locator(".language").tap()
    assert phone.complaints == []
    phone.close()
