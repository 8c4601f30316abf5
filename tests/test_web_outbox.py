"""The outbox in bad company: a second tab, a full phone, a busy server, a wrong clock, a shared phone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest
from fault_proxy import FOR_EVER, Fault
from field_phone import FORM, FieldPhone, eventually, module, publish_small
from needs import needs_chromium
from office import RunningServer, instance
from playwright.sync_api import Browser, expect
from visitors import add_account, sign_in
from web_phone import browser

pytestmark = needs_chromium

QUEUE = """async ({ queue }, documents) => {
  const base = location.pathname.replace(/\\/f\\/.*/, '');
  for (const [instanceID, xml] of documents) {
    await queue({
      instanceID, base, form: 'small', version: '1', title: 'แบบ',
      submission: `${base}/submission`, xml: new Blob([xml]),
    });
  }
}"""
ALONE = "Object.defineProperty(navigator, 'serviceWorker', { value: undefined })"
"""The page alone sends: what a test breaks in the page is not broken in the worker."""
FULL = """{
  const full = (name) => {
    const before = IDBObjectStore.prototype[name];
    IDBObjectStore.prototype[name] = function (...given) {
      if (globalThis.full?.includes(`${name} ${this.name}`))
        throw new DOMException('full', 'QuotaExceededError');
      return before.apply(this, given);
    };
  };
  full('put');
  full('delete');
}"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def uid(module_server: RunningServer) -> str:
    return publish_small(module_server)


@pytest.fixture
def phone(chromium: Browser, module_server: RunningServer, uid: str) -> Iterator[FieldPhone]:
    """A phone whose page made no complaint but of the missing network."""
    made = FieldPhone(chromium, module_server)
    yield made
    assert made.wrong == []
    made.close()


def queue(phone: FieldPhone, uid: str, count: int) -> list[str]:
    """Hand so many records to the outbox of the open page; their instance ids."""
    names = [str(uuid4()) for _ in range(count)]
    documents = [(f"uuid:{name}", instance(uid, name).decode()) for name in names]
    module(phone.page, "outbox.js", QUEUE, documents)
    return names


def open_list(phone: FieldPhone) -> None:
    phone.page.goto(f"{phone.base}/f/?lang=th")
    phone.page.locator(".form-list").wait_for()


def arrived(phone: FieldPhone, uid: str, names: list[str]) -> bool:
    """Whether the server has each of these once."""
    kept = [row["_uuid"] for row in phone.office.rows(uid)]
    return all(kept.count(name) == 1 for name in names)


