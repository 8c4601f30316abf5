"""The browser form without a network: nothing is lost, nothing arrives twice."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from field_phone import FORM, FieldPhone, eventually, publish_small, secret_of
from needs import needs_chromium
from office import ROOT, Office, RunningServer
from playwright.sync_api import Browser, expect
from visitors import add_account, in_store, key, sign_in
from web_phone import browser, look

from server.people.keys import list_keys, revoke_key

pytestmark = needs_chromium


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture
def server(running_server: RunningServer) -> RunningServer:
    return running_server


@pytest.fixture
def uid(server: RunningServer) -> str:
    return publish_small(server)


@pytest.fixture
def phone(chromium: Browser, server: RunningServer, uid: str) -> Iterator[FieldPhone]:
    """A phone whose page made no complaint but of the missing network."""
    made = FieldPhone(chromium, server)
    yield made
    assert made.wrong == []
    made.close()


def cut(phone: FieldPhone, server: RunningServer, how: str) -> Callable[[], None]:
    """Take the network away; gives how to bring it back."""
    if how == "no signal":
        phone.lose_network()
        return phone.find_network
    server.stop()
    return server.restart


@pytest.mark.parametrize("how", ["no signal", "no server"])
def test_one_visit_is_enough(phone: FieldPhone, server: RunningServer, uid: str, how: str) -> None:
    """Load once, lose the network, reload, fill in with a photograph, queue; when the network is
    back the record arrives, whole and once, without anybody doing anything."""
    phone.get_ready()
    back = cut(phone, server, how)
    phone.open(FORM)
    phone.fill("มาลี")
    phone.hand_in()
    phone.count(1, 0)
    expect(phone.page.locator(".only .notice")).to_contain_text("รอส่ง")
    look(f"offline-waiting-{how}", phone.page)
    assert phone.stored()["drafts"] == []
    back()
    phone.count(0, 1)
    expect(phone.page.locator(".only .notice")).to_have_text("ส่งถึงแล้ว")
    (row,) = phone.office.rows(uid)
    assert row["who"] == "มาลี"
    (file,) = row["_attachments"]
    content = phone.office.call("GET", file["download_url"]).content
    assert content.startswith((b"\x89PNG", b"\xff\xd8"))
    assert row["photo"] == file["media_file_basename"]


def test_a_draft_is_there_without_a_network(phone: FieldPhone, server: RunningServer) -> None:
    """A form half filled in is found after the phone went to sleep, photograph included; deleting
    it asks first."""
    phone.get_ready()
    cut(phone, server, "no server")
    phone.open(FORM)
    phone.type("ชื่อ", "ครึ่งหนึ่ง")
    phone.next()
    phone.attach()
    expect(phone.page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    phone.page.close()
    page = phone.tab()
    page.goto(f"{phone.base}/f/")
    entry = page.locator(".list-drafts li")
    expect(entry).to_contain_text("แบบเล็ก")
    look("list-draft", page)
    entry.get_by_text("ทำต่อ").tap()
    expect(phone.question("ภาพ").locator("img").first).to_be_visible()
    page.goto(f"{phone.base}/f/")
    entry.get_by_text("ลบ", exact=True).tap()
    page.locator("dialog").get_by_text("เก็บไว้").tap()
    expect(entry).to_have_count(1)
    entry.get_by_text("ลบ", exact=True).tap()
    page.locator("dialog").get_by_text("ลบ", exact=True).tap()
    expect(entry).to_have_count(0)
    assert phone.stored() == {"drafts": [], "waiting": [], "sent": []}


def test_a_lost_answer_makes_no_second_record(
    chromium: Browser, server: RunningServer, uid: str
) -> None:
    """The server keeps a record and its answer is lost on the way: the phone asks again and the
    server says that it has it."""
    phone = FieldPhone(chromium, server)
    proxy = phone.proxy
    assert proxy
    phone.get_ready()
    proxy.losing = 1
    phone.fill("สองครั้ง")
    phone.hand_in()
    phone.count(0, 1)
    assert proxy.posts == [201, 202]
    assert len(phone.office.rows(uid)) == 1
    assert phone.wrong == []
    phone.close()


def test_two_tabs_send_each_record_once(chromium: Browser, server: RunningServer, uid: str) -> None:
    """Two tabs of one phone see the same counter, and of what waits each record is sent by one."""
    phone = FieldPhone(chromium, server)
    proxy = phone.proxy
    assert proxy
    phone.get_ready()
    first = phone.page
    phone.lose_network()
    for number in range(5):
        phone.open(FORM, new="")
        phone.fill(f"คนที่ {number}", photo=False)
        phone.hand_in()
    second = phone.tab()
    second.goto(f"{phone.base}/f/")
    phone.count(5, 0)
    expect(first.locator(".counter")).to_have_text("รอส่ง 5 · ส่งถึงแล้ว 0")
    phone.find_network()
    phone.count(0, 5)
    expect(first.locator(".counter")).to_have_text("รอส่ง 0 · ส่งถึงแล้ว 5")
    assert proxy.posts == [201] * 5
    assert sorted(row["who"] for row in phone.office.rows(uid)) == [f"คนที่ {n}" for n in range(5)]
    expect(second.locator(".list-forms")).to_contain_text("วันนี้ส่งถึงแล้ว 5")
    look("list-sent", second)
    assert phone.wrong == []
    phone.close()


def test_a_revoked_key_loses_nothing(
    phone: FieldPhone, server: RunningServer, uid: str, tmp_path: Path
) -> None:
    """Records that wait when the key is taken back stay, with the server's words; they can be saved
    as a file, and go out by the new key's page. The lists of the dead key are no longer kept."""
    phone.get_ready()
    back = cut(phone, server, "no signal")
    phone.open(FORM)
    phone.fill("ก่อนยกเลิก")
    phone.hand_in()

    def revoke(connection: object) -> None:
        (number,) = (one.id for one in list_keys(connection))  # type: ignore[arg-type]
        revoke_key(connection, number, now=datetime.now(UTC))  # type: ignore[arg-type]

    in_store(server, revoke)
    back()
    expect(phone.page.locator(".counter")).to_have_text("ต้องดูแล 1 · รอส่ง 0 · ส่งถึงแล้ว 0")
    phone.page.goto(f"{phone.base}/f/")
    entry = phone.page.locator(".list-attention li")
    expect(entry).to_contain_text("เครื่องแม่ตอบว่า: กุญแจนี้ถูกยกเลิกแล้ว")
    expect(entry).to_contain_text("ข้อมูลยังอยู่ในเครื่องนี้ครบ")
    look("list-attention", phone.page)
    with phone.page.expect_download() as download:
        entry.get_by_text("บันทึกเป็นไฟล์").tap()
    saved = tmp_path / download.value.suggested_filename
    download.value.save_as(saved)
    assert_is_the_record(saved, "ก่อนยกเลิก")
    kept = phone.page.evaluate(
        "async () => (await (await caches.open('watphon-data')).keys()).map((one) => one.url)"
    )
    assert [one for one in kept if secret_of(phone.base) in one] == []
    phone.base = phone.base.replace(secret_of(phone.base), key(server, "กุญแจใหม่")[1])
    phone.page.goto(f"{phone.base}/f/")
    entry.get_by_text("ส่งด้วยลิงก์นี้").tap()
    phone.count(0, 1)
    (row,) = phone.office.rows(uid)
    assert row["_submitted_by"] == "กุญแจใหม่"
    assert len(row["_attachments"]) == 1


