"""What KoboToolbox answered to phones, played back one by one: stored, there already, or refused why.

Where the request was recorded, the phone is given the very instance and attachments that were sent,
and its own request must carry the same parts.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence

import pytest
from recorded import Given, playing, recording

import sync.phone
from forms.problems import ServerProblem
from sync.phone import Listed, Part, Phone


def sent(number: int) -> tuple[bytes, list[Part]]:
    """The instance and the attachments of a recorded submission."""
    body = recording(number)["request_body"]
    raw = base64.b64decode(body["$base64"]) if isinstance(body, dict) else body.encode()
    (_, xml, _), *attachments = parts_of(raw)
    return xml, attachments


def parts_of(body: bytes) -> list[Part]:
    """File name, content and media type of every part of a multipart body (RFC 2046)."""
    boundary = body.partition(b"\r\n")[0]
    parts = []
    for piece in (b"\r\n" + body).split(b"\r\n" + boundary)[1:-1]:
        head, _, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        name = re.search(rb'filename="([^"]*)"', head)
        kind = re.search(rb"Content-Type: (\S+)", head)
        assert name is not None
        assert kind is not None
        parts.append((name[1].decode(), content, kind[1].decode()))
    return parts


def phone_at(url: str, number: int) -> Phone:
    """A phone at the path of the recorded request: another account's forms have its name in front."""
    folder = recording(number)["path"].removesuffix("/submission")
    return Phone(url + folder, token="token", sleep=lambda seconds: None)


@pytest.mark.parametrize(
    ("number", "outcome"),
    [
        (52, "stored"),  # with a photo
        (53, "stored"),
        (54, "stored"),
        (55, "stored"),
        (56, "stored"),
        (57, "stored"),
        (58, "stored"),  # the same again with the photo: it is added to the row
        (59, "stored"),
        (60, "stored"),
        (61, "duplicate"),  # the same bytes again: 202
        (63, "stored"),  # the same answers under a new id are another record
        (68, "stored"),  # a wrong form id with the right formhub/uuid
        (75, "stored"),  # values the form forbids: the server does not look
        (113, "stored"),  # an edit
        (130, "stored"),  # an edit of an approved record
        (137, "stored"),  # deleted on the server, sent again: it is back
        (153, "stored"),  # filled in on an older version of the form
        (154, "stored"),
        (198, "stored"),
        (199, "stored"),  # an edit: hooks hear nothing of it
        (201, "stored"),
        (204, "stored"),  # hooks that fail are none of the phone's business
        (216, "stored"),  # nobody signed in, at /me_office/submission
        (275, "stored"),  # the second sending of what left a phantom row
        (286, "stored"),  # with a picture no question refers to: the server drops it
        (293, "stored"),  # an edit that drops a picture
    ],
)
def test_what_the_server_took_counts_as_stored_or_there_already(number: int, outcome: str) -> None:
    """One request per instance, with the parts that KoboToolbox took."""
    xml, attachments = sent(number)
    with playing([number]) as played, phone_at(played.url, number) as phone:
        assert phone.send(xml, attachments) == outcome
    ((method, path, body),) = played.asked
    assert (method, path) == ("POST", recording(number)["path"])
    assert parts_of(body) == [("submission.xml", xml, "text/xml"), *attachments]


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (62, "instance_conflict"),
        (64, "phone_key"),  # anonymous, where that is not allowed
        (65, "phone_key"),
        (66, "phone_key"),
        (67, "phone_key"),  # not even the server's administrator
        (69, "instance_refused"),
        (70, "instance_refused"),
        (71, "instance_refused"),  # without an id
        (74, "form_unknown"),
        (112, "phone_key"),  # may add, not change
        (117, "edit_outdated"),
        (217, "phone_key"),
        (225, "form_closed"),
    ],
)
def test_what_the_server_refused_is_told_once_and_in_its_words(number: int, code: str) -> None:
    """No second attempt; the address, the server's reason and what to do are named."""
    found = recording(number)
    xml, attachments = sent(number)
    with playing([number]) as played, phone_at(played.url, number) as phone:
        with pytest.raises(ServerProblem) as caught:
            phone.send(xml, attachments)
        assert len(played.asked) == 1
    (finding,) = caught.value.findings
    assert (finding.code, finding.where) == (code, played.url + found["path"])
    assert str(found["status"]) in finding.what
    reason = re.search(r"<(message|detail)[^>]*>(.+?)</", found["response_body"])
    assert reason is not None
    assert reason[2] in finding.what
    assert "<" not in finding.what
    assert finding.remedy


@pytest.mark.parametrize("number", [37, 40])
def test_a_list_that_is_not_for_this_phone_asks_for_a_key(number: int) -> None:
    """No credentials, or a password over http: it is the phone's key that is wrong, not the office's
    token, and one attempt tells."""
    with playing([number]) as played, Phone(played.url, key="SECRET") as phone:
        with pytest.raises(ServerProblem) as caught:
            phone.forms()
        assert len(played.asked) == 1
    (finding,) = caught.value.findings
    assert finding.code == "phone_key"
    assert "WATPHON_TOKEN" not in str(finding)
    assert "SECRET" not in str(finding)
    (reason,) = re.findall(r"<detail>(.+?)</", recording(number)["response_body"])
    assert reason in finding.what


