"""How a form reaches phones: import, poll, media, deploy, list, manifest."""

from __future__ import annotations

import hashlib
import re
import uuid
from pathlib import Path
from xml.etree import ElementTree

import pytest
import requests
from office import CHOICES, PLACES, SETTINGS, SURVEY, Office, RunningServer, instance, workbook
from sqlalchemy import insert

from forms.xlsform import deployable
from server.state.schema import imports
from server.state.store import open_store

PROGRAMME = Path(__file__).resolve().parent.parent / "forms" / "programmes" / "north2564"
LIST = "{http://openrosa.org/xforms/xformsList}"
MANIFEST = "{http://openrosa.org/xforms/xformsManifest}"


def listed(office: Office, uid: str, path: str = "/formList") -> dict[str, str]:
    """The entry of one form in the form list, as text by element."""
    answer = office.call("GET", path, params={"formID": uid})
    assert answer.status_code == 200
    (form,) = ElementTree.fromstring(answer.content)
    return {child.tag.removeprefix(LIST): child.text or "" for child in form}


def deployment(office: Office, uid: str, method: str = "POST", **body: object) -> requests.Response:
    return office.call(method, f"/api/v2/assets/{uid}/deployment/", json=body)


def test_a_form_goes_the_whole_way(office: Office) -> None:
    """Import → asset → media → deployment → form list → XForm → manifest → media, as recorded."""
    sent = office.begin_import(workbook())
    assert re.fullmatch(rf"{office.url}/api/v2/imports/i\w+/", sent)
    done = office.polled(sent)
    assert done["status"] == "complete"
    (made,) = done["messages"]["created"]
    uid = made["uid"]
    assert made["summary"]["languages"] == ["ไทย (th)", "English (en)"]
    asset = office.get(f"/api/v2/assets/{uid}/")
    assert asset["name"] == "แบบเล็ก | Small form"
    assert asset["form_id"] == "small"
    assert asset["deployment_status"] == "draft"
    assert office.call("GET", f"/api/v2/assets/{uid}/deployment/").status_code == 404
    assert office.call("GET", f"/api/v2/assets/{uid}/data/").json() == {
        "detail": "The specified asset has not been deployed"
    }
    added = office.add_media(uid, "places.csv", PLACES)
    assert added.status_code == 201
    md5 = f"md5:{hashlib.md5(PLACES).hexdigest()}"
    assert added.json()["metadata"] == {
        "hash": md5,
        "filename": "places.csv",
        "mimetype": "text/csv",
    }
    assert listed_ids(office).isdisjoint({uid})
    first = deployment(office, uid, active=True)
    assert first.status_code == 200
    assert first.json()["backend"] == "openrosa"
    assert first.json()["version_id"] == asset["version_id"]
    assert deployment(office, uid, active=True).status_code == 405
    form = listed(office, uid)
    assert form["formID"] == uid
    assert re.fullmatch(r"1 \(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\)", form["version"])
    document = office.call("GET", form["downloadUrl"])
    assert form["hash"] == f"md5:{hashlib.md5(document.content).hexdigest()}"
    model = ElementTree.fromstring(document.content)
    root = model.find(".//{*}instance/*")
    assert root is not None
    assert (root.get("id"), root.get("version")) == (uid, form["version"])
    (file,) = ElementTree.fromstring(office.call("GET", form["manifestUrl"]).content)
    told = {child.tag.removeprefix(MANIFEST): child.text or "" for child in file}
    assert (told["filename"], told["hash"]) == ("places.csv", md5)
    got = office.call("GET", told["downloadUrl"])
    assert got.content == PLACES
    assert got.headers["Content-Type"].startswith("text/csv")


def listed_ids(office: Office) -> set[str]:
    forms = ElementTree.fromstring(office.call("GET", "/formList").content)
    return {form.findtext(f"{LIST}formID") or "" for form in forms}


def test_a_form_without_media_has_no_manifest_address(office: Office) -> None:
    """`manifestUrl` only where there are files."""
    survey = (("type", "name", "label"), ("text", "a", "A"))
    uid = office.import_form(workbook(survey=survey, choices=()))
    assert deployment(office, uid, active=True).status_code == 200
    assert "manifestUrl" not in listed(office, uid)


