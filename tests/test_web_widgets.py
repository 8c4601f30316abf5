"""Long lists, codes, orders, scales and tables on a phone: chosen, scanned, typed, sent."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from browsers import CHROMIUM_OPTIONS
from needs import CHROMIUM, needs_chromium
from office import RunningServer
from photos import code_photo, code_video
from playwright.sync_api import Browser, Locator, expect
from web_phone import Phone, browser, look
from widgets_form import FORM, TAMBONS, publish_widgets, serious, small

pytestmark = needs_chromium

SEEN = "1040001234"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """Its camera is held over a badge with the code `SEEN`; `phone.test` is this machine."""
    video = code_video(tmp_path_factory.mktemp("camera") / "badge.y4m", SEEN)
    options = (
        f"--use-file-for-fake-video-capture={video}",
        "--host-resolver-rules=MAP phone.test 127.0.0.1",
    )
    with browser(*options) as started:
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


def picked(phone: Phone, label: str) -> Locator:
    """The closed list of a question."""
    return phone.question(label).locator(".pick")


def to_end(phone: Phone) -> None:
    """Answer what must be answered, on to the page before sending."""
    phone.to("เนื้อหา")
    phone.page.locator(".q-table .table-cell").last.tap()
    phone.to_end()


# ── searched lists ──────────────────────────────────────────────────────────────────────────────


def test_a_long_list_is_searched(phone: Phone, uid: str) -> None:
    """1,562 subdistricts: only those in sight are in the document; some letters without tone marks
    leave a few; one touch chooses, the list closes and its label is shown; it can be cleared."""
    page = phone.open(FORM)
    phone.to("ตำบล")
    picked(phone, "ตำบล").tap()
    expect(page.locator(".search-count")).to_have_text("1,562 รายการ")
    assert 5 < page.locator(".search-row").count() < 60
    last = page.locator(".search-rows").evaluate(
        "async (one) => { one.scrollTop = 1e7; await new Promise((go) => setTimeout(go, 100));"
        " return [...one.querySelectorAll('.search-row')].at(-1).getAttribute('aria-posinset') }"
    )
    assert last == "1562"
    look("list", page)
    page.locator(".search-field").fill("แมรม")
    expect(page.locator(".search-count")).to_have_text("ไม่พบ “แมรม” ลองพิมพ์ให้สั้นลง")
    page.locator(".search-field").fill("ริมใต")
    expect(page.locator(".search-row")).to_have_text(["ริมใต้"])
    look("list-found", page)
    page.locator(".search-row").tap()
    expect(page.locator("dialog")).to_have_count(0)
    expect(picked(phone, "ตำบล")).to_have_text("ริมใต้")
    expect(picked(phone, "ตำบล")).to_be_focused()
    phone.question("ตำบล").get_by_role("button", name="ล้างคำตอบ").tap()
    expect(picked(phone, "ตำบล")).to_have_text("เลือก…")
    picked(phone, "ตำบล").tap()
    page.locator(".search-field").fill("๕๐๐๑๐๑")
    page.locator(".search-row").tap()
    to_end(phone)
    assert "<tambon>500101</tambon>" in phone.send(uid)


def test_a_long_list_is_used_by_keyboard_and_ear(phone: Phone) -> None:
    """The field says which row is active, by an element that is there; arrows move, Enter takes,
    Escape leaves the answer as it was; the focus comes back."""
    page = phone.open(FORM)
    phone.to("ตำบล")
    control = picked(phone, "ตำบล")
    assert control.get_attribute("role") == "combobox"
    control.focus()
    page.keyboard.press("Enter")
    field = page.locator(".search-field")
    expect(field).to_be_focused()
    expect(control).to_have_attribute("aria-expanded", "true")
    page.keyboard.type("ริม")
    for key in ("ArrowDown", "ArrowDown", "ArrowUp", "PageDown"):
        page.keyboard.press(key)
        active = field.get_attribute("aria-activedescendant")
        assert active
        expect(page.locator(f'[id="{active}"]')).to_have_class(re.compile("active"))
        expect(page.locator(f'[id="{active}"]')).to_be_in_viewport()
    words = page.locator(".search-row.active").inner_text()
    assert serious(page) == []
    page.keyboard.press("Enter")
    expect(control).to_have_text(words)
    expect(control).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator('.search-row[aria-selected="true"]')).to_have_text(words)
    page.keyboard.type("ศรีภูมิ")
    page.keyboard.press("Escape")
    expect(page.locator("dialog")).to_have_count(0)
    expect(control).to_have_text(words)
    expect(control).to_have_attribute("aria-expanded", "false")


def test_a_list_follows_the_answer_before(phone: Phone) -> None:
    """A cascade: no row until the province is known; another province takes away the choice."""
    page = phone.open(FORM)
    phone.to("ใกล้")
    expect(phone.question("ใกล้")).to_contain_text("ยังไม่มีรายการให้เลือก")
    phone.to("จังหวัด")
    phone.type("จังหวัด", "58")
    phone.to("ใกล้")
    picked(phone, "ใกล้").tap()
    rows = page.locator(".search-row")
    assert rows.first.inner_text() in TAMBONS.decode()
    chosen = rows.first.inner_text()
    rows.first.tap()
    expect(picked(phone, "ใกล้")).to_have_text(chosen)
    phone.to("จังหวัด")
    phone.type("จังหวัด", "50")
    phone.to("ใกล้")
    expect(picked(phone, "ใกล้")).to_have_text("เลือก…")


def test_several_are_chosen_from_a_list(phone: Phone, uid: str) -> None:
    """Each touch marks or unmarks one; the button says how many; all labels are shown."""
    page = phone.open(FORM)
    phone.to("ผลไม้")
    picked(phone, "ผลไม้").tap()
    expect(page.locator(".search-field")).to_be_hidden()  # three rows are seen at a glance
    for name in ("ลำไย", "มะม่วง", "กล้วย", "กล้วย"):
        page.locator(".search-row", has_text=name).tap()
    look("several", page)
    assert serious(page) == []
    assert small(page) == []
    page.get_by_role("button", name="เสร็จแล้ว (เลือก 2)").tap()
    expect(picked(phone, "ผลไม้").locator(".pick-one")).to_have_text(["มะม่วง", "ลำไย"])
    phone.next()
    picked(phone, "ที่ตั้ง").tap()
    for typed in ("ที่ 7", "ที่ 60"):
        page.locator(".search-field").fill(typed)
        page.locator(".search-row").first.tap()
    page.keyboard.press("Escape")
    expect(picked(phone, "ที่ตั้ง").locator(".pick-one")).to_have_text(["ตำบลที่ 7", "ตำบลที่ 60"])
    to_end(phone)
    document = phone.send(uid)
    assert "<several>mango longan</several>" in document
    assert "<sites>p7 p60</sites>" in document


def test_a_long_list_opens_at_once_on_a_slow_phone(phone: Phone) -> None:
    """With the processor slowed to a quarter, 1,562 rows are on the screen within half a second of
    the touch, and a search answers within half a second."""
    page = phone.open(FORM)
    phone.to("ตำบล")
    session = phone.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 4})
    times = []
    for _ in range(3):
        times.append(
            page.evaluate("""async () => {
              const drawn = () => new Promise((go) => requestAnimationFrame(() => setTimeout(go)));
              const began = performance.now();
              document.querySelector('.pick').click();
              await drawn();
              const opened = performance.now();
              const field = document.querySelector('.search-field');
              field.value = 'บ้าน';
              field.dispatchEvent(new Event('input'));
              await drawn();
              const searched = performance.now();
              if (document.querySelectorAll('.search-row').length < 10) throw new Error('no rows');
              document.querySelector('.whole-close').click();
              await drawn();
              return [opened - began, searched - opened];
            }""")
        )
    assert min(opened for opened, _ in times) < 500
    assert min(searched for _, searched in times) < 500


# ── codes ───────────────────────────────────────────────────────────────────────────────────────


def badge(phone: Phone) -> Locator:
    phone.to("สแกนป้าย")
    return phone.question("สแกนป้าย")


def test_a_badge_is_scanned_live(phone: Phone, uid: str) -> None:
    """One touch opens the camera, the code is read by itself, the camera goes off, and the value is
    the answer."""
    page = phone.open(FORM)
    question = badge(phone)
    question.get_by_role("button", name="สแกนด้วยกล้อง").tap()
    expect(page.locator("dialog.camera")).to_be_visible()
    expect(question.locator("input.scan-typed")).to_have_value(SEEN)
    expect(page.locator("dialog")).to_have_count(0)
    expect(question.get_by_role("status")).to_have_text(f"อ่านได้ {SEEN}")
    expect(question.locator(".q-error")).to_be_hidden()
    look("scanned", page)
    to_end(phone)
    assert f"<badge>{SEEN}</badge>" in phone.send(uid)


@pytest.mark.parametrize(
    "photo",
    [
        {},
        {"turn": 37, "side": 500},
        {"turn": 180, "side": 300, "at": (0.25, 0.7)},
        {"noise": 110, "blur": 2, "side": 700},
        {"width": 3000, "height": 4000, "side": 420, "turn": -12, "noise": 60, "at": (0.8, 0.2)},
        {"width": 4000, "height": 3000, "side": 2600, "blur": 6, "turn": 8},
    ],
    ids=["plain", "turned", "upside-down", "grainy", "small-in-12-MP", "filling-12-MP"],
)
def test_a_code_is_read_from_a_photo(
    phone: Phone, chromium: Browser, photo: dict[str, object]
) -> None:
    """Also where the page may not use the camera: as people take it, whatever its size."""
    phone.open(FORM)
    question = badge(phone)
    made = code_photo(chromium, "5064000123", **photo)  # type: ignore[arg-type]
    take(question, made)
    expect(question.locator("input.scan-typed")).to_have_value("5064000123", timeout=20_000)


def take(question: Locator, photo: bytes) -> None:
    question.locator("input[type=file]").set_input_files(
        {"name": "IMG_1.jpg", "mimeType": "image/jpeg", "buffer": photo}
    )


def test_a_huge_photo_of_a_code_is_read(phone: Phone, chromium: Browser) -> None:
    """10 MB, 12 million pixels of grain."""
    made = code_photo(
        chromium, SEEN, width=4000, height=3000, side=900, noise=150, quality=0.98, turn=20
    )
    assert len(made) > 9_000_000
    phone.open(FORM)
    question = badge(phone)
    take(question, made)
    expect(question.locator("input.scan-typed")).to_have_value(SEEN, timeout=20_000)


def test_a_photo_without_a_code_says_so(phone: Phone, chromium: Browser) -> None:
    """Nothing is made up; a file that is no picture neither."""
    phone.open(FORM)
    question = badge(phone)
    for photo in (code_photo(chromium, SEEN, side=8), b"no picture at all"):
        take(question, photo)
        expect(question.get_by_role("status")).to_contain_text("ไม่พบโค้ดในภาพ", timeout=20_000)
        expect(question.locator("input.scan-typed")).to_have_value("")


def test_a_wrong_code_is_refused_at_the_field(phone: Phone, chromium: Browser) -> None:
    """The form's rule is said at once after a scan, and after typing; Thai digits are digits."""
    phone.open(FORM)
    question = badge(phone)
    take(question, code_photo(chromium, "HTTPS://EXAMPLE.ORG"))
    expect(question.locator(".q-error")).to_have_text("รหัสต้องมี 10 หลัก")
    question.locator("input.scan-typed").fill("๑๐๔๐๐๐๑๒๓๔")
    expect(question.locator(".q-error")).to_be_hidden()
    question.locator("input.scan-typed").fill("12")
    question.locator("input.scan-typed").blur()
    expect(question.locator(".q-error")).to_have_text("รหัสต้องมี 10 หลัก")


