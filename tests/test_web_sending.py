"""The outbox against every answer: what is sent again, what is kept for the person, in how many
turns a large record goes."""

from __future__ import annotations

import base64
import io
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest
from fault_proxy import Fault
from field_phone import FieldPhone, LossyProxy, module
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from needs import needs_chromium
from office import Office, RunningServer, instance
from playwright.sync_api import Browser, Page, expect
from web_phone import browser

pytestmark = needs_chromium

QUEUE = """async ({ queue, flush }, { record, xml, files }) => {
  const blob = (size) => new Blob([new Uint8Array(size)], { type: 'image/jpeg' });
  const blobs = files.map(({ name, size }) => ({ name, blob: blob(size) }));
  await queue({ version: '1', title: 'แบบ', ...record, xml: new Blob([xml]), files: blobs });
  flush();
}"""
POST = """({ post }, { record, xml }) => post({ ...record, xml: new Blob([xml]), files: [] }, [], {})"""
PORTIONS = """({ portions, TooLarge }, [sizes, xml, accepts, done]) => {
  const files = sizes.map((size, n) => ({ name: `${n}`, blob: { size } }));
  try {
    const made = portions({ xml: { size: xml }, files, done }, accepts);
    return made.map((part) => part.map((one) => Number(one.name)));
  } catch (error) {
    return error instanceof TooLarge ? 'too large' : String(error);
  }
}"""
ZIP = """async ({ zip }, files) => {
  const bytesOf = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (one) => parseInt(one, 16));
  const blobs = files.map(([name, hex]) => ({ name, blob: new Blob([bytesOf(hex)]) }));
  const bytes = new Uint8Array(await (await zip(blobs)).arrayBuffer());
  return btoa(String.fromCharCode(...bytes));
}"""
FEW = settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def office(module_server: RunningServer) -> Office:
    return Office(module_server.url, module_server.token)


@pytest.fixture(scope="module")
def uid(office: Office) -> str:
    return office.publish()


@pytest.fixture
def proxy(module_server: RunningServer) -> Iterator[LossyProxy]:
    made = LossyProxy(module_server.url)
    yield made
    made.close()


@pytest.fixture
def phone(
    chromium: Browser, module_server: RunningServer, uid: str, proxy: LossyProxy
) -> Iterator[FieldPhone]:
    """A phone with the list of forms open, its line through a proxy."""
    made = FieldPhone(chromium, module_server, through=proxy.url)
    made.page.goto(f"{made.base}/f/?lang=th")
    made.page.locator(".form-list").wait_for()
    yield made
    assert made.wrong == []
    made.close()


@pytest.fixture(scope="module")
def page(chromium: Browser, module_server: RunningServer, uid: str) -> Iterator[Page]:
    """A page whose modules are asked one by one."""
    made = FieldPhone(chromium, module_server)
    made.page.goto(f"{made.base}/f/")
    made.page.locator(".form-list").wait_for()
    yield made.page
    made.close()


def queue(phone: FieldPhone, document: bytes, *sizes: int, **more: Any) -> str:
    """Hand a record to the outbox with files of these sizes; its instance id."""
    number = f"uuid:{document.decode().partition('<instanceID>uuid:')[2].partition('<')[0]}"
    here = "/key/" + phone.base.rpartition("/")[2]
    record = {
        "instanceID": number,
        "base": here,
        "form": "small",
        "submission": f"{here}/submission",
        "accepts": 20_000_000,
        **more,
    }
    files = [{"name": f"{n}.jpg", "size": size} for n, size in enumerate(sizes)]
    given = {"record": record, "xml": document.decode(), "files": files}
    module(phone.page, "outbox.js", QUEUE, given)
    return number


def trees(count: int) -> str:
    """Answers of the office's form that mention so many pictures: `0.jpg`, `1.jpg` …"""
    return "".join(f"<tree><kind/><pic>{n}.jpg</pic></tree>" for n in range(count))


def fresh() -> str:
    return f"sent-{time.time_ns()}"


# ── large records ───────────────────────────────────────────────────────────────────────────────


def test_a_large_record_goes_in_several_turns(
    phone: FieldPhone, proxy: LossyProxy, office: Office, uid: str
) -> None:
    """Five pictures of 1.5 MB and a line that loses an answer half-way: one row with all five, and
    what has arrived is not sent again."""
    number = fresh()
    proxy.losing = 0
    document = instance(uid, number, more=trees(5))
    lose_the_third(proxy)
    queue(phone, document, *[1_500_000] * 5)
    phone.count(0, 1)
    assert proxy.posts == [201, 201, 201, 202, 201, 201]
    (row,) = [row for row in office.rows(uid) if row["_uuid"] == number]
    assert sorted(one["media_file_basename"] for one in row["_attachments"]) == [
        f"{n}.jpg" for n in range(5)
    ]


