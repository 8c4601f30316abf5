"""The pages of keys and posters: who may give which, what their codes open, what is kept of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any

import pytest
import requests
from office import SETTINGS, Office, RunningServer, instance, workbook
from rosa import Door, listed
from scanner import codes, settings_in
from sqlalchemy import Connection, insert
from visitors import add_account, csrf, in_store, post, sign_in

from forms.programme import shipped
from server.people import keys
from server.people.audit import Action, entries, log
from server.state.schema import devices

PUBLIC = "https://watphon.example.or.th"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """The shipped programme, two open forms, an admin, a province team and a facilitator."""
    running = RunningServer(tmp_path_factory.mktemp("keys") / "data", "--programme", str(shipped()))
    running.start()
    try:
        office = Office(running.url, running.token)
        for form_id in ("mne_pretest", "mne_posttest"):
            settings = (SETTINGS[0], (f"แบบ {form_id} | Form {form_id}", form_id, "1", "ไทย (th)"))
            office.publish(workbook(settings=settings))
        for name, role, provinces in (
            ("boss", "admin", ()),
            ("mali", "province", ("50", "51")),
            ("somchai", "facilitator", ("50",)),
            ("eva", "evaluator", ()),
        ):
            add_account(running, name, role, provinces)
        yield running
    finally:
        running.end()


def made(answer: requests.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return [settings_in(text) for text in codes(answer.text)]


def test_a_batch_of_phones_is_set_up_by_their_codes(server: RunningServer) -> None:
    """Ten codes, each with a key of its own that fetches the list and sends a record under the phone's
    name; the page is kept nowhere, and the list shows no key."""
    browser = sign_in(server, "mali")
    answer = post(server, browser, "/keys", label="ลำพูน", count="10", province="51", days="90")
    assert answer.headers["Cache-Control"] == "no-store"
    phones = made(answer)
    assert [phone["project"]["name"] for phone in phones] == [f"ลำพูน {n}" for n in range(1, 11)]
    addresses = [phone["general"]["server_url"] for phone in phones]
    assert len(set(addresses)) == 10
    for address in (addresses[0], addresses[9]):
        assert address.startswith(f"{server.url}/key/")
        door = Door(address)
        found = listed(door.call("GET", "/formList", params={"deviceID": "collect:1"}))
        assert len(found) == 2
    sent = door.send(instance(found[0]["formID"], "0b0c4d6e-8f00-4a37-9f1c-0d4b2a6a7a11"))
    assert sent.status_code == 201
    office = Office(server.url, server.token)
    assert {row["_submitted_by"] for row in office.rows(found[0]["formID"])} == {"ลำพูน 10"}
    page = browser.get(f"{server.url}/keys", timeout=10).text
    assert "ลำพูน 10" in page
    for address in addresses:
        assert address.rpartition("/")[2] not in page
    told = in_store(server, lambda c: entries(c, who="mali", action="made a key"))
    assert len(told) == 10
    assert re.fullmatch(r"key \d+ phone 51", told[0].what)


def test_a_key_that_was_taken_back_opens_nothing(server: RunningServer) -> None:
    """One form of the list, and the phone is told; the list says when; the trail says who."""
    browser = sign_in(server, "mali")
    (phone,) = made(post(server, browser, "/keys", label="หาย"))
    door = Door(phone["general"]["server_url"])
    assert door.call("GET", "/formList").status_code == 200
    number = max(known.id for known in in_store(server, keys.list_keys))
    page = browser.get(f"{server.url}/keys", timeout=10).text
    fields = {"csrf": csrf(page), "do": "revoke"}
    done = browser.post(f"{server.url}/keys/{number}", data=fields, timeout=10)
    assert done.status_code == 200
    assert "ยกเลิกเมื่อ" in done.text
    assert door.call("GET", "/formList").status_code == 403
    (line, *_) = in_store(server, lambda c: entries(c, who="mali", action="revoked a key"))
    assert line.what == f"key {number}"
    again = browser.post(f"{server.url}/keys/{number}", data=fields, timeout=10)
    assert again.status_code == 404


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"label": "x", "province": "58"}, "อยู่นอกจังหวัดของท่าน"),
        ({"label": "x", "count": "51"}, "1 ถึง 50"),
        ({"label": "x", "count": "0"}, "1 ถึง 50"),
        ({"label": "x", "count": "ห้า"}, "ไม่ใช่จำนวนเต็ม"),
        ({"label": "x", "days": "99999"}, "ไม่ใช่จำนวนวัน"),
        ({"label": ""}, "ต้องมีชื่อ"),
        ({"label": "เครื่องเดิม"}, "เป็นชื่อของกุญแจที่ใช้อยู่"),
    ],
)
def test_what_cannot_be_is_refused_in_words(
    server: RunningServer, fields: dict[str, str], words: str
) -> None:
    """On the page, in Thai, with what to do; no key is made."""
    browser = sign_in(server, "mali")
    post(server, browser, "/keys", label="เครื่องเดิม")
    before = len(in_store(server, keys.list_keys))
    answer = post(server, browser, "/keys", **fields)
    assert (answer.status_code, words in answer.text) == (422, True)
    assert len(in_store(server, keys.list_keys)) == before


def test_a_province_team_sees_and_takes_back_its_own_keys_only(server: RunningServer) -> None:
    """Not those without bound or of other provinces, neither in the list nor by their number; an
    admin sees all. Without a choice a team's keys are bound to its provinces."""
    boss, mali = sign_in(server, "boss"), sign_in(server, "mali")
    made(post(server, boss, "/keys", label="ทั่วประเทศ"))
    made(post(server, boss, "/keys", label="ของน่าน", province="55"))
    made(post(server, mali, "/keys", label="ของเรา"))
    known = {key.label: key for key in in_store(server, keys.list_keys)}
    assert known["ของเรา"].provinces == ("50", "51")
    page = mali.get(f"{server.url}/keys", timeout=10).text
    assert ("ของเรา" in page, "ทั่วประเทศ" in page, "ของน่าน" in page) == (True, False, False)
    for label in ("ทั่วประเทศ", "ของน่าน"):
        fields = {"csrf": csrf(page), "do": "revoke"}
        answer = mali.post(f"{server.url}/keys/{known[label].id}", data=fields, timeout=10)
        assert answer.status_code == 404
    page = boss.get(f"{server.url}/keys", timeout=10).text
    assert "ทั่วประเทศ" in page
    after = {key.label: key for key in in_store(server, keys.list_keys)}
    assert not after["ทั่วประเทศ"].revoked_at
    assert not after["ของน่าน"].revoked_at


