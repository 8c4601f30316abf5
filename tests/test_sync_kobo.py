"""The KoboToolbox adapter against what a real server answered, recording by recording."""

from __future__ import annotations

import pytest
from recorded import Given, playing, recording

from forms.problems import ServerProblem
from sync.backend import Deployed, Medium, Outgoing, Source
from sync.kobo import Kobo, mark_of, marker, read_marker, root_of

ME = Given.json({"username": "me_office"})
FORM = Outgoing("north2564", "hh_survey", "Household", b"workbook", "ab12", ())
TAMBON = Medium("tambon.csv", b"", "text/csv", "b8be36aa2f928e812a0c7c73740852f2")
OTHERS = (
    Medium("second.csv", b"", "text/csv", "5d5d4a5ddd874b7342ee636b9b27b872"),
    Medium("tambon2.csv", b"", "text/csv", "b345e1dc09f20fdefdea469f09167892"),
)


def kobo(url: str) -> Kobo:
    return Kobo(url, "token", patience=0.5, sleep=lambda seconds: None)


def test_an_import_is_polled_to_its_end() -> None:
    """Recordings 010, 011: created, then complete with the new asset's uid; `library` is false."""
    with playing([Given.json({"uid": "i1", "status": "processing"}, 201), 10, 11]) as played:
        assert kobo(played.url).import_workbook(FORM, "") == "a4AMDX2ozJ2zAhanaYrmG5"
    method, path, body = played.asked[0]
    assert (method, path) == ("POST", "/api/v2/imports/")
    assert b"library=false" in body
    assert b"destination" not in body


@pytest.mark.parametrize("number", [160, 162, 170])
def test_a_failed_import_answers_200_and_is_a_problem(number: int) -> None:
    """Recordings 160, 162, 170: the server's words reach the user, with the workbook's name."""
    words = recording(number)["response_body"]["messages"]["error"]
    with (
        playing([Given.json({"uid": "i1"}, 201), number]) as played,
        pytest.raises(ServerProblem) as caught,
    ):
        kobo(played.url).import_workbook(FORM, "")
    assert caught.value.findings[0].code == "import_failed"
    assert words in str(caught.value)
    assert "hh_survey.xlsx" in str(caught.value)


@pytest.mark.parametrize("number", [165, 168])
def test_what_pyxform_objects_to_is_passed_on(number: int) -> None:
    """Recordings 165, 168: a bad reference or list imports well and fails at deployment."""
    with playing([number]) as played, pytest.raises(ServerProblem) as caught:
        kobo(played.url).deploy(FORM, {"uid": "a1", "has_deployment": False})
    assert caught.value.findings[0].code == "deployment_refused"
    assert recording(number)["response_body"]["error"][:60] in str(caught.value)


def test_redeploying_names_the_current_version() -> None:
    """Recordings 029, 032: without `version_id` a PATCH pushes nothing."""
    with playing([Given.json({})]) as played:
        kobo(played.url).deploy(FORM, {"uid": "a1", "has_deployment": True, "version_id": "v7"})
    method, _, body = played.asked[0]
    assert method == "PATCH"
    assert body == b'{"active":true,"version_id":"v7"}'


def test_media_count_as_there_when_phones_are_offered_them() -> None:
    """Recordings 033, 042: every name with its md5 in the manifest, the version from formList."""
    with playing([ME, 42, 33]) as played:
        server = kobo(played.url)
        missing, version = server.missing_media("a4AMDX2ozJ2zAhanaYrmG5", [TAMBON, *OTHERS])
        assert (missing, version) == ([], "1 (2026-11-23 13:01:40)")
    changed = Medium("tambon.csv", b"", "text/csv", "0" * 32)
    with playing([ME, 42, 33]) as played:
        missing, _ = kobo(played.url).missing_media("a4AMDX2ozJ2zAhanaYrmG5", [changed, *OTHERS])
        assert missing == ["tambon.csv"]
    with playing([ME, 42, 33]) as played, pytest.raises(ServerProblem, match="not offered"):
        kobo(played.url).await_media("a4AMDX2ozJ2zAhanaYrmG5", [changed])


