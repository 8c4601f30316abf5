"""What KoboToolbox answered to phones, case by case, and what this server answers to the same."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from office import Office, RunningServer, instance
from recorded import recording
from rosa import DOORS, Door, door_of

JPEG = b"\xff\xd8\xff\xe0photo"


@dataclass(frozen=True)
class Case:
    """The phone's way in, a way in that may not correct, and one that shows nothing."""

    door: Door
    link: Door
    nobody: Door
    uid: str
    closed: str
    deployment: str
    """The form's uuid that KoboToolbox's records carry beside its id."""

    def sent(self, **more: str) -> str:
        """A record that is stored; its instanceID."""
        one = str(uuid.uuid4())
        assert self.door.send(instance(self.uid, one, **more)).status_code == 201
        return one

    def new(self, uid: str = "", **more: str) -> bytes:
        return instance(uid or self.uid, str(uuid.uuid4()), **more)


def photo(case: Case) -> int:
    document = case.new(more="<photo>a.jpg</photo>")
    return case.door.send(document, ("a.jpg", ("a.jpg", JPEG, "image/jpeg"))).status_code


def second_piece(case: Case) -> int:
    document = case.new(more="<photo>a.jpg</photo>")
    assert case.door.send(document).status_code == 201
    return case.door.send(document, ("a.jpg", ("a.jpg", JPEG, "image/jpeg"))).status_code


def again(case: Case) -> int:
    document = case.new()
    assert case.door.send(document).status_code == 201
    return case.door.send(document).status_code


def other_content(case: Case) -> int:
    return case.door.send(instance(case.uid, case.sent(), who="อื่น")).status_code


def stale_edit(case: Case) -> int:
    one = case.sent()
    assert case.door.send(case.new(deprecated=one)).status_code == 201
    return case.door.send(case.new(deprecated=one)).status_code


def right_uuid(case: Case) -> int:
    about = f"<formhub><uuid>{case.deployment}</uuid></formhub>"
    return case.door.send(case.new("another_id", about=about)).status_code


ANSWERED: dict[str, tuple[int, Callable[[Case], int]]] = {
    "the list, by nobody": (37, lambda c: c.nobody.call("GET", "/formList").status_code),
    "the list": (38, lambda c: c.door.call("GET", "/formList").status_code),
    "HEAD, by nobody": (49, lambda c: c.nobody.call("HEAD", "/submission").status_code),
    "HEAD": (50, lambda c: c.door.call("HEAD", "/submission").status_code),
    "a record with a photo": (52, photo),
    "a record": (53, lambda c: c.door.send(c.new()).status_code),
    "its second piece": (58, second_piece),
    "the same bytes again": (61, again),
    "the same id, other content": (62, other_content),
    "by nobody": (65, lambda c: c.nobody.send(c.new()).status_code),
    "a wrong id with the right formhub/uuid": (68, right_uuid),
    "broken XML": (69, lambda c: c.door.send(c.new()[:-10]).status_code),
    "nothing": (70, lambda c: c.door.send(b"").status_code),
    "no instanceID": (
        71,
        lambda c: c.door.send(c.new().replace(b"instanceID", b"other")).status_code,
    ),
    "an unknown form": (74, lambda c: c.door.send(c.new("no_such_form")).status_code),
    "values the form forbids": (
        75,
        lambda c: c.door.send(c.new().replace(b"<age>45</age>", b"<age>x</age>")).status_code,
    ),
    "an edit by who may not": (
        112,
        lambda c: c.link.send(c.new(deprecated=c.sent())).status_code,
    ),
    "an edit": (113, lambda c: c.door.send(c.new(deprecated=c.sent())).status_code),
    "an edit of an old version": (117, stale_edit),
    "an unknown version": (153, lambda c: c.door.send(c.new(version="0 (old)")).status_code),
    "a closed form": (225, lambda c: c.door.send(c.new(c.closed)).status_code),
}
"""By what happens: the recording that shows KoboToolbox's answer, and how it happens here."""


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Case]]:
    """The three doors of one server."""
    server = RunningServer(tmp_path_factory.mktemp("recorded") / "data")
    server.start()
    try:
        office = Office(server.url, server.token)
        uid, closed = office.publish(), office.publish()
        office.call("PATCH", f"/api/v2/assets/{closed}/deployment/", json={"active": False})
        assert office.send(instance(uid, str(uuid.uuid4()))).status_code == 201
        (row,) = office.rows(uid)
        link = door_of(server, "key", kind="link", label="ผนัง")
        nobody = Door(server.url)
        yield {
            way: Case(door_of(server, way), link, nobody, uid, closed, row["formhub/uuid"])
            for way in DOORS
        }
    finally:
        server.end()


@pytest.mark.parametrize("way", DOORS)
@pytest.mark.parametrize("what", ANSWERED)
def test_phones_hear_what_kobotoolbox_tells_them(
    cases: dict[str, Case], what: str, way: str
) -> None:
    """The same status in every case, by key, token and password."""
    number, happens = ANSWERED[what]
    assert happens(cases[way]) == recording(number)["status"]
