"""Pictures, drawings, sounds and files on a phone: made small, freed of what they tell, sent whole."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from needs import needs_chromium
from office import RunningServer
from photos import decoded, halves, with_exif
from playwright.sync_api import Browser, Locator, expect
from web_phone import Phone, browser, look
from widgets_form import FORM, publish_widgets, serious, small

pytestmark = needs_chromium

TAKE = "input[type=file][capture]"
CHOOSE = "input[type=file]:not([capture])"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser("--host-resolver-rules=MAP phone.test 127.0.0.1") as started:
        yield started


@pytest.fixture(scope="module")
def uid(module_server: RunningServer) -> str:
    return publish_widgets(module_server)


@pytest.fixture
def phone(chromium: Browser, module_server: RunningServer, uid: str) -> Iterator[Phone]:
    """A phone whose page made no complaint to the end of the test."""
    made = Phone(chromium, module_server)
    yield made
    assert made.complaints == []
    made.close()


def put(question: Locator, content: bytes, name: str, kind: str, where: str = TAKE) -> None:
    """What the phone's camera or file picker gives back."""
    question.locator(where).first.set_input_files(
        {"name": name, "mimeType": kind, "buffer": content}
    )


def sent(phone: Phone, uid: str) -> tuple[str, dict[str, bytes]]:
    """Send the form; the document the server keeps, and its files by name."""
    phone.to("เนื้อหา")
    phone.page.locator(".q-table .table-cell").last.tap()
    phone.to_end()
    document = phone.send(uid)
    row: dict[str, Any] = max(phone.office.rows(uid), key=lambda one: one["_id"])
    files = {
        one["filename"].rpartition("/")[2]: phone.office.call("GET", one["download_url"]).content
        for one in row["_attachments"]
    }
    return document, files


def answer(document: str, name: str) -> str:
    found = re.search(rf"<{name}>(.*?)</{name}>", document)
    return found[1] if found else ""


def is_red(colour: list[int]) -> bool:
    return colour[0] > 150 and colour[2] < 90


def is_blue(colour: list[int]) -> bool:
    return colour[2] > 150 and colour[0] < 90


# ── pictures ────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("orientation", "size", "red"),
    [(1, (640, 480), 2), (3, (640, 480), 3), (6, (480, 640), 0), (8, (480, 640), 1)],
)
def test_a_picture_is_made_small_and_stands_upright(
    phone: Phone, chromium: Browser, uid: str, orientation: int, size: tuple[int, int], red: int
) -> None:
    """12 million pixels become the form's 640 on the longer side, as a JPEG that is turned as the
    camera was held and tells neither place nor camera."""
    photo = with_exif(halves(chromium, 4000, 3000), orientation)
    assert b"Exif" in photo
    phone.open(FORM)
    phone.to("ภาพถ่าย")
    put(phone.question("ภาพถ่าย"), photo, "IMG_1.jpg", "image/jpeg")
    expect(phone.question("ภาพถ่าย").locator("img.picture")).to_be_visible(timeout=20_000)
    document, files = sent(phone, uid)
    name = answer(document, "photo")
    assert re.fullmatch(r"\d{13}-[0-9a-f]{8}\.jpg", name)
    kept = files[name]
    assert len(kept) < 150_000
    assert kept[:3] == b"\xff\xd8\xff"
    assert b"Exif" not in kept
    width, height, colours = decoded(chromium, kept)
    assert (width, height) == size
    other = {0: 1, 1: 0, 2: 3, 3: 2}[red]
    assert is_red(colours[red])
    assert is_blue(colours[other])


def test_a_very_large_picture_does_not_end_the_page(
    phone: Phone, chromium: Browser, uid: str
) -> None:
    """50 million pixels, as phones of today take them; the form sets no limit: 2,048 then."""
    photo = with_exif(halves(chromium, 8160, 6144), 1)
    phone.open(FORM)
    phone.to("ภาพกว้าง")
    question = phone.question("ภาพกว้าง")
    put(question, photo, "IMG_50MP.jpg", "image/jpeg", CHOOSE)
    expect(question.locator("img.picture")).to_be_visible(timeout=30_000)
    document, files = sent(phone, uid)
    width, height, _ = decoded(chromium, files[answer(document, "wide")])
    assert (width, height) == (2048, 1542)