LISTED = Listed(
    form_id="a4AMDX2ozJ2zAhanaYrmG5",
    name="Household survey",
    version="1 (2026-11-23 13:01:40)",
    hash="md5:5c24da422e69c285fb40b6325083d9f8",
    download_url="http://kc.kobo.example/forms/1/form.xml",
    manifest_url="http://kc.kobo.example/xformsManifest/1",
)


def test_a_manifest_that_is_not_for_this_phone_asks_for_a_key() -> None:
    """Recordings 043, 048: the form came, its list of media is refused; nothing half is given back."""
    with (
        playing([43, 48]) as played,
        Phone(played.url) as phone,
        pytest.raises(ServerProblem) as caught,
    ):
        phone.form(LISTED)
    (finding,) = caught.value.findings
    assert finding.code == "phone_key"
    assert finding.where == f"{played.url}/xformsManifest/1"
    assert "Authentication credentials were not provided." in finding.what


def test_a_form_arrives_with_the_media_its_manifest_names() -> None:
    """Recordings 043-047: every hash agrees, and links lead to the server the phone was given."""
    with playing([43, 44, 45, 46, 47]) as played, Phone(played.url, key="k1") as phone:
        xform, media = phone.form(LISTED)
    assert xform == recording(43)["response_body"].encode()
    assert list(media) == ["tambon.csv", "second.csv", "tambon2.csv"]
    assert media["tambon.csv"].decode() == recording(45)["response_body"]
    assert [path for _, path, _ in played.asked][:2] == ["/forms/1/form.xml", "/xformsManifest/1"]


def test_a_manifest_of_before_the_redeployment_gives_no_media() -> None:
    """Recordings 028, 030: uploaded files are not offered yet; a PATCH of `active` alone moves none."""
    for stale in (28, 30):
        with playing([43, stale]) as played, Phone(played.url) as phone:
            assert phone.form(LISTED)[1] == {}


@pytest.mark.parametrize(
    ("number", "offered"),
    [
        (27, []),  # the owner's list for strangers is empty, not refused
        (150, ["1 (2026-11-23 13:01:40)"]),  # imported anew, not redeployed: still the old version
        (152, ["2 (2026-11-23 13:01:51)"]),
        (215, ["2 (2026-11-23 13:01:51)"]),  # the same, to anybody
        (224, []),  # archived
        (233, ["2 (2026-11-23 13:01:51)"]),  # new media, not redeployed
        (236, ["2 (2026-11-23 13:02:09)"]),
    ],
)
def test_the_list_tells_what_phones_are_offered_now(number: int, offered: list[str]) -> None:
    """An empty list is no error, and a list of before the redeployment has the earlier version."""
    with playing([number]) as played, Phone(played.url) as phone:
        assert [listed.version for listed in phone.forms()] == offered


def test_a_form_offered_to_anybody_is_fetched_and_sent_under_its_owner() -> None:
    """Recordings 215, 216: links of an anonymous list keep the owner's name in front."""
    with playing([215, 216]) as played, Phone(f"{played.url}/me_office") as phone:
        (listed,) = phone.forms()
        assert phone.local(listed.download_url) == "/me_office/forms/1/form.xml"
        assert phone.send(*sent(216)) == "stored"
    assert [path for _, path, _ in played.asked] == ["/me_office/formList", "/me_office/submission"]


def test_a_large_record_travels_in_several_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Recordings 057, 058: the same instance again with the next picture is 201, not a duplicate."""
    xml, (photo,) = sent(58)
    assert xml == sent(57)[0]
    other: Part = ("other.png", photo[1], photo[2])
    monkeypatch.setattr(sync.phone, "LIMIT", len(xml) + len(photo[1]) + 600)
    with playing([57, 58]) as played, Phone(played.url) as phone:
        assert phone.send(xml, [other, photo]) == "stored"
    assert [names(body) for _, _, body in played.asked] == [
        ["submission.xml", "other.png"],
        ["submission.xml", "photo6.png"],
    ]


def names(body: bytes) -> Sequence[str]:
    return [name for name, _, _ in parts_of(body)]


def test_households_shared_by_another_form_arrive_as_a_medium() -> None:
    """Recordings 246, 247: `external.xml` of a linked project is in the manifest like any file."""
    child = Listed(
        "aPPTeX5zNv4hKaTfSc9is7", "Child", "1", "", "/forms/2/form.xml", "/xformsManifest/2"
    )
    form = Given(200, {"Content-Type": "text/xml"}, b"<form/>")
    with playing([form, 246, 247]) as played, Phone(played.url) as phone:
        _, media = phone.form(child)
    assert list(media) == ["households.xml"]
    assert media["households.xml"].decode() == recording(247)["response_body"]