def test_content_is_what_kobo_clients_expect(office: Office) -> None:
    """`$xpath`, labels as lists in the order of `translations`, list names, files, flags."""
    uid = office.import_form(workbook())
    content = office.get(f"/api/v2/assets/{uid}/")["content"]
    assert content["translations"] == ["ไทย (th)", "English (en)"]
    by_name = {row["name"]: row for row in content["survey"] if "name" in row}
    assert by_name["age"]["$xpath"] == "g/age"
    assert by_name["kind"]["$xpath"] == "tree/kind"
    assert by_name["who"]["label"] == ["ชื่อ", "Name"]
    assert by_name["who"]["required"] is True
    assert by_name["sex"]["type"] == "select_one"
    assert by_name["sex"]["select_from_list_name"] == "sex"
    assert by_name["place"]["file"] == "places.csv"
    assert content["choices"][0]["list_name"] == "sex"
    assert content["settings"]["id_string"] == "small"


def test_changes_reach_phones_with_a_redeployment_only(office: Office) -> None:
    """PATCH active alone pushes nothing; with version_id it pushes content and media; n goes up."""
    uid = office.publish()
    before = listed(office, uid)
    assert office.add_media(uid, "more.csv", b"name,label\n1,a\n").status_code == 201
    assert deployment(office, uid, "PATCH", active=True).status_code == 200
    assert listed(office, uid) == before
    manifest = office.call("GET", before["manifestUrl"]).text
    assert "more.csv" not in manifest
    current = office.get(f"/api/v2/assets/{uid}/")["version_id"]
    stale = deployment(office, uid, "PATCH", active=True, version_id="vOld")
    assert stale.status_code in (400, 409)
    assert current in stale.text
    again = deployment(office, uid, "PATCH", active=True, version_id=current)
    assert again.status_code == 200
    after = listed(office, uid)
    assert after["version"].startswith("2 (")
    assert after["hash"] != before["hash"]
    assert "more.csv" in office.call("GET", after["manifestUrl"]).text
    assert again.json()["asset"]["deployed_versions"]["count"] == 2


def test_an_import_with_destination_replaces_the_content(office: Office) -> None:
    """The same asset with a new version; phones keep the old form until a redeployment."""
    uid = office.publish()
    old = office.get(f"/api/v2/assets/{uid}/")
    survey = (*SURVEY, ("text", "added", "เพิ่ม", "Added", None))
    found = office.polled(
        office.begin_import(
            workbook(survey=survey), destination=f"{office.url}/api/v2/assets/{uid}/"
        )
    )
    assert [made["uid"] for made in found["messages"]["updated"]] == [uid]
    new = office.get(f"/api/v2/assets/{uid}/")
    assert new["version_id"] != old["version_id"] == new["deployed_version_id"]
    assert new["version_count"] == 2
    form = office.call("GET", listed(office, uid)["downloadUrl"]).text
    assert "added" not in form
    assert deployment(office, uid, "PATCH", active=True, version_id=new["version_id"]).ok
    assert "added" in office.call("GET", listed(office, uid)["downloadUrl"]).text


def test_an_earlier_version_is_still_read_by_its_own_form(office: Office) -> None:
    """A repeat that the new version dropped stays a repeat in what old phones send."""
    uid = office.publish()
    old = listed(office, uid)["version"]
    survey = tuple(row for row in SURVEY if row[1] not in ("tree", "kind", "pic"))[:-1]
    office.polled(
        office.begin_import(
            workbook(survey=survey), destination=f"{office.url}/api/v2/assets/{uid}/"
        )
    )
    current = office.get(f"/api/v2/assets/{uid}/")["version_id"]
    assert deployment(office, uid, "PATCH", active=True, version_id=current).status_code == 200
    one = str(uuid.uuid4())
    more = "<tree><kind>a</kind></tree>"
    assert office.send(instance(uid, one, more=more, version=old)).status_code == 201
    row = office.get(f"/api/v2/assets/{uid}/data/{one}/")
    assert row["tree"] == [{"tree/kind": "a"}]
    assert row["__version__"] == old


