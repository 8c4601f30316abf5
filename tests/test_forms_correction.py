"""Correcting an instance: what was named changes, everything else stays as the phone wrote it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from forms.correction import answer_in, corrected
from forms.instance import envelope, parse_xml
from forms.problems import InstanceProblem

DOCUMENT = (
    "<?xml version='1.0' encoding='UTF-8'?>"
    '<data xmlns:orx="http://openrosa.org/xforms" id="visit" version="1">'
    "<formhub><uuid>abc</uuid></formhub><who>มาลี</who><g><age>45</age><note/></g>"
    "<tree><kind>ก</kind></tree><tree><kind>ข</kind><leaf><n>1</n></leaf><leaf><n>2</n></leaf></tree>"
    "<orx:meta><orx:instanceID>uuid:one</orx:instanceID></orx:meta></data>"
).encode()
TEXT = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], exclude_characters="\ufffe\uffff")
)


def test_named_answers_change_and_the_edit_names_what_it_replaces() -> None:
    """A group, a repeat, a repeat in a repeat; a new instance id; the old one as deprecatedID."""
    places = {"g/age": "46", "tree[2]/kind": "ค", "tree[2]/leaf[1]/n": "", "g/note": "ใหม่"}
    after = corrected(DOCUMENT, places, "two")
    assert {place: answer_in(after, place) for place in places} == places
    about = envelope(parse_xml(after))
    assert (about.instance_id, about.deprecated_id) == ("two", "one")
    assert (about.form_id, about.version, about.deployment_uuid) == ("visit", "1", "abc")
    assert answer_in(after, "tree[1]/kind") == "ก"
    again = corrected(after, {"g/age": "47"}, "three")
    assert envelope(parse_xml(again)).deprecated_id == "two"


@given(who=TEXT, kind=TEXT)
def test_any_text_comes_back_and_nothing_else_moves(who: str, kind: str) -> None:
    """Whatever is typed is read back; undone, the document is the one it was but for its ids."""
    after = corrected(DOCUMENT, {"who": who, "tree[1]/kind": kind}, "two")
    assert answer_in(after, "who") == who.strip()
    back = corrected(after, {"who": "มาลี", "tree[1]/kind": "ก"}, "one")
    root = parse_xml(back)
    meta = root[-1]
    meta.remove(meta[-1])
    assert etree.tostring(root) == etree.tostring(parse_xml(DOCUMENT))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("g", "is a group"),
        ("g/none", "is not in this record"),
        ("tree/kind", "say which turn"),
        ("tree[3]/kind", "is not in this record"),
        ("tree[0]/kind", "is no path"),
        ("//who", "is no path"),
    ],
)
def test_a_place_that_is_not_there_is_told(place: str, words: str) -> None:
    """The path and how to write one; nothing is guessed."""
    with pytest.raises(InstanceProblem, match=words) as caught:
        corrected(DOCUMENT, {place: "x"}, "two")
    assert "full path" in str(caught.value)


def test_what_xml_cannot_hold_is_refused() -> None:
    """A control character, and a document that cannot be edited since it has no id."""
    with pytest.raises(InstanceProblem, match=r"U\+0001"):
        corrected(DOCUMENT, {"who": "\x01"}, "two")
    with pytest.raises(InstanceProblem, match="cannot be edited"):
        corrected(b"<data id='x'><who>a</who></data>", {"who": "b"}, "two")
