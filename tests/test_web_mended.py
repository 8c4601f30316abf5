"""The browser form, where a reader found faults: each is shown not to come back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from field_phone import FORM, SETTINGS, FieldPhone, publish_small
from needs import needs_chromium, needs_engine
from office import RunningServer, workbook
from playwright.sync_api import Browser, Page, expect
from web_phone import browser, publish

from forms.programme import shipped

pytestmark = [needs_chromium, needs_engine]

FAST = "fast"
FAST_SURVEY = (
    ("type", "name", "label::ไทย (th)", "label::English (en)", "appearance"),
    ("decimal", "weight", "น้ำหนัก", "Weight", None),
    ("integer", "age", "อายุ", "Age", None),
    ("geopoint", "place", "ที่ตั้ง", "Place", "placement-map"),
    ("select_one yn", "first", "เร็วหนึ่ง", "Quick one", "quick"),
    ("text", "middle", "ตรงกลาง", "Middle", None),
    ("select_one yn", "last", "เร็วท้าย", "Quick last", "quick"),
)
FAST_CHOICES = (
    ("list_name", "name", "label::ไทย (th)", "label::English (en)"),
    ("yn", "y", "ใช่", "Yes"),
    ("yn", "n", "ไม่ใช่", "No"),
)
FAST_SETTINGS = (SETTINGS[0], ("แบบเร็ว | Fast form", FAST, "2564010101", "ไทย (th)"))

TWO_TAPS = """(between) => {
  const [yes, no] = document.querySelectorAll('.choice input');
  yes.click();
  setTimeout(() => no.click(), between);
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def uid(module_server: RunningServer) -> str:
    """The asset of the form of a name and a photograph."""
    return publish_small(module_server)


@pytest.fixture(scope="module")
def fast(module_server: RunningServer) -> str:
    """The asset of the form of numbers and quick questions."""
    book = workbook(survey=FAST_SURVEY, choices=FAST_CHOICES, settings=FAST_SETTINGS)
    return publish(module_server, book)


@pytest.fixture(scope="module")
def programme(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that knows the programme, with one of its forms."""
    server = RunningServer(
        tmp_path_factory.mktemp("programme") / "data", "--programme", str(shipped())
    )
    server.start()
    lists = {name: (shipped() / f"{name}.csv").read_bytes() for name in ("courses", "participants")}
    publish(server, (shipped() / "mne_pretest.xlsx").read_bytes(), **lists)
    yield server
    server.end()


@pytest.fixture
def phone(chromium: Browser, module_server: RunningServer) -> Iterator[FieldPhone]:
    made = FieldPhone(chromium, module_server)
    yield made
    assert made.wrong == []
    made.close()


def sent_once(phone: FieldPhone, uid: str, who: str) -> str:
    """Send the small form with a photograph; the record's instanceID."""
    phone.open(FORM, new="")
    phone.fill(who)
    document = phone.send(uid)
    found = re.search(r"<instanceID>(uuid:[^<]*)</instanceID>", document)
    assert found
    return found[1]


def corrected(phone: FieldPhone, record: str, who: str) -> Page:
    """Begin to correct a record; its draft is kept."""
    page = phone.open(FORM, edit=record)
    phone.type("ชื่อ", who)
    expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    return page


def test_a_correction_from_its_draft_is_still_a_correction(phone: FieldPhone, uid: str) -> None:
    """What was begun as a correction and is continued later replaces the record it was about, and
    keeps the photograph that nobody touched."""
    record = sent_once(phone, uid, "เดิม")
    before = len(phone.office.rows(uid))
    corrected(phone, record, "แก้แล้ว")
    (draft,) = phone.stored()["drafts"]
    page = phone.page
    for _ in range(2):  # a draft of the draft is no less
        page = phone.open(FORM, draft=draft)
        phone.to("ภาพ")
        expect(phone.question("ภาพ").locator("img").first).to_be_visible()
        expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    phone.to_end()
    page.locator(".bar .next").tap()
    expect(page.locator(".only .notice.good")).to_be_visible()
    rows = phone.office.rows(uid)
    assert len(rows) == before
    (row,) = [one for one in rows if one["who"] == "แก้แล้ว"]
    assert row["meta/deprecatedID"] == record
    assert [one["media_file_basename"] for one in row["_attachments"]] == [row["photo"]]
    document = next(one for one in phone.received(uid) if "แก้แล้ว" in one)
    assert document.count("<deprecatedID>") == 1


def test_a_reload_in_the_middle_of_a_correction_goes_on(phone: FieldPhone, uid: str) -> None:
    """The answers on the page are there again, without a network too, and make one draft."""
    record = sent_once(phone, uid, "เดิม")
    phone.get_ready()
    page = corrected(phone, record, "แก้ครึ่งทาง")
    phone.lose_network()
    page.reload()
    expect(phone.question("ชื่อ").locator("input")).to_have_value("แก้ครึ่งทาง")
    expect(page.locator(".banners")).to_contain_text("แก้ไขแบบที่ส่งแล้ว")
    assert len(phone.stored()["drafts"]) == 1
    phone.find_network()


@pytest.mark.parametrize("between", [60, 150])
def test_two_quick_taps_skip_no_question(phone: FieldPhone, fast: str, between: int) -> None:
    """A second thought within the moment counts as one answer and goes on by one page; on the last
    question it leads to the page before sending, and nothing is sent."""
    page = phone.open(FAST, new="")
    phone.to("เร็วหนึ่ง")
    page.evaluate(TWO_TAPS, between)
    expect(phone.question("ตรงกลาง")).to_be_visible()
    page.wait_for_timeout(500)
    expect(phone.question("ตรงกลาง")).to_be_visible()
    phone.next()
    page.evaluate(TWO_TAPS, between)
    expect(page.locator(".review")).to_be_visible()
    page.wait_for_timeout(500)
    expect(page.locator(".review")).to_be_visible()
    assert phone.office.rows(fast) == []
    stored = phone.stored()
    assert stored["waiting"] == stored["sent"] == []


def test_a_quick_tap_and_the_button_go_on_by_one_page(phone: FieldPhone, fast: str) -> None:
    """Who touches a quick answer and then "next" at once is on the next page; with everything on
    one page a quick answer sends nothing."""
    page = phone.open(FAST, new="")
    phone.to("เร็วหนึ่ง")
    page.evaluate("""() => {
      document.querySelector('.choice input').click();
      setTimeout(() => document.querySelector('.bar .next').click(), 80);
    }""")
    page.wait_for_timeout(600)
    expect(phone.question("ตรงกลาง")).to_be_visible()
    page.locator(".menu").tap()
    page.get_by_role("button", name="แสดงทุกข้อในหน้าเดียว").tap()
    phone.choose("เร็วท้าย", "ใช่")
    page.wait_for_timeout(500)
    expect(phone.question("เร็วท้าย")).to_be_visible()
    assert phone.stored()["waiting"] == []


def test_another_persons_link_begins_that_persons_form(
    chromium: Browser, programme: RunningServer
) -> None:
    """In the tab that has one person's draft open, another's link opens a form about the other; the
    draft is kept, and its own link and a reload go on with it."""
    phone = FieldPhone(chromium, programme)

    def about(code: str) -> None:
        expect(phone.page.locator("main h2").first).to_be_visible()
        phone.page.locator(".menu").tap()
        row = phone.page.locator(".overview .jump").filter(has_text="รหัสผู้เข้าร่วม (เช่น")
        expect(row).to_contain_text(code)
        phone.page.keyboard.press("Escape")

    def change() -> None:
        phone.to("ข้อ 1. ")
        phone.question("ข้อ 1. ").locator(".choice").first.tap()
        expect(phone.page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")

    first, second = "5064000010", "5064000027"
    phone.open("mne_pretest", participant_id=first)
    change()
    phone.open("mne_pretest", participant_id=second)
    about(second)
    change()
    assert len(phone.stored()["drafts"]) == 2
    phone.page.reload()
    about(second)
    phone.open("mne_pretest", participant_id=first)
    about(first)
    assert len(phone.stored()["drafts"]) == 2
    phone.tab()  # a tab that had nothing open is asked
    phone.open("mne_pretest", participant_id=first)
    expect(phone.page.locator(".draft")).to_have_count(1)
    phone.open("mne_pretest")
    expect(phone.page.locator(".draft")).to_have_count(2)
    assert phone.wrong == []
    phone.close()


def test_a_day_of_forms_does_not_fill_the_memory(
    chromium: Browser, programme: RunningServer
) -> None:
    """Ten persons later the page holds no more than after one, without fetching a list again."""
    phone = FieldPhone(chromium, programme)
    page = phone.open("mne_pretest")
    phone.wait_ready("mne_pretest")  # that fetches the lists too
    fetched: list[str] = []
    page.on("request", lambda one: fetched.append(one.url))
    devtools = phone.context.new_cdp_session(page)

    def megabytes() -> float:
        devtools.send("HeapProfiler.collectGarbage")
        return devtools.send("Runtime.getHeapUsage")["usedSize"] / 1e6

    def another() -> None:
        page.evaluate("document.querySelector('.q').dataset.before = '1'")
        page.locator(".menu").tap()
        page.locator(".sheet").get_by_role("button", name="ทิ้งร่าง").tap()
        page.get_by_role("button", name="ทิ้ง", exact=True).tap()
        expect(page.locator(".q").first).not_to_have_attribute("data-before", "1")

    for _ in range(5):
        another()
    before = megabytes()
    for _ in range(10):
        another()
    assert megabytes() - before < 6  # ten that stay are 20 MB
    assert [one for one in fetched if one.endswith(".csv")] == []
    assert phone.wrong == []
    phone.close()


@pytest.mark.parametrize(
    ("question", "label", "given", "shown"),
    [
        ("weight", "น้ำหนัก", "๓๖.๕", "36.5"),
        ("weight", "น้ำหนัก", "1,250.5", "1250.5"),
        ("weight", "น้ำหนัก", "36,5", None),
        ("weight", "น้ำหนัก", "abc", None),
        ("weight", "น้ำหนัก", "Infinity", None),
        ("age", "อายุ", "๓๖", "36"),
        ("age", "อายุ", "36.5", None),
        ("place", "ที่ตั้ง", "๑๘.๕ 98.9", "18.5"),
        ("place", "ที่ตั้ง", "18.5", None),
        ("place", "ที่ตั้ง", "18.5 เหนือ", None),
        ("place", "ที่ตั้ง", "118.5 98.9", None),
    ],
)
def test_a_number_in_a_link_is_taken_or_refused(
    phone: FieldPhone, fast: str, question: str, label: str, given: str, shown: str | None
) -> None:
    """Thai digits are digits; what is no number or no place is refused aloud and answers nothing."""
    page = phone.open(FAST, new="", **{question: given})
    banners = page.locator(".banners")
    if shown:
        expect(banners).not_to_contain_text("ค่าในลิงก์ใช้ไม่ได้")
    else:
        expect(banners).to_contain_text(f"ค่าในลิงก์ใช้ไม่ได้: {question}")
    page.locator(".menu").tap()
    row = page.locator(".overview .jump").filter(has_text=label)
    if shown:
        expect(row).to_contain_text(shown)
    else:
        expect(row).not_to_contain_text(re.compile(r"\d|NaN"))


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("36,5", None),
        ("1,25", None),
        ("1,250", "1250.0"),
        ("-1,234,567.5", "-1234567.5"),
        ("๑,๒๕๐.๕", "1250.5"),
    ],
)
def test_commas_stand_between_thousands_only(
    phone: FieldPhone, fast: str, typed: str, kept: str | None
) -> None:
    """A comma for a point is not taken for ten times the number, but said to be wrong."""
    page = phone.open(FAST, new="")
    phone.type("น้ำหนัก", typed)
    if kept:
        phone.next()
        page.locator(".bar .back").tap()
        expect(phone.question("น้ำหนัก").locator("input")).to_have_value(kept)
    else:
        page.locator(".bar .next").tap()
        expect(phone.question("น้ำหนัก").locator(".q-error")).to_contain_text("เช่น 12.5")


def test_a_half_typed_entry_is_not_lost_by_leaving(phone: FieldPhone, fast: str) -> None:
    """Neither the menu, nor "back", nor the phone's own way back leaves an entry that is no answer
    yet: it stays, with what is wrong; once it is right or empty they lead on."""
    page = phone.open(FAST, new="")
    phone.next()
    entry = phone.question("อายุ").locator("input")
    entry.fill("4x")

    def stays() -> None:
        expect(phone.question("อายุ").locator(".q-error")).to_contain_text("จำนวนเต็ม")
        expect(entry).to_have_value("4x")

    page.locator(".bar .back").tap()
    stays()
    page.go_back()
    stays()
    page.go_back()  # and again: the way back is still there
    stays()
    page.locator(".menu").tap()
    page.locator(".overview .jump", has_text="ตรงกลาง").tap()
    stays()
    entry.fill("")
    page.go_back()
    expect(phone.question("น้ำหนัก")).to_be_visible()
