"""A file is known by the name its answer gives, however odd the name."""

from __future__ import annotations

import pytest
from lxml import etree

from server.phones.submitting import mentions
from server.state.filing import normal_name
from server.uploads import file_name


@pytest.mark.parametrize(
    ("answer", "sent"),
    [
        ("รูป\u200b1.jpg", "รูป\u200b1.jpg"),
        ("ก" * 205 + ".jpg", "ก" * 205 + ".jpg"),
        ('a"b.jpg', "a%22b.jpg"),
        ("caf\u00e9.jpg", "cafe\u0301.jpg"),
        ("photo 1.jpg", "C:\\fakepath\\photo 1.jpg"),
    ],
)
def test_an_attachment_is_found_by_its_answer(answer: str, sent: str) -> None:
    """Zero-width spaces, long names, quotation marks and composed letters never lose a photo."""
    root = etree.Element("form")
    etree.SubElement(root, "photo").text = answer
    assert dict(mentions(root)) == {normal_name(file_name(sent)): "photo"}