def test_without_https_a_photo_is_taken_instead(phone: Phone, chromium: Browser) -> None:
    """A page on an office's plain address cannot open the camera; it says so and offers a photo."""
    phone.base = phone.base.replace("127.0.0.1", "phone.test")
    phone.open(FORM)
    assert not phone.page.evaluate("isSecureContext")
    question = badge(phone)
    expect(question.get_by_role("button", name="สแกนด้วยกล้อง")).to_have_count(0)
    expect(question).to_contain_text("ไม่ได้เปิดด้วย https")
    look("scan-plain", phone.page)
    take(question, code_photo(chromium, SEEN))
    expect(question.locator("input.scan-typed")).to_have_value(SEEN)


def test_a_refused_camera_leaves_other_ways(
    chromium: Browser, module_server: RunningServer, uid: str
) -> None:
    """Who does not allow the camera is told what to do, and may type."""
    options = [*CHROMIUM_OPTIONS, "--use-fake-ui-for-media-stream=deny"]
    started = chromium.browser_type.launch(executable_path=CHROMIUM, args=options)
    phone = Phone(started, module_server)
    phone.open(FORM)
    question = badge(phone)
    question.get_by_role("button", name="สแกนด้วยกล้อง").tap()
    expect(question.get_by_role("status")).to_contain_text("เปิดกล้องไม่ได้")
    expect(phone.page.locator("dialog")).to_have_count(0)
    assert phone.complaints == []
    started.close()