@pytest.mark.parametrize("path", ["/keys", "/posters"])
def test_others_give_no_keys(server: RunningServer, path: str) -> None:
    """A stranger is sent to sign in; a facilitator and an evaluator are refused; a form without our
    token is refused, and no key is made."""
    stranger = requests.get(server.url + path, timeout=10, allow_redirects=False)
    assert (stranger.status_code, stranger.headers["Location"]) == (
        303,
        f"/signin?next=%2F{path[1:]}",
    )
    for name in ("somchai", "eva"):
        assert sign_in(server, name).get(server.url + path, timeout=10).status_code == 403
    before = len(in_store(server, keys.list_keys))
    boss = sign_in(server, "boss")
    forged = boss.post(server.url + path, data={"label": "x", "form": "mne_pretest"}, timeout=10)
    assert forged.status_code == 403
    assert len(in_store(server, keys.list_keys)) == before


def test_a_poster_opens_its_form_with_its_course(server: RunningServer) -> None:
    """The code holds the address that is printed below it; it opens the form and nothing else, until
    its days are over; it is bound to the course's province."""
    browser = sign_in(server, "mali")
    answer = post(server, browser, "/posters", form="mne_pretest", course="C64-50-01", days="3")
    assert (answer.status_code, answer.headers["Cache-Control"]) == (200, "no-store")
    (address,) = codes(answer.text)
    assert address in unescape(answer.text)
    found = re.fullmatch(
        re.escape(server.url) + r"/key/([\w-]{22})/f/mne_pretest\?course_code=C64-50-01", address
    )
    assert found
    assert "แบบทดสอบก่อนเรียน" in answer.text
    assert "Scan to start the pre-test" in answer.text
    door = Door(f"{server.url}/key/{found[1]}")
    (form,) = listed(door.call("GET", "/formList"))
    assert "mne_pretest" in form["name"]
    newest = max(in_store(server, keys.list_keys), key=lambda key: key.id)
    assert (newest.kind, newest.forms, newest.provinces) == ("link", ("mne_pretest",), ("50",))
    assert newest.expires_at
    refused = post(server, browser, "/posters", form="mne_pretest", course="C64-58-01")
    assert (refused.status_code, "ไม่ใช่หลักสูตรในจังหวัดของท่าน" in refused.text) == (422, True)
    refused = post(server, browser, "/posters", form="no_such")
    assert (refused.status_code, "ไม่ใช่แบบที่เปิดอยู่" in refused.text) == (422, True)


def test_codes_carry_the_address_that_phones_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """WATPHON_URL_PUBLIC where it is set; else the browser's, with a warning where that means this
    machine only."""
    monkeypatch.setenv("WATPHON_URL_PUBLIC", f"{PUBLIC}/")
    running = RunningServer(tmp_path / "data")
    running.start()
    try:
        add_account(running, "boss", "admin", ())
        browser = sign_in(running, "boss")
        answer = post(running, browser, "/keys", label="ก")
        (phone,) = made(answer)
        assert phone["general"]["server_url"].startswith(f"{PUBLIC}/key/")
        assert "โทรศัพท์เข้าไม่ถึง" not in answer.text
        monkeypatch.delenv("WATPHON_URL_PUBLIC")
        running.restart()
        answer = post(running, browser, "/keys", label="ข")
        assert "โทรศัพท์เข้าไม่ถึง" in answer.text
    finally:
        running.end()


def test_the_list_says_when_a_phone_was_last_heard(server: RunningServer) -> None:
    """And what waits on it, as it said itself; and how many of its records came from outside."""
    browser = sign_in(server, "mali")
    made(post(server, browser, "/keys", label="เครื่องที่ส่ง"))

    def heard(connection: Connection) -> None:
        row = {"sender": "เครื่องที่ส่ง", "seen_at": "2021-03-11 02:05:00", "sent_at": None}
        connection.execute(insert(devices), [{**row, "device": "a", "waiting": 2}])
        connection.execute(insert(devices), [{**row, "device": "b", "waiting": 5}])
        log(connection, who="เครื่องที่ส่ง", action=Action.SENT_OUTSIDE, what="mne_pretest 58 x")

    in_store(server, heard)
    page = browser.get(f"{server.url}/keys", timeout=10).text
    card = page.partition("<h3>เครื่องที่ส่ง</h3>")[2].partition("</li>")[0]
    assert "ติดต่อล่าสุด 11 มี.ค. 2564 09:05" in card
    assert "รอส่งในโทรศัพท์: 7" in card
    assert "ข้อมูลจากนอกจังหวัดของกุญแจ: 1" in card
