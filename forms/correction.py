"""An instance document with some answers corrected, as an edit that names the version it replaces.

Only the named answers, `instanceID` and `deprecatedID` change; everything else stays as the phone
wrote it. Edits: https://docs.getodk.org/openrosa-metadata/ (deprecatedID).
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from lxml import etree

from forms.instance import ILLEGAL, bare, envelope, local, parse_xml
from forms.problems import InstanceProblem

__all__ = ["answer_in", "corrected"]

STEP = re.compile(r"^(?P<name>[^\[\]]+)(?:\[(?P<turn>[1-9][0-9]*)\])?$")


def answer_in(document: bytes, place: str) -> str:
    """The answer at a place (`g/age`, inside a repeat `tree[2]/kind`); `""` when unanswered.

    Raises `InstanceProblem` when the document has no such place.
    """
    return (element_at(parse_xml(document), place).text or "").strip()


def corrected(document: bytes, answers: Mapping[str, str], instance_id: str) -> bytes:
    """The document with `answers` (place → text, `""` to clear) under a new instance id.

    Raises `InstanceProblem` when a place is not in it, or a text cannot stand in XML.
    """
    root = parse_xml(document)
    for place, text in answers.items():
        if found := ILLEGAL.search(text):
            raise refused(place, f"cannot hold the character U+{ord(found[0]):04X}")
        element_at(root, place).text = text or None
    before = envelope(root)
    meta = next(root.iterchildren("{*}meta"), None)
    if meta is None or not before.instance_id:
        raise refused("meta/instanceID", "is missing: this record cannot be edited")
    own = next(item for item in meta if local(item.tag) == "instanceID")
    own.text = f"uuid:{instance_id}"
    replaced = next((item for item in meta if local(item.tag) == "deprecatedID"), None)
    if replaced is None:
        replaced = etree.SubElement(meta, str(own.tag).replace("instanceID", "deprecatedID"))
    replaced.text = f"uuid:{bare(before.instance_id)}"
    return etree.tostring(root, encoding="UTF-8", xml_declaration=True)


def element_at(root: etree._Element, place: str) -> etree._Element:
    found = root
    for step in place.split("/"):
        wanted = STEP.match(step)
        if not wanted:
            raise refused(place, "is no path of a question")
        turns = [child for child in found if local(child.tag) == wanted["name"]]
        number = int(wanted["turn"] or 1)
        if len(turns) < number:
            raise refused(place, "is not in this record")
        if wanted["turn"] is None and len(turns) > 1:
            raise refused(place, f"repeats: say which turn, as {wanted['name']}[1]")
        found = turns[number - 1]
    if len(found):
        raise refused(place, "is a group, not a question")
    return found


def refused(place: str, what: str) -> InstanceProblem:
    return InstanceProblem.at(
        place, what, "write the question's full path, as in g_name/sex or problem[2]/detail"
    )
