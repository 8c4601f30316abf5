"""Pages of data: what is read from columns is what is read from documents, and by an index."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from office import Office, RunningServer, instance
from sqlalchemy import true

from server.kobo.data import Page, paged
from server.kobo.query import read_query, read_sort
from server.kobo.rows import light
from server.kobo.sight import Sight
from server.people.keys import mint_key
from server.people.rights import Visitor
from server.state.store import open_store
from server.times import utc_now

EVERYTHING = Sight(Visitor("admin", "admin"), true(), everything=True, shown=None)
LABEL = 'Lamphun "3" \\ ลำพูน'
LIGHT = ["_id", "_uuid", "_validation_status", "_date_modified"]


@pytest.fixture(scope="module")
def uid(office: Office, module_server: RunningServer) -> str:
    """Forty rows, some edited, judged, with photos, and from a phone with an odd label."""
    store = open_store(module_server.data)
    with store.write() as connection:
        _, key = mint_key(connection, LABEL, now=utc_now())
    store.close()
    made = office.publish()
    photo = ("ภ'า\"พ.png", b"png", "image/png")
    for number in range(40):
        document = instance(made, f"row-{number}", more=f"<photo>{photo[0]}</photo>")
        path = f"/key/{key}/submission" if number % 3 else "/submission"
        assert office.send(document, path, a=photo).status_code == 201
    for number in range(0, 40, 7):
        document = instance(made, f"edit-ก{number}", deprecated=f"row-{number}")
        assert office.send(document).status_code == 201
        status = {"validation_status.uid": "validation_status_approved"}
        path = f"/api/v2/assets/{made}/data/row-{number}/validation_status/"
        assert office.call("PATCH", path, json=status).status_code == 200
    return made


@pytest.mark.parametrize(
    "fields",
    [
        LIGHT,
        ["_date_modified", "_submission_time", "_date_modified"],
        [],
        ["_submitted_by"],
        ["_attachments", "_id"],
        ["who", "_uuid"],
        ["absent"],
    ],
)
def test_fields_tell_what_whole_rows_tell(office: Office, uid: str, fields: list[str]) -> None:
    """Whichever way a page is put together, the values are those of the whole rows."""
    always = {"_id", "_uuid", "meta/rootUuid", "_validation_status"}
    whole = office.rows(uid)
    some = office.rows(uid, fields=json.dumps(fields))
    wanted = always | set(fields)
    assert some == [{k: v for k, v in row.items() if k in wanted} for row in whole]
    assert {row["_submitted_by"] for row in whole} == {"admin", LABEL}


@pytest.mark.parametrize("fields", [None, LIGHT])
def test_any_order_and_place_gives_the_same_rows(
    office: Office, uid: str, fields: list[str] | None
) -> None:
    """Pages by start, by `_id`, by change and backwards are cuts of the same rows."""
    more = {"fields": json.dumps(fields)} if fields else {}
    rows = office.rows(uid, **more)
    assert office.rows(uid, start=30, limit=5, **more) == rows[30:35]
    assert office.rows(uid, sort='{"_id":-1}', start=1, limit=9, **more) == rows[-2:-11:-1]
    ids = [row["_id"] for row in rows]
    some = json.dumps({"_id": {"$in": [*ids[5:30:5], 10**9]}})
    assert office.rows(uid, query=some, **more) == rows[5:30:5]
    mark = sorted(row["_date_modified"] for row in rows)[-8]
    late = json.dumps({"_date_modified": {"$gte": mark}})
    changed = [row for row in rows if row["_date_modified"] >= mark]
    assert office.rows(uid, query=late, sort='{"_id":1}', **more) == changed
    by_change = office.rows(uid, query=late, sort='{"_date_modified":1}', **more)
    assert by_change == sorted(changed, key=lambda row: row["_date_modified"])
    assert office.rows(uid, query=late, sort='{"_id":1}', start=2, limit=3, **more) == changed[2:5]


@pytest.mark.parametrize("fields", [None, LIGHT])
@pytest.mark.parametrize(
    ("query", "sort", "index"),
    [
        ({"_id": {"$gt": 5}}, "_id", "submissions_by_id (asset_id=? AND id>?)"),
        ({"_id": {"$lte": 5}}, "_id", "submissions_by_id (asset_id=? AND id<?)"),
        ({"_id": {"$in": list(range(200))}}, "_id", "submissions_by_id (asset_id=? AND id=?"),
        (
            {"_date_modified": {"$gte": "2021"}},
            "_id",
            "submissions_by_change (asset_id=? AND modified_at>?)",
        ),
        (
            {"_date_modified": {"$gte": "2021"}},
            "_date_modified",
            "submissions_by_change (asset_id=? AND modified_at>?)",
        ),
        ({}, "_id", "submissions_by_id (asset_id=?)"),
    ],
)
def test_a_syncs_questions_are_answered_by_an_index(
    tmp_path: Path, fields: list[str] | None, query: Any, sort: str, index: str
) -> None:
    """No row is looked at that is not asked for, and no document is sorted."""
    wanted = read_query(json.dumps(query))
    assert wanted.predicate is None
    order, rising = read_sort(json.dumps({sort: 1}))
    page = Page(order, rising, 0, 1000, None, "", EVERYTHING)
    store = open_store(tmp_path)
    statement = paged(light(fields) if fields else None, 1, wanted, page)
    text = statement.compile(store.engine, compile_kwargs={"literal_binds": True})
    with store.read() as connection:
        plan = [row[3] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]
    store.close()
    assert any(index in step for step in plan), plan
    assert not any(step.startswith("SCAN") for step in plan), plan
    sorting = [at for at, step in enumerate(plan) if "TEMP B-TREE" in step]
    assert all("COVERING INDEX" in plan[at - 1] for at in sorting), plan
