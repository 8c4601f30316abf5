"""A row of ODK Central's OData in the shape of the house: names, places, files, states."""

from __future__ import annotations

import orjson
import pytest

from sync.central_rows import central_id, light_mark, root_of, row_of, schema_of

FIELDS = [
    ("/who", "string"),
    ("/g-1", "structure"),
    ("/g-1/อายุ", "int"),
    ("/gps", "geopoint"),
    ("/line", "geotrace"),
    ("/weight", "decimal"),
    ("/photo", "binary"),
    ("/tree", "repeat"),
    ("/tree/pic", "binary"),
    ("/meta", "structure"),
    ("/meta/instanceID", "string"),
    ("/meta/audit", "binary"),
]
ODATA = {"/g-1": "/g_1", "/g-1/อายุ": "/g_1/_"}
SCHEMA = schema_of(
    [{"path": path, "type": kind} for path, kind in FIELDS],
    [{"path": ODATA.get(path, path), "type": kind} for path, kind in FIELDS],
)
SYSTEM = {
    "submissionDate": "2026-11-25T02:26:20.951Z",
    "updatedAt": None,
    "submitterName": "Tablet 1",
    "attachmentsPresent": 3,
    "attachmentsExpected": 3,
    "reviewState": None,
    "edits": 0,
    "formVersion": "2.1",
}
ROW = {
    "who": "มาลี",
    "g_1": {"_": 45},
    "gps": {"type": "Point", "coordinates": [98.98, 18.79, 300], "properties": {"accuracy": 5}},
    "line": {"type": "LineString", "coordinates": [[98.0, 18.0, 0], [98.5, 18.5, 1]]},
    "weight": 2.5,
    "photo": "p 1.jpg",
    "tree@odata.navigationLink": "…",
    "tree": [{"pic": None, "__id": "a"}, {"pic": "p2.jpg", "__id": "b"}],
    "meta": {"instanceID": "uuid:two", "audit": "audit.csv"},
    "__id": "uuid:one",
    "__system": SYSTEM,
}


def test_an_odata_row_becomes_a_flat_row() -> None:
    """Own names and full paths, texts as a phone writes them, repeats as lists, files with turns."""
    row = row_of(ROW, SCHEMA, "/v1/f/submissions", lambda record: frozenset())
    flat = orjson.loads(row.payload)
    assert (row.root_id, row.uuid, row.waiting) == ("one", "two", False)
    assert {key: flat[key] for key in ("who", "g-1/อายุ", "gps", "line", "weight")} == {
        "who": "มาลี",
        "g-1/อายุ": "45",
        "gps": "18.79 98.98 300 5",
        "line": "18 98 0 0; 18.5 98.5 1 0",
        "weight": "2.5",
    }
    assert flat["tree"] == [{}, {"tree/pic": "p2.jpg"}]
    assert [(f.question, f.url) for f in row.attachments] == [
        ("photo", "/v1/f/submissions/uuid%3Aone/attachments/p%201.jpg"),
        ("tree[2]/pic", "/v1/f/submissions/uuid%3Aone/attachments/p2.jpg"),
        ("meta/audit", "/v1/f/submissions/uuid%3Aone/attachments/audit.csv"),
    ]


def test_files_that_have_not_arrived_are_asked_for_by_name() -> None:
    """Only a record of which some are missing is asked; it waits for the others."""
    some = {**ROW, "__system": {**SYSTEM, "attachmentsPresent": 1}}
    row = row_of(some, SCHEMA, "/a", lambda record: frozenset({"p2.jpg"}))
    assert row.waiting
    assert [file.name for file in row.attachments] == ["p2.jpg"]
    assert row.mark != row_of(ROW, SCHEMA, "/a", lambda record: frozenset()).mark


@pytest.mark.parametrize(
    ("state", "status"),
    [(None, ""), ("edited", ""), ("approved", "approved"), ("rejected", "not_approved"),
     ("hasIssues", "on_hold")],
)  # fmt: skip
def test_review_states_are_validation_statuses(state: str | None, status: str) -> None:
    """Central's words in KoboToolbox's; an edit is no verdict."""
    row = row_of(
        {**ROW, "__system": {**SYSTEM, "reviewState": state}}, SCHEMA, "/a", lambda _: frozenset()
    )
    assert row.validation == status


def test_light_and_full_rows_have_one_mark() -> None:
    """The sweep compares them; an edit, a review and a file each change it."""
    full = row_of(ROW, SCHEMA, "/a", lambda record: frozenset())
    light = light_mark({"__id": ROW["__id"], "__system": SYSTEM})
    assert (full.row_id, full.root_id, full.mark) == light
    for change in ({"edits": 1}, {"reviewState": "approved"}, {"attachmentsPresent": 2}):
        assert light_mark({"__id": "uuid:one", "__system": {**SYSTEM, **change}}).mark != full.mark


@pytest.mark.parametrize("name", ["uuid:abc", "abc", "uuid:id:x", "id:abc"])
def test_a_record_is_found_again_by_its_root_id(name: str) -> None:
    """Ids without `uuid:` exist there, too."""
    assert central_id(root_of(name)) == name
