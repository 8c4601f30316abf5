"""The codec: whatever a phone writes is read back equal, and nothing dangerous is read at all."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from forms.instance import from_kobo, from_xml, parse_xml, to_kobo, to_xml
from forms.model import Attachment, Form, Question, Record, Submission
from forms.problems import InstanceProblem
from forms.programme import load, shipped

FORM = Form(
    id="household",
    version="1",
    title="Household",
    languages=("th", "en"),
    questions=(
        Question("start", "start"),
        Question("needs", "select_multiple", "needs"),
        Question("photo", "image"),
        Question("head", "begin_group"),
        Question("head/name", "text"),
        Question("head/more", "begin_group"),
        Question("head/more/age", "integer"),
        Question("member", "begin_repeat"),
        Question("member/name", "text", repeat="member"),
        Question("member/school", "begin_group", repeat="member"),
        Question("member/school/grade", "text", repeat="member"),
        Question("member/illness", "begin_repeat", repeat="member"),
        Question("member/illness/name", "text", repeat="member/illness"),
        Question("meta/audit", "audit"),
    ),
    choices={},
)

# every character XML 1.0 can hold; an answer of white space alone is no answer
words = st.text(
    st.characters(
        codec="utf-8",
        exclude_categories=("Cs",),
        exclude_characters=[chr(c) for c in range(32) if c not in (9, 10, 13)]
        + ["\ufffe", "\uffff"],
    ),
    min_size=1,
    max_size=30,
).filter(str.strip)


def answers(*paths: str) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(paths, words))


illness = st.builds(Record, answers("member/illness/name"))
member = st.builds(
    Record,
    answers("member/name", "member/school/grade"),
    st.lists(illness, min_size=1, max_size=3).map(lambda turns: {"member/illness": tuple(turns)})
    | st.just({}),
)
records = st.builds(
    Record,
    answers("start", "needs", "photo", "head/name", "head/more/age", "meta/audit"),
    st.lists(member, min_size=1, max_size=3).map(lambda turns: {"member": tuple(turns)})
    | st.just({}),
)
ids = st.uuids().map(str)
submissions = st.builds(
    lambda record, instance, deprecated, name: Submission(
        form_id="household",
        version="1 (2026-11-23 13:01:40)",
        root_id=instance,
        instance_id=instance,
        record=record,
        deprecated_id=deprecated,
        instance_name=name.strip(),
    ),
    records,
    ids,
    st.just("") | ids,
    st.just("") | words,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(submissions)
def test_xml_round_trip(submission: Submission) -> None:
    """What a phone writes as an instance document is read back equal, repeats and edits included."""
    if "\r" in submission.instance_name:
        submission = Submission(**{**fields(submission), "instance_name": ""})
    assert from_xml(to_xml(submission, FORM), FORM) == submission


attachments = st.lists(
    st.builds(
        Attachment,
        name=words,
        question=st.sampled_from(["photo", "member[2]/photo", ""]),
        media_type=st.sampled_from(["image/jpeg", "application/octet-stream"]),
        url=st.just("") | st.just("http://127.0.0.1/a/1/"),
        deleted=st.booleans(),
    ),
    max_size=3,
).map(tuple)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(submissions, attachments)
def test_kobo_round_trip(submission: Submission, files: tuple[Attachment, ...]) -> None:
    """A KoboToolbox row holds the whole submission, attachments included."""
    submission = Submission(**{**fields(submission), "attachments": files})
    assert from_kobo(to_kobo(submission)) == submission


def fields(submission: Submission) -> dict:
    return {name: getattr(submission, name) for name in Submission.__slots__}


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        (b"", "empty"),
        (b"   \n", "empty"),
        (b"<a", "well-formed"),
        (b"<a></b>", "well-formed"),
        (b"<a>\x00</a>", "NUL"),
        (b"<a>\xff\xfe</a>", "UTF-8"),
        ("<?xml version='1.0' encoding='utf-16'?><a/>".encode("utf-16"), "NUL"),
        (b"<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "document type"),
        (b"<a>&undeclared;</a>", "well-formed"),
        (b"<a>" * 20_000 + b"</a>" * 20_000, "Excessive depth"),
    ],
)
def test_dangerous_documents_are_refused(document: bytes, reason: str) -> None:
    """Truncated, undecodable, entity-bearing and bottomless documents are refused with the reason."""
    with pytest.raises(InstanceProblem, match=reason):
        parse_xml(document)


def test_an_unknown_question_is_kept() -> None:
    """A server must not lose an answer that only a newer version of the form asks."""
    xml = b"<f id='f' version='2'><later>5</later><meta><instanceID>uuid:x</instanceID></meta></f>"
    assert from_xml(xml, FORM).record.answers == {"later": "5"}


def test_every_shipped_form_writes_every_node() -> None:
    """An instance of each shipped form has a node for every question, as a phone's has."""
    programme = load(shipped())
    for form_id in programme.forms:
        form = programme.form(form_id)
        xml = to_xml(Submission(form_id, "1", "r", "r", Record()), form).decode()
        for question in form.answerable():
            assert f"<{question.name}/>" in xml or question.path == "meta/audit"