def assert_is_the_record(path: Path, who: str) -> None:
    """A ZIP that any program opens, with the record's XML and its photograph."""
    import zipfile

    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        names = archive.namelist()
        assert names[0] == "submission.xml"
        document = archive.read("submission.xml").decode()
        assert f"<who>{who}</who>" in document
        (photo,) = names[1:]
        assert f"<photo>{photo}</photo>" in document
        assert archive.read(photo).startswith((b"\x89PNG", b"\xff\xd8"))


def test_a_sent_record_is_corrected_from_the_list(
    phone: FieldPhone, server: RunningServer, uid: str
) -> None:
    """The list's button opens the record with its answers; the correction is a new version of the
    same row, also when it is made without a network after that."""
    phone.get_ready()
    phone.fill("ชื่อผิด")
    phone.hand_in()
    phone.count(0, 1)
    phone.page.goto(f"{phone.base}/f/")
    phone.page.locator(".list-sent li").get_by_text("แก้ไข").tap()
    expect(phone.question("ชื่อ").locator("input, textarea").first).to_have_value("ชื่อผิด")
    back = cut(phone, server, "no signal")
    phone.type("ชื่อ", "ชื่อถูก")
    phone.to_end()
    phone.page.locator(".bar .next").tap()
    phone.count(1, 1)
    back()
    phone.count(0, 2)
    (row,) = phone.office.rows(uid)
    assert row["who"] == "ชื่อถูก"
    assert len(row["_attachments"]) == 1
    assert row["meta/rootUuid"] != f"uuid:{row['_uuid']}"
    phone.page.goto(f"{phone.base}/f/")
    expect(phone.page.locator(".list-sent li")).to_have_count(1)


