"""The form list, forms and their files as ODK Collect and KoboCollect fetch them, and who gets nowhere:
the same by key, by token and by password."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

import pytest
import requests
from office import PLACES, RunningServer, instance
from rosa import (
    DOORS,
    Door,
    Place,
    furnished,
    listed,
    media_of,
    message,
    new,
)
from visitors import add_account, in_store, key

from server.people import accounts, keys


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    server = RunningServer(tmp_path_factory.mktemp("rosa") / "data")
    server.start()
    try:
        yield furnished(server)
    finally:
        server.end()


@pytest.fixture(params=DOORS)
def door(request: pytest.FixtureRequest, place: Place) -> Door:
    """Each of the three ways in."""
    return place.doors[request.param]


def test_the_list_holds_open_forms_to_the_letter(place: Place, door: Door) -> None:
    """The elements of the specification in its order and no others; no draft, no closed form, one
    version; the headers that Collect looks for; every address is the door's own."""
    answer = door.call("GET", "/formList", params={"deviceID": "collect:7xQp"})
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == "text/xml; charset=utf-8"
    assert answer.headers["X-OpenRosa-Version"] == "1.0"
    assert parsedate_to_datetime(answer.headers["Date"]).tzinfo
    assert int(answer.headers["X-OpenRosa-Accept-Content-Length"]) >= 10_000_000
    assert int(answer.headers["Content-Length"]) > 0
    (form,) = listed(answer)
    assert list(form) == ["formID", "name", "version", "hash", "downloadUrl", "manifestUrl"]
    assert (form["formID"], form["version"]) == (place.uid, place.version)
    assert form["name"] == "แบบเล็ก | Small form"
    assert form["downloadUrl"].startswith(f"{door.base}/forms/")
    assert form["manifestUrl"].startswith(f"{door.base}/xformsManifest/")


def test_hashes_are_those_of_the_bytes(place: Place, door: Door) -> None:
    """Of the form and of each file, plain and compressed: a phone that compares them fetches nothing
    twice and never keeps half a file."""
    (form,) = listed(door.call("GET", "/formList"))
    for asked in ("gzip", "identity"):
        got = door.call("GET", form["downloadUrl"], headers={"Accept-Encoding": asked})
        assert form["hash"] == "md5:" + hashlib.md5(got.content).hexdigest()
        assert got.headers.get("Content-Encoding") == (asked if asked == "gzip" else None)
        assert f'id="{place.uid}"' in got.text
    (file,) = media_of(door.call("GET", form["manifestUrl"]))
    assert list(file) == ["filename", "hash", "downloadUrl"]
    assert file["filename"] == "places.csv"
    got = door.call("GET", file["downloadUrl"], params={"deviceID": "collect:7xQp"})
    assert got.content == PLACES
    assert file["hash"] == "md5:" + hashlib.md5(PLACES).hexdigest()


def test_what_a_phone_has_is_not_sent_again(door: Door) -> None:
    """List, form, manifest and file have an ETag; If-None-Match with it is 304 without a body, also
    where one was compressed and the other is not; what changed is sent."""
    (form,) = listed(door.call("GET", "/formList"))
    (file,) = media_of(door.call("GET", form["manifestUrl"]))
    for path in ("/formList", form["downloadUrl"], form["manifestUrl"], file["downloadUrl"]):
        packed = door.call("GET", path, headers={"Accept-Encoding": "gzip"})
        plain = door.call("GET", path, headers={"Accept-Encoding": "identity"})
        assert packed.content == plain.content
        for tag in (packed.headers["ETag"], plain.headers["ETag"], f"W/{plain.headers['ETag']}"):
            same = door.call("GET", path, headers={"If-None-Match": tag})
            assert (same.status_code, same.content) == (304, b"")
            assert same.headers["X-OpenRosa-Version"] == "1.0"
        other = door.call("GET", path, headers={"If-None-Match": '"0123"'})
        assert other.status_code == 200
        assert "Accept-Encoding" in plain.headers["Vary"]


def test_a_form_costs_a_fraction_of_its_bytes(door: Door) -> None:
    """Compressed, as Collect's HTTP client asks for it: less than a third."""
    (form,) = listed(door.call("GET", "/formList"))
    packed = door.call("GET", form["downloadUrl"], headers={"Accept-Encoding": "gzip"})
    assert int(packed.headers["Content-Length"]) * 3 < len(packed.content)
    refused = {"Accept-Encoding": "gzip;q=0, identity"}
    assert "Content-Encoding" not in door.call("GET", form["downloadUrl"], headers=refused).headers


