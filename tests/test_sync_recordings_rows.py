"""Rows of KoboToolbox as they were recorded: asked for so that none is missed, read for what they are.

An edit, a review, a deletion, a second sending and a removed picture all answer 200, and each shows
in another part of the row.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pyarrow as pa
import pytest
from recorded import Given, playing, recording
from replayed import Answers, answering, kobo
from small_kobo import TOKEN, SmallKobo, running

from forms.instance import envelope, from_kobo, from_xml, parse_xml, to_xml
from forms.model import Form
from forms.problems import ServerProblem
from forms.programme import load, shipped
from forms.xlsform import read_form
from sync.backend import Mark, PullResult, Source
from sync.columns import Faults, typed
from sync.kobo import Kobo, mark_of, marker, root_of, row_of
from sync.mirror import Mirror
from sync.pull import pull

UID = "a4AMDX2ozJ2zAhanaYrmG5"
DATA = f"/api/v2/assets/{UID}/data/"
HERE = Source(UID)


def row(number: int, row_id: int = 0) -> Mapping[str, Any]:
    """A recorded row: the only one, or the one with that `_id` out of a page."""
    body = recording(number)["response_body"]
    (found,) = [r for r in body.get("results", [body]) if row_id in (0, r["_id"])]
    return found


@pytest.fixture(scope="module")
def household() -> Form:
    """The form of the recordings, from the workbook that was imported (recording 009)."""
    packed = parse_qs(recording(9)["request_body"])["base64Encoded"][0]
    return read_form(base64.b64decode(packed.partition("base64,")[2]), where="hh_survey.xlsx")


# ── asking ───────────────────────────────────────────────────────────────────────────────────────


def test_rows_are_asked_for_by_id_and_by_nothing_the_server_passes_over() -> None:
    """Recordings 086, 087: `offset` and `page` are echoed and not obeyed; 088: a limit above 1000 is
    cut; 098: a dotted path into a repeat matches nothing; 101, 102, 299: an operator unknown to the
    server counts 0; 300, 301, 302: `count` is refused, `fields` and `sort` must be JSON."""
    for number in (86, 87):
        assert recording(number)["response_body"]["results"][0]["_id"] == 1
    for number in (98, 101, 102, 299):
        assert recording(number)["response_body"]["count"] == 0
    with answering({f"GET {DATA}": 272}) as replay:
        server = kobo(replay.url)
        list(server.pages(HERE, ""))
        list(server.ledger(HERE))
        list(server.since(HERE, "2026-11-23T13:01:43Z"))
        server.rows(HERE, [Mark(1, "", ""), Mark(3, "", "")])
        server.count(HERE, "17")
    assert len(replay.asked) >= 5
    for asked in replay.asked:
        assert asked.query.keys() <= {"query", "sort", "limit", "fields"}
        assert 1 <= int(asked.query["limit"][0]) <= 1000
        assert json.loads(asked.query["sort"][0]) == {"_id": 1}
        query = json.loads(asked.query["query"][0])
        assert query.keys() <= {"_id", "_submission_time", "_date_modified"}
        assert {operator for value in query.values() for operator in value} <= {
            "$gt",
            "$gte",
            "$lte",
            "$in",
        }
        if "fields" in asked.query:
            assert "_id" in json.loads(asked.query["fields"][0])


def test_a_moment_is_compared_without_its_zone() -> None:
    """Recordings 095, 096: times compare as text, and a `Z` behind the second passes over the rows of
    that second: five of nine are lost."""
    lost = recording(95)["response_body"]["count"] - recording(96)["response_body"]["count"]
    assert lost == 5
    with answering({f"GET {DATA}": 95}) as replay:
        list(kobo(replay.url).since(HERE, "2026-11-23T13:01:43Z"))
    asked = json.loads(replay.asked[0].query["query"][0])
    assert asked["_submission_time"] == {"$gte": "2026-11-23T13:01:43"}
    assert row_of(row(73, 1)).submitted_at == "2026-11-23T13:01:42"


def test_a_page_that_is_not_what_was_asked_for_is_noticed() -> None:
    """Recording 086: rows 1, 2, 3 after row 2 was the last: the pull stops instead of going round."""
    with playing([86]) as played, pytest.raises(ServerProblem) as caught:
        list(kobo(played.url).pages(HERE, "2"))
    assert caught.value.findings[0].code == "page_repeats"


def test_pages_that_the_server_cuts_are_read_to_the_end() -> None:
    """Recording 088: whoever asks for more than 1000 rows gets 1000 and no word about it."""
    assert (recording(88)["status"], recording(88)["response_body"]["next"]) == (200, None)
    small = SmallKobo("")
    for n in range(1005):
        small.insert(f"root-{n}", {})
    with running(small):
        pages = list(Kobo(small.url, TOKEN, page=5000).pages(Source(small.uid), ""))
    assert [r.row_id for page in pages for r in page.rows] == list(range(1, 1006))


def test_rows_that_are_gone_are_left_out() -> None:
    """Recording 136: a deleted row is not there any more, with 200 and nothing said."""
    with answering({f"GET {DATA}": 136}) as replay:
        assert kobo(replay.url).rows(HERE, [Mark(8, "", "")]) == ()


@pytest.mark.parametrize("number", [269, 270])
def test_a_history_we_may_not_see_is_empty(number: int) -> None:
    """It needs the right to manage the form (403); the sweep finds edits and deletions without it."""
    with playing([number]) as played:
        assert list(kobo(played.url).log(UID, "")) == []
        assert len(played.asked) == 1


def test_a_view_of_some_rows_is_never_called_complete(tmp_path: Path) -> None:
    """Recordings 221, 222: with partial permissions count and rows agree, and both are a part: that is
    said (or refused), and what a whole view brought earlier is not withdrawn."""
    programme, form_id = load(shipped()), "mne_registration"
    body = recording(222)["response_body"]
    (asset,) = body["results"]
    assert asset["deployment__submission_count"] is None
    asset["settings"]["description"] = marker(programme.id, form_id, "ab")
    routes: Answers = {
        "GET /me/": Given.json({"username": "outsider"}),
        "GET /api/v2/assets/": Given.json(body),
        f"GET /api/v2/assets/{UID}/": Given.json(asset),
        f"GET {DATA}": 221,
    }
    results: list[PullResult] = []
    with answering(routes) as replay, Mirror(tmp_path / "mirror.sqlite3") as mirror:
        mirror.bind(form_id, UID)
        mirror.save(form_id, [row_of(row(73, n)) for n in (1, 2, 3)], cursor="0")
        with suppress(ServerProblem):
            results = pull(programme, kobo(replay.url), mirror, forms=[form_id])
        assert mirror.count(form_id, withdrawn=True) == 0
    assert not any(result.complete for result in results)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────


def test_an_edit_keeps_the_row_and_changes_its_mark(household: Form) -> None:
    """Recordings 113-116: same `_id`, same time, same root; another instance and other answers, found
    under the old uuid too, and equal to the instance's own XML."""
    before, after = row(73, 3), row(114)
    for key in ("_id", "_submission_time", "meta/rootUuid"):
        assert after[key] == before[key]
    assert root_of(after) == root_of(before)
    assert mark_of(after) != mark_of(before)
    assert row(116) == after
    edited = from_kobo(after)
    assert edited.deprecated_id == from_kobo(before).instance_id
    assert edited.record.repeats["member"][0].answers["member/m_name"] == "แก้ไขแล้ว"
    assert edited.record == from_xml(recording(115)["response_body"].encode(), household).record