def test_every_form_of_the_list_gets_ready(phone: FieldPhone, server: RunningServer) -> None:
    """Opening one form brings the others too, and the list says of each whether it is there."""
    office = Office(server.url, server.token)
    office.publish(another("other"))
    phone.get_ready()
    page = phone.tab()
    page.goto(f"{phone.base}/f/")
    expect(page.locator(".form-list .offline.ready")).to_have_count(2, timeout=30_000)
    server.stop()
    phone.open("other")
    expect(phone.question("ชื่อ")).to_be_visible()


def another(form_id: str) -> bytes:
    """The office's small form under another id."""
    from office import SETTINGS, workbook

    head, values = SETTINGS
    return workbook(settings=(head, (values[0], form_id, *values[2:])))


def test_the_board_hears_what_waits(phone: FieldPhone, server: RunningServer, uid: str) -> None:
    """Each submission tells how many wait after it; the page tells when that changes."""
    from sqlalchemy import select

    from server.state.schema import devices

    phone.get_ready()
    back = cut(phone, server, "no signal")
    for number in range(2):
        phone.open(FORM, new="")
        phone.fill(f"{number}", photo=False)
        phone.hand_in()
    back()
    phone.count(0, 2)

    def rows() -> list[tuple[str | None, int | None]]:
        found = in_store(server, lambda c: c.execute(select(devices)).all())
        return [(row.sent_at, row.waiting) for row in found if row.device.startswith("watphon:")]

    (told,) = eventually(rows)
    assert told[0] is not None
    assert told[1] == 0


def test_the_browser_sends_when_no_page_is_open(
    phone: FieldPhone, server: RunningServer, uid: str
) -> None:
    """Background Sync: the page was closed without a network; when the browser wakes the worker the
    record goes out, and the next page knows it."""
    phone.get_ready()
    phone.lose_network()
    phone.open(FORM)
    phone.fill("หน้าปิดแล้ว")
    phone.hand_in()
    registered = "async () => (await navigator.serviceWorker.ready).sync.getTags()"
    assert phone.page.evaluate(registered) == ["watphon-outbox"]
    line = phone.context.new_cdp_session(phone.page)
    found: list[str] = []
    line.on(
        "ServiceWorker.workerRegistrationUpdated",
        lambda said: found.extend(one["registrationId"] for one in said["registrations"]),
    )
    line.send("ServiceWorker.enable")
    assert eventually(lambda: phone.page.evaluate("1") and found)
    phone.page.goto("about:blank")
    phone.find_network()
    assert phone.office.rows(uid) == []
    assert phone.proxy
    wake = {"registrationId": found[0], "tag": "watphon-outbox", "lastChance": False}
    line.send("ServiceWorker.dispatchSyncEvent", {"origin": phone.proxy.url, **wake})
    assert eventually(lambda: phone.office.rows(uid))
    phone.page.goto(f"{phone.base}/f/")
    phone.count(0, 1)
    assert phone.proxy.posts == [201]


