"""A draft of the browser form that was begun with another version of the form."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from field_phone import SETTINGS, FieldPhone, eventually, module
from needs import needs_chromium, needs_engine
from office import Office, RunningServer, workbook
from playwright.sync_api import Browser, expect
from web_phone import browser, look, publish

pytestmark = [needs_chromium, needs_engine]

NAME = "changing"
HEAD = ("type", "name", "label::ไทย (th)", "label::English (en)")
OLD = (
    HEAD,
    ("text", "who", "ชื่อ", "Name"),
    ("text", "town", "เมืองที่อยู่", "Town"),
    ("select_one colour", "colour", "สีที่ชอบ", "Colour"),
    ("begin_repeat", "child", "เด็ก", "Child"),
    ("text", "nick", "ชื่อเล่น", "Nickname"),
    ("text", "toy", "ของเล่น", "Toy"),
    ("end_repeat", None, None, None),
    ("calculate", "shout", None, None),
    ("image", "photo", "ภาพ", "Photo"),
)
NEW = (*OLD[:2], *OLD[3:6], *OLD[7:8], ("text", "village", "หมู่บ้าน", "Village"))
COLOURS = (
    ("list_name", "name", "label::ไทย (th)", "label::English (en)"),
    ("colour", "red", "แดง", "Red"),
    ("colour", "blue", "น้ำเงิน", "Blue"),
)


def book(survey: tuple[tuple[Any, ...], ...], choices: tuple[Any, ...], version: str) -> bytes:
    wide = tuple((*row, "calculation" if row is HEAD else None) for row in survey)
    wide = tuple((*row[:4], "'x'") if row[0] == "calculate" else row for row in wide)
    settings = (SETTINGS[0], ("แบบเปลี่ยน | Changing form", NAME, version, "ไทย (th)"))
    return workbook(survey=wide, choices=choices, settings=settings)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def uid(running_server: RunningServer) -> str:
    return publish(running_server, book(OLD, COLOURS, "1"))


@pytest.fixture
def phone(chromium: Browser, running_server: RunningServer, uid: str) -> Iterator[FieldPhone]:
    made = FieldPhone(chromium, running_server)
    yield made
    assert [one for one in made.wrong if "restore" not in one] == []
    made.close()


def renew(phone: FieldPhone, uid: str, content: bytes) -> None:
    """Publish another version of the form."""
    office: Office = phone.office
    office.import_form(content, destination=f"{phone.server.url}/api/v2/assets/{uid}/")
    version = office.get(f"/api/v2/assets/{uid}/")["version_id"]
    deploy = f"/api/v2/assets/{uid}/deployment/"
    answer = office.call("PATCH", deploy, json={"version_id": version, "active": True})
    assert answer.status_code == 200, answer.text


def half_filled(phone: FieldPhone) -> None:
    """A draft with an answer to every question."""
    phone.open(NAME)
    phone.type("ชื่อ", "มาลี")
    phone.next()
    phone.type("เมืองที่อยู่", "เชียงใหม่")
    phone.next()
    phone.choose("สีที่ชอบ", "น้ำเงิน")
    phone.next()
    if not phone.question("ชื่อเล่น").count():
        phone.page.locator(".add").tap()
    phone.type("ชื่อเล่น", "นก")
    phone.next()
    phone.type("ของเล่น", "ว่าว")
    phone.to("ภาพ")
    phone.attach()
    expect(phone.page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")


def test_what_a_new_version_has_no_place_for_is_told_and_kept(
    phone: FieldPhone, uid: str, tmp_path: Path
) -> None:
    """Who opens a draft after the form has changed reads which answers are not carried over (of
    questions and of choices that are gone, also in a repeat), and goes on with all others. The old
    answers, their photograph included, can be read and saved as a file from the menu, in the list
    and while the record waits; they go when it has been received."""
    half_filled(phone)
    renew(phone, uid, book(NEW, COLOURS[:2], "2"))
    page = phone.open(NAME)
    kept = page.locator("dl.kept")
    expect(kept.locator("dt")).to_have_text(["เมืองที่อยู่", "สีที่ชอบ", "ของเล่น", "ภาพ"])
    expect(kept.locator("dd").first).to_have_text("เชียงใหม่")
    expect(kept.locator("dd").nth(1)).to_have_text("น้ำเงิน")
    expect(page.locator(".only .notice")).to_contain_text("4 ข้อ")
    look("changed-form", page)
    page.get_by_role("button", name="ทำต่อ").tap()
    phone.to("ชื่อเล่น")
    expect(phone.question("ชื่อเล่น").locator("input")).to_have_value("นก")
    phone.to("หมู่บ้าน")
    phone.type("หมู่บ้าน", "แม่ริม")
    expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    page.locator(".menu").tap()
    page.get_by_role("button", name="คำตอบเดิมที่ไม่ได้ย้ายมา (4)").tap()
    expect(page.locator("dialog dl.kept dd").first).to_have_text("เชียงใหม่")
    look("changed-kept", page)
    page.keyboard.press("Escape")

    page = phone.open(NAME)  # it is said once
    expect(phone.question("หมู่บ้าน").locator("input")).to_have_value("แม่ริม")
    page.goto(f"{phone.base}/f/")
    page.locator(".list-drafts").get_by_text("คำตอบเดิมที่ไม่ได้ย้ายมา (4)").tap()
    with page.expect_download() as download:
        page.get_by_role("button", name="บันทึกคำตอบเดิมเป็นไฟล์").tap()
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    with zipfile.ZipFile(saved) as archive:
        document, photo = archive.namelist()
        assert "<town>เชียงใหม่</town>" in archive.read(document).decode()
        assert archive.read(photo).startswith((b"\x89PNG", b"\xff\xd8"))

    phone.wait_ready(NAME)
    phone.open(NAME)
    phone.lose_network()
    phone.to_end()
    phone.hand_in()
    phone.count(1, 0)
    page.goto(f"{phone.base}/f/")
    expect(page.locator(".list-waiting")).to_contain_text("คำตอบเดิมที่ไม่ได้ย้ายมา (4)")
    look("changed-waiting", page)
    phone.find_network()
    phone.count(0, 1)
    (document,) = phone.received(uid)
    assert "<nick>นก</nick>" in document
    assert "เชียงใหม่" not in document
    left = module(
        page,
        "store.js",
        """async ({ within, answer }) => within(['drafts', 'outbox'], 'readonly', async (stores) =>
          (await Promise.all(Object.values(stores).map((one) => answer(one.count())))))""",
    )
    assert left == [0, 0]


def test_a_draft_without_notes_tells_the_elements_names(phone: FieldPhone, uid: str) -> None:
    """A draft that an earlier build of the page has kept knows no labels: the questions that are
    gone are told by their names; what the form had worked out by itself is told too, not hidden."""
    half_filled(phone)
    module(
        phone.page,
        "store.js",
        """async ({ openStore }) => {
          const { drafts } = await openStore();
          for (const { said, edition, ...draft } of await drafts.list()) await drafts.save(draft);
        }""",
    )
    phone.page.goto("about:blank")
    renew(phone, uid, book(NEW, COLOURS[:2], "2"))
    page = phone.open(NAME)
    expect(page.locator("dl.kept dt")).to_have_text(["town", "colour", "toy", "shout", "photo"])
    expect(page.locator("dl.kept dd").nth(2)).to_have_text("ว่าว")


def test_a_new_version_that_takes_every_answer_says_nothing(phone: FieldPhone, uid: str) -> None:
    """Where a new version only adds questions the draft goes on as if nothing had been."""
    half_filled(phone)
    longer = (*OLD, ("text", "village", "หมู่บ้าน", "Village"))
    renew(phone, uid, book(longer, COLOURS, "2"))
    page = phone.open(NAME)
    expect(phone.question("ภาพ").locator("img").first).to_be_visible()
    assert page.locator("dl.kept").count() == 0
    phone.to_end()
    document = phone.send(uid)
    for answer in ("มาลี", "เชียงใหม่", "blue", "นก", "ว่าว"):
        assert answer in document


def test_a_correction_tells_what_the_new_version_has_no_place_for(
    phone: FieldPhone, uid: str
) -> None:
    """Who corrects a record of an older version reads which of its answers are not carried over."""
    half_filled(phone)
    phone.to_end()
    phone.send(uid)
    assert eventually(lambda: phone.stored()["sent"])
    (record,) = phone.stored()["sent"]
    renew(phone, uid, book(NEW, COLOURS[:2], "2"))
    page = phone.open(NAME, edit=record)
    expect(page.locator("dl.kept")).to_contain_text("เชียงใหม่")
    page.get_by_role("button", name="ทำต่อ").tap()
    expect(page.locator(".banners")).to_contain_text("แก้ไขแบบที่ส่งแล้ว")
    page.locator(".menu").tap()
    expect(page.get_by_role("button", name="คำตอบเดิมที่ไม่ได้ย้ายมา")).to_be_visible()
