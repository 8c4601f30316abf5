"""What KoboToolbox answers with 200 or 201 although it is not what was meant: we do not ask that way.

Publishing and finding forms are run against recordings; what was asked of the server is the proof.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from pathlib import Path
from urllib.parse import parse_qs

import pytest
from recorded import Given, playing, recording
from replayed import Answers, answering, kobo

import sync
from forms.problems import ServerProblem
from sync.backend import Deployed, Medium, Outgoing, Source
from sync.http import Connection
from sync.kobo import marker

UID = "a4AMDX2ozJ2zAhanaYrmG5"
ASSETS = "/api/v2/assets/"
ASSET = f"{ASSETS}{UID}/"
DATA = f"{ASSET}data/"
TAMBON = Medium("tambon.csv", b"", "text/csv", "b8be36aa2f928e812a0c7c73740852f2")
SECOND = Medium("second.csv", b"", "text/csv", "5d5d4a5ddd874b7342ee636b9b27b872")
THIRD = Medium("tambon2.csv", b"", "text/csv", "b345e1dc09f20fdefdea469f09167892")
ANEW = Medium("tambon.csv", b"", "text/csv", "1a1efb60cfb96bd7a138eae6a13d8472")
MARKER = marker("north2564", "hh_survey", "ab12")
KNOWN = Deployed("hh_survey", UID, "ab12", True, True, 11)
ME = Given.json({"username": "me_office"})


def form(*media: Medium) -> Outgoing:
    return Outgoing("north2564", "hh_survey", "Household", b"workbook", "ab12", media)


def inner(number: int) -> Given:
    """The asset inside a recorded answer to a deployment, as the asset's own address gives it."""
    return Given.json(recording(number)["response_body"]["asset"])


def files(*media: Medium) -> Given:
    """The list of an asset's media (as in recording 025)."""
    listed = [
        {"uid": f"f{n}", "metadata": {"filename": medium.name, "hash": f"md5:{medium.md5}"}}
        for n, medium in enumerate(media)
    ]
    return Given.json({"count": len(listed), "next": None, "previous": None, "results": listed})


# ── importing ────────────────────────────────────────────────────────────────────────────────────


def test_an_import_is_a_form_that_says_it_is_no_library_block() -> None:
    """Recordings 173-176: without `library=false` a form of many questions becomes a block, and no
    block can be deployed. Recordings 295, 296: a JSON body is accepted with 201 and never read."""
    tree = recording(283)["response_body"]["messages"]["updated"][0]["uid"]
    task = recording(282)["response_body"]["uid"]
    routes: Answers = {"POST /api/v2/imports/": 282, f"GET /api/v2/imports/{task}/": 283}
    with answering(routes) as replay:
        assert kobo(replay.url).import_workbook(form(), tree) == tree
    (asked,) = replay.writes()
    assert asked.headers["content-type"] == "application/x-www-form-urlencoded"
    sent = parse_qs(asked.body.decode())
    assert sent["library"] == ["false"]
    assert sent["destination"] == [f"{replay.url}{ASSETS}{tree}/"]
    assert sent.keys() == parse_qs(recording(282)["request_body"]).keys()
    assert "library" not in parse_qs(recording(173)["request_body"])
    assert recording(174)["response_body"]["status"] == "complete"
    assert recording(175)["response_body"]["asset_type"] == "block"
    assert recording(295)["request_headers"]["Content-Type"] == "application/json"


def test_the_same_workbook_is_not_sent_again() -> None:
    """Recordings 280-284: KoboToolbox makes a new version of an equal file, and every phone would
    fetch it. Whether anything changed is told by our own hash; then nothing is written at all."""
    once, again = (parse_qs(recording(n)["request_body"]) for n in (280, 282))
    assert once["base64Encoded"] == again["base64Encoded"]
    assert recording(284)["response_body"]["version_count"] == 2
    routes: Answers = {
        "GET /me/": ME,
        f"GET {ASSET}": inner(151),
        f"GET {ASSET}files/": files(TAMBON, SECOND, THIRD),
        "GET /formList": 152,
        "GET /xformsManifest/1": 33,
    }
    with answering(routes) as replay:
        published = kobo(replay.url).publish(form(TAMBON, SECOND, THIRD), KNOWN)
    assert (published.action, replay.writes()) == ("unchanged", [])


# ── deploying ────────────────────────────────────────────────────────────────────────────────────