# ── orders, scales, tables ──────────────────────────────────────────────────────────────────────


def test_an_order_is_made_by_arrows_and_by_dragging(phone: Phone, uid: str) -> None:
    """The form's order is no answer until something is moved or the order is kept."""
    page = phone.open(FORM)
    phone.to("เรียงลำดับ")
    rank = phone.question("เรียงลำดับ")
    expect(rank).to_contain_text("ยังไม่ได้จัดลำดับ")
    look("rank-untouched", page)
    rank.get_by_role("button", name="เลื่อนลง: มะม่วง").tap()
    expect(rank.locator(".rank-words")).to_have_text(["กล้วย", "มะม่วง", "ลำไย"])
    expect(rank.get_by_role("button", name="เลื่อนลง: มะม่วง")).to_be_focused()
    expect(rank.get_by_text("ยังไม่ได้จัดลำดับ")).to_be_hidden()
    handle = rank.locator(".rank-item", has_text="ลำไย").locator(".rank-handle")
    start, end = handle.bounding_box(), rank.locator(".rank-item").first.bounding_box()
    assert start
    assert end
    page.mouse.move(start["x"] + 20, start["y"] + 20)
    page.mouse.down()
    page.mouse.move(start["x"] + 20, start["y"] - 20, steps=4)
    page.mouse.move(end["x"] + 20, end["y"] + 2, steps=4)
    look("rank-dragging", page)
    page.mouse.up()
    expect(rank.locator(".rank-words")).to_have_text(["ลำไย", "กล้วย", "มะม่วง"])
    assert serious(page) == []
    assert small(page) == []
    to_end(phone)
    assert "<ranked>longan banana mango</ranked>" in phone.send(uid)


