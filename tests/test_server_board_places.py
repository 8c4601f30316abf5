"""Where a submission is from: by its answers, by its code, and anew when the programme changes."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from board_kit import Season, numbers, programme_folder, said
from hypothesis import given
from hypothesis import strategies as st
from office import RunningServer
from sqlalchemy import Connection, insert, select, update
from visitors import add_account, in_store, sign_in

from forms.model import Form, Question
from forms.programme import load, shipped
from forms.renames import Renames
from forms.sections import FormSpec
from forms.values import participant_code
from server.board.names import full_name, thai_order
from server.board.places import Places, asked
from server.board.reindex import BATCH, DONE, UNDER_WAY
from server.state.schema import settings, submissions
from server.state.settle import Place

TODAY = datetime.now(ZoneInfo("Asia/Bangkok")).date()
PROGRAMME = load(shipped())
PLACES = Places(PROGRAMME)
REGISTRATION = PROGRAMME.form("mne_registration")
CODE = participant_code("51", 2564, 1)


def place(**answers: str) -> Place:
    """Of a registration; `__` stands for `/`."""
    told = {path.replace("__", "/"): said for path, said in answers.items()}
    return PLACES.of("mne_registration", REGISTRATION, told)


def test_the_province_is_that_of_the_code_then_of_the_answer_then_of_the_course() -> None:
    """A participant code begins with its province; without a valid one the form's question counts,
    then the course; Thai digits are digits."""
    course = "C64-50-01"
    known = {"g_course__course_code": course}
    assert place(**known, g_badge__participant_id=CODE, g_addr__province="52") == Place(
        CODE, course, "51"
    )
    assert place(**known, g_badge__participant_id=CODE[:-1] + "x", g_addr__province="52") == Place(
        CODE[:-1] + "x", course, "52"
    )
    assert place(**known) == Place(None, course, "50")
    assert place(g_course__course_code="C64-REG-01").province == "00"
    assert place(g_course__course_code="none of ours") == Place(None, "none of ours", None)
    assert place(g_badge__participant_id="๕๑๖๔๐๐๐๐๑" + "๐๑๒๓๔๕๖๗๘๙"[int(CODE[9])]).province == "51"
    assert place(g_addr__province="99").province is None


def test_the_phone_is_told_by_the_form_or_beside_it() -> None:
    """The answer to the deviceid question, else what the request says; without a programme too."""
    bare = Places()
    assert bare.of("any", REGISTRATION, {"deviceid": "collect:abc"}) == Place(device="collect:abc")
    assert bare.of("any", REGISTRATION, {}, "header").device == "header"
    assert bare.of("any", REGISTRATION, {"deviceid": "a\nb"}, "header").device == "header"
    assert Places().fingerprint == ""


@given(st.dictionaries(st.sampled_from(["g_course/course_code", "g_badge/participant_id",
                                        "g_addr/province", "deviceid"]), st.text()),
       st.text())  # fmt: skip
def test_no_answer_is_too_odd(answers: dict[str, str], device: str) -> None:
    """Whatever was typed, there is a place, and it fits the table's columns."""
    found = PLACES.of("mne_registration", REGISTRATION, answers, device)
    assert len(found.person or "") <= 40
    assert len(found.course or "") <= 40
    assert found.province in (None, "00", *PLACES.provinces)
    assert len(found.device or "") <= 255
    assert "" not in (found.person, found.course, found.province, found.device)


def test_an_earlier_name_of_the_question_counts() -> None:
    """What renames.csv tells is honoured: an old version of the form asked `code`."""
    spec = FormSpec(role="test", wave="pre", person="participant_id", event_date="today")
    places = Places()
    places.forms["test"] = asked(spec, Renames({"g/code": "who/participant_id"}))
    questions = (Question("g", "begin_group"), Question("g/code", "text"))
    old = Form("test", "1", "", ("th",), questions, {})
    assert places.of("test", old, {"g/code": CODE}).person == CODE


def test_another_programme_has_another_fingerprint() -> None:
    """Only what decides about places matters."""
    spec = PROGRAMME.forms["mne_pretest"].model_copy(update={"course": "another"})
    file = PROGRAMME.file.model_copy(
        update={"forms": {**PROGRAMME.file.forms, "mne_pretest": spec}}
    )
    assert Places(PROGRAMME).fingerprint == PLACES.fingerprint
    assert Places(PROGRAMME.model_copy(update={"file": file})).fingerprint != PLACES.fingerprint


def test_names_are_written_as_the_programme_says() -> None:
    """Title by its Thai label, directly before the name; another title as it was typed; nothing
    that is not there; sorted without the title."""
    pattern = PROGRAMME.forms["mne_registration"].name
    answers = {"title": "ms", "first_name": " มาลี ", "last_name": "ใจดี"}
    assert full_name(pattern, REGISTRATION, answers) == "นางสาวมาลี ใจดี"
    assert full_name(pattern, REGISTRATION, answers, titles=False) == "มาลี ใจดี"
    other = {"title": "other", "title_other": "ร.ต.", "first_name": "เอก"}
    assert full_name(pattern, REGISTRATION, other) == "ร.ต.เอก"
    assert full_name(pattern, REGISTRATION, {}) == ""
    assert full_name(pattern, REGISTRATION, {"first_name": "ก\u202eข"}) == "กข"