def test_the_list_can_be_asked(place: Place, door: Door) -> None:
    """One form by formID, none where there is none; descriptions where verbose=true says so; every
    version, each with its own form, where listAllVersions does."""
    (one,) = listed(door.call("GET", "/formList", params={"formID": place.uid}))
    assert one["formID"] == place.uid
    assert listed(door.call("GET", "/formList", params={"formID": "no_such"})) == []
    (told,) = listed(door.call("GET", "/formList", params={"verbose": "true"}))
    assert told["descriptionText"] == told["name"]
    both = listed(door.call("GET", "/formList", params={"listAllVersions": "true"}))
    assert [form["version"] for form in both] == [place.version, place.old_version]
    for form in both:
        got = door.call("GET", form["downloadUrl"])
        assert form["hash"] == "md5:" + hashlib.md5(got.content).hexdigest()
        assert f'version="{form["version"]}"' in got.text


def test_addresses_as_people_write_them(place: Place, door: Door) -> None:
    """A slash at the end, and HEAD where a client looks before it fetches."""
    assert door.call("GET", "/formList/").content == door.call("GET", "/formList").content
    head = door.call("HEAD", "/formList")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["X-OpenRosa-Version"] == "1.0"
    assert door.call("HEAD", "/submission/").status_code == 204
    assert door.send(instance(place.uid, new()), path="/submission/").status_code == 201


def test_a_closed_form_and_a_draft_are_not_given_out(place: Place, door: Door) -> None:
    """404 for the form, its manifest and its files; a number that is none is 404 as well."""
    office = place.office
    office.call("PATCH", f"/api/v2/assets/{place.closed}/deployment/", json={"active": True})
    (form,) = listed(door.call("GET", "/formList", params={"formID": place.closed}))
    (file,) = media_of(door.call("GET", form["manifestUrl"]))
    office.call("PATCH", f"/api/v2/assets/{place.closed}/deployment/", json={"active": False})
    for path in (form["downloadUrl"], form["manifestUrl"], file["downloadUrl"]):
        assert door.call("GET", path).status_code == 404
    assert listed(door.call("GET", "/formList", params={"formID": place.draft})) == []
    for path in ("/forms/999/form.xml", "/xformsManifest/999", "/xformsMedia/1/x.csv"):
        assert door.call("GET", path).status_code == 404


def strangers(server: RunningServer) -> dict[str, tuple[Door, int]]:
    """Doors that open nothing, and what each is answered."""
    past = datetime.now(UTC) - timedelta(days=2)
    number, gone = key(server)
    _, late = key(server, now=past, expires_at=past + timedelta(days=1))
    in_store(server, lambda c: keys.revoke_key(c, number, now=datetime.now(UTC)))
    found = {
        "nobody": (Door(server.url), 401),
        "wrong token": (Door(server.url, {"Authorization": "Token " + "0" * 40}), 401),
        "wrong password": (Door(server.url, {"Authorization": "Basic c2VuZGVyOnh4eA=="}), 401),
        "wrong key": (Door(f"{server.url}/key/{'x' * 43}"), 403),
        "revoked key": (Door(f"{server.url}/key/{gone}"), 403),
        "expired key": (Door(f"{server.url}/key/{late}"), 403),
    }
    for role in ("evaluator", "manager"):
        add_account(server, f"the-{role}", role)
        token = in_store(
            server,
            lambda c, role=role: accounts.mint_token(c, f"the-{role}", now=datetime.now(UTC)),
        )
        found[role] = (Door(server.url, {"Authorization": f"Token {token}"}), 403)
    return found


def test_strangers_get_nowhere(place: Place) -> None:
    """401 with a challenge where somebody could sign in, 403 for a key that opens nothing (to a 401
    Collect asks for a name and a password) and for who may not send; in words; nothing is stored."""
    (form,) = listed(place.doors["token"].call("GET", "/formList"))
    (file,) = media_of(place.doors["token"].call("GET", form["manifestUrl"]))
    paths = ["/formList", *(a.removeprefix(place.server.url) for a in
             (form["downloadUrl"], form["manifestUrl"], file["downloadUrl"]))]  # fmt: skip
    for name, (door, status) in strangers(place.server).items():
        one = new()
        # a sixth wrong password in a row would be told to wait
        few = paths[:2] if name == "wrong password" else paths
        answers = [door.call("GET", path) for path in few]
        answers.append(door.send(instance(place.uid, one)))
        for answer in answers:
            assert (name, answer.status_code) == (name, status)
            assert message(answer)
            assert answer.headers["X-OpenRosa-Version"] == "1.0"
            assert ("WWW-Authenticate" in answer.headers) is (status == 401)
            assert place.uid not in answer.text
        assert door.call("HEAD", "/submission").status_code == status
        found = place.office.call("GET", f"/api/v2/assets/{place.uid}/data/{one}/")
        assert found.status_code == 404


def test_a_dead_key_says_why(place: Place) -> None:
    """In Thai and English, on the phone's screen."""
    doors = strangers(place.server)
    for name, words in (
        ("wrong key", "ไม่รู้จักกุญแจนี้"),
        ("revoked key", "กุญแจนี้ถูกยกเลิกแล้ว"),
        ("expired key", "กุญแจนี้หมดอายุแล้ว"),
    ):
        answer: requests.Response = doors[name][0].send(instance(place.uid, new()))
        assert words in message(answer)
        assert "key" in message(answer)