def test_a_picture_is_taken_again_and_removed(phone: Phone, chromium: Browser, uid: str) -> None:
    """The new picture replaces the old one under another name; removed is removed; a draft brings
    the picture back."""
    page = phone.open(FORM)
    phone.to("ภาพถ่าย")
    question = phone.question("ภาพถ่าย")
    assert question.locator(TAKE).get_attribute("capture") == "environment"
    for turn, word in enumerate(("ถ่ายภาพ", "ถ่ายใหม่")):
        expect(question.get_by_role("button", name=word)).to_be_visible()
        put(question, halves(chromium, 1200, 900 + turn), "IMG.jpg", "image/jpeg")
        expect(question.locator("img.picture")).to_be_visible(timeout=20_000)
        expect(question.get_by_role("button", name="ถ่ายใหม่")).to_be_visible()
    look("picture", page)
    assert serious(page) == []
    assert small(page) == []
    expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    page.reload()
    expect(question.locator("img.picture")).to_be_visible(timeout=20_000)
    phone.next()
    put(phone.question("ภาพกว้าง"), halves(chromium, 90, 60, "image/png"), "a.png", "image/png")
    expect(phone.question("ภาพกว้าง").locator("img.picture")).to_be_visible(timeout=20_000)
    phone.next()
    selfie = phone.question("ภาพตนเอง")
    assert selfie.locator(TAKE).get_attribute("capture") == "user"
    expect(selfie.locator(CHOOSE)).to_have_count(0)  # "new": not from the album
    put(selfie, halves(chromium, 300, 200), "me.jpg", "image/jpeg")
    selfie.get_by_role("button", name="ลบไฟล์นี้").tap()
    expect(selfie.locator("img")).to_have_count(0)
    document, files = sent(phone, uid)
    assert answer(document, "selfie") == ""
    assert sorted(files) == sorted([answer(document, "photo"), answer(document, "wide")])
    assert files[answer(document, "wide")].startswith(b"\x89PNG")  # a small PNG stays one


def test_a_picture_of_a_draft_is_removed(phone: Phone, chromium: Browser, uid: str) -> None:
    """Also after the page was loaded again: neither the name nor the file is sent; required is
    required again."""
    page = phone.open(FORM)
    phone.to("ภาพถ่าย")
    question = phone.question("ภาพถ่าย")
    put(question, halves(chromium, 400, 300), "IMG.jpg", "image/jpeg")
    expect(question.locator("img.picture")).to_be_visible(timeout=20_000)
    expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    page.reload()
    expect(question.locator("img.picture")).to_be_visible(timeout=20_000)
    question.get_by_role("button", name="ลบไฟล์นี้").tap()
    expect(question.locator("img")).to_have_count(0)
    expect(question.get_by_role("button", name="ลบไฟล์นี้")).to_be_hidden()
    expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    document, files = sent(phone, uid)
    assert answer(document, "photo") == ""
    assert files == {}


@pytest.mark.parametrize(
    ("content", "name", "kind", "said"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(400), "IMG_2.HEIC", "image/heic", "HEIC"),
        (b"\xff\xd8\xff\xe0 broken off", "IMG_3.jpg", "image/jpeg", "ไฟล์อาจเสีย"),
        (b"%PDF-1.4", "paper.pdf", "application/pdf", "ไฟล์อาจเสีย"),
        (b"", "nothing.jpg", "image/jpeg", "ไฟล์อาจเสีย"),
    ],
    ids=["heic", "broken", "pdf", "empty"],
)
def test_what_is_no_picture_is_refused_in_words(
    phone: Phone, chromium: Browser, content: bytes, name: str, kind: str, said: str
) -> None:
    """The answer stays as it was, the page goes on, and a good picture is taken after it."""
    phone.open(FORM)
    phone.to("ภาพถ่าย")
    question = phone.question("ภาพถ่าย")
    put(question, content, name, kind)
    expect(question.get_by_role("status")).to_contain_text(said)
    expect(question.locator("img")).to_have_count(0)
    put(question, halves(chromium, 400, 300), "IMG_4.jpg", "image/jpeg")
    expect(question.locator("img.picture")).to_be_visible(timeout=20_000)
    expect(question.get_by_role("status")).to_be_hidden()


# ── drawings ────────────────────────────────────────────────────────────────────────────────────


def stroke(phone: Phone, *points: tuple[float, float]) -> None:
    """One line on the pad; points are parts of its width and height."""
    box = phone.page.locator("canvas.pad").bounding_box()
    assert box
    mouse = phone.page.mouse
    x, y = points[0]
    mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
    mouse.down()
    for x, y in points[1:]:
        mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"], steps=5)
    mouse.up()


