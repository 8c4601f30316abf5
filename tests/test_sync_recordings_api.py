"""What KoboToolbox refused, played back one by one: every recorded error of its API.

Each is asked for with the recorded method and path. What a person reads must name the address, what
the server said in its own words (never a page of HTML) and what to do; and a request that failed is
repeated only where that is safe and of use.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import pytest
from recorded import Given, playing, recording
from replayed import kobo

from forms.problems import Finding, ServerProblem
from sync.backend import Outgoing
from sync.http import Connection

FORM = Outgoing("north2564", "hh_survey", "Household", b"workbook", "ab12", ())


def refusal(number: int) -> tuple[Finding, list[tuple[str, str]]]:
    """The finding that recording `number` leads to, and what was asked of the server meanwhile."""
    found = recording(number)
    body = {} if found["method"] in ("POST", "PATCH") else None
    with playing([number]) as played:
        connection = Connection(played.url, "token", sleep=lambda seconds: None)
        with pytest.raises(ServerProblem) as caught:
            connection.json(found["method"], found["path"], json=body)
    (finding,) = caught.value.findings
    assert finding.where == played.url + found["path"].partition("?")[0]
    return finding, [(method, path) for method, path, _ in played.asked]


def said(number: int) -> list[str]:
    """Every text the server gave as its reason; none when it answered a page or nothing."""
    body = recording(number)["response_body"]
    if isinstance(body, str):
        is_page = "<html" in body or body.startswith("<!-- HTML page")
        return [] if is_page else re.findall(r"<\w+>([^<]+)</\w+>", body)
    return list(texts(body))


def texts(found: Any) -> Iterator[str]:
    if isinstance(found, str):
        yield found
    elif isinstance(found, list | dict):
        for item in found.values() if isinstance(found, dict) else found:
            yield from texts(item)


XML_WORDS = (297, 298)
"""Whose words do not reach the reader yet: see the test that says so."""


@pytest.mark.parametrize(
    ("number", "code", "attempts"),
    [
        # ── who asks ──
        (2, "wrong_token", 1),
        (49, "wrong_token", 1),
        (252, "wrong_token", 1),  # the download of an export, without a token
        (269, "wrong_token", 1),  # the history, for who may not manage the form
        (270, "wrong_token", 1),
        # ── what is not there, or not for this account: KoboToolbox makes no difference ──
        (8, "not_there", 1),
        (13, "not_there", 1),  # the deployment before the first one
        (15, "not_there", 1),
        (77, "not_there", 1),  # an attachment without a token
        (78, "not_there", 1),
        (82, "not_there", 1),
        (83, "not_there", 1),  # an account that may add submissions may not read them
        (84, "not_there", 1),
        (105, "not_there", 1),
        (110, "not_there", 1),  # ?format=csv
        (134, "not_there", 1),  # deleted a second time
        (135, "not_there", 1),
        (142, "not_there", 1),
        (259, "not_there", 1),
        (261, "not_there", 1),
        (262, "not_there", 1),  # a page of HTML
        (274, "not_there", 1),  # a phantom has no XML
        (277, "not_there", 1),  # nor can it be deleted
        # ── removed for ever ──
        (5, "gone", 1),
        (6, "gone", 1),
        (7, "gone", 1),
        # ── refused with a reason ──
        (14, "refused", 1),
        (19, "refused", 1),
        (22, "refused", 1),
        (24, "refused", 1),
        (36, "refused", 1),  # a permission for somebody unknown
        (80, "refused", 1),
        (89, "refused", 1),  # limit=x
        (90, "refused", 1),  # limit=0
        (100, "refused", 1),  # a query that is no JSON
        (120, "refused", 1),  # a bare list of words
        (121, "refused", 1),
        (125, "refused", 1),
        (141, "refused", 1),
        (165, "refused", 1),
        (168, "refused", 1),
        (180, "refused", 1),
        (188, "refused", 1),
        (197, "refused", 1),  # a hook without an address
        (209, "refused", 1),
        (239, "refused", 1),  # paired data that nobody shared
        (242, "refused", 1),
        (297, "refused", 1),  # format=xml takes no sort
        (298, "refused", 1),  # nor fields
        (300, "refused", 1),
        (301, "refused", 1),
        (302, "refused", 1),
        (17, "not_allowed", 1),
        (256, "not_allowed", 1),
        # ── elsewhere: a redirect is never followed, least of all with a token or a POST ──
        (255, "redirected", 1),
        (263, "redirected", 1),
        (264, "redirected", 1),
        # ── failed with a page of HTML: a write is never repeated, a GET once ──
        (21, "server_failed", 1),
        (31, "server_failed", 1),
        (176, "server_failed", 1),
        (177, "server_failed", 2),
        (228, "server_failed", 1),
        (257, "server_failed", 1),
        (258, "server_failed", 1),
    ],
)
def test_a_refusal_says_where_why_and_what_to_do(number: int, code: str, attempts: int) -> None:
    """Every recorded error: its code, the address, the server's words, a remedy, so many attempts."""
    found = recording(number)
    finding, asked = refusal(number)
    assert finding.code == code
    assert asked == [(found["method"], found["path"])] * attempts
    assert f"{found['method']} answered {found['status']}" in finding.what
    for words in said(number):
        assert words in finding.what
    assert "<" not in finding.what
    assert "xxxx" not in finding.what
    assert finding.remedy


@pytest.mark.parametrize("number", XML_WORDS)
def test_words_in_xml_are_told_whatever_their_element_is_called(number: int) -> None:
    """As in JSON, KoboToolbox names the parameter and says behind it what is wrong with it."""
    finding, _ = refusal(number)
    (words,) = said(number)
    assert words in finding.what


@pytest.mark.parametrize("number", [2, 49, 252, 269, 270])
def test_who_is_not_let_in_is_told_which_setting_to_mend(number: int) -> None:
    """A token that is wrong, missing or of an account that may not: WATPHON_TOKEN is named."""
    finding, _ = refusal(number)
    assert "WATPHON_TOKEN" in finding.remedy


@pytest.mark.parametrize("number", [255, 263, 264])
def test_a_redirect_names_an_address_that_may_be_written_down(number: int) -> None:
    """What is to be put into [backend] url is a server's address, without any request's path."""
    location = recording(number)["response_headers"]["Location"]
    finding, _ = refusal(number)
    found = re.search(r"\[backend\] url: (\S+)", finding.remedy)
    if found:
        origin = urlsplit(urljoin(finding.where, location))
        assert found[1] == f"{origin.scheme}://{origin.netloc}"


@pytest.mark.parametrize("number", [172, 296])
def test_an_import_that_ends_in_error_is_told_although_it_answers_200(number: int) -> None:
    """Nothing was sent, or as JSON, which KoboToolbox accepts with 201 and does not read."""
    reason = recording(number)["response_body"]["messages"]["error"]
    accepted = Given.json({"uid": "i1", "status": "processing"}, 201)
    with playing([accepted, number]) as played, pytest.raises(ServerProblem) as caught:
        kobo(played.url).import_workbook(FORM, "")
    (finding,) = caught.value.findings
    assert finding.code == "import_failed"
    assert reason in finding.what
    assert finding.remedy
