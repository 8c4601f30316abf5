"""Places, paths and areas on a phone: found, typed, listed, and refused where they are none."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from needs import needs_chromium
from office import RunningServer
from playwright.sync_api import Browser, Geolocation, Locator, expect
from web_phone import Phone, browser, look
from widgets_form import FORM, publish_widgets, serious, small

pytestmark = needs_chromium

DRAFT_HAS = """async ([form, text]) => {
  const { openStore } = await import('/static/web/store.js');
  const { drafts } = await openStore();
  for (let turn = 0; turn < 200; turn += 1) {
    const [draft] = await drafts.list(form);
    if (draft && (await draft.data.xml.text()).includes(text)) return;
    await new Promise((go) => setTimeout(go, 50));
  }
  throw new Error('the draft never came so far');
}"""
"""Wait until the draft on the phone has come as far as this text."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser("--host-resolver-rules=MAP phone.test 127.0.0.1") as started:
        yield started


@pytest.fixture(scope="module")
def uid(module_server: RunningServer) -> str:
    return publish_widgets(module_server)


@pytest.fixture
def phone(chromium: Browser, module_server: RunningServer, uid: str) -> Iterator[Phone]:
    """A phone that may say where it is, and whose page made no complaint to the end."""
    made = Phone(chromium, module_server, permissions=["geolocation"])
    yield made
    assert made.complaints == []
    made.close()


def stand(phone: Phone, latitude: float, longitude: float, accuracy: float = 4) -> None:
    where: Geolocation = {"latitude": latitude, "longitude": longitude, "accuracy": accuracy}
    phone.context.set_geolocation(where)


def sent(phone: Phone, uid: str, name: str) -> str:
    """Send the form; the answer to a question."""
    phone.to("เนื้อหา")
    phone.page.locator(".q-table .table-cell").last.tap()
    phone.to_end()
    found = re.search(rf"<{name}>(.*?)</{name}>", phone.send(uid))
    return found[1] if found else ""


def typed(question: Locator, latitude: str, longitude: str) -> None:
    question.get_by_label("ละติจูด").fill(latitude)
    question.get_by_label("ลองจิจูด").fill(longitude)


def open_fields(question: Locator) -> None:
    question.locator("summary", has_text="ใส่ตัวเลขเอง").tap()


def test_the_position_gets_better_while_one_waits(phone: Phone, uid: str) -> None:
    """Each reading's accuracy is shown; above the form's warning it says so; the best is taken by
    itself once it is as good as the form wants (10 m)."""
    page = phone.open(FORM)
    phone.to("ตำแหน่ง")
    question = phone.question("ตำแหน่ง")
    stand(phone, 18.7, 98.9, accuracy=120)
    question.get_by_role("button", name="หาตำแหน่งที่นี่").tap()
    expect(question.locator(".place-now")).to_contain_text("120\u00a0ม.")
    expect(question).to_contain_text("ตำแหน่งยังหยาบ (คลาดเคลื่อนเกิน 50\u00a0ม.)")
    look("place-rough", page)
    assert serious(page) == []
    stand(phone, 18.78, 98.98, accuracy=30)
    expect(question.locator(".place-now")).to_contain_text("30\u00a0ม.")
    expect(question.get_by_text("ตำแหน่งยังหยาบ")).to_be_hidden()
    stand(phone, 18.7883, 98.9853, accuracy=8)
    expect(question.locator(".place-answer")).to_have_text(
        "ได้ตำแหน่งแล้ว 18.7883, 98.9853 (คลาดเคลื่อน 8\u00a0ม.)"
    )
    expect(question.locator(".place-going")).to_be_hidden()
    look("place-found", page)
    assert small(page) == []
    assert sent(phone, uid, "here") == "18.7883 98.9853 0.0 8.0"


def test_a_rough_position_may_be_used(phone: Phone, uid: str) -> None:
    """Who cannot wait takes the best so far; a worse reading after a good one changes nothing."""
    phone.open(FORM)
    phone.to("ตำแหน่ง")
    question = phone.question("ตำแหน่ง")
    stand(phone, 19.5, 99.5, accuracy=25)
    question.get_by_role("button", name="หาตำแหน่งที่นี่").tap()
    expect(question.locator(".place-now")).to_contain_text("25\u00a0ม.")
    stand(phone, 10, 90, accuracy=900)
    expect(question.locator(".place-now")).to_contain_text("25\u00a0ม.")
    question.get_by_role("button", name="ใช้ตำแหน่งนี้").tap()
    assert sent(phone, uid, "here") == "19.5 99.5 0.0 25.0"