def test_the_list_of_forms_is_for_everybody(phone: FieldPhone, server: RunningServer) -> None:
    """axe finds nothing serious on the list with something in each of its parts, in both
    languages, and nothing of it is wider than the phone."""
    axe = (ROOT / "server/web/node_modules/axe-core/axe.min.js").read_text("utf-8")
    phone.get_ready()
    phone.fill("ส่งแล้ว", photo=False)
    phone.hand_in()
    phone.count(0, 1)
    phone.lose_network()
    phone.open(FORM, new="")
    phone.fill("รอ", photo=False)
    phone.hand_in()
    phone.open(FORM, new="")
    phone.type("ชื่อ", "ครึ่งหนึ่ง")
    expect(phone.page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    for language in ("th", "en"):
        page = phone.page
        page.goto(f"{phone.base}/f/?lang={language}")
        for part in ("forms", "waiting", "drafts", "sent"):
            expect(page.locator(f".list-{part} li").first).to_be_visible()
        page.evaluate(axe)
        found = page.evaluate("async () => (await axe.run()).violations")
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        assert [(one["id"], one["nodes"][0]["html"]) for one in serious] == []
        width = "() => document.documentElement.scrollWidth"
        assert page.evaluate(width) == 390
        look(f"list-{language}", page)


def test_who_is_signed_out_loses_nothing(
    phone: FieldPhone, server: RunningServer, uid: str
) -> None:
    """A session that ended while a form was filled in: no password dialog, the record stays, and
    after signing in it goes out by itself under that account."""
    assert phone.proxy
    add_account(server, "somjai", "facilitator")
    phone.base = phone.proxy.url

    def sign_in_here() -> None:
        cookies = sign_in(server, "somjai").cookies
        found = [{"name": c.name, "value": c.value or "", "url": phone.base} for c in cookies]
        phone.context.add_cookies(found)  # type: ignore[arg-type]

    sign_in_here()
    phone.open(FORM)
    phone.fill("ก่อนหมดเวลา")
    phone.context.clear_cookies()
    phone.hand_in()
    counter = phone.page.locator(".counter")
    expect(counter).to_have_text("ต้องดูแล 1 · รอส่ง 0 · ส่งถึงแล้ว 0")
    counter.tap()
    phone.page.wait_for_url("**/signin?next=%2Ff%2F")
    assert phone.office.rows(uid) == []
    sign_in_here()
    phone.page.goto(f"{phone.base}/f/")
    phone.count(0, 1)
    (row,) = phone.office.rows(uid)
    assert row["_submitted_by"] == "somjai"
    assert len(row["_attachments"]) == 1


def test_what_travels_at_the_first_visit(
    chromium: Browser, server: RunningServer, uid: str
) -> None:
    """Until the first question can be answered less than 450 kB come over the line, compressed."""
    phone = FieldPhone(chromium, server)
    line = phone.context.new_cdp_session(phone.page)
    line.send("Network.enable")
    sizes: list[float] = []
    line.on("Network.loadingFinished", lambda said: sizes.append(said["encodedDataLength"]))
    phone.open(FORM)
    expect(phone.question("ชื่อ")).to_be_visible()
    total = sum(sizes)
    print(f"first visit: {total / 1000:.0f} kB in {len(sizes)} requests")
    assert 50_000 < total < 450_000
    phone.close()


def test_a_script_error_is_not_hidden(phone: FieldPhone) -> None:
    """The tests' own net: a blocked script and a thrown error are complaints."""
    phone.open(FORM)
    phone.page.evaluate("() => { setTimeout(() => { throw new Error('thrown') }) }")
    phone.page.evaluate(
        "() => document.body.append(Object.assign(document.createElement('script'),"
        " { textContent: 'window.x = 1' }))"
    )
    assert eventually(lambda: len(phone.wrong) >= 2)
    assert any("thrown" in one for one in phone.wrong)
    assert any(re.search("Content Security Policy", one) for one in phone.wrong)
    phone.complaints.clear()