def test_imports_that_fail_say_why(office: Office) -> None:
    """HTTP 200 with status error and KoboToolbox's error types."""
    twice = (*SURVEY, ("text", "who", "ก", "A", None))
    cases = (
        (b"not a workbook", {}, "XlsFormatException", "Unsupported format, or corrupt file"),
        (workbook(survey=twice), {}, "DuplicateNameException", "Duplicate node name: who"),
        (
            workbook(),
            {"destination": f"{office.url}/api/v2/assets/aNoSuch/"},
            "DoesNotExist",
            "Asset matching query does not exist.",
        ),
    )
    for content, more, kind, words in cases:
        found = office.polled(office.begin_import(content, **more))
        assert found["status"] == "error"
        assert found["messages"]["error_type"] == kind
        assert found["messages"]["error"].startswith(words)
    nothing = office.call("POST", "/api/v2/imports/", data={"name": "x.xlsx"}).json()
    assert "base64Encoded" in office.polled(nothing["url"])["messages"]["error"]


def test_an_import_as_a_multipart_file(office: Office) -> None:
    """The part `file` instead of base64; its name stands in where the settings give no title."""
    answer = office.call(
        "POST",
        "/api/v2/imports/",
        data={"library": "false"},
        files={"file": ("ชื่อไฟล์.xlsx", workbook(settings=()), "application/vnd.ms-excel")},
    )
    assert answer.status_code == 201
    uid = office.polled(answer.json()["url"])["messages"]["created"][0]["uid"]
    assert office.get(f"/api/v2/assets/{uid}/")["name"] == "ชื่อไฟล์"


def test_without_library_false_it_is_a_block_that_cannot_be_deployed(office: Office) -> None:
    """KoboToolbox's trap, with a reason instead of a 500."""
    uid = office.import_form(workbook(), library="true")
    assert office.get(f"/api/v2/assets/{uid}/")["asset_type"] == "block"
    answer = deployment(office, uid, active=True)
    assert answer.status_code == 400
    assert "library=false" in answer.json()["error"]


def test_pyxform_speaks_at_deployment(office: Office) -> None:
    """A form that imports but does not convert: 400 with pyxform's own words."""
    wrong = (*SURVEY, ("calculate", "c", None, None, None, "${nobody}"))
    heads = (*SURVEY[0], "calculation")
    uid = office.import_form(workbook(survey=(heads, *wrong[1:])))
    answer = deployment(office, uid, active=True)
    assert answer.status_code == 400
    assert "nobody" in answer.json()["error"]
    nolist = (*SURVEY, ("select_one nolist", "n", "ก", "A", None))
    uid = office.import_form(workbook(survey=nolist, choices=CHOICES))
    assert "nolist" in deployment(office, uid, active=True).json()["error"]
    assert office.get(f"/api/v2/assets/{uid}/")["deployment_status"] == "draft"


def test_media_are_added_listed_and_deleted(office: Office) -> None:
    """No replacing: same name 400, delete 204, then again 201; JSON works as multipart does."""
    uid = office.import_form(workbook())
    path = f"/api/v2/assets/{uid}/files/"
    first = office.add_media(uid, "places.csv", PLACES).json()
    again = office.add_media(uid, "places.csv", b"other\n")
    assert (again.status_code, again.json()) == (400, {"content": ["File already exists"]})
    body = {
        "file_type": "form_media",
        "description": "default",
        "base64Encoded": "data:text/csv;base64,Y29kZSxuYW1lCjEsYQo=",
        "metadata": {"filename": "second.csv"},
    }
    assert office.call("POST", path, json=body).status_code == 201
    found = office.get(path, file_type="form_media")
    assert [row["metadata"]["filename"] for row in found["results"]] == ["places.csv", "second.csv"]
    assert office.call("GET", first["content"]).content == PLACES
    assert office.call("DELETE", first["url"]).status_code == 204
    assert office.call("DELETE", first["url"]).status_code == 404
    assert office.add_media(uid, "places.csv", PLACES).status_code == 201


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"metadata": {"filename": "a.csv"}, "file_type": "form_media"}, "content"),
        ({"base64Encoded": "data:text/csv;base64,YQ==", "file_type": "form_media"}, "metadata"),
        ({"base64Encoded": "YQ==", "metadata": {"filename": "a.csv"}}, "file_type"),
        (
            {
                "base64Encoded": "YQ==",
                "metadata": {"filename": "a.exe"},
                "file_type": "form_media",
            },
            "content",
        ),
    ],
)
def test_media_that_cannot_be_used_are_refused(office: Office, body: dict, field: str) -> None:
    """400 that names the field."""
    uid = office.import_form(workbook())
    answer = office.call("POST", f"/api/v2/assets/{uid}/files/", json=body)
    assert answer.status_code == 400
    assert field in answer.json()