def test_thai_names_stand_in_the_order_of_the_dictionary() -> None:
    """As in the Royal Institute's dictionary: a vowel written before its consonant counts after it."""
    right = ["กานดา", "เก่ง", "เกียรติ", "แก้ว", "ไกร", "ขวัญ", "จันทร์", "เอก"]
    assert sorted(sorted(right), key=thai_order) == right
    assert sorted(["ป้า", "ปา", "ป่า"], key=thai_order) == ["ปา", "ป่า", "ป้า"]


def wait_for(see: Callable[[], bool], seconds: float = 30) -> None:
    """Until a condition is met."""
    end = time.monotonic() + seconds
    while not see():
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.1)


def places_kept(server: RunningServer) -> list[tuple[str | None, str | None, str | None]]:
    """Person, course and province of every row."""
    query = select(submissions.c.person, submissions.c.course, submissions.c.province)
    return in_store(server, lambda c: [tuple(r) for r in c.execute(query.order_by("id"))])


def setting(server: RunningServer, name: str) -> str:
    query = select(settings.c.value).where(settings.c.name == name)
    return in_store(server, lambda connection: connection.execute(query).scalar() or "")


def test_rows_taken_without_a_programme_find_their_course_later(tmp_path: Path) -> None:
    """A server without a programme says what the board needs; started with one it sorts the rows it
    has, several batches of them, by itself; started with another one it sorts them again."""
    server = RunningServer(tmp_path / "data")
    server.start()
    try:
        add_account(server, "boss", "admin")
        season = Season(server).publish()
        season.register("C-50-1", CODE, "มาลี", device="phone-1")
        season.send("mne_pretest", "C-50-1", CODE)
        page = sign_in(server, "boss").get(f"{server.url}/board?lang=en", timeout=30)
        assert "watphon serve -C" in page.text
        assert places_kept(server) == [(None, None, None)] * 2

        def copy(connection: Connection) -> None:
            """Rows as if many more had come."""
            last = connection.execute(
                select(submissions).order_by(submissions.c.id.desc()).limit(1)
            ).one()
            rows = [
                {
                    **last._asdict(),
                    "id": last.id + number,
                    "root_id": f"{last.root_id}-{number}",
                    "instance_id": f"{last.instance_id}-{number}",
                }
                for number in range(1, BATCH + 50)
            ]
            connection.execute(insert(submissions), rows)

        in_store(server, copy)
        folder = programme_folder(tmp_path / "programme", TODAY)
        server.stop()
        server.options = ("--programme", str(folder))
        server.start()
        wait_for(lambda: setting(server, DONE) != "")
        kept = places_kept(server)
        assert kept == [(CODE, "C-50-1", "51")] * (2 + BATCH + 49)
        assert setting(server, UNDER_WAY) == ""
        browser = sign_in(server, "boss")
        counted = browser.get(f"{server.url}/board/C-50-1?lang=en", timeout=30)
        assert numbers(said(counted)) == {
            "Registered": "1/5", "Before": "1/1", "After": "0/1", "Evaluated": "0/1",
        }  # fmt: skip

        # another programme: the course is asked by another question, so no row has one
        text = (folder / "programme.toml").read_text("utf-8")
        (folder / "programme.toml").write_text(
            text.replace('course = "course_code"', 'course = "today"'), "utf-8"
        )
        server.restart()
        wait_for(lambda: {row[1] for row in places_kept(server)} == {"2021-03-11"})
    finally:
        server.end()


def test_sorting_goes_on_where_a_stopped_server_was(tmp_path: Path) -> None:
    """How far it went is kept with each batch: rows before that are not looked at again."""
    folder = programme_folder(tmp_path / "programme", TODAY)
    server = RunningServer(tmp_path / "data", "--programme", str(folder))
    server.start()
    try:
        season = Season(server).publish()
        for _ in range(3):
            season.send("mne_pretest", "C-50-1", CODE)
        server.stop()
        fingerprint = setting(server, DONE)
        assert fingerprint == Places(load(folder)).fingerprint

        def interrupted(connection: Connection) -> None:
            first = connection.execute(select(submissions.c.id).order_by("id")).scalars().first()
            connection.execute(update(submissions).values(person=None, course="before"))
            for name, value in ((DONE, ""), (UNDER_WAY, f"{fingerprint} {first}")):
                here = settings.c.name == name
                connection.execute(update(settings).where(here).values(value=value))

        in_store(server, interrupted)
        server.start()
        wait_for(lambda: setting(server, DONE) == fingerprint)
        assert [course for _, course, _ in places_kept(server)] == ["before", "C-50-1", "C-50-1"]
    finally:
        server.end()