def test_an_imported_version_reaches_phones_by_a_redeployment_that_names_it() -> None:
    """Recordings 149, 150: after an import phones are still offered the earlier version; 029, 030: a
    PATCH of `active` alone answers 200 and pushes nothing; 151, 152: with `version_id` it does."""
    before: Answers = {
        "GET /me/": ME,
        f"GET {ASSET}": 149,
        f"GET {ASSET}files/": files(TAMBON, SECOND, THIRD),
        f"PATCH {ASSET}deployment/": 151,
        "GET /formList": 150,
        "GET /xformsManifest/1": 33,
    }
    with answering(before, {f"GET {ASSET}": inner(151), "GET /formList": 152}) as replay:
        published = kobo(replay.url).publish(form(TAMBON, SECOND, THIRD), KNOWN)
    (asked,) = replay.writes()
    current = recording(149)["response_body"]["version_id"]
    assert json.loads(asked.body) == {"active": True, "version_id": current}
    assert recording(29)["request_body"] == {"active": True}
    assert published.version == "2 (2026-11-23 13:01:51)"


def test_new_media_reach_phones_by_a_redeployment_although_the_form_is_unchanged() -> None:
    """Recordings 232, 233: the uploaded file is there, phones are offered the earlier one; 234-236:
    after the redeployment they are offered it."""
    before: Answers = {
        "GET /me/": ME,
        f"GET {ASSET}": inner(234),
        f"GET {ASSET}files/": files(ANEW, THIRD),
        f"PATCH {ASSET}deployment/": 234,
        "GET /formList": 233,
        "GET /xformsManifest/1": 232,
    }
    after: Answers = {"GET /formList": 236, "GET /xformsManifest/1": 235}
    with answering(before) as replay:
        # The one that was deleted is still there, too.
        missing, _ = kobo(replay.url).missing_media(UID, [ANEW, THIRD])
    assert missing == ["tambon.csv", "second.csv"]
    with answering(before, after) as replay:
        published = kobo(replay.url).publish(form(ANEW, THIRD), KNOWN)
    (asked,) = replay.writes()
    assert "version_id" in json.loads(asked.body)
    assert (published.action, published.version) == ("media", "2 (2026-11-23 13:02:09)")


@pytest.mark.parametrize(("number", "manifest"), [(27, 33), (42, 28), (42, 30)])
def test_what_phones_are_not_offered_is_missing(number: int, manifest: int) -> None:
    """An empty list of forms or an empty manifest is a 200: every medium counts as missing."""
    routes: Answers = {
        "GET /me/": ME,
        "GET /formList": number,
        "GET /xformsManifest/1": manifest,
    }
    with answering(routes) as replay:
        missing, _ = kobo(replay.url).missing_media(UID, [TAMBON, SECOND])
    assert missing == ["tambon.csv", "second.csv"]


def test_a_medium_is_sent_under_one_name() -> None:
    """Recording 023: the part's file name wins over the one in `metadata`, so they must be equal;
    021: without `metadata` it is a 500."""
    recorded = recording(23)
    assert '{"filename": "other.csv"}' in recorded["request_body"]
    assert recorded["response_body"]["metadata"]["filename"] == "tambon2.csv"
    routes: Answers = {f"GET {ASSET}files/": files(), f"POST {ASSET}files/": 23}
    with answering(routes) as replay:
        assert kobo(replay.url).bring_media(UID, [Medium("ตำบล 2.csv", b"a,b\n", "text/csv", "0")])
    (asked,) = replay.writes()
    assert re.findall(rb'"filename": ?"([^"]+)"', asked.body) == ["ตำบล 2.csv".encode()]
    assert b'name="content"; filename="\xe0\xb8\x95' in asked.body or b"filename*=" in asked.body


# ── finding ──────────────────────────────────────────────────────────────────────────────────────


def listed(number: int, uid: str = UID) -> Given:
    """A recorded list of assets in which the form `uid` carries our marker."""
    body = recording(number)["response_body"]
    for asset in body["results"]:
        if asset["uid"] == uid:
            asset["settings"]["description"] = MARKER
    return Given.json(body)


def test_forms_are_found_by_their_marker_not_by_searching() -> None:
    """Recordings 183, 189: a name is matched exactly, an unknown field gives no rows and no error;
    182, 303: list items carry no content, and a limit above the maximum is cut."""
    for number in (183, 189):
        assert recording(number)["response_body"]["results"] == []
    for number in (182, 303):
        assert all(
            "content" not in asset for asset in recording(number)["response_body"]["results"]
        )
    with answering({"GET /me/": ME, f"GET {ASSETS}": listed(303)}) as replay:
        found = kobo(replay.url).find("north2564")
    assert found == {"hh_survey": Deployed("hh_survey", UID, "ab12", True, True, 17)}
    pages = [asked.query for asked in replay.asked if asked.path == ASSETS]
    assert pages
    assert all("q" not in query and int(query["limit"][0]) <= 1000 for query in pages)


