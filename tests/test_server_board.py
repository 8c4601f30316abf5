"""The board: what was sent through OpenRosa is what it counts, and names stay where they belong."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest
import requests
from board_kit import Season, book, numbers, people, programme_folder, said
from office import RunningServer
from visitors import add_account, in_store, key, sign_in

from forms.values import participant_code
from server.people import audit

TODAY = datetime.now(ZoneInfo("Asia/Bangkok")).date()
ONE, TWO, THREE, FOUR = (participant_code("50", 2564, n) for n in (1, 2, 3, 4))
GUEST, LAMPHUN = participant_code("51", 2564, 1), participant_code("51", 2564, 2)
MARIE = "<b onclick=alert(1)>มาลี"


@pytest.fixture(scope="module")
def season(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Season]:
    """A server with a small programme and what six people sent; the numbers stand in `COUNTED`."""
    folder = tmp_path_factory.mktemp("board")
    programme = programme_folder(folder / "programme", TODAY, more=45)
    server = RunningServer(folder / "data", "--programme", str(programme))
    server.start()
    for name, role, provinces in (
        ("fac50", "facilitator", ("50",)),
        ("team51", "province", ("51",)),
        ("boss", "admin", ()),
        ("manager", "manager", ()),
        ("evaluator", "evaluator", ()),
    ):
        add_account(server, name, role, provinces)
    made = Season(server).publish()
    made.register("C-50-1", TWO, MARIE, "ใจดี")
    made.register("C-50-1", THREE, "เอก", "ดีงาม", title="other", title_other="ดร.")
    made.register("C-50-1", FOUR, "กานดา", "ใจเย็น", title="mr")
    made.register("C-50-1", GUEST, "แขก", "จากลำพูน")
    for who in (TWO, THREE, THREE):
        made.send("mne_pretest", "C-50-1", who)
    made.send("mne_pretest", " C-50-1 ", participant_code("50", 2564, 99))
    made.send("mne_posttest", "C-50-1", "๕๐" + TWO[2:])
    made.send("mne_posttest", "C-50-1", FOUR)
    made.send("mne_course_eval", "C-50-1", TWO)
    made.send("mne_course_eval", "C-50-1", "")
    made.register("C-51-1", LAMPHUN, "ลับ", "ลำพูน")
    made.register("C-REG-1", participant_code("50", 2564, 7), "ภาค", "ห้าสิบ")
    made.register("C-REG-1", participant_code("51", 2564, 7), "ภาค", "ห้าเอ็ด")
    made.register("C-50-1x", participant_code("50", 2564, 8), "พิมพ์ผิด")
    yield made
    server.end()


COUNTED = {"Registered": "4/5", "Before": "3/4", "After": "2/4", "Evaluated": "2/4"}
"""By hand: four registered of five expected; before: TWO, THREE (twice, counted once) and a code
nobody registered; after: TWO and FOUR; two evaluations, one of them without a name."""


def look(season: Season, who: str, path: str = "/board", **params: str) -> requests.Response:
    """A page as somebody sees it, in English."""
    return sign_in(season.server, who).get(
        season.server.url + path, params={"lang": "en", **params}, timeout=30
    )


def until(see: Callable[[], Any], wanted: Any, seconds: float = 10) -> None:
    """Wait until `see` gives what is wanted: the first page is a second old at most."""
    end = time.monotonic() + seconds
    while (found := see()) != wanted:
        assert time.monotonic() < end, (found, wanted)
        time.sleep(0.2)


def test_the_numbers_of_a_course_are_what_was_sent(season: Season) -> None:
    """Registered, before, after, evaluated: of persons, not of records; also on the first page."""
    page = said(look(season, "fac50", "/board/C-50-1"))
    assert numbers(page) == COUNTED
    first = said(look(season, "fac50"))
    assert numbers(first, "C-50-1") == {
        "Expected": "5", "Registered": "4", "Before": "3", "After": "2", "Evaluated": "2",
    }  # fmt: skip


def test_the_names_of_who_is_missing(season: Season) -> None:
    """With title and surname, in Thai order by first name; the guest from elsewhere by code; on the
    list but not registered; and what should be looked at."""
    page = said(look(season, "fac50", "/board/C-50-1"))
    assert people(page, "missing-registered") == [f"หนึ่ง ในรายชื่อ {ONE}"]
    assert people(page, "missing-pre") == [f"นายกานดา ใจเย็น {FOUR}", f"{GUEST} Lamphun"]
    assert people(page, "missing-post") == [f"ดร.เอก ดีงาม {THREE}", f"{GUEST} Lamphun"]
    assert people(page, "missing-evaluated") == [
        f"นายกานดา ใจเย็น {FOUR}", f"ดร.เอก ดีงาม {THREE}", f"{GUEST} Lamphun",
    ]  # fmt: skip
    # three have not answered under their name, one answer came without: at least two are missing
    summary = page.xpath("string(//details[@id='missing-evaluated']/summary)")
    assert summary.split() == ["No", "evaluation", "yet:", "2"]
    assert people(page, "no-pretest") == [f"นายกานดา ใจเย็น {FOUR}"]
    assert people(page, "strangers") == [f"name not known {participant_code('50', 2564, 99)}"]
    assert people(page, "repeated") == ["ดร.เอก ดีงาม Before × 2"]


def test_a_name_is_never_markup(season: Season) -> None:
    """HTML in a name is shown as it was typed."""
    extra = season.register("C-50-2", participant_code("50", 2564, 20), "<img src=x>", "&amp;")
    page = said(look(season, "fac50", "/board/C-50-2"))
    assert people(page, "missing-pre")[0].startswith("นางสาว<img src=x> &amp; ")
    assert not page.xpath("//main//img | //b[@onclick]")
    deleted(season, "mne_registration", extra)


def deleted(season: Season, form_id: str, instance_id: str) -> None:
    number = season.row(form_id, instance_id)
    uid = season.uids[form_id]
    answer = season.office.call("DELETE", f"/api/v2/assets/{uid}/data/{number}/")
    assert answer.status_code == 204, answer.text


def test_one_province_never_sees_another_ones_names(season: Season) -> None:
    """Lamphun's course is not on Chiang Mai's board and cannot be opened; of the region's course each
    sees its own people and how many others there are."""
    page = look(season, "fac50")
    assert "ลำพูน รุ่น 1" not in page.text
    refused = look(season, "fac50", "/board/C-51-1")
    assert refused.status_code == 404
    for text in (page.text, refused.text, look(season, "fac50", "/board/C-50-1").text):
        assert "ลับ" not in text
        assert "จากลำพูน" not in text
    region = said(look(season, "fac50", "/board/C-REG-1"))
    assert people(region, "missing-pre") == [f"นางสาวภาค ห้าสิบ {participant_code('50', 2564, 7)}"]
    assert "and from other provinces: 1" in region.text_content()
    other = look(season, "team51", "/board/C-REG-1").text
    assert "ห้าเอ็ด" in other
    assert "ห้าสิบ" not in other
    assert "ลับ" in look(season, "team51", "/board/C-51-1").text
    assert look(season, "team51", "/board/C-50-1").status_code == 404


@pytest.mark.parametrize("who", ["manager", "evaluator"])
def test_totals_are_without_names(season: Season, who: str) -> None:
    """Managers and evaluators see provinces against target and counts of courses; no name, no code."""
    page = look(season, who)
    table = {
        row.findtext("th").strip(): [cell.text for cell in row.findall("td")]
        for row in said(page).xpath("//table[contains(@class, 'totals')]/tbody/tr")
    }
    # registered: TWO, THREE, FOUR, one in the region's course, one in an unknown course
    assert table["Chiang Mai"] == ["1,650", "5", "3", "2", "1"]
    assert table["Lamphun"] == ["485", "3", "0", "0", "0"]
    assert len(table) == 17
    courses = [look(season, who, f"/board/{code}") for code in ("C-50-1", "C-51-1", "C-50-1x")]
    assert numbers(said(courses[0])) == COUNTED
    for text in (page.text, *(course.text for course in courses)):
        for secret in ("มาลี", "ใจดี", "กานดา", "ลับ", "ในรายชื่อ", TWO, FOUR, GUEST):
            assert secret not in text
    assert season.server.url not in page.text


def test_who_reads_names_is_in_the_audit_trail(season: Season) -> None:
    """One line an hour for a reader and a course, without any name; refreshing adds none."""
    for _ in range(2):
        look(season, "boss", "/board/C-50-1")

    def lines(connection: Any) -> list[str]:
        found = audit.entries(connection, who="boss", action=audit.Action.NAMES_READ.value)
        return [line.what for line in found]

    assert in_store(season.server, lines) == ["C-50-1"]


def test_the_text_for_line_holds_counts_only(season: Season) -> None:
    """At most ten lines of Thai: the course, expected, registered, tests, evaluations, missing, the
    time in the Buddhist Era; no name, no code; the button opens LINE with just this text."""
    page = said(look(season, "fac50", "/board/C-50-1"))
    text = page.xpath("string(//textarea[@id='line-text'])")
    lines = text.splitlines()
    assert lines[:6] == [
        "เชียงใหม่ รุ่น 1",
        "เป้าหมาย 5 คน",
        "ลงทะเบียน 4 คน (ขาด 1)",
        "แบบทดสอบก่อนอบรม 3 คน (ขาด 2)",
        "แบบทดสอบหลังอบรม 2 คน (ขาด 2)",
        "แบบประเมิน 2 ฉบับ (ขาด 2)",
    ]
    assert f" {TODAY.year + 543} " in lines[6]
    assert lines[6].startswith("รับข้อมูลล่าสุด ")
    assert len(lines) == 7
    (link,) = page.xpath("//a[starts-with(@href, 'https://line.me/R/share?text=')]/@href")
    assert unquote(link.partition("text=")[2]) == text
    unknown = said(look(season, "fac50", "/board/C-50-1x"))
    assert "C-50-1x" not in unknown.xpath("string(//textarea[@id='line-text'])")


def test_an_unknown_course_stands_apart(season: Season) -> None:
    """With its count and a page of its own, for the province whose people are in it."""
    page = said(look(season, "fac50"))
    (part,) = page.xpath("//section[@data-part='unknown']")
    assert numbers(part, "C-50-1x")["Registered"] == "1"
    assert people(said(look(season, "fac50", "/board/C-50-1x")), "missing-pre") == [
        f"นางสาวพิมพ์ผิด {participant_code('50', 2564, 8)}"
    ]
    assert not said(look(season, "team51")).xpath("//section[@data-part='unknown']")
    assert look(season, "team51", "/board/C-50-1x").status_code == 404
    assert look(season, "fac50", "/board/nothing").status_code == 404


def test_nothing_new_is_a_304(season: Season) -> None:
    """The part that refreshes carries an ETag; after a record of this course it is another one, and
    a record of another course changes nothing here."""
    browser = sign_in(season.server, "fac50")
    address = f"{season.server.url}/board/C-50-2?live=1&lang=en"
    first = browser.get(address, timeout=30)
    assert first.status_code == 200
    assert "<html" not in first.text
    tag = {"If-None-Match": first.headers["ETag"]}
    assert browser.get(address, headers=tag, timeout=30).status_code == 304
    elsewhere = season.send("mne_pretest", "C-51-1", LAMPHUN)
    again = browser.get(address, headers=tag, timeout=30)
    assert (again.status_code, again.content) == (304, b"")
    here = season.send("mne_pretest", "C-50-2", TWO)
    assert browser.get(address, headers=tag, timeout=30).status_code == 200
    for one in (elsewhere, here):
        deleted(season, "mne_pretest", one)
    assert browser.get(address, headers=tag, timeout=30).status_code == 304


def test_edits_rejections_and_deletions_count(season: Season) -> None:
    """An edit moves a person to another course; what was marked "not approved" or deleted is gone."""

    def registered(course: str) -> str | None:
        return numbers(said(look(season, "boss", f"/board/{course}"))).get("Registered")

    who = participant_code("50", 2564, 30)
    first = season.register("C-50-1", who, "ย้าย", "รุ่น")
    assert (registered("C-50-1"), registered("C-50-2")) == ("5/5", "0")
    moved = season.register(
        "C-50-2", who, "ย้าย", "รุ่น", deprecated=first, instance_id=f"{first[:-4]}aaaa"
    )
    assert (registered("C-50-1"), registered("C-50-2")) == ("4/5", "1")
    uid, number = season.uids["mne_registration"], season.row("mne_registration", moved)
    answer = season.office.call(
        "PATCH",
        f"/api/v2/assets/{uid}/data/{number}/validation_status/",
        json={"validation_status.uid": "validation_status_not_approved"},
    )
    assert answer.status_code == 200, answer.text
    assert registered("C-50-2") == "0"
    season.office.call("DELETE", f"/api/v2/assets/{uid}/data/{number}/validation_status/")
    assert registered("C-50-2") == "1"
    deleted(season, "mne_registration", moved)
    assert registered("C-50-2") == "0"
    until(lambda: numbers(said(look(season, "boss")), "C-50-2")["Registered"], "0")


def test_a_copy_of_a_form_does_not_count(season: Season) -> None:
    """Where publishing has marked its own form, records of another one with the same id (somebody
    tried it out) are not on the board."""

    def before() -> str:
        return numbers(said(look(season, "boss", "/board/C-50-2")))["Before"]

    office, real = season.office, season.uids["mne_pretest"]
    copy = office.import_form(book("mne_pretest"))
    assert copy != real
    office.call("POST", f"/api/v2/assets/{copy}/deployment/", json={"active": True})
    tried = Season(season.server, {"mne_pretest": copy})
    tried.send("mne_pretest", "C-50-2", TWO)
    assert before() == "1"
    for line, wanted in (
        ("watphon:north2564/mne_pretest sha256:0", "0"),
        ("watphon:another/mne_pretest sha256:0", "1"),
        ("ours\nwatphon:north2564/mne_pretest", "0"),
    ):
        told = {"settings": {"description": line}}
        assert office.call("PATCH", f"/api/v2/assets/{real}/", json=told).status_code == 200
        assert before() == wanted, line
    assert office.call("DELETE", f"/api/v2/assets/{copy}/").status_code == 204


def test_courses_are_found_by_province_day_and_words(season: Season) -> None:
    """Today's course first; forty on the page, all on demand; a filter that nothing fits says so."""
    page = said(look(season, "boss"))
    links = page.xpath("//ul[@class='courses']/li/h3/a/@href")
    assert links[0] == "/board/C-50-1"
    assert len(links) == 40 + 1  # the unknown course stands apart
    every = said(look(season, "boss", all="1")).xpath("//ul[@class='courses']/li/h3/a/@href")
    assert len(every) == 49 + 1

    def found(**asked: str) -> list[str]:
        hits = said(look(season, "boss", **asked))
        return [a.rpartition("/")[2] for a in hits.xpath("//ul[@class='courses']/li/h3/a/@href")]

    assert found(province="51") == ["C-51-1"]
    assert found(province="00") == ["C-REG-1"]
    assert found(day=str(TODAY)) == ["C-50-1"]
    assert found(q="เชียงใหม่ 2") == ["C-50-2"]
    assert found(q="c-50-2") == ["C-50-2"]
    assert found(day="not a day", province="51") == ["C-51-1"]
    assert found(q="ไม่มีที่ไหน") == []
    assert "No course fits" in look(season, "boss", q="ไม่มีที่ไหน").text