def test_settings_and_name_are_kept(office: Office) -> None:
    """`settings.description` holds the publisher's marker; unknown fields are refused."""
    uid = office.import_form(workbook())
    path = f"/api/v2/assets/{uid}/"
    marker = "watphon:north2564/small sha256:" + "0" * 64
    changed = office.call("PATCH", path, json={"settings": {"description": marker}, "name": "ใหม่"})
    assert changed.status_code == 200
    asset = office.get(path)
    assert (asset["settings"]["description"], asset["name"]) == (marker, "ใหม่")
    assert [
        one["settings"]["description"]
        for one in office.get("/api/v2/assets/", limit=1000)["results"]
        if one["uid"] == uid
    ] == [marker]
    assert office.call("PATCH", path, json={"content": {}}).status_code == 400


def test_assets_are_listed_in_pages_and_searched(running_server: RunningServer) -> None:
    """`limit` and `start` page without overlap; `q` finds by word or field, or is 400."""
    office = Office(running_server.url, running_server.token)
    names = ["แบบก่อน", "แบบหลัง", "Other form"]
    for name in names:
        office.import_form(workbook(settings=(SETTINGS[0], (name, "f", "1", "ไทย (th)"))))
    first = office.get("/api/v2/assets/", limit=2, ordering="date_created")
    assert first["count"] == 3
    second = office.call("GET", first["next"]).json()
    assert [one["name"] for one in first["results"] + second["results"]] == names
    assert second["next"] is None
    assert "content" not in first["results"][0]
    assert office.get("/api/v2/assets/", q="แบบ")["count"] == 2
    assert office.get("/api/v2/assets/", q="asset_type:survey AND name:แบบก่อน")["count"] == 1
    assert office.call("GET", "/api/v2/assets/", params={"q": "ab"}).status_code == 400
    assert office.call("GET", "/api/v2/assets/", params={"q": "nofield:x"}).status_code == 400


def test_a_deleted_asset_is_gone_with_its_data_and_files(running_server: RunningServer) -> None:
    """404 everywhere, and no content stays on disk."""
    office = Office(running_server.url, running_server.token)
    uid = office.publish()
    photo = ("p.png", b"png", "image/png")
    document = instance(uid, str(uuid.uuid4()), more="<photo>p.png</photo>")
    assert office.send(document, a=photo).status_code == 201
    files = running_server.data / "server" / "files"
    assert len([path for path in files.rglob("*") if path.is_file()]) == 2
    assert office.call("DELETE", f"/api/v2/assets/{uid}/").status_code == 204
    assert office.call("GET", f"/api/v2/assets/{uid}/data/").status_code == 404
    assert office.send(document).status_code == 404
    assert not [path for path in files.rglob("*") if path.is_file()]


def test_the_shipped_forms_import_and_deploy(office: Office) -> None:
    """Each of the programme's workbooks converts under the asset's uid."""
    workbooks = sorted(PROGRAMME.glob("mne_*.xlsx"))
    assert len(workbooks) == 9
    for path in workbooks:
        uid = office.import_form(deployable(path), name=path.name)
        assert office.get(f"/api/v2/assets/{uid}/")["form_id"] == path.stem
        answer = deployment(office, uid, active=True)
        assert answer.status_code == 200, answer.text


def test_an_import_that_a_stop_interrupted_ends_in_an_error(running_server: RunningServer) -> None:
    """Whoever polls it after the restart hears so, instead of polling for ever."""
    running_server.kill()
    store = open_store(running_server.data)
    row = {"uid": "iX", "owner": "admin", "messages": "{}", "created_at": "2026-01-01T00:00:00Z"}
    with store.write() as connection:
        connection.execute(insert(imports), {**row, "status": "processing"})
    store.close()
    running_server.restart()
    office = Office(running_server.url, running_server.token)
    found = office.get("/api/v2/imports/iX/")
    assert found["status"] == "error"
    assert "Send the form again" in found["messages"]["error"]
