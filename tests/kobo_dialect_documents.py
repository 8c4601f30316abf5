"""What the dialect reads in instance documents and forms: by rules of its own, not by the house's codec."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from lxml import etree

__all__ = ["answers_of", "binds", "places_of", "repeats_of"]


def binds(xform: str, kind: str) -> list[str]:
    """The paths of a data type in a form."""
    found = etree.fromstring(xform.encode()).iter("{*}bind")
    return [
        str(bind.get("nodeset")).split("/", 2)[2]
        for bind in found
        if bind.get("type", "") == kind and str(bind.get("nodeset")).count("/") > 1
    ]


def repeats_of(xform: str) -> set[str]:
    """The paths of a form's repeats."""
    found = etree.fromstring(xform.encode()).iter("{*}repeat")
    return {str(one.get("nodeset")).split("/", 2)[2] for one in found}


def answers_of(
    element: etree._Element, around: str, repeats: set[str]
) -> Iterator[tuple[str, Any]]:
    """Flat answers: full paths as keys, repeats as lists, the unanswered left out."""
    turns: dict[str, list[dict[str, Any]]] = {}
    for child in element.iterchildren("*"):
        name = etree.QName(child).localname
        path = f"{around}/{name}" if around else name
        if path in repeats:
            if path not in turns:
                turns[path] = []
                yield path, turns[path]
            turns[path].append(dict(answers_of(child, path, repeats)))
        elif len(child):
            yield from answers_of(child, path, repeats)
        elif child.text:
            yield path, child.text


def places_of(
    element: etree._Element, around: str, files: Sequence[str], repeats: set[str], name: str
) -> Iterator[str]:
    """Where a file's name answers a question, with the turn of each repeat (287)."""
    seen: dict[str, int] = {}
    for child in element.iterchildren("*"):
        tag = etree.QName(child).localname
        seen[tag] = seen.get(tag, 0) + 1
        place = f"{around}/{tag}" if around else tag
        plain = re.sub(r"\[\d+\]", "", place)
        if plain in repeats:
            place += f"[{seen[tag]}]"
        if len(child):
            yield from places_of(child, place, files, repeats, name)
        elif child.text == name and plain in files:
            yield place