def test_a_signature_is_drawn_and_sent(phone: Phone, chromium: Browser, uid: str) -> None:
    """Drawn by finger, a line taken back, kept as a PNG; nothing can be kept of an empty pad."""
    page = phone.open(FORM)
    phone.to("ลายมือชื่อ")
    question = phone.question("ลายมือชื่อ")
    question.get_by_role("button", name="ลงลายมือชื่อ").tap()
    keep = page.get_by_role("button", name="ใช้ภาพนี้")
    expect(keep).to_be_disabled()
    stroke(phone, (0.1, 0.5), (0.9, 0.5))
    stroke(phone, (0.5, 0.1), (0.5, 0.9))
    page.get_by_role("button", name="ย้อน", exact=True).tap()
    look("signature", page)
    assert serious(page) == []
    assert small(page) == []
    keep.tap()
    expect(question.locator("img.signature")).to_be_visible()
    look("signed", page)
    document, files = sent(phone, uid)
    picture = files[answer(document, "sign")]
    assert picture.startswith(b"\x89PNG")
    width, height, colours = decoded(chromium, picture)
    assert (width, height) == (1024, 512)
    assert colours[0][:3] == [255, 255, 255]  # the line across the top was taken back
    assert max(colours[2][:3]) < 60
    assert max(colours[3][:3]) < 60


def test_who_cannot_draw_types(phone: Phone, chromium: Browser, uid: str) -> None:
    """By keyboard alone: the name is written into the picture; clearing empties pad and field;
    leaving what was drawn is asked about."""
    page = phone.open(FORM)
    phone.to("ลายมือชื่อ")
    question = phone.question("ลายมือชื่อ")
    question.get_by_role("button", name="ลงลายมือชื่อ").press("Enter")
    field = page.get_by_label("หรือพิมพ์ชื่อแทนการเซ็น")
    field.fill("มาลี ใจดี")
    page.get_by_role("button", name="ล้าง").press("Enter")
    expect(field).to_have_value("")
    expect(page.get_by_role("button", name="ใช้ภาพนี้")).to_be_disabled()
    field.fill("มาลี ใจดี")
    look("signature-typed", page)
    page.keyboard.press("Escape")
    page.get_by_role("button", name="วาดต่อ").press("Enter")
    page.get_by_role("button", name="ใช้ภาพนี้").press("Enter")
    expect(question.locator("img.signature")).to_be_visible()
    document, files = sent(phone, uid)
    assert files[answer(document, "sign")].startswith(b"\x89PNG")
    assert len(files[answer(document, "sign")]) > 3000


