"""New versions: of the server's own files, of a form; and a page that did not come by https."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from field_phone import (
    FORM,
    SETTINGS,
    SURVEY,
    FieldPhone,
    copied_tree,
    eventually,
    module,
    publish_small,
)
from needs import needs_chromium
from office import Office, RunningServer, workbook
from playwright.sync_api import Browser, expect
from web_phone import browser, look

pytestmark = needs_chromium
STAMP = "() => document.getElementById('app').dataset.stamp"
LOADED = """() => performance.getEntriesByType('resource').map((one) => one.name)
  .filter((one) => one.includes('/static/web'))"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser("--host-resolver-rules=MAP phones.test 127.0.0.1") as started:
        yield started


def stamps(phone: FieldPhone) -> set[str]:
    """The builds that the page's files are of."""
    found = {
        re.sub(r".*/static/web-([0-9a-f]+)/.*", r"\1", one) for one in phone.page.evaluate(LOADED)
    }
    return found | {phone.page.evaluate(STAMP)}


def test_a_new_build_is_used_whole_from_the_next_load_on(
    chromium: Browser, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After an upgrade the page that is open goes on with its own files, also with those it had not
    asked for; the new ones come in the background, only what has changed is fetched, and the next
    load is all of the new build, without a network too."""
    tree = copied_tree(tmp_path / "tree")
    monkeypatch.setattr("office.ROOT", tree)
    server = RunningServer(tmp_path / "data")
    server.start()
    try:
        publish_small(server)
        phone = FieldPhone(chromium, server)
        phone.get_ready()
        (first,) = stamps(phone)
        words = tree / "server/web/static/words.js"
        words.write_text(words.read_text("utf-8").replace("'ถัดไป'", "'ต่อไป'"), "utf-8")
        server.restart()
        asked: list[str] = []
        phone.context.on("request", lambda request: asked.append(request.url))
        phone.open(FORM)
        assert stamps(phone) == {first}
        expect(phone.page.locator(".bar .next")).to_have_text("ถัดไป")
        builds = "async ({ notes }) => Object.values(await notes.get('builds'))[0]"
        come = lambda: len(module(phone.page, "store.js", builds)) == 2  # noqa: E731
        assert eventually(come), "the new build did not come"
        # of the files that have not changed none is fetched: the engine is 300 kB
        assert not [one for one in asked if "xforms-engine" in one and first not in one]
        late = "async (stamp) => (await import(`/static/web-${stamp}/widgets/search.js`)) && true"
        assert phone.page.evaluate(late, first)
        server.stop()
        phone.open(FORM)
        (second,) = stamps(phone)
        assert second != first
        expect(phone.page.locator(".bar .next")).to_have_text("ต่อไป")
        assert phone.wrong == []
        phone.close()
    finally:
        server.end()


def test_a_new_version_of_the_form(chromium: Browser, running_server: RunningServer) -> None:
    """What was filled in on the old version keeps it and arrives; the new version is there at the
    next opening, whole, and offline the last one that came."""
    server = running_server
    uid = publish_small(server)
    office = Office(server.url, server.token)
    phone = FieldPhone(chromium, server)
    phone.get_ready()
    phone.lose_network()
    phone.open(FORM)
    phone.fill("ก่อน", photo=False)
    phone.hand_in()
    newer = (*SURVEY, ("text", "town", "เมือง", "Town", None))
    settings = (SETTINGS[0], (*SETTINGS[1][:2], "2564020202", SETTINGS[1][3]))
    book = workbook(survey=newer, choices=(("list_name", "name"),), settings=settings)
    office.import_form(book, destination=f"{server.url}/api/v2/assets/{uid}/")
    version = office.get(f"/api/v2/assets/{uid}/")["version_id"]
    deploy = f"/api/v2/assets/{uid}/deployment/"
    answer = office.call("PATCH", deploy, json={"version_id": version, "active": True})
    assert answer.status_code == 200, answer.text
    phone.open(FORM)
    expect(phone.question("ชื่อ")).to_be_visible()
    assert phone.page.locator(".progress-text").inner_text().endswith("3")
    phone.find_network()
    phone.count(0, 1)
    (row,) = office.rows(uid)
    old = row["__version__"]
    phone.open(FORM, new="")
    assert phone.page.locator(".progress-text").inner_text().endswith("4")
    phone.lose_network()
    phone.open(FORM, new="")
    phone.fill("หลัง", photo=False)
    phone.hand_in()
    phone.find_network()
    phone.count(0, 2)
    assert {row["__version__"] for row in office.rows(uid)} > {old}
    kept = "async () => (await (await caches.open('watphon-data')).keys()).map((one) => one.url)"
    xforms = [one for one in phone.page.evaluate(kept) if "/xform/" in one]
    assert len(xforms) == 1, "an old version is let go"
    assert phone.wrong == []
    phone.close()


def test_a_slow_network_does_not_keep_a_form_from_opening(
    chromium: Browser, running_server: RunningServer
) -> None:
    """A form that is on the phone opens although the network says nothing for a long time."""
    publish_small(running_server)
    phone = FieldPhone(chromium, running_server)
    phone.get_ready()
    running_server.process.send_signal(19)  # SIGSTOP: it takes connections and does not answer
    try:
        phone.open(FORM, new="")
        expect(phone.question("ชื่อ")).to_be_visible(timeout=8_000)
        phone.fill("ช้า", photo=False)
        phone.hand_in()
    finally:
        running_server.process.send_signal(18)
    phone.count(0, 1)
    assert phone.wrong == []
    phone.close()


def test_without_https_the_page_says_so_and_works(
    chromium: Browser, running_server: RunningServer
) -> None:
    """A plain address of a local network: no worker and no camera, said in words; ids are made,
    answers are kept and queued, two tabs send each record once."""
    uid = publish_small(running_server)
    port = running_server.url.rpartition(":")[2]
    phone = FieldPhone(chromium, running_server, through=f"http://phones.test:{port}")
    phone.open(FORM)
    assert phone.page.evaluate("() => isSecureContext") is False
    expect(phone.page.locator(".banners")).to_contain_text("https")
    look("insecure", phone.page)
    first = phone.page
    phone.tab().goto(f"{phone.base}/f/?lang=th")
    expect(phone.page.locator(".form-list")).to_contain_text("ยังใช้ออฟไลน์ไม่ได้")
    second, phone.page = phone.page, first
    phone.type("ชื่อ", "ไม่มี https")
    phone.next()
    phone.attach()
    phone.context.set_offline(True)
    phone.to_end()
    phone.hand_in()
    phone.count(1, 0)
    expect(second.locator(".counter")).to_have_text("รอส่ง 1 · ส่งถึงแล้ว 0")
    phone.context.set_offline(False)
    phone.count(0, 1)
    office = Office(running_server.url, running_server.token)
    (row,) = office.rows(uid)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", row["_uuid"])
    assert len(row["_attachments"]) == 1
    uuid = "() => crypto.randomUUID()"
    assert module(phone.page, "random.js", uuid) != module(phone.page, "random.js", uuid)
    assert phone.wrong == []
    phone.close()
