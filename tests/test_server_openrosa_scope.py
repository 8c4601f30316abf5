"""What a key opens: its forms, and the names of its provinces."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st
from office import SETTINGS, Office, RunningServer, instance, workbook
from rosa import Door, door_of, listed, media_of, message, new
from visitors import in_store

from forms.programme import shipped
from forms.values import participant_code
from server.people.audit import entries
from server.phones.scope import rows_for

PERSONS = "".join(
    ["name,label,province,course\n"]
    + [
        f"{participant_code(province, 2564, n)},คนที่ {province}-{n},{province},C64-{province}-01\n"
        for province in ("50", "51", "58")
        for n in range(1, 4)
    ]
).encode()
PLACES = "name,label,province\n500101,ศรีภูมิ,50\n510101,ในเมือง,51\n".encode()


@dataclass(frozen=True)
class Place:
    """A server with two forms of the programme, each with a list of persons and one of places."""

    server: RunningServer
    office: Office
    pre: str
    post: str


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    server = RunningServer(tmp_path_factory.mktemp("scope") / "data", "--programme", str(shipped()))
    server.start()
    try:
        office = Office(server.url, server.token)
        uids = [published(office, form) for form in ("mne_pretest", "mne_posttest")]
        yield Place(server, office, *uids)
    finally:
        server.end()


def published(office: Office, form_id: str) -> str:
    survey = (
        ("type", "name", "label::ไทย (th)", "label::English (en)"),
        ("text", "who", "ชื่อ", "Name"),
        ("select_one_from_file participants.csv", "participant_id", "คน", "Person"),
        ("select_one_from_file tambons.csv", "tambon", "ตำบล", "Tambon"),
        ("image", "photo", "ภาพ", "Photo"),
    )
    settings = (SETTINGS[0], (f"แบบ {form_id} | Form {form_id}", form_id, "1", "ไทย (th)"))
    uid = office.import_form(workbook(survey=survey, settings=settings))
    for name, content in (("participants.csv", PERSONS), ("tambons.csv", PLACES)):
        assert office.add_media(uid, name, content).status_code == 201
    done = office.call("POST", f"/api/v2/assets/{uid}/deployment/", json={"active": True})
    assert done.status_code == 200, done.text
    return uid


def files(door: Door, uid: str) -> dict[str, tuple[str, str]]:
    """Hash and address of each file that the manifest offers."""
    (form,) = listed(door.call("GET", "/formList", params={"formID": uid}))
    return {
        file["filename"]: (file["hash"], file["downloadUrl"])
        for file in media_of(door.call("GET", form["manifestUrl"]))
    }


def provinces_in(content: bytes) -> set[str]:
    return {row["province"] for row in csv.DictReader(io.StringIO(content.decode()))}


def test_a_key_for_one_form_opens_that_form(place: Place) -> None:
    """It lists, fetches and sends it; the other is 403 in words at every address."""
    bound = door_of(place.server, "key", forms=["mne_pretest"])
    whole = door_of(place.server, "key")
    assert [form["formID"] for form in listed(bound.call("GET", "/formList"))] == [place.pre]
    assert listed(bound.call("GET", "/formList", params={"formID": place.post})) == []
    assert bound.send(instance(place.pre, new())).status_code == 201
    (form,) = listed(whole.call("GET", "/formList", params={"formID": place.post}))
    addresses = [
        form["downloadUrl"],
        form["manifestUrl"],
        files(whole, place.post)["tambons.csv"][1],
    ]
    answers = [bound.call("GET", a.replace(whole.base, bound.base)) for a in addresses]
    answers.append(bound.send(instance(place.post, new())))
    for answer in answers:
        assert answer.status_code == 403
        assert "กุญแจนี้ใช้กับแบบนี้ไม่ได้" in message(answer)
    assert whole.send(instance(place.post, new())).status_code == 201


@pytest.mark.parametrize("way", ["key", "token", "basic"])
def test_a_phone_gets_the_names_of_its_own_provinces(place: Place, way: str) -> None:
    """Of the list of persons the rows of provinces 50 and 51, with their own hash; the list of places
    whole; 304 and compression as for any file."""
    door = door_of(place.server, way, **({"provinces": ["50", "51"]} if way == "key" else {}))
    offered = files(door, place.pre)
    told, address = offered["participants.csv"]
    got = door.call("GET", address)
    assert told == "md5:" + hashlib.md5(got.content).hexdigest()
    assert provinces_in(got.content) == {"50", "51"}
    assert "คนที่ 58" not in got.text
    assert got.text.splitlines()[:2] == PERSONS.decode().splitlines()[:2]
    same = door.call("GET", address, headers={"If-None-Match": got.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    told, address = offered["tambons.csv"]
    assert door.call("GET", address).content == PLACES
    assert told == "md5:" + hashlib.md5(PLACES).hexdigest()


def test_a_phone_without_bound_gets_every_name(place: Place) -> None:
    """The list as it was uploaded, byte for byte."""
    door = door_of(place.server, "key")
    told, address = files(door, place.pre)["participants.csv"]
    assert door.call("GET", address).content == PERSONS
    assert told == "md5:" + hashlib.md5(PERSONS).hexdigest()


@pytest.mark.parametrize("provinces", [[], ["50"]])
def test_a_link_that_many_hold_gets_no_name(place: Place, provinces: list[str]) -> None:
    """Of the list of persons its head alone; the list of places whole."""
    door = door_of(place.server, "key", kind="link", provinces=provinces)
    offered = files(door, place.pre)
    assert door.call("GET", offered["participants.csv"][1]).content == PERSONS.splitlines(True)[0]
    assert door.call("GET", offered["tambons.csv"][1]).content == PLACES


def test_a_link_sends_and_never_corrects(place: Place) -> None:
    """A record 201; a new version of it 403 in words, and the record is as it was."""
    door = door_of(place.server, "key", kind="link")
    one = new()
    assert door.send(instance(place.pre, one, who="ก่อน")).status_code == 201
    answer = door.send(instance(place.pre, new(), who="หลัง", deprecated=one))
    assert answer.status_code == 403
    assert "แก้ไข" in message(answer)
    assert place.office.get(f"/api/v2/assets/{place.pre}/data/{one}/")["who"] == "ก่อน"


def test_a_record_from_outside_is_taken_and_noted_once(place: Place) -> None:
    """A key of province 50 that sends a person of 58: 201, and one line of the trail though it came
    in two pieces; a person of its own province makes no line."""
    door = door_of(place.server, "key", label="ยืมเครื่อง", provinces=["50"])
    photo = ("a.jpg", ("a.jpg", b"\xff\xd8", "image/jpeg"))
    for province in ("50", "58"):
        person = participant_code(province, 2564, 1)
        more = f"<participant_id>{person}</participant_id><photo>a.jpg</photo>"
        document = instance(place.pre, new(), more=more)
        assert door.send(document).status_code == 201
        assert door.send(document, photo).status_code == 201
    lines = in_store(place.server, lambda c: entries(c, who="ยืมเครื่อง"))
    assert [line.action for line in lines] == ["sent from outside its provinces"]
    assert lines[0].what.startswith("mne_pretest 58 ")


CODES = st.builds(
    participant_code, st.sampled_from(["50", "51", "58"]), st.just(2564), st.integers(0, 99999)
)
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=12)
ROW = st.tuples(CODES, TEXT, st.sampled_from(["50", "51", "58", ""]))


@given(st.lists(ROW, max_size=12), st.frozensets(st.sampled_from(["50", "51", "58"]), max_size=2))
def test_a_cut_list_holds_exactly_the_rows_of_its_provinces(
    rows: list[tuple[str, str, str]], provinces: frozenset[str]
) -> None:
    """Whatever the labels hold (quotes, commas), in the order of the list; nothing of elsewhere."""
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator="\n").writerows([("name", "label", "province"), *rows])
    cut = rows_for(out.getvalue().encode(), "participants.csv", provinces)
    assert cut is not None
    kept = list(csv.reader(io.StringIO(cut.decode(), newline="")))
    assert kept[1:] == [list(row) for row in rows if row[2] in provinces]


@pytest.mark.parametrize(
    ("name", "content", "cut"),
    [
        ("leaders.csv", PERSONS, True),  # persons under another name: known by their codes
        ("participants.csv", b"name,label\n7,x\n", True),  # by its name, though no row tells where
        ("participants.csv", b"\xff\xfe\x00", True),  # what cannot be read cannot be cut
        ("places.csv", PLACES, False),
        ("places.csv", b"", False),
        ("places.csv", b"\xff\xfe\x00", False),
        ("places.csv", b'name,label\n"never ends', False),
    ],
)
def test_what_is_a_list_of_persons(name: str, content: bytes, cut: bool) -> None:
    """Known by its name or by the codes in it; anything else goes out as it is."""
    assert (rows_for(content, name, frozenset({"99"})) is not None) is cut