@pytest.mark.parametrize("received", [True, False])
def test_a_second_tab_is_told_that_the_form_was_sent(
    phone: FieldPhone, uid: str, received: bool
) -> None:
    """Two tabs with one draft: what the second changes after the first has sent is not called
    saved, sent or received; the first one's answers arrive as they were."""
    phone.get_ready()
    phone.type("ชื่อ", "ในแท็บแรก")
    expect(phone.page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    first, (draft,) = phone.page, phone.stored()["drafts"]
    second = phone.tab()
    phone.open(FORM, draft=draft)
    phone.page = first
    phone.to_end()
    if not received:
        phone.lose_network()
    phone.hand_in()
    if received:
        phone.count(0, 1)
    phone.page = second
    phone.type("ชื่อ", "ในแท็บที่สอง")
    told = second.locator(".banners")
    expect(told).to_contain_text("ส่งไปแล้วจากอีกแท็บ")
    expect(second.locator(".saved")).to_have_text("")
    phone.to_end()
    second.locator(".bar .next").tap()
    expect(second.locator(".banners [role=alert], .banners p")).to_have_count(2)
    expect(second.locator(".only .page-title")).to_have_count(0)
    assert phone.stored()["drafts"] == []
    if not received:
        phone.find_network()
    phone.count(0, 1)
    name = draft.removeprefix("uuid:")
    (row,) = [row for row in phone.office.rows(uid) if row["_uuid"] == name]
    assert row["who"] == "ในแท็บแรก"
    phone.complaints = [one for one in phone.complaints if "AlreadySent" not in one]


def test_the_same_record_twice_is_one(phone: FieldPhone, uid: str) -> None:
    """A double tap of Send hands in the same document twice: nobody is told of trouble, also when
    the first has been received already; another document of that id is refused."""
    open_list(phone)
    name = str(uuid4())
    same = (f"uuid:{name}", instance(uid, name).decode())
    module(phone.page, "outbox.js", QUEUE, [same, same])
    phone.count(0, 1)
    module(phone.page, "outbox.js", QUEUE, [same])
    assert phone.stored()["waiting"] == []
    refused = f"async (found, given) => ({QUEUE})(found, given).catch((error) => error.name)"
    other = (same[0], same[1].replace("</who>", "!</who>"))
    assert other != same
    assert module(phone.page, "outbox.js", refused, [other]) == "AlreadySent"
    assert arrived(phone, uid, [name])


def test_a_full_phone_sends_each_record_once(phone: FieldPhone, uid: str) -> None:
    """There is no room to note what was received: each record is sent, once, and leaves. Where not
    even that can be noted it is said that the phone is full, and nothing is sent in a loop."""
    assert phone.proxy
    phone.context.add_init_script(ALONE)
    phone.context.add_init_script(FULL)
    open_list(phone)
    phone.page.evaluate("() => { globalThis.full = ['put sent'] }")
    names = queue(phone, uid, 3)
    phone.count(0, 0)
    assert phone.proxy.posts == [201] * 3
    phone.page.evaluate("() => { full.push('delete outbox') }")
    names += queue(phone, uid, 3)
    expect(phone.page.locator(".counter")).to_contain_text("เครื่องนี้เต็ม")
    assert eventually(lambda: len(phone.proxy.posts) == 6)  # type: ignore[union-attr]
    time.sleep(2)
    assert phone.proxy.posts == [201] * 6
    phone.page.evaluate("() => { full.length = 0 }")
    phone.page.get_by_text("ส่งตอนนี้").tap()
    phone.count(0, 3)
    assert arrived(phone, uid, names)


def test_a_busy_server_is_asked_once_for_all(phone: FieldPhone, uid: str) -> None:
    """A server that says 429 is left alone with all that waits for it, also with what is handed in
    meanwhile and when the network comes back; a person may still say: send now."""
    assert phone.proxy
    open_list(phone)
    phone.proxy.play({0: Fault("429", times=FOR_EVER, path="/submission")})
    names = queue(phone, uid, 4)
    assert eventually(lambda: phone.proxy.met["429"])  # type: ignore[union-attr]
    names += queue(phone, uid, 1)
    phone.page.evaluate("() => window.dispatchEvent(new Event('online'))")
    time.sleep(2)
    assert phone.proxy.met["429"] == 1
    phone.proxy.play({})
    phone.page.get_by_text("ส่งตอนนี้").tap()
    phone.count(0, 5)
    assert arrived(phone, uid, names)


def test_one_record_that_the_server_stumbles_over_stops_no_other(
    phone: FieldPhone, uid: str
) -> None:
    """A 500 is that record's own: those behind it go at their turn, before it is tried again."""
    assert phone.proxy
    open_list(phone)
    phone.proxy.play({0: Fault("500", times=FOR_EVER, path="/submission")})
    first = queue(phone, uid, 1)
    expect(phone.page.locator(".list-waiting li")).to_contain_text("(500)")
    phone.proxy.play({})
    others = queue(phone, uid, 2)
    phone.count(0, 3)
    posted = [one.body for one in phone.proxy.asked if one.first.startswith("POST ")]
    order = [name for body in posted for name in first + others if name.encode() in body]
    assert order == [*others, *first]


@pytest.mark.parametrize("locks", [True, False])
def test_a_clock_set_back_stops_nothing(phone: FieldPhone, uid: str, locks: bool) -> None:
    """A turn and a lease that a clock days ahead has reckoned do not count, whichever of the two
    ways keeps a second tab from sending."""
    phone.context.add_init_script(ALONE)
    if not locks:
        phone.context.add_init_script(
            "Object.defineProperty(navigator, 'locks', { value: undefined })"
        )
    open_list(phone)
    phone.lose_network()
    names = queue(phone, uid, 1)
    expect(phone.page.locator(".list-waiting li")).to_contain_text("ยังไม่มีสัญญาณ")
    ahead = """async ({ changeRecord, notes }, id) => {
      const then = Date.now() + 30 * 86_400_000;
      await changeRecord(id, () => ({ nextAt: then, asked: true }));
      await notes.set('lease', then);
    }"""
    module(phone.page, "store.js", ahead, f"uuid:{names[0]}")
    phone.find_network()
    phone.count(0, 1)
    assert arrived(phone, uid, names)


def test_two_people_on_one_phone_send_under_their_own_names(
    phone: FieldPhone, module_server: RunningServer, uid: str
) -> None:
    """What one account has handed in or begun is neither sent nor shown under another's session: it
    waits with its owner's name, is kept when she signs out, and goes when she signs in again."""
    assert phone.proxy
    phone.base = phone.proxy.url
    for name in ("somjai", "malee"):
        add_account(module_server, name)

    def come(name: str) -> None:
        phone.context.clear_cookies()
        cookies = sign_in(module_server, name).cookies
        found = [{"name": c.name, "value": c.value or "", "url": phone.base} for c in cookies]
        phone.context.add_cookies(found)  # type: ignore[arg-type]

    come("somjai")
    phone.open(FORM)
    phone.fill("ของสมใจ ส่งแล้ว", photo=False)
    phone.hand_in()
    phone.count(0, 1)
    phone.open(FORM, new="")
    phone.type("ชื่อ", "ร่างของสมใจ")
    expect(phone.page.locator(".saved")).to_have_text("บันทึกร่างแล้ว")
    phone.open(FORM, new="")
    phone.fill("ของสมใจ รอส่ง", photo=False)
    phone.lose_network()
    phone.hand_in()
    phone.count(1, 1)

    come("malee")
    phone.find_network()
    phone.open(FORM)
    expect(phone.question("ชื่อ").locator("input, textarea").first).to_have_value("")
    open_list(phone)
    page = phone.page
    expect(page.locator(".list-others")).to_contain_text("เมื่อเจ้าของ (somjai) เข้าสู่ระบบ")
    for part in ("attention", "waiting", "drafts", "sent"):
        expect(page.locator(f".list-{part} li")).to_have_count(0)
    stored = phone.stored()
    assert [len(stored[part]) for part in ("drafts", "waiting", "sent")] == [1, 1, 1]
    phone.open(FORM, new="")
    phone.fill("ของมาลี", photo=False)
    phone.hand_in()
    expect(page.locator(".only .notice.good")).to_be_visible()

    come("somjai")
    open_list(phone)
    phone.count(0, 2)
    expect(page.locator(".list-drafts li")).to_have_count(1)
    expect(page.locator(".list-sent li")).to_have_count(2)
    names = {row["who"]: row["_submitted_by"] for row in phone.office.rows(uid)}
    assert names["ของสมใจ รอส่ง"] == names["ของสมใจ ส่งแล้ว"] == "somjai"
    assert names["ของมาลี"] == "malee"