def test_an_order_is_kept_and_cleared(phone: Phone) -> None:
    """Who agrees with the order says so with one touch, and may take it back."""
    phone.open(FORM)
    phone.to("เรียงลำดับ")
    rank = phone.question("เรียงลำดับ")
    rank.get_by_role("button", name="ใช้ลำดับนี้").tap()
    expect(rank.get_by_role("button", name="ใช้ลำดับนี้")).to_be_hidden()
    rank.get_by_role("button", name="ล้างคำตอบ").tap()
    expect(rank.get_by_text("ยังไม่ได้จัดลำดับ")).to_be_visible()


def test_a_scale_has_no_answer_until_touched(phone: Phone, uid: str) -> None:
    """Slider, upright slider, stars and list: nothing is sent for what nobody touched; a touch, a
    key and the buttons choose; what is chosen is read out."""
    page = phone.open(FORM)
    phone.to("ระดับ")
    whole = phone.question("ระดับ")
    slider = whole.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuetext", "ยังไม่ได้เลือก")
    look("range-untouched", page)
    slider.click()  # in the middle, where the handle stands already
    expect(whole.locator(".scale-value")).not_to_have_text("ยังไม่ได้เลือก")
    whole.get_by_role("button", name="ล้างคำตอบ").tap()
    expect(whole.locator(".scale-value")).to_have_text("ยังไม่ได้เลือก")
    slider.press("End")
    expect(whole.locator(".scale-value")).to_have_text("10")
    expect(whole.get_by_role("button", name="เพิ่มขึ้น")).to_be_disabled()
    whole.get_by_role("button", name="ลดลง").tap()
    expect(slider).to_have_attribute("aria-valuetext", "8")
    look("range", page)
    assert serious(page) == []
    phone.next()
    for _ in range(4):
        phone.question("ส่วน").get_by_role("button", name="เพิ่มขึ้น").tap()
    expect(phone.question("ส่วน").locator(".scale-value")).to_have_text("0.3")
    phone.next()
    box = phone.question("สูง").get_by_role("slider").bounding_box()
    assert box
    assert box["height"] > 2 * box["width"]
    page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + 12)
    expect(phone.question("สูง").locator(".scale-value")).to_have_text("5")
    look("range-upright", page)
    assert serious(page) == []
    phone.next()
    stars = phone.question("ดาว")
    expect(stars.locator(".scale-value")).to_have_text("ยังไม่ได้เลือก")
    stars.locator(".star").nth(3).tap()
    expect(stars.locator(".star.full")).to_have_count(4)
    expect(stars.get_by_role("radio", name="4 จาก 5 ดาว")).to_be_checked()
    look("stars", page)
    assert serious(page) == []
    assert small(page) == []
    phone.next()
    phone.question("เลือกจำนวน").locator("select").select_option(label="17")
    to_end(phone)
    document = phone.send(uid)
    for tag, value in {"whole": 8, "part": 0.3, "up": 5, "stars": 4, "picked": 17}.items():
        assert f"<{tag}>{value}</{tag}>" in document


