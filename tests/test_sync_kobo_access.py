"""Rights and links on KoboToolbox: only what differs is sent, and the owner is left alone."""

from __future__ import annotations

from recorded import recording

from sync.backend import Access, Link
from sync.kobo_access import differences, link_changes, missing_fields

URL = "http://kobo.example"
OWNER = "me_office"
FILTERS = ({"_submitted_by": "enum1", "tambon": "1002"},)


def test_what_is_there_is_not_granted_again() -> None:
    """Recordings 034, 035, 220: a facilitator and a reader of some rows, as the server lists them."""
    listed = recording(34)["response_body"]
    access = Access(("enum1",), readers={"outsider": FILTERS})
    rights = differences(listed, access, OWNER, URL)
    assert [told for _, told in rights.grant] == [
        "enum1 may send",
        "outsider may read some rows (where _submitted_by=enum1 and tambon=1002)",
    ]
    assert rights.grant[0][0] == recording(35)["request_body"]
    assert rights.grant[1][0] == recording(220)["request_body"][1]
    assert not rights.revoke
    assert not differences(recording(220)["response_body"], access, OWNER, URL)


def test_other_filters_are_a_new_assignment() -> None:
    """There is no changing them in place: the old assignment goes, the new one comes."""
    listed = recording(220)["response_body"]
    access = Access(("enum1",), readers={"outsider": ({"tambon": "1001"}, {"tambon": "1003"})})
    rights = differences(listed, access, OWNER, URL)
    ((url, _),) = rights.revoke
    assert url.endswith("/pQpPePzgPKYo4ugzSJA88U/")
    ((assignment, _),) = rights.grant
    assert assignment["partial_permissions"][0]["filters"] == [
        {"tambon": "1001"},
        {"tambon": "1003"},
    ]


def test_rights_are_taken_away_only_when_asked_for() -> None:
    """`only` removes what nobody declared; never the owner's, nor the view that belongs to it."""
    listed = recording(220)["response_body"]
    assert not differences(listed, Access(("enum1",)), OWNER, URL).revoke
    rights = differences(listed, Access(("enum1",), only=True), OWNER, URL)
    assert [told for _, told in rights.revoke] == ["outsider no longer may read some rows"]


def test_anybody_is_an_account_of_its_own() -> None:
    """Recording 214: AnonymousUser with the right to add."""
    rights = differences([], Access(anonymous=True), OWNER, URL)
    assert rights.grant[0][0] == recording(214)["request_body"]


def test_links_are_made_changed_and_removed_by_name() -> None:
    """Recordings 241-243: equal is left alone; links to foreign projects are never touched."""
    listed = recording(243)["response_body"]["results"]
    uid = listed[0]["source"].rstrip("/").rpartition("/")[2]
    same = Link("reg", "households", tuple(listed[0]["fields"]))
    assert link_changes(listed, [same], {"reg": uid}) == ([], [], [])
    other = Link("reg", "households", ("hh_code",))
    assert link_changes(listed, [other], {"reg": uid})[1] == [(other, listed[0]["url"])]
    assert link_changes(listed, [], {"reg": uid})[2] == [
        (listed[0]["url"], "no longer offers households.xml")
    ]
    assert link_changes(listed, [], {"reg": "aOther"}) == ([], [], [])


def test_a_source_shares_what_is_linked_and_keeps_what_it_shared() -> None:
    """Recordings 239, 240: not shared, shared in part, shared whole."""
    assert missing_fields(None, ("a",)) == ["a"]
    assert missing_fields({"enabled": True, "fields": ["b"]}, ("a",)) == ["b", "a"]
    assert missing_fields({"enabled": True, "fields": ["a", "b"]}, ("a",)) is None
    assert missing_fields({"enabled": True, "fields": []}, ("a",)) is None