def lose_the_third(proxy: LossyProxy) -> None:
    """The third submission's answer does not arrive."""

    def before(_: int) -> None:
        proxy.losing = 1 if len(proxy.posts) == 2 else 0

    proxy.play({}, before)


def test_a_file_that_no_request_can_carry_waits_for_the_person(
    phone: FieldPhone, proxy: LossyProxy, uid: str
) -> None:
    """Nothing is sent of a record with a file larger than the server takes; the list says so."""
    queue(phone, instance(uid, fresh(), more=trees(1)), 1_200_000, accepts=1_000_000)
    entry = phone.page.locator(".list-attention li")
    expect(entry).to_contain_text("ไฟล์แนบใหญ่เกิน")
    expect(entry).to_contain_text("0.jpg")
    assert proxy.posts == []


@FEW
@given(
    sizes=st.lists(st.integers(0, 9_000_000), max_size=12),
    xml=st.integers(1, 100_000),
    accepts=st.sampled_from([1_000_000, 5_000_000, 10_000_000]),
    share=st.integers(0, 3),
)
def test_turns_hold_every_file_once(
    page: Page, sizes: list[int], xml: int, accepts: int, share: int
) -> None:
    """Each file that has not arrived is in one turn, in order; no turn is larger than what the
    server takes; there is always one; what fits nowhere is said beforehand."""
    done = [n for n in range(len(sizes)) if share and n % share == 0]
    given = [sizes, xml, accepts, [str(n) for n in done]]
    made = module(page, "sending.js", PORTIONS, given)
    left = [n for n in range(len(sizes)) if n not in done]
    if made == "too large":
        assert max(sizes[n] for n in left) + xml > accepts - 10_000
        return
    assert [n for part in made for n in part] == left
    assert len(made) >= 1
    assert all(part for part in made[1:])
    for part in made:
        assert xml + sum(sizes[n] for n in part) < accepts


@pytest.mark.parametrize("anonymous", [True, False])
def test_an_anonymous_record_tells_nothing_of_its_phone(
    phone: FieldPhone, proxy: LossyProxy, office: Office, uid: str, anonymous: bool
) -> None:
    """The phone's id goes with a facilitator's record and never with an anonymous one; of that one
    the phone keeps neither name nor person."""
    number = fresh()
    more = {"anonymous": anonymous, "name": "PRE 5064000010", "person": "5064000010"}
    queue(phone, instance(uid, number), **more)
    phone.count(0, 1)
    (said,) = [
        one for one in proxy.asked if one.first.startswith("POST ") and number.encode() in one.body
    ]
    assert said.header("x-openrosa-version") == "1.0"
    assert said.header("x-watphon-waiting") == "0"
    assert said.header("x-watphon-device").startswith("watphon:") is not anonymous
    kept = "async ({ openStore }) => (await (await openStore()).sent.list())[0].name"
    assert module(phone.page, "store.js", kept) == ("" if anonymous else "PRE 5064000010")
    used = "async ({ openStore }) => (await openStore()).people.find('small', '5064000010')"
    assert (module(phone.page, "store.js", used) is None) is anonymous


# ── answers ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("kind", "wanted"),
    [
        ("500", {"kind": "later", "status": 500}),
        ("502", {"kind": "later", "status": 502}),
        ("503", {"kind": "later", "status": 503}),
        ("504", {"kind": "later", "status": 504}),
        ("429", {"kind": "later", "status": 429}),
        ("html", {"kind": "later", "status": 200}),
        ("revoke", {"kind": "later", "status": 401}),
        ("close", {"kind": "later", "network": True}),
        ("reset", {"kind": "later", "network": True}),
    ],
)
def test_what_is_not_our_servers_answer_is_asked_again(
    phone: FieldPhone, proxy: LossyProxy, uid: str, kind: Any, wanted: dict[str, Any]
) -> None:
    """Gateways, guest networks and broken lines: the record waits, Retry-After is obeyed, and only
    201 and 202 of a submission count as received."""
    here = "/key/" + phone.base.rpartition("/")[2]
    given = {"record": {"submission": f"{here}/submission"}, "xml": instance(uid, fresh()).decode()}
    proxy.play({0: Fault(kind, times=1000, path="/submission", at=0.0)})
    verdict = module(phone.page, "sending.js", POST, given)
    proxy.play({})
    if kind == "429":  # the proxy names one of three times
        assert verdict.pop("wait") in (0, 7_000, 3_600_000)
    if kind == "reset":  # the head may have come before the line broke: then it was received
        assert verdict["kind"] in ("later", "received")
        return
    assert {name: said for name, said in verdict.items() if said is not None} == wanted


