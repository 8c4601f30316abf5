"""The form in a phone's browser: what is answered is what arrives, in the form's own format."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime

import pytest
from every_question import FORM_ID, PLACES, every_question
from lxml import etree
from needs import needs_chromium, needs_engine
from office import ROOT, RunningServer
from playwright.sync_api import Browser, expect
from web_phone import Phone, browser, look, publish

from forms.instance import from_xml
from forms.xlsform import read_form

pytestmark = [needs_chromium, needs_engine]

PROGRAMME = ROOT / "forms/programmes/north2564"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


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


def test_what_is_answered_arrives_as_the_form_defines_it(phone: Phone, uid: str) -> None:
    """Values, types, choices, dates, computed and preloaded fields, groups and turns are as Collect
    would send them; the document's root, version and ids are the form's."""
    phone.open(FORM_ID)
    phone.type("ชื่อ", "มาลี <b> & ดอก")
    answers = {
        "เล่า": "บรรทัดหนึ่ง\nบรรทัดสอง",
        "รหัส 4 หลัก": "๑๒34",
        "เว็บไซต์": "https://example.org/ก",
        "ความลับ": "ลับ",
        "ไม่มีคำแปล": "-",
        "อายุ": "๔๕",
        "ข้าว": "1,250",
        "พื้นที่": "12.5",
    }
    for label, text in answers.items():
        phone.next()
        phone.type(label, text)
    phone.next()
    phone.type("วันที่", "2021-03-11")
    phone.next()
    born = phone.question("วันเกิด")
    born.get_by_label("วัน", exact=True).fill("29")
    born.get_by_label("เดือน").select_option(label="กุมภาพันธ์")
    born.get_by_label("ปี พ.ศ.").fill("2507")
    phone.next()
    phone.question("ตั้งแต่เดือน").get_by_label("เดือน").select_option(label="ธันวาคม")
    phone.question("ตั้งแต่เดือน").get_by_label("ปี ค.ศ.").fill("2019")
    phone.next()
    phone.question("ปีที่จบ").get_by_label("ปี ค.ศ.").fill("1985")
    phone.to("เวลา")
    phone.type("เวลา", "09:05")
    phone.next()
    phone.type("วันและเวลา", "2021-03-11T23:59")
    phone.next()
    phone.choose("ตกลงไหม", "ใช่")
    phone.next()
    phone.choose("เร็ว", "ไม่ใช่")
    expect(phone.question("พอใจเพียงใด")).to_be_visible()  # "quick" goes on by itself
    phone.choose("พอใจเพียงใด", "ปานกลาง")
    phone.to("ผลไม้หลายอย่าง")
    phone.choose("ผลไม้หลายอย่าง", "ลำไย", "มะม่วง")
    phone.to("อื่น ๆ")
    phone.choose("อื่น ๆ", "อื่น ๆ")
    phone.next()
    phone.type("โปรดระบุ", "ส้ม")
    phone.to("ข้าพเจ้ารับทราบ")
    phone.choose("ข้าพเจ้ารับทราบ", "รับทราบ")
    phone.to("ซ้าย")
    expect(phone.question("ขวา")).to_have_count(0)
    phone.type("ซ้าย", "ซ")
    phone.choose("มีอีกไหม", "ใช่")
    phone.type("ขวา", "ข")
    phone.type("ลึก", "-7")
    phone.to("ชื่อบุตร")
    phone.type("ชื่อบุตร", "ก")
    phone.to("มีกี่แปลง")
    phone.type("มีกี่แปลง", "2")
    for crop in ("ข้าว", "ข้าวโพด"):
        phone.next()
        phone.type("พืช", crop)
    phone.to_end()
    document = phone.send(uid)

    root = etree.fromstring(document.encode())
    assert (etree.QName(root).localname, root.get("id")) == (uid, uid)
    sent = from_xml(document.encode(), read_form(every_question()))
    assert sent.version == root.get("version") != ""
    assert UUID.fullmatch(sent.instance_id)
    assert sent.instance_name == "คน มาลี <b> & ดอก"
    told = dict(sent.record.answers)
    began, ended = told.pop("start"), told.pop("end")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?\+07:00", began)
    assert datetime.fromisoformat(began) < datetime.fromisoformat(ended)
    assert told.pop("today") == began[:10]
    assert told.pop("username") == "โทรศัพท์ 1"  # the key's label
    assert re.fullmatch(rf"watphon:{UUID.pattern}", told.pop("deviceid"))
    assert told == {
        "who": "มาลี <b> & ดอก",
        "story": "บรรทัดหนึ่ง\nบรรทัดสอง",
        "code": "1234",
        "site": "https://example.org/ก",
        "secret": "ลับ",
        "bare": "-",
        "age": "45",
        "rice": "1250",
        "area": "12.5",
        "plain": "2021-03-11",
        "born": "1964-02-29",
        "since": "2019-12-01",
        "grad": "1985-01-01",
        "at": "09:05:00.000+07:00",
        "when": "2021-03-11T23:59:00.000+07:00",
        "plainlist": "y",
        "quick": "n",
        "liking": "3",
        "many": "mango longan",
        "other": "other",
        "other_other": "ส้ม",
        "agree": "OK",
        "twice": "90",
        "fixed": "คงที่",
        "page/left": "ซ",
        "page/more": "y",
        "page/right": "ข",
        "page/inner/deep": "-7",
        "plots": "2",
    }
    assert [dict(turn.answers) for turn in sent.record.repeats["child"]] == [{"child/name": "ก"}]
    assert [dict(turn.answers) for turn in sent.record.repeats["plot"]] == [
        {"plot/crop": "ข้าว"},
        {"plot/crop": "ข้าวโพด"},
    ]


def test_the_next_person_gets_a_form_of_their_own(phone: Phone, uid: str) -> None:
    """After sending, one touch begins an empty form with another instanceID on the same page."""
    page = phone.open(FORM_ID)
    phone.type("ชื่อ", "คนแรก")
    phone.to("มีอีกไหม")
    phone.choose("มีอีกไหม", "ไม่ใช่")
    phone.to_end()
    first = phone.send(uid)
    look("sent", page)
    page.get_by_role("button", name="กรอกอีกชุด").tap()
    expect(phone.question("ชื่อ").locator("input")).to_have_value("")
    phone.type("ชื่อ", "คนที่สอง")
    phone.to("มีอีกไหม")
    phone.choose("มีอีกไหม", "ไม่ใช่")
    phone.to_end()
    second = phone.send(uid)
    ids = re.findall(r"<instanceID>(.*?)</instanceID>", first + second)
    assert len(set(ids)) == 2
    assert "คนที่สอง" in second


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        ("สิบ", "กรุณากรอกเป็นจำนวนเต็ม เช่น 25"),
        ("1.5", "กรุณากรอกเป็นจำนวนเต็ม เช่น 25"),
        ("99999999999", "ตัวเลขนี้มากเกินไป"),
        ("150", "คำตอบนี้ใช้ไม่ได้ กรุณาตรวจอีกครั้ง"),
    ],
)
def test_a_number_that_is_none_is_refused_in_words(phone: Phone, typed: str, said: str) -> None:
    """What cannot be stored is neither dropped nor guessed: the page stays and says why."""
    page = phone.open(FORM_ID)
    phone.to("อายุ")
    phone.type("อายุ", typed)
    page.locator(".bar .next").tap()
    expect(phone.question("อายุ").locator(".q-error")).to_have_text(said)
    expect(phone.question("อายุ").locator("input")).to_have_value(typed)
    phone.type("อายุ", "45")
    expect(phone.question("อายุ").locator(".q-error")).to_be_hidden()
    phone.next()


@pytest.mark.parametrize(
    ("day", "month", "year", "said"),
    [
        ("31", "กุมภาพันธ์", "2530", "วันที่ยังไม่ครบหรือไม่มีในปฏิทิน"),
        ("29", "กุมภาพันธ์", "2506", "วันที่ยังไม่ครบหรือไม่มีในปฏิทิน"),
        ("1", "มกราคม", "", "วันที่ยังไม่ครบหรือไม่มีในปฏิทิน"),
        ("1", "มกราคม", "30", "ปีไม่ถูกต้อง กรุณาใส่ปี พ.ศ. 4 หลัก เช่น 2564"),
        ("1", "มกราคม", "1987", "ปีไม่ถูกต้อง กรุณาใส่ปี พ.ศ. 4 หลัก เช่น 2564"),
        ("1", "มกราคม", "2700", "ยังไม่ถึงวันนั้น"),
    ],
)
def test_a_buddhist_date_must_exist(
    phone: Phone, day: str, month: str, year: str, said: str
) -> None:
    """A day that no calendar has, an unfinished date and a Gregorian year typed by mistake are not
    taken; the form's own constraint works on what is stored."""
    page = phone.open(FORM_ID)
    phone.to("วันเกิด")
    born = phone.question("วันเกิด")
    born.get_by_label("วัน", exact=True).fill(day)
    born.get_by_label("เดือน").select_option(label=month)
    born.get_by_label("ปี พ.ศ.").fill(year)
    page.locator(".bar .next").tap()
    expect(born.locator(".q-error")).to_have_text(said)
    expect(born.get_by_label("ปี พ.ศ.")).to_have_value(year)