def test_a_drawing_is_changed_after_a_draft(phone: Phone, chromium: Browser, uid: str) -> None:
    """In colours, over the whole pad; what was kept comes back from the draft and is drawn on."""
    page = phone.open(FORM)
    phone.to("ภาพวาด")
    question = phone.question("ภาพวาด")
    question.get_by_role("button", name="วาดภาพ").tap()
    page.get_by_role("button", name="สีแดง").tap()
    expect(page.get_by_role("button", name="สีแดง")).to_have_attribute("aria-pressed", "true")
    stroke(phone, (0.05, 0.5), (0.3, 0.5))
    look("drawing", page)
    assert serious(page) == []
    page.get_by_role("button", name="ใช้ภาพนี้").tap()
    expect(page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    page.reload()
    expect(question.locator("img.drawn")).to_be_visible()
    question.get_by_role("button", name="แก้ไขภาพ").tap()
    page.get_by_role("button", name="สีน้ำเงิน").tap()
    stroke(phone, (0.7, 0.5), (0.95, 0.5))
    page.get_by_role("button", name="ใช้ภาพนี้").tap()
    document, files = sent(phone, uid)
    width, height, colours = decoded(chromium, files[answer(document, "sketch")])
    assert max(width, height) <= 1024
    assert is_red(colours[2])
    assert is_blue(colours[3])


def test_a_picture_is_written_on(phone: Phone, chromium: Browser, uid: str) -> None:
    """A photo is taken, opened upright on the pad, written on, and kept no larger than the form
    allows; closing without a line keeps nothing."""
    page = phone.open(FORM)
    phone.to("เขียนบนภาพ")
    question = phone.question("เขียนบนภาพ")
    put(question, with_exif(halves(chromium, 2000, 1500), 6), "IMG_5.jpg", "image/jpeg")
    expect(page.locator("canvas.pad")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="ปิด", exact=True).tap()
    expect(page.locator("dialog")).to_have_count(0)
    expect(question.locator("img")).to_have_count(0)
    put(question, with_exif(halves(chromium, 2000, 1500), 6), "IMG_5.jpg", "image/jpeg")
    expect(page.locator("canvas.pad")).to_be_visible(timeout=20_000)
    stroke(phone, (0.2, 0.15), (0.8, 0.15))
    look("annotated", page)
    assert serious(page) == []
    page.get_by_role("button", name="ใช้ภาพนี้").tap()
    document, files = sent(phone, uid)
    picture = files[answer(document, "marked")]
    assert b"Exif" not in picture
    width, height, colours = decoded(chromium, picture)
    assert (width, height) == (600, 800)
    assert max(colours[0][:3]) < 60  # the line in the red half
    assert is_blue(colours[1])


# ── sounds, films, files ────────────────────────────────────────────────────────────────────────


def test_a_sound_is_recorded(phone: Phone, uid: str) -> None:
    """One touch begins, the button shows the time, another touch ends; it can be heard and sent."""
    page = phone.open(FORM)
    phone.to("เสียง")
    question = phone.question("เสียง")
    question.get_by_role("button", name="บันทึกเสียง").tap()
    stop = question.get_by_role("button", name=re.compile(r"หยุดบันทึก \(0:0[1-9]\)"))
    expect(stop).to_be_visible(timeout=10_000)
    look("recording", page)
    stop.tap()
    expect(question.locator("audio")).to_be_visible()
    assert serious(page) == []
    document, files = sent(phone, uid)
    assert len(files[answer(document, "sound")]) > 1000
    assert answer(document, "sound").rpartition(".")[2] in ("webm", "m4a")


def test_files_arrive_as_they_are(phone: Phone, uid: str) -> None:
    """A paper and a film are sent byte for byte under a new name with the same ending."""
    page = phone.open(FORM)
    phone.to("วิดีโอ")
    film = bytes(range(256)) * 40
    put(phone.question("วิดีโอ"), film, "clip.mp4", "video/mp4")
    expect(phone.question("วิดีโอ").locator("video")).to_be_visible()
    phone.next()
    paper = "แผนงาน".encode() * 100
    put(phone.question("ไฟล์"), paper, "แผน.docx", "application/msword", CHOOSE)
    expect(phone.question("ไฟล์").locator(".file-line")).to_contain_text(".docx · 2 KB")
    look("file", page)
    assert small(page) == []
    document, files = sent(phone, uid)
    assert files[answer(document, "film")] == film
    assert files[answer(document, "paper")] == paper
    assert answer(document, "paper").endswith(".docx")


def test_a_file_that_is_too_large_is_refused_when_it_is_chosen(phone: Phone) -> None:
    """Not after an hour of filling: the size and the server's limit are said at the question."""
    phone.page.route(
        "**/config.json",
        lambda route: route.fulfill(json={**route.fetch().json(), "accepts": 1_200_000}),
    )
    phone.open(FORM)
    phone.to("ไฟล์")
    question = phone.question("ไฟล์")
    put(question, bytes(1_500_000), "a.bin", "application/octet-stream", CHOOSE)
    expect(question.get_by_role("status")).to_contain_text("ไฟล์ 1.5 MB ใหญ่เกินไป")
    expect(question.get_by_role("status")).to_contain_text("เครื่องแม่รับได้ 1.1 MB")
    put(question, b"", "b.bin", "application/octet-stream", CHOOSE)
    expect(question.get_by_role("status")).to_contain_text("ว่างเปล่า")
    expect(question.locator(".file-line")).to_have_count(0)


def test_without_https_a_sound_is_chosen(phone: Phone) -> None:
    """A page that may not record offers the phone's files instead."""
    phone.base = phone.base.replace("127.0.0.1", "phone.test")
    phone.open(FORM)
    phone.to("เสียง")
    question = phone.question("เสียง")
    expect(question.get_by_role("button", name="บันทึกเสียง")).to_have_count(0)
    put(question, b"ID3" + bytes(3000), "a.mp3", "audio/mpeg", CHOOSE)
    expect(question.locator(".file-line")).to_contain_text(".mp3 · 3 KB")