def test_a_place_is_typed(phone: Phone, uid: str) -> None:
    """In Thai digits, or both numbers pasted into one field; no place is guessed from half of one."""
    page = phone.open(FORM)
    phone.to("ที่อื่น")
    question = phone.question("ที่อื่น")
    typed(question, "๑๘.๗๘๘๓", "๙๘.๙๘๕๓")  # open at once: placement-map means another place
    expect(question.locator(".place-answer")).to_contain_text("18.7883, 98.9853")
    look("place-typed", page)
    assert serious(page) == []
    question.get_by_role("button", name="ล้างคำตอบ").tap()
    expect(question.locator(".place-answer")).to_be_hidden()
    for latitude, longitude in (("18.7", ""), ("91", "98"), ("18", "181"), ("x", "98"), ("0", "0")):
        typed(question, latitude, longitude)
        page.locator(".bar .next").tap()
        expect(question.locator(".q-error")).to_contain_text("ตำแหน่งไม่ถูกต้อง")
    typed(question, "19.9105, 99.8406", "")
    expect(question.locator(".q-error")).to_be_hidden()
    assert sent(phone, uid, "there") == "19.9105 99.8406"


def test_an_area_is_closed_and_a_path_is_not(phone: Phone, uid: str) -> None:
    """Points are added where one stands or typed, and removed; too few are said and not sent; an
    area ends where it began."""
    page = phone.open(FORM)
    phone.to("แปลง")
    field = phone.question("แปลง")
    stand(phone, 18.1, 98.1)
    field.get_by_role("button", name="เพิ่มจุดที่ยืนอยู่").tap()
    expect(field.locator(".points li")).to_have_count(1)
    page.locator(".bar .next").tap()
    expect(field.locator(".q-error")).to_have_text("ต้องมีอย่างน้อย 3 จุด ตอนนี้มี 1")
    open_fields(field)
    for latitude, longitude in (("18.2", "98.1"), ("๑๘.๒", "98.2"), ("18.1", "98.2")):
        typed(field, latitude, longitude)
        field.get_by_role("button", name="เพิ่มจุดนี้").tap()
    expect(field.locator(".points li")).to_have_count(4)
    expect(field.locator(".q-error")).to_be_hidden()
    typed(field, "99", "1")
    field.get_by_role("button", name="เพิ่มจุดนี้").tap()
    expect(field.locator(".place-manual .file-told")).to_contain_text("ตำแหน่งไม่ถูกต้อง")
    typed(field, "", "")
    field.get_by_role("button", name="ลบจุดที่ 2").tap()
    expect(field.locator(".points li")).to_have_count(3)
    look("area", page)
    assert serious(page) == []
    assert small(page) == []
    phone.to("เส้นทาง")
    path = phone.question("เส้นทาง")
    open_fields(path)
    for latitude in ("18.1", "18.2", "18.1"):
        typed(path, latitude, "98.1")
        path.get_by_label("ลองจิจูด").press("Enter")
    expect(path.locator(".place-answer")).to_contain_text("ต้องไม่ซ้ำกัน")
    path.get_by_role("button", name="ลบจุดที่ 3").tap()
    expect(path.locator(".place-answer")).to_have_text("2 จุด")
    page.evaluate(DRAFT_HAS, [FORM, "98.1;18.2"])
    page.reload()
    expect(path.locator(".points li")).to_have_count(2)
    area = sent(phone, uid, "field")
    points = [part.split()[:2] for part in area.split(";")]
    assert points == [["18.1", "98.1"], ["18.2", "98.2"], ["18.1", "98.2"], ["18.1", "98.1"]]


def test_who_does_not_allow_it_types(chromium: Browser, module_server: RunningServer) -> None:
    """A refusal is said with what to do, and the numbers may be entered."""
    phone = Phone(chromium, module_server)
    phone.open(FORM)
    phone.to("ตำแหน่ง")
    question = phone.question("ตำแหน่ง")
    question.get_by_role("button", name="หาตำแหน่งที่นี่").tap()
    expect(question.get_by_role("status").last).to_contain_text("เครื่องไม่ให้ใช้ตำแหน่ง")
    open_fields(question)
    typed(question, "18.5", "98.5")
    expect(question.locator(".place-answer")).to_contain_text("18.5, 98.5")
    assert phone.complaints == []
    phone.close()


def test_without_https_the_numbers_are_entered(phone: Phone) -> None:
    """The page says why it cannot find the position, and the fields stand open."""
    phone.base = phone.base.replace("127.0.0.1", "phone.test")
    page = phone.open(FORM)
    for label in ("ตำแหน่ง", "แปลง"):
        phone.to(label)
        question = phone.question(label)
        expect(question).to_contain_text("ไม่ได้เปิดด้วย https")
        expect(question.get_by_label("ละติจูด")).to_be_visible()
        expect(question.get_by_role("button", name="หาตำแหน่งที่นี่")).to_have_count(0)
    look("place-plain", page)