def test_a_review_changes_the_mark_and_outlives_an_edit() -> None:
    """Recordings 123, 128-131: set, taken away again, and kept when a phone edits an approved row."""
    plain, approved = row(73, 5), row(131)
    assert row_of(plain).validation == ""
    assert row_of(approved).validation == "approved"
    assert root_of(approved) == root_of(plain)
    review = recording(123)["response_body"]
    reviewed = {**plain, "_validation_status": review}
    assert len({mark_of(plain), mark_of(reviewed), mark_of(approved)}) == 3
    assert str(review["timestamp"]) in mark_of(approved)
    assert recording(128)["status"] == 204
    assert row_of(row(129)).validation == ""


def test_a_row_that_was_sent_again_is_the_same_submission() -> None:
    """Recordings 137, 138: back under another `_id`, with the same root."""
    before, after = row(73, 8), row(138)
    assert (before["_id"], after["_id"]) == (8, 15)
    assert root_of(after) == root_of(before)


def test_a_duplicate_made_on_the_server_is_another_submission() -> None:
    """Recording 132: all answers are equal, root and instance are new."""
    copy = row(132)
    assert (
        from_kobo(copy).record.answers["hh_code"] == from_kobo(row(73, 5)).record.answers["hh_code"]
    )
    assert root_of(copy) != root_of(row(73, 5))


