"""An empty form that a publisher marks as its own, and fills by an import."""

from __future__ import annotations

from typing import Any

import pytest
import requests
from office import PLACES, Office, instance, workbook
from recorded import recording

MARKER = "watphon:north2564/small sha256:" + "0" * 64


def create(office: Office, **more: Any) -> requests.Response:
    body = {"name": "ร่าง", "asset_type": "survey", "settings": {"description": MARKER}, **more}
    return office.call("POST", "/api/v2/assets/", json=body)


def test_a_draft_is_made_empty_and_marked(office: Office) -> None:
    """Recording 178: 201 with the asset and its address; the marker is in the list at once."""
    answer = create(office)
    made, theirs = answer.json(), recording(178)
    assert answer.status_code == theirs["status"]
    assert answer.headers["Location"] == made["url"]
    assert made.keys() - {"form_id"} <= theirs["response_body"].keys()
    assert made["settings"].keys() == theirs["response_body"]["settings"].keys()
    assert made["content"].keys() == theirs["response_body"]["content"].keys()
    assert made["summary"].keys() == theirs["response_body"]["summary"].keys() - {"name_quality"}
    assert made["content"]["survey"] == made["content"]["choices"] == []
    for key in ("asset_type", "deployment_status", "has_deployment", "deployed_versions", "files"):
        assert made[key] == theirs["response_body"][key]
    listed = {one["uid"]: one for one in office.get("/api/v2/assets/", limit=1000)["results"]}
    assert listed[made["uid"]]["settings"]["description"] == MARKER
    assert office.get(f"/api/v2/assets/{made['uid']}/") == made


def test_an_import_fills_a_draft(office: Office) -> None:
    """The same asset, a new version, the marker kept; then it goes to the phones."""
    made = create(office).json()
    uid = made["uid"]
    assert office.add_media(uid, "places.csv", PLACES).status_code == 201
    found = office.polled(office.begin_import(workbook(), destination=made["url"]))
    assert [one["uid"] for one in found["messages"]["updated"]] == [uid]
    filled = office.get(f"/api/v2/assets/{uid}/")
    assert filled["name"] == "แบบเล็ก | Small form"
    assert filled["settings"]["description"] == MARKER
    assert filled["version_id"] != made["version_id"]
    assert filled["content"]["survey"]
    path = f"/api/v2/assets/{uid}/deployment/"
    assert office.call("POST", path, json={"active": True}).status_code == 200
    assert office.send(instance(uid, "in-a-draft")).status_code == 201


def test_a_draft_without_content_cannot_be_deployed_or_fetched(office: Office) -> None:
    """400 that says to import a workbook; the asset stays a draft."""
    uid = create(office).json()["uid"]
    answer = office.call("POST", f"/api/v2/assets/{uid}/deployment/", json={"active": True})
    assert answer.status_code == 400
    assert "import a workbook" in answer.json()["error"]
    for ending in ("xml", "xls"):
        answer = office.call("GET", f"/api/v2/assets/{uid}.{ending}")
        assert answer.status_code == 400
        assert "import a workbook" in answer.text
    assert office.get(f"/api/v2/assets/{uid}/")["deployment_status"] == "draft"


def test_empty_content_and_no_name_are_fine(office: Office) -> None:
    """As on KoboToolbox, only the type is needed."""
    empty = {"survey": [], "choices": [], "settings": {}}
    assert create(office, content=empty).status_code == 201
    answer = office.call("POST", "/api/v2/assets/", json={"asset_type": "survey"})
    assert (answer.status_code, answer.json()["name"]) == (201, "")


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"content": {"survey": [{"type": "text", "name": "q1"}]}}, "content"),
        ({"content": "x"}, "content"),
        ({"asset_type": None}, "asset_type"),
        ({"asset_type": "block"}, "asset_type"),
        ({"name": 7}, "name"),
        ({"settings": []}, "settings"),
        ({"clone_from": "aX"}, "clone_from"),
    ],
)
def test_what_cannot_be_made_is_refused(office: Office, more: dict[str, Any], field: str) -> None:
    """400 that names the field; nothing is left behind."""
    before = office.get("/api/v2/assets/")["count"]
    answer = create(office, **more)
    assert answer.status_code == 400
    assert list(answer.json()) == [field]
    assert office.get("/api/v2/assets/")["count"] == before


def test_an_unknown_type_is_refused_in_kobotoolboxs_words(office: Office) -> None:
    """Recording 180."""
    theirs = recording(180)
    answer = office.call("POST", "/api/v2/assets/", json=theirs["request_body"])
    assert (answer.status_code, answer.json()) == (theirs["status"], theirs["response_body"])


def test_strangers_make_nothing(office: Office) -> None:
    """404 without credentials, as everywhere."""
    body = {"asset_type": "survey"}
    answer = requests.post(f"{office.url}/api/v2/assets/", json=body, timeout=10)
    assert answer.status_code == 404


def test_assets_are_searched_with_alternatives(office: Office) -> None:
    """`q` takes OR, parentheses and quotation marks; what cannot be read is 400."""
    uids = [create(office, name=name).json()["uid"] for name in ("Rice (1)", "Rice 2", "Maize")]

    def found(search: str) -> set[str]:
        rows = office.get("/api/v2/assets/", q=search, limit=1000)["results"]
        return {row["uid"] for row in rows}

    assert found('asset_type:survey AND (name:"Rice (1)" OR name:Maize)') == {uids[0], uids[2]}
    assert found("name:Rice 2") == {uids[1]}
    assert found('"Rice (1)"') == {uids[0]}
    for wrong in ("(name:Maize", "name:Maize AND", 'name:"Maize', "OR"):
        answer = office.call("GET", "/api/v2/assets/", params={"q": wrong})
        assert answer.status_code == 400
        assert "q" in answer.json()