def test_a_phone_that_holds_records_is_on_the_board(season: Season) -> None:
    """The browser form says how much waits on a phone; the board of its province shows it, another
    province's does not, and the course's board shows the phones that sent to it."""
    _, secret = key(season.server, "โทรศัพท์ฝาง", provinces=["50"])
    answer = requests.post(
        f"{season.server.url}/key/{secret}/f/waiting",
        json={"device": "fang-1234", "waiting": 3},
        timeout=30,
    )
    assert answer.status_code == 204, answer.text
    sent = season.send("mne_pretest", "C-50-2", ONE, device="fang-1234")

    def phones(who: str, path: str) -> str:
        parts = said(look(season, who, path)).xpath("//section[@data-part='phones']")
        return " ".join(parts[0].text_content().split()) if parts else ""

    until(lambda: "โทรศัพท์ฝาง …1234 waiting to be sent: 3" in phones("fac50", "/board"), True, 20)
    assert phones("team51", "/board") == ""
    assert "waiting to be sent: 3" in phones("fac50", "/board/C-50-2")
    deleted(season, "mne_pretest", sent)


def test_the_page_works_without_scripts_and_asks_nobody_else(season: Season) -> None:
    """It loads itself again, and nothing on it comes from another site."""
    for path in ("/board", "/board/C-50-1"):
        page = said(look(season, "fac50", path))
        assert page.xpath("//noscript/meta[@http-equiv='refresh']")
        sources = page.xpath("//@src | //link/@href")
        assert sources
        assert all(source.startswith("/static/") for source in sources)


def test_a_stranger_and_a_phone_see_no_board(season: Season) -> None:
    """Without a session the sign-in page comes; a token or a key is none."""
    for headers in ({}, season.server.headers):
        for path in ("/board", "/board/C-50-1", "/board?live=1"):
            answer = requests.get(
                season.server.url + path, headers=headers, allow_redirects=False, timeout=30
            )
            assert answer.status_code == 303
            assert answer.headers["Location"].startswith("/signin?next=%2Fboard")