def test_an_untouched_scale_sends_nothing(phone: Phone, uid: str) -> None:
    """Pages that were only looked at leave no number behind."""
    phone.open(FORM)
    for label in ("ระดับ", "ส่วน", "สูง", "ดาว", "เลือกจำนวน", "เรียงลำดับ"):
        phone.to(label)
        expect(phone.question(label).locator(".q-widget > *")).to_be_visible()
    to_end(phone)
    document = phone.send(uid)
    for tag in ("whole", "part", "up", "stars", "picked", "ranked"):
        assert re.search(rf"<{tag}\s*/>|<{tag}></{tag}>", document), tag


def test_a_table_has_its_columns_under_one_heading(phone: Phone, uid: str) -> None:
    """Five columns fit a phone, each cell under its label and large enough for a thumb; each row is
    a group of radio buttons with the question as its name; a row that must be answered says so."""
    page = phone.open(FORM)
    phone.to("เนื้อหา")
    heads = page.locator(".table-label")
    expect(heads).to_have_text(["มากที่สุด", "มาก", "ปานกลาง", "น้อย", "น้อยที่สุด"])
    row = phone.question("เนื้อหา")
    group = page.get_by_role("radiogroup", name=re.compile("เนื้อหาตรงกับ"))
    expect(group.get_by_role("radio")).to_have_count(5)
    for at in range(5):
        head, cell = heads.nth(at).bounding_box(), row.locator(".table-cell").nth(at).bounding_box()
        assert head
        assert cell
        assert abs(head["x"] + head["width"] / 2 - cell["x"] - cell["width"] / 2) < 2
        assert cell["height"] >= 44
        assert cell["width"] >= 44
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator(".bar .next").tap()
    expect(phone.question("วิทยากร").locator(".q-error")).to_have_text("กรุณาตอบข้อนี้")
    look("table", page)
    assert serious(page) == []
    row.get_by_role("radio", name="น้อย", exact=True).check()
    phone.question("วิทยากร").locator(".table-cell").first.tap()
    row.get_by_role("button", name="ล้างคำตอบ").tap()
    expect(row.get_by_role("radio", name="น้อย", exact=True)).not_to_be_checked()
    row.locator(".table-cell").nth(2).tap()
    phone.to_end()
    document = phone.send(uid)
    assert "<row1>3</row1>" in document
    assert "<row2>5</row2>" in document


def test_a_sheet_speaks_english_too(phone: Phone) -> None:
    """Lists, camera and scales have their words in the language in use."""
    page = phone.open(FORM, lang="en")
    phone.to("Subdistrict")
    phone.question("Subdistrict").locator(".pick").tap()
    expect(page.locator(".search-count")).to_have_text("1,562 entries")
    page.get_by_role("button", name="Close").tap()
    phone.to("Scan the badge")
    expect(page.get_by_role("button", name="Scan with the camera")).to_be_visible()
    phone.to("Scale")
    expect(page.locator(".scale-value")).to_have_text("not chosen yet")