def test_a_form_that_may_only_be_filled_in_is_not_found() -> None:
    """Recording 191: an enumerator's list of assets is empty with 200; nothing of ours is there."""
    with answering({"GET /me/": ME, f"GET {ASSETS}": 191}) as replay:
        assert kobo(replay.url).find("north2564") == {}


def test_an_archived_form_keeps_its_rows() -> None:
    """Recordings 223, 226: it is not live, it was deployed, and its rows are read as ever."""
    asset = recording(223)["response_body"]["asset"]
    asset["settings"]["description"] = MARKER
    body = {"count": 1, "next": None, "previous": None, "results": [asset]}
    first = recording(226)["response_body"] | {"count": 1}
    routes: Answers = {
        "GET /me/": ME,
        f"GET {ASSETS}": Given.json(body),
        f"GET {DATA}": Given.json(first),
    }
    with answering(routes) as replay:
        server = kobo(replay.url)
        found = server.find("north2564")["hh_survey"]
        (page,) = server.pages(Source(found.uid), "")
    assert (found.is_live, found.was_deployed) == (False, True)
    assert [row.row_id for row in page.rows] == [1]


# ── every request ────────────────────────────────────────────────────────────────────────────────


def test_every_path_ends_in_a_slash_and_json_is_asked_for_in_the_header() -> None:
    """Recordings 263, 264: a path without its slash is redirected, a POST turns into a GET; 012: a
    `?format=json` comes back in every URL of the answer."""
    assert "?format=json" in recording(12)["response_body"]["owner"]
    task = recording(280)["response_body"]["uid"]
    routes: Answers = {
        "GET /me/": ME,
        "POST /api/v2/imports/": 280,
        f"GET /api/v2/imports/{task}/": 281,
        f"GET {ASSETS}": listed(303),
        f"GET {ASSET}files/": files(),
        f"POST {ASSET}files/": 23,
        f"GET {ASSET}": 12,
        f"POST {ASSET}deployment/": 16,
        f"GET {DATA}": 272,
    }
    with answering(routes) as replay:
        server = kobo(replay.url)
        server.find("north2564")
        server.import_workbook(form(), "")
        server.bring_media(UID, [TAMBON])
        server.deploy(form(), server.asset(UID))
        list(server.ledger(Source(UID)))
    assert {asked.path for asked in replay.asked} == {key.split()[1] for key in routes}
    for asked in replay.asked:
        assert asked.path.endswith("/")
        assert "format" not in asked.query
        assert asked.headers["accept"] == "application/json"
        assert asked.headers["authorization"] == "Token token"


def test_xml_is_never_taken_for_data() -> None:
    """Recordings 106, 244: rows as XML and shared households come as they are when bytes are asked
    for, and are a problem in words when data are."""
    for number in (106, 244):
        path = recording(number)["path"]
        with playing([number]) as played:
            connection = Connection(played.url, "token", sleep=lambda seconds: None)
            assert connection.bytes("GET", path).decode() == recording(number)["response_body"]
            with pytest.raises(ServerProblem) as caught:
                connection.json("GET", path)
        assert caught.value.findings[0].code == "not_json"
        assert "<" not in str(caught.value)


def test_nothing_we_keep_depends_on_hooks_or_exports() -> None:
    """Recordings 199, 201, 207, 208: a hook hears nothing of edits, drops what lies in repeats, gives
    up on any answer but 502-504, and tells it in a log only; 255: exports are elsewhere. No request
    of ours goes to either."""
    (down,) = recording(207)["response_body"]["results"]
    (bad,) = recording(208)["response_body"]["results"]
    assert (down["status_str"], down["status_code"], down["tries"]) == ("failed", 503, 5)
    assert (bad["status_str"], bad["status_code"], bad["tries"]) == ("failed", 400, 1)
    assert not [
        words for words in source_lines() if re.search("/(hooks|exports?|export-settings)/", words)
    ]


def source_lines() -> Iterable[str]:
    for folder in sync.__path__:
        for path in Path(folder).glob("*.py"):
            yield from path.read_text("utf-8").splitlines()