def test_refusals_of_our_server_are_kept_with_its_words(
    phone: FieldPhone, office: Office, uid: str
) -> None:
    """409, 404, 410 and 405: the record stays, the list says why in Thai with the server's words,
    and a second try is the person's; when the form is open again it arrives."""
    number = fresh()
    office.send(instance(uid, number, who="ก่อน"))
    queue(phone, instance(uid, number, who="หลัง"))
    queue(phone, instance("nosuchform", fresh()))
    queue(phone, instance(uid, fresh(), deprecated="never-was"))
    entries = phone.page.locator(".list-attention li")
    expect(entries).to_have_count(3)
    expect(entries.nth(0)).to_contain_text("มีแบบรหัสเดียวกันแต่คำตอบต่างกันอยู่แล้ว")
    expect(entries.nth(0)).to_contain_text("เครื่องแม่ตอบว่า: มีข้อมูลรหัสเดียวกัน")
    expect(entries.nth(1)).to_contain_text("เครื่องแม่ไม่มีแบบนี้แล้ว")
    deploy = f"/api/v2/assets/{uid}/deployment/"
    assert office.call("PATCH", deploy, json={"active": False}).status_code == 200
    queue(phone, instance(uid, fresh()))
    expect(entries).to_have_count(4)
    expect(entries.nth(3)).to_contain_text("แบบนี้ปิดรับแล้ว")
    assert office.call("PATCH", deploy, json={"active": True}).status_code == 200
    entries.nth(3).get_by_text("ลองส่งอีกครั้ง").tap()
    expect(phone.page.locator(".counter")).to_have_text("ต้องดูแล 3 · รอส่ง 0 · ส่งถึงแล้ว 1")
    for left in (2, 1, 0):
        entries.first.get_by_text("ลบออกจากเครื่อง").tap()
        phone.page.locator("dialog").get_by_text("ลบ", exact=True).tap()
        expect(entries).to_have_count(left)


def test_the_server_comes_back_by_itself(
    phone: FieldPhone, proxy: LossyProxy, office: Office, uid: str
) -> None:
    """A server that answers 503 for a while is asked again without anybody's hand; meanwhile the
    list says so."""
    proxy.play({0: Fault("503", times=1000, path="/submission")})
    number = fresh()
    queue(phone, instance(uid, number))
    expect(phone.page.locator(".list-waiting li")).to_contain_text("เครื่องแม่ยังรับไม่ได้ (503)")
    proxy.play({})
    phone.count(0, 1)
    assert [row["_uuid"] for row in office.rows(uid)].count(number) == 1


def test_words_and_waits_are_read_as_they_are_written(page: Page) -> None:
    """OpenRosa's message, escaped or not there; Retry-After in seconds, as a date, and nonsense."""
    said = "({ said }, documents) => documents.map((one) => said(one))"
    documents = [
        "<OpenRosaResponse><message nature=''>a &lt;b&gt; &amp;amp; ก</message></OpenRosaResponse>",
        "<html>",
        "",
        "<message/>",
    ]
    assert module(page, "sending.js", said, documents) == ["a <b> &amp; ก", "", "", ""]
    waits = """({ patience }, headers) => headers.map(
      (one) => patience(one, Date.parse('2026-11-23T13:02:10Z')) ?? null)"""
    headers = ["7", "Mon, 23 Nov 2026 13:02:17 GMT", "soon", "", "999999999"]
    assert module(page, "sending.js", waits, headers) == [7000, 7000, None, None, 3_600_000]
    pauses = "({ pause }) => [1, 2, 3, 9, 100].map(pause)"
    made = module(page, "sending.js", pauses)
    limits = [4_000, 8_000, 16_000, 300_000, 300_000]
    for wait, limit in zip(made, limits, strict=True):
        assert 0.75 * limit <= wait <= limit


# ── saved as a file ─────────────────────────────────────────────────────────────────────────────


NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\"),
    min_size=1,
    max_size=40,
)


@FEW
@given(st.dictionaries(NAMES, st.binary(max_size=300), max_size=5))
def test_a_saved_record_is_a_zip_that_anybody_opens(page: Page, files: dict[str, bytes]) -> None:
    """Names in any script and contents of any bytes come back from Python's own reader."""
    given = [[name, content.hex()] for name, content in files.items()]
    made = base64.b64decode(module(page, "zip.js", ZIP, given))
    with zipfile.ZipFile(io.BytesIO(made)) as archive:
        assert archive.testzip() is None
        assert archive.namelist() == list(files)
        assert {name: archive.read(name) for name in files} == files