def test_answers_come_with_the_address(phone: Phone) -> None:
    """`?name=value` and `?d[/data/x]=value` answer the questions they name; a value that the form
    does not accept is not taken, and the page says so; names the form lacks are passed over."""
    page = phone.open(FORM_ID, who="สมชาย", code="12", plainlist="y", many="mango longan", utm="x")
    expect(phone.question("ชื่อ").locator("input")).to_have_value("สมชาย")
    expect(page.locator(".banners .notice")).to_have_text("ค่าในลิงก์ใช้ไม่ได้: code")
    phone.to("รหัส 4 หลัก")
    expect(phone.question("รหัส 4 หลัก").locator("input")).to_have_value("")
    phone.to("ตกลงไหม")
    expect(page.get_by_role("radio", name="ใช่", exact=True)).to_be_checked()
    phone.to("ผลไม้หลายอย่าง")
    expect(page.locator("input[type=checkbox]:checked")).to_have_count(2)


@pytest.fixture(scope="module")
def programme_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that knows the shipped programme, with its pre-test."""
    data = tmp_path_factory.mktemp("programme") / "data"
    server = RunningServer(data, "--programme", str(PROGRAMME))
    server.start()
    yield server
    server.end()


def test_a_link_names_the_person_and_a_used_code_is_told(
    chromium: Browser, programme_server: RunningServer
) -> None:
    """A calculated code is answered through the questions the programme names; after the form was
    sent, the same code on the same phone is warned of at once, and the next person starts without
    the code but with the course."""
    lists = {name: (PROGRAMME / f"{name}.csv").read_bytes() for name in ("courses", "participants")}
    uid = publish(programme_server, (PROGRAMME / "mne_pretest.xlsx").read_bytes(), **lists)
    phone = Phone(chromium, programme_server)
    link = {"participant_id": "5064000171", "course_code": "C64-50-01", "mode": "self"}
    page = phone.open("mne_pretest", **link)
    expect(page.locator(".banners .notice")).to_have_count(0)
    page.locator(".menu").tap()
    said = page.locator(".overview .jump")
    expect(said.filter(has_text="หลักสูตร / รุ่น")).to_contain_text("เชียงใหม่ รุ่น 1")
    expect(said.filter(has_text="รหัสผู้เข้าร่วม (เช่น")).to_contain_text("5064000171")
    page.keyboard.press("Escape")
    for _ in range(60):
        if page.locator(".review").count():
            break
        for question in page.locator(".q").all():
            radios = question.locator("input[type=radio]").count()
            if radios and not question.locator("input:checked").count():
                question.locator(".choice").first.tap()
        phone.next()
    document = phone.send(uid)
    assert "<participant_id>5064000171</participant_id>" in document
    assert "<course_code>C64-50-01</course_code>" in document
    page.get_by_role("button", name="คนต่อไป").tap()
    page.locator(".menu").tap()
    expect(said.filter(has_text="หลักสูตร / รุ่น")).to_contain_text("เชียงใหม่ รุ่น 1")
    expect(said.filter(has_text="5064000171 ")).to_have_count(0)
    page.keyboard.press("Escape")
    phone.open("mne_pretest", **link)
    expect(page.locator(".banners")).to_contain_text("รหัส 5064000171 ทำแบบนี้บนเครื่องนี้แล้ว")
    look("used", page)
    phone.open("mne_pretest", participant_id="5064000172", new="1")
    expect(page.locator(".banners .notice")).to_have_text("ค่าในลิงก์ใช้ไม่ได้: participant_id")
    assert phone.complaints == []
    phone.close()


def test_a_page_that_blocks_inline_code_still_works(phone: Phone) -> None:
    """The served page carries a policy without `unsafe-inline` or `unsafe-eval`, and nothing on it
    is blocked (the phone would have complained)."""
    answers = []
    phone.page.on("response", lambda one: answers.append(one))
    phone.open(FORM_ID)
    policy = next(one for one in answers if one.url.endswith(FORM_ID)).headers[
        "content-security-policy"
    ]
    assert "unsafe-inline" not in policy
    assert "'unsafe-eval'" not in policy
    assert (
        phone.page.evaluate("document.querySelectorAll('[style], script:not([src])').length") == 0
    )