@pytest.mark.parametrize("newest_first", [False, True])
def test_of_two_rows_of_one_submission_the_highest_id_stands(
    newest_first: bool, tmp_path: Path
) -> None:
    """Recordings 273-279: root and mark of a phantom are those of the real row, by its uuid the server
    gives the phantom, and it can be neither fetched as XML nor deleted: only `_id` tells them apart."""
    rows = recording(276)["response_body"]["results"]
    assert len({root_of(r) for r in rows}) == len({mark_of(r) for r in rows}) == 1
    assert row(279)["_id"] == row(273)["_id"] == 26
    assert recording(278)["response_body"]["results"] == rows
    with Mirror(tmp_path / "mirror.sqlite3") as mirror:
        mirror.bind("hh_survey", UID)
        for light in reversed(rows) if newest_first else rows:
            mirror.save("hh_survey", [row_of(light)], cursor="219")
        (stored,) = mirror.stored("hh_survey")
    assert json.loads(stored.payload)["_id"] == 219


def test_pictures_are_known_by_question_and_turn() -> None:
    """Recordings 286, 287: each belongs to a turn of a repeat, under the name the phone gave it; the
    one that no question refers to was dropped by the server, and no row waits for it."""
    assert "not_referenced.png" in base64.b64decode(
        recording(286)["request_body"]["$base64"]
    ).decode("utf-8", "replace")
    found = row_of(row(287), frozenset({"tree/pic"}))
    assert [(a.name, a.question, a.deleted) for a in from_kobo(row(287)).attachments] == [
        ("a.png", "tree[1]/pic", False),
        ("ภาพ 2.png", "tree[2]/pic", False),
    ]
    assert not found.waiting


def test_a_deleted_picture_stays_listed_as_deleted() -> None:
    """Recordings 291-294: the answer keeps the name of a picture that is gone, after an edit too; what
    the edit dropped is not listed at all. Neither leaves a row waiting for a file."""
    assert recording(291)["status"] == 204
    listed = {
        number: {a.name: a.deleted for a in from_kobo(row(number)).attachments}
        for number in (292, 294)
    }
    assert listed == {292: {"ภาพ 2.png": False, "a.png": True}, 294: {"a.png": True}}
    assert from_kobo(row(294)).record.repeats["tree"][0].answers["tree/pic"] == "a.png"
    for number in (292, 294):
        assert not row_of(row(number), frozenset({"tree/pic"})).waiting


def test_values_the_server_never_looked_at_are_kept_and_told(household: Form) -> None:
    """Recording 075: `abc` as an age is stored like any answer; it is read as it is, and the column of
    numbers has no value there and counts the fault."""
    (xml,) = re.findall(r"<\?xml.*>", recording(75)["request_body"], re.S)
    answers = from_xml(xml.encode(), household).record.answers
    assert answers["grp_head/head_age"] == "abc"
    faults = Faults()
    column = typed("integer", pa.array(["45", answers["grp_head/head_age"]]), faults, UTC)
    assert (column.to_pylist(), faults.bad) == ([45, None], 1)


def test_answers_to_unknown_questions_are_kept() -> None:
    """Recordings 119, 122: an edit through the API may add any key; payload and answers have it."""
    assert recording(119)["response_body"]["successes"] == 1
    edited = row(122)
    assert from_kobo(edited).record.answers["no_such_field"] == "x"
    assert json.loads(row_of(edited).payload) == edited
    assert root_of(edited) == root_of(row(73, 4))
    assert mark_of(edited) != mark_of(row(73, 4))


def test_a_row_belongs_to_the_asset_whatever_form_it_names(household: Form) -> None:
    """Recording 068: an instance of another id is taken for its formhub/uuid, and its row names the
    other form. It is kept under the asset it was read from; what we send has the id and no uuid."""
    stray = row(73, 11)
    assert from_kobo(stray).form_id == "aNoSuchForm"
    assert row_of(stray).root_id == root_of(stray)
    ours = parse_xml(to_xml(from_kobo(row(73, 2)), household))
    assert (envelope(ours).form_id, envelope(ours).deployment_uuid) == (UID, "")


def test_a_repeat_is_searched_here_not_there() -> None:
    """Recordings 098, 111: a dotted path into a repeat finds nobody; four households have her."""
    name = "น.ส. มาลี"
    found = [
        r["_id"]
        for r in recording(73)["response_body"]["results"]
        if any(
            turn.answers.get("member/m_name") == name
            for turn in from_kobo(r).record.repeats.get("member", ())
        )
    ]
    assert found == [r["_id"] for r in recording(111)["response_body"]["results"]]


def test_nobody_signed_in_is_no_name() -> None:
    """Recordings 216, 218: a submission by anybody has null as its sender."""
    assert row(218)["_submitted_by"] is None
    assert from_kobo(row(218)).submitter == ""


def test_each_row_keeps_the_version_it_was_filled_in_on() -> None:
    """Recordings 153, 154, 155: instances of the earlier version are taken after a redeployment."""
    versions = [from_kobo(r).version for r in recording(155)["response_body"]["results"]]
    assert versions[:2] == ["2 (2026-11-23 13:01:51)", "1 (2026-11-23 13:01:40)"]