def test_only_media_that_differ_are_replaced() -> None:
    """Recordings 019, 025: the same name is refused, so another content is deleted, then posted."""
    files = [
        {"uid": "f1", "metadata": {"filename": "tambon.csv", "hash": f"md5:{TAMBON.md5}"}},
        {"uid": "f2", "metadata": {"filename": "second.csv", "hash": "md5:0"}},
        {"uid": "f3", "metadata": {"filename": "gone.csv", "hash": "md5:1"}},
    ]
    answers = [Given.json({"results": files}), Given.json(None, 204), Given.json(None, 204)]
    with playing([*answers, Given.json({}, 201)]) as played:
        assert kobo(played.url).bring_media("a1", [TAMBON, OTHERS[0]])
    assert [(method, path.split("/")[-2]) for method, path, _ in played.asked[1:]] == [
        ("DELETE", "f2"),
        ("DELETE", "f3"),
        ("POST", "files"),
    ]
    # Without `metadata` KoboToolbox answers 500 (021).
    assert b'{"filename":"second.csv"}' in played.asked[-1][2]
    with playing([Given.json({"results": files[:1]})]) as played:
        assert not kobo(played.url).bring_media("a1", [TAMBON])
    assert len(played.asked) == 1


def test_the_marker_leaves_other_words_alone() -> None:
    """A description that people wrote keeps its lines; ours is replaced."""
    old = {"settings": {"description": f"Baseline\n{marker('p', 'f', 'aa')}", "sector": {}}}
    with playing([Given.json(old), Given.json({})]) as played:
        kobo(played.url).set_marker("a1", marker("p", "f", "bb"))
    assert played.asked[1][2] == (
        b'{"settings":{"description":"Baseline\\nwatphon:p/f sha256:bb","sector":{}}}'
    )
    assert read_marker("Baseline\nwatphon:p/f sha256:bb") == ("p", "f", "bb")
    assert read_marker("a household survey") is None


def asset(uid: str, *, live: bool) -> dict[str, object]:
    return {
        "uid": uid,
        "settings": {"description": marker("north2564", "hh_survey", "ab")},
        "has_deployment": live,
        "deployment_status": "deployed" if live else "draft",
        "deployment__active": live,
        "deployment__submission_count": 3,
    }


def test_our_forms_are_found_over_several_pages() -> None:
    """Assets of other people and programmes are passed over; the live one of two is ours."""
    first = {"count": 3, "results": [{"uid": "x", "settings": {}}, asset("a1", live=False)]}
    second = {"count": 3, "results": [asset("a2", live=True)]}
    with playing([ME, Given.json(first), Given.json(second)]) as played:
        found = kobo(played.url).find("north2564")
    assert found == {"hh_survey": Deployed("hh_survey", "a2", "ab", True, True, 3)}
    assert "start=2" in played.asked[2][1]
    both = {"count": 2, "results": [asset("a1", live=True), asset("a2", live=True)]}
    with (
        playing([ME, Given.json(both)]) as played,
        pytest.raises(ServerProblem, match="two projects carry"),
    ):
        kobo(played.url).find("north2564")


def test_light_rows_tell_edits_and_reviews() -> None:
    """Recording 272: `_uuid` differs from the root after an edit, a review has its time stamp."""
    rows = recording(272)["response_body"]["results"]
    edited = rows[2]
    assert root_of(edited) == "5863ba05-be32-4fef-846b-4180d3642de9"
    assert mark_of(edited).startswith("5f87aeac-3d11-4e0d-b722-d675efea0f3f|validation_status_on")
    assert len({mark_of(row) for row in rows}) == len(rows)


def test_rows_are_read_from_the_ledger_recording() -> None:
    """Recording 272 again, as one page of a sweep: all 17 rows, nothing left."""
    with playing([272]) as played:
        (page,) = kobo(played.url).ledger(Source("a4AMDX2ozJ2zAhanaYrmG5"))
    assert (len(page.marks), page.left) == (17, 0)


def test_data_before_deployment_is_refused_in_words() -> None:
    """Recording 014: a form that was never deployed has no data."""
    with playing([14]) as played, pytest.raises(ServerProblem, match="has not been deployed"):
        list(kobo(played.url).pages(Source("a1"), ""))


@pytest.mark.parametrize("found", [[], {"detail": "hello"}, {"results": None}, "x"])
def test_json_of_another_shape_is_told(found: object) -> None:
    """Another service at the address: words, not a fault of ours."""
    with (
        playing([ME, Given.json(found)]) as played,
        pytest.raises(ServerProblem, match="something else than a list") as caught,
    ):
        kobo(played.url).find("north2564")
    assert caught.value.findings[0].code == "not_rows"
